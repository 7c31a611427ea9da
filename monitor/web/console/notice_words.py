"""A notice in the console's words: what it is, its title, whom it goes to, and what one may do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from monitor.operations import records
from monitor.operations.actor import Right
from monitor.operations.outbox import Channel, Is, Noted
from monitor.web.console.texts import N_, gettext, ngettext
from monitor.web.console.visit import Visit

# What it is: its word, its sign, and the class of its colour.
IS = {
    Is.WAITING: (N_("Waiting"), "clock", "is-pending"),
    Is.SENDING: (N_("On its way"), "mail", "is-pending"),
    Is.UNCONFIRMED: (N_("Unconfirmed"), "suspect", "is-suspect"),
    Is.FAILED: (N_("Failed"), "broken", "is-broken"),
    Is.SENT: (N_("Sent"), "healthy", "is-healthy"),
    Is.WITHDRAWN: (N_("Taken back"), "nobody", "is-paused"),
}
TABS = {
    "waiting": N_("Waiting"), "sending": N_("On their way"), "held": N_("Held"),
    "unconfirmed": N_("Unconfirmed"),
    "failed": N_("Failed"), "sent": N_("Sent"), "withdrawn": N_("Taken back"),
}  # fmt: skip
_DOOR = re.compile(r"\b(?:user|cli):(?=\w)")  # before a person's name: the door that they came in by
# The envelope's own words.
ENVELOPE = {
    "waiting": N_("Waiting"), "sending": N_("On its way"), "handed": N_("On its way"), "sent": N_("Took it"),
    "unconfirmed": N_("Unconfirmed"), "refused": N_("Refused"), "failed": N_("Failed"),
    "withdrawn": N_("Taken back"),
}  # fmt: skip
_TITLES = {
    "expiring": N_("%(provider)s runs out soon"),
    "campaign": N_("%(provider)s, ahead of time"),
    "resolved": N_("Thank you, it works"),
    "handover": N_("Over to you"),
    "fuse": N_("The fuse has blown"),
    "access": N_("A key that matters"),
}
# What may be done: the operation, the end of the path, the button's words, and who may.
_DOES = {
    "notices.send_now": ("send-now", N_("Send now…"), Right.NOTICES_OPERATE),
    "notices.retry": ("retry", N_("Try again…"), Right.NOTICES_OPERATE),
    "notices.send_twice": ("retry", N_("Send again…"), Right.NOTICES_OPERATE),
    "webhooks.send_again": ("replay", N_("Send again…"), Right.WEBHOOKS_WRITE),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the outbox."""

    id: str
    at: datetime | None
    is_: Is
    title: str
    sub: str
    client: str
    to: str
    why: str
    href: str
    does: Sequence[tuple[str, str]]
    held: bool = False

    @property
    def word(self) -> str:
        """What it is, as people say it."""
        return gettext(N_("Held") if self.held else IS[self.is_][0])

    @property
    def sign(self) -> str:
        """The sign beside the word."""
        return "guard" if self.held else IS[self.is_][1]

    @property
    def tone(self) -> str:
        """The class of its colour."""
        return "by-operator" if self.held else IS[self.is_][2]

    @property
    def to_come(self) -> bool:
        """Whether its time is still to come."""
        return self.is_ is Is.WAITING


def row(visit: Visit, one: Noted) -> Row:
    """Return a notice as a line; addresses as whoever looks may see them."""
    told = one.told
    return Row(
        f"row-notice-{told.id}",
        told.due_at if one.is_ is Is.WAITING else told.settled_at or told.due_at,
        one.is_,
        title(one),
        sub(one),
        told.client or _audience(one),
        for_eyes(visit, to(one)),
        for_eyes(visit, one.why),
        f"/outbox/{told.id}",
        does(visit, one),
        one.held,
    )


def title(one: Noted) -> str:
    """Return what it says, in a few words."""
    told = one.told
    provider = one.providers[0] if len(one.providers) == 1 else gettext("several providers")
    if one.channel is Channel.WEBHOOK:
        return told.kind
    if one.channel is Channel.PAGE:
        what = gettext("Over: %(what)s") if told.slot == "clear" else gettext("Page: %(what)s")
        return what % {"what": told.content.get("summary") or told.kind}
    if told.number and told.slot in ("reminder", "campaign"):
        return gettext("Reminder %(n)s", n=told.number)
    if told.slot == "ask":
        words = (
            N_("Connect %(provider)s") if told.kind == "first_authorization" else N_("Reconnect %(provider)s")
        )
        return gettext(words, provider=provider)
    words = _TITLES.get(told.slot, told.kind.replace("_", " ").capitalize())
    return gettext(words) % {"provider": provider} if "%(" in words else gettext(words)


def sub(one: Noted) -> str:
    """Return its cause, and which of its kind it is."""
    told = one.told
    if one.channel is Channel.PAGE:
        return gettext("on-call")
    if one.channel is Channel.WEBHOOK:
        return gettext("event")
    causes = list(dict.fromkeys(item.cause for item in told.items if item.cause and item.cause != "ok"))
    kind = gettext("first mail") if told.slot == "ask" else told.slot.replace("_", " ")
    about = ngettext("%(n)s connection", "%(n)s connections", len(told.items)) if len(told.items) > 1 else ""
    return ", ".join(part for part in (*causes[:3], kind, about) if part)


def _audience(one: Noted) -> str:
    match one.channel:
        case Channel.PAGE:
            return gettext("On-call")
        case Channel.WEBHOOK:
            return gettext("Programs")
    return gettext("The operator")


def to(one: Noted) -> str:
    """Return to whom, the first and how many more."""
    if one.channel is Channel.MAIL:
        names = [envelope.address for envelope in one.told.envelopes]
    else:
        names = [envelope.channel for envelope in one.told.envelopes]
    if not names:
        return gettext("nobody: no address is on record")
    if one.channel is not Channel.MAIL:
        return ", ".join(names)
    more = len(names) - 1
    return gettext("%(first)s and %(n)s more", first=names[0], n=more) if more else names[0]


def does(visit: Visit, one: Noted) -> list[tuple[str, str]]:
    """Return what whoever looks may do about it: where, and the button's words."""
    found = []
    for operation in one.does:
        if operation == "notices.hold":
            if visit.may(Right.NOTICES_OPERATE):
                found.append((hold_path("client", one.told.client), gettext("Hold…")))
            continue
        end, words, right = _DOES[operation]
        if visit.may(right):
            found.append((f"/outbox/{one.told.id}/{end}", gettext(words)))
    return found


def hold_path(over: str, name: str) -> str:
    """Return where one holds back what is told about something."""
    return f"/outbox/hold?{urlencode({'over': over, 'name': name})}"


def for_eyes(visit: Visit, text: str) -> Any:
    """Return text with the addresses in it as whoever looks may see them, and people by their names alone."""
    return records.for_eyes(visit.actor, _DOOR.sub("", text))
