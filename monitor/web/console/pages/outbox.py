"""The outbox: what is being told to whom, or why not yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from monitor.errors import Invalid
from monitor.operations import outbox
from monitor.operations.actor import Right
from monitor.operations.outbox import MOST, Channel, Counts, Overview, Place, Refusing
from monitor.operations.withheld import By, Held
from monitor.web.console.answers import Shown
from monitor.web.console.declared import page
from monitor.web.console.notice_words import TABS, for_eyes, row
from monitor.web.console.render import short
from monitor.web.console.texts import N_, gettext, ngettext
from monitor.web.console.visit import Visit

A_PAGE, OF_EACH = 50, 10
HELD = "held"
CHANNELS = {
    "": N_("Mails and pages"),
    "mail": N_("Mails"),
    "page": N_("Pages to on-call"),
    "webhook": N_("Webhooks"),
}
_HELD_BY = {
    By.GUARD: (N_("The fleet guard"), "guard", N_("until they heal, or you decide")),
    By.FUSE: (N_("The fuse"), "guard", N_("until they heal, or you decide")),
    By.PERSON: (N_("A person"), "paused", N_("until it is released")),
    By.SILENCE: (N_("The configuration"), "paused", N_("as long as it stands there")),
    By.TROUBLE: (N_("A provider's trouble"), "provider", N_("until that is over")),
    By.PAUSE: (N_("A pause"), "paused", N_("until they are resumed, or their time is over")),
}


@dataclass(frozen=True, slots=True)
class HeldRow:
    """One thing that holds something back, as a line."""

    id: str
    since: datetime | None
    until: datetime | None
    to_come: bool
    ends: str
    sign: str
    by: str
    what: str
    over: str
    why: str
    does: tuple[str, str, bool] | None  # where, the words, and whether it asks first
    href: str


@page("/outbox", Right.NOTICES_READ)
async def show_outbox(visit: Visit) -> Shown:
    """Show what wants a look, what is held, what waits and what went out; or of one of these all."""
    channel = outbox.channel_of(visit.query.get("channel", ""))
    if channel is Channel.WEBHOOK:
        visit.actor.needs(Right.WEBHOOKS_READ)
    tab = visit.query.get("is", "")
    if tab and tab != HELD:
        outbox.is_of(tab)
    one_alone = bool(tab or visit.query.get("client"))
    found = await outbox.overview(visit.parts, visit.actor, channel, 0 if one_alone else OF_EACH)
    values: dict[str, Any] = {
        "says": _says(visit, found),
        "tabs": _tabs(visit, found.counts, tab),
        "channels": _channels(visit, channel),
        "server": found.server,
        "fuse": found.fuse if found.fuse.blown_at else None,
        "client": visit.query.get("client", ""),
        "unfiltered": _url(visit, client="", after=""),
        "tab": tab,
        "may_operate": visit.may(Right.NOTICES_OPERATE),
        "most": MOST,
    }
    if one_alone:
        return await _one_tab(visit, channel, tab or "waiting", values, found)
    return Shown("outbox.html.j2", verdict(found.counts), "/outbox", **values, **_groups(visit, found))


async def _one_tab(
    visit: Visit, channel: Channel | None, tab: str, values: dict[str, Any], found: Overview
) -> Shown:
    values["tab"] = tab
    values["tabs"] = _tabs(visit, found.counts, tab)
    if tab == HELD:
        held = [_held(visit, one) for one in found.held]
        return Shown(
            "outbox_tab.html.j2", verdict(found.counts), "/outbox", **values, held=held, rows=[], after=""
        )
    listed = await outbox.page(
        visit.parts, visit.actor, outbox.is_of(tab), A_PAGE, channel=channel,
        client=visit.query.get("client", ""), after=_place(visit.query.get("after", "")),
    )  # fmt: skip
    after = _url(visit, after=_token(listed.after)) if listed.after else ""
    rows = [row(visit, one) for one in listed.notices]
    return Shown(
        "outbox_tab.html.j2", verdict(found.counts), "/outbox", **values, rows=rows, held=[], after=after,
        paged="after" in visit.query, first=_url(visit, after=""),
    )  # fmt: skip


def _groups(visit: Visit, found: Overview) -> dict[str, Any]:
    waiting = found.sending + found.waiting
    return {
        "counts": found.counts,
        "looks": [row(visit, one) for one in found.looks],
        "refusing": [_refusing(visit, one) for one in found.refusing],
        "held": [_held(visit, one) for one in found.held],
        "waiting": [row(visit, one) for one in waiting],
        "sent": [row(visit, one) for one in found.sent],
        "urls": {one: _url(visit, **{"is": one}) for one in TABS},
    }


# -- words --------------------------------------------------------------------------------------------


def verdict(counts: Counts) -> str:
    """Say how the outbox stands, in one sentence."""
    waiting = counts.waiting + counts.sending
    said = [
        ngettext("%(n)s waits", "%(n)s wait", waiting) if waiting else "",
        ngettext("%(n)s is held", "%(n)s are held", counts.held) if counts.held else "",
        ngettext("%(n)s wants a look", "%(n)s want a look", counts.looks) if counts.looks else "",
    ]
    if found := [_bounded(one) for one in said if one]:
        return ", ".join(found) + "."
    return gettext("Nothing waits, and nothing is held.")


def _bounded(said: str) -> str:
    return said.replace(f"{MOST + 1:,}", f"{MOST:,}+")


def _says(visit: Visit, found: Overview) -> str:
    sent = found.counts.sent_today
    said = [
        _bounded(ngettext("One went out today.", "%(n)s went out today.", sent))
        if sent
        else gettext("Nothing went out today.")
    ]
    server = found.server
    if server.trouble:
        said.append(for_eyes(visit, server.trouble))
    elif server.taken_at is not None:
        ago = short(visit.now - server.taken_at)
        said.append(gettext("The mail server took the last one %(span)s ago.", span=ago))
    return " ".join(said)


# -- rows that are no notices -------------------------------------------------------------------------


def _held(visit: Visit, one: Held) -> HeldRow:
    by, sign, ends = _HELD_BY[one.by]
    title = _titles(visit).get(one.name, one.name) if one.over == "provider" else one.name
    over = f"{one.over} {title}".strip() if one.over != "all" else gettext("everything")
    what = ngettext("%(n)s first mail", "%(n)s first mails", one.count)
    if one.by in (By.PERSON, By.SILENCE):
        what = ngettext("What is told of %(n)s break", "What is told of %(n)s breaks", one.count)
        what = what if one.count else gettext("Nothing so far")
    if one.by is By.GUARD:
        over = ngettext("%(n)s client of %(over)s", "%(n)s clients of %(over)s", one.clients, over=title)
    if one.by is By.PAUSE:
        what, over = gettext("Nothing is told"), ngettext("%(n)s connection", "%(n)s connections", one.count)
    if one.by is By.FUSE:
        over = gettext("the whole fleet")
    does, href = _held_does(visit, one)
    key = f"row-held-{one.by.value}-{one.over}-{one.name}".replace(" ", "-")
    return HeldRow(
        key, one.since, one.until, one.to_come, gettext(ends), sign, gettext(by), _bounded(what), over,
        for_eyes(visit, one.why), does, href,
    )  # fmt: skip


def _titles(visit: Visit) -> dict[str, str]:
    return {app.provider.name: app.provider.title for app in visit.parts.apps.values()}


def _held_does(visit: Visit, one: Held) -> tuple[tuple[str, str, bool] | None, str]:
    may = visit.may(Right.NOTICES_OPERATE)
    match one.by:
        case By.GUARD:
            href = f"/incidents/{one.incident}"
            return ((href, gettext("Decide…"), False) if may else None), href
        case By.FUSE:
            path = "/outbox/fuse/release"
            return ((path, gettext("Release the fuse…"), True) if may else None), "/outbox?is=waiting"
        case By.PERSON:
            path = f"/outbox/release?{urlencode({'over': one.over, 'name': one.name})}"
            return ((path, gettext("Release…"), True) if may else None), "/silences"
        case By.SILENCE:
            return None, "/silences"
        case By.TROUBLE:
            return None, "/incidents"
    return None, "/?state=paused"


@dataclass(frozen=True, slots=True)
class RefusingRow:
    """An address that takes no mail, as a line."""

    id: str
    since: datetime
    address: str
    client: str
    why: str
    notice: int | None
    edit: str


def _refusing(visit: Visit, one: Refusing) -> RefusingRow:
    edit = f"/connections/{one.connection}" if one.connection and visit.may(Right.CONNECTIONS_WRITE) else ""
    why = gettext("It takes no mail: %(answer)s. It is tried again with the next notice.", answer=one.answer)
    number = f"{one.since:%Y%m%d%H%M%S%f}"
    return RefusingRow(
        f"row-address-{number}", one.since, for_eyes(visit, one.address), one.client, for_eyes(visit, why),
        one.notice, edit,
    )  # fmt: skip


# -- addresses of this page ---------------------------------------------------------------------------


def _url(visit: Visit, **other: str) -> str:
    known = {name: visit.query.get(name, "") for name in ("is", "channel", "client")}
    pairs = [(name, value) for name, value in sorted((known | other).items()) if value]
    return f"/outbox?{urlencode(pairs)}" if pairs else "/outbox"


def _tabs(visit: Visit, counts: Counts, tab: str) -> list[tuple[str, str, str, bool]]:
    many = {
        "waiting": counts.waiting, "sending": counts.sending, HELD: counts.held,
        "unconfirmed": counts.unconfirmed, "failed": counts.failed,
    }  # fmt: skip
    found = [(gettext("All that matters"), _url(visit, **{"is": "", "client": ""}), "", not tab)]
    for name, words in TABS.items():
        count = many.get(name, 0)
        if name == "sending" and not count and tab != name:
            continue
        said = _bounded(f"{count:,}") if count else ""
        found.append((gettext(words), _url(visit, **{"is": name}), said, tab == name))
    return found


def _channels(visit: Visit, channel: Channel | None) -> list[tuple[str, str, bool]]:
    chosen = channel.value if channel else ""
    return [
        (gettext(words), _url(visit, channel=name), name == chosen)
        for name, words in CHANNELS.items()
        if name != "webhook" or visit.may(Right.WEBHOOKS_READ)
    ]


def _token(place: Place | None) -> str:
    return f"{place.at.isoformat()}~{place.number}" if place is not None else ""


def _place(given: str) -> Place | None:
    """Read where a page begins. Raises Invalid."""
    if not given:
        return None
    at, _, number = given.rpartition("~")
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not number.isdecimal() or len(number) > 9:
            raise ValueError
    except ValueError:
        raise Invalid("after", gettext("is no place in this list; begin at its first page")) from None
    return Place(moment, int(number))
