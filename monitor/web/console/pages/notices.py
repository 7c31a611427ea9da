"""A notice: the whole of it, the mail as it would be read, and sending it now or once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.errors import Conflict, NotFound
from monitor.operations import notices, outbox, records, webhooks
from monitor.operations.actor import Right
from monitor.operations.outbox import Channel, Is, Noted
from monitor.web.console.answers import Ask, Done, Sent, Shown
from monitor.web.console.declared import action, page
from monitor.web.console.notice_words import ENVELOPE, does, for_eyes, row, title, to
from monitor.web.console.texts import gettext as _
from monitor.web.console.texts import ngettext
from monitor.web.console.visit import Visit

# A mail is somebody else's page: nothing in it runs, loads or leads anywhere; its images are in it.
FRAME = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)
_LARGEST = 2**31 - 1  # no notice has a higher number


@dataclass(frozen=True, slots=True)
class Step:
    """Something that came about, or will, with a notice."""

    at: datetime
    what: str
    to_come: bool = False


@page("/outbox/{number:int}", Right.NOTICES_READ)
async def show_notice(visit: Visit) -> Shown:
    """Show a notice, why it is as it is, whom it went to, and what it says."""
    one = await outbox.show(visit.parts, visit.actor, _number(visit))
    told = one.told
    shown = row(visit, one)
    written, trouble = await _written(visit, one)
    return Shown(
        "notice.html.j2",
        f"{shown.title}, {shown.client}" if shown.client else shown.title,
        "/outbox",
        notice=told,
        items=told.items,
        shown=shown,
        does=does(visit, one),
        may_operate=visit.may(Right.NOTICES_OPERATE),
        channel=one.channel.value,
        providers=one.providers,
        envelopes=_envelopes(visit, told.envelopes),
        steps=_steps(visit, one),
        written=written,
        trouble=trouble,
        page=records.for_eyes(visit.actor, _document(one)),
        requested=for_eyes(visit, told.requested_by or ""),
        reason=for_eyes(visit, told.reason),
    )  # fmt: skip


def _envelopes(visit: Visit, those: Sequence[Any]) -> list[tuple[Any, str, str, str]]:
    """Return envelopes, each with its word, its address and the answer as whoever looks may see them."""
    return [
        (
            one,
            _(ENVELOPE.get(one.state, one.state)),
            for_eyes(visit, one.address or one.channel),
            for_eyes(visit, one.answer),
        )
        for one in those
    ]


async def _written(visit: Visit, one: Noted) -> tuple[Any, str]:
    if one.channel is not Channel.MAIL:
        return None, ""
    try:
        found = await notices.preview(visit.parts, visit.actor, one.told.id)
    except Conflict as error:  # it cannot be written any more: its page says why, and shows the rest
        return None, str(error)
    return records.for_eyes(visit.actor, {"subject": found.subject, "text": found.text}), ""


def _document(one: Noted) -> dict[str, str]:
    """Return what a page to on-call says."""
    told = one.told
    if one.channel is Channel.WEBHOOK:
        return {_("Event"): told.kind}
    if one.channel is not Channel.PAGE:
        return {}
    labels = told.content.get("labels") or {}
    return {
        _("Summary"): str(told.content.get("summary", "")),
        _("Description"): str(told.content.get("description", "")),
        _("Labels"): ", ".join(f"{name}={value}" for name, value in labels.items()),
        _("Runbook"): str(told.content.get("runbook", "")),
    }


def _steps(visit: Visit, one: Noted) -> list[Step]:
    """Return what came about, in its order, and what is to come."""
    told, now = one.told, visit.now
    by = _(", asked for by %(who)s", who=for_eyes(visit, told.requested_by)) if told.requested_by else ""
    found = [Step(told.planned_at, _("Planned") + by)]
    if told.state == "waiting":
        if told.look_at is not None and told.look_at > now:
            found.append(Step(told.look_at, _("Its connection is looked at once more before"), True))
        found.append(Step(told.due_at, _("It goes, if it is still true"), told.due_at > now))
    for envelope in told.envelopes:
        who = for_eyes(visit, envelope.address or envelope.channel)
        if envelope.at is not None:
            word = _(ENVELOPE.get(envelope.state, envelope.state))
            found.append(Step(envelope.at, f"{who}: {word}"))
        elif envelope.next_at is not None and told.state == "sending":
            found.append(Step(envelope.next_at, _("%(who)s: tried", who=who), envelope.next_at > now))
    if told.settled_at is not None and told.state == "sending":
        found.append(Step(told.settled_at, _("Due, and looked at once more: it is true")))
    if told.settled_at is not None and one.is_ is Is.WITHDRAWN:
        found.append(Step(told.settled_at, _("Taken back")))
    return sorted(found, key=lambda step: step.at)


@page("/outbox/{number:int}/html", Right.NOTICES_READ)
async def show_notice_html(visit: Visit) -> Sent:
    """Show the mail itself, for a frame in which nothing runs."""
    found = await notices.preview(visit.parts, visit.actor, _number(visit))
    return in_frame(for_eyes(visit, found.html))


def in_frame(html: str) -> Sent:
    """Return a mail's HTML as a document that only looks."""
    return Sent(html, "text/html; charset=utf-8", headers={"content-security-policy": FRAME})


# -- what one may do about it -------------------------------------------------------------------------


async def ask_send_now(visit: Visit) -> Ask:
    """Say whom it goes to at once, and what still holds it."""
    one = await outbox.show(visit.parts, visit.actor, _number(visit))
    back = f"/outbox/{one.told.id}"
    if "notices.send_now" not in one.does:
        return Ask(_("It does not wait for its time."), (for_eyes(visit, one.why),), "", back, here="/outbox")
    many = len(one.told.envelopes)
    return Ask(
        _("Send “%(what)s” to %(client)s now?", what=title(one), client=one.told.client or _("the operator")),
        (
            for_eyes(visit, one.why),
            _(
                "Its time, the quiet hours and the fuse are passed over. Its connection is looked at "
                "once more first: if it healed, or something holds it, it is not sent."),
            for_eyes(visit, _("It goes to %(to)s.", to=to(one))),
        ),
        ngettext("Send to %(n)s address", "Send to %(n)s addresses", many),
        back,
        note=_("A mail that is sent cannot be taken back."),
        here="/outbox",
        aside="letter.html.j2",
        values={"letter": await _letter(visit, one)},
    )  # fmt: skip


@action("/outbox/{number:int}/send-now", Right.NOTICES_OPERATE, api=("send_notice_now",), asks=ask_send_now)
async def send_now(visit: Visit) -> Done:
    """Bring a mail that waits forward to now."""
    told = await notices.send_now(visit.parts, visit.actor, _number(visit))
    return Done(f"/outbox/{told.id}", _("It goes within seconds, after one more look."))


async def ask_retry(visit: Visit) -> Ask:
    """Say what trying again does; of one that may have arrived, that it may arrive twice."""
    one = await outbox.show(visit.parts, visit.actor, _number(visit))
    back, letter = f"/outbox/{one.told.id}", {"letter": await _letter(visit, one)}
    if "notices.send_twice" in one.does:
        doubtful = [for_eyes(visit, e.address) for e in one.told.envelopes if e.state == "unconfirmed"]
        return Ask(
            _("Send “%(what)s” again, though it may have arrived?", what=title(one)),
            (
                for_eyes(visit, one.why),
                _(
                    "If the first one arrived, this one arrives twice. It goes to those alone of whom it "
                    "is not known: %(to)s.", to=", ".join(doubtful)),
                _("If it is no longer true, or something holds it, it is not sent."),
            ),
            ngettext("Send again to %(n)s address", "Send again to %(n)s addresses", len(doubtful)),
            back,
            hidden=(("twice", "1"),),
            note=_("A mail that is sent cannot be taken back."),
            here="/outbox",
            aside="letter.html.j2",
            values=letter,
        )  # fmt: skip
    if "notices.retry" not in one.does:
        return Ask(_("It did not fail."), (for_eyes(visit, one.why),), "", back, here="/outbox")
    failed = [for_eyes(visit, e.address) for e in one.told.envelopes if e.state in ("failed", "refused")]
    return Ask(
        _("Try “%(what)s” again?", what=title(one)),
        (
            for_eyes(visit, one.why),
            _(
                "It is tried again at %(to)s, once it was looked at anew: what is no longer true is "
                "taken back.", to=", ".join(failed)),
        ),
        ngettext("Try %(n)s address again", "Try %(n)s addresses again", len(failed)),
        back,
        note=_("A mail that is sent cannot be taken back."),
        here="/outbox",
        aside="letter.html.j2",
        values=letter,
    )  # fmt: skip


@action("/outbox/{number:int}/retry", Right.NOTICES_OPERATE, api=("retry_notice",), asks=ask_retry)
async def retry_notice(visit: Visit) -> Done:
    """Try a mail again that failed; or send again one that may have arrived."""
    twice = visit.given("twice") == "1"
    told = await notices.retry_one(visit.parts, visit.actor, _number(visit), twice=twice)
    return Done(f"/outbox/{told.id}", _("It is looked at anew, and goes within seconds if it is still true."))


async def ask_replay(visit: Visit) -> Ask:
    """Say which endpoints are sent an event once more."""
    one = await outbox.show(visit.parts, visit.actor, _number(visit))
    back, names = f"/outbox/{one.told.id}", [e.channel for e in _untaken(one)]
    if one.channel is not Channel.WEBHOOK or not names:
        return Ask(_("Nothing of it is to be sent again."), (), "", back, here="/outbox")
    return Ask(
        _("Send “%(what)s” again?", what=one.told.kind),
        (
            _("It goes to %(to)s, with the ids of the first time.", to=", ".join(names)),
            _("A program that has it already sees by its id that it is the same."),
        ),
        ngettext("Send to %(n)s endpoint", "Send to %(n)s endpoints", len(names)),
        back,
        here="/outbox",
    )


@action("/outbox/{number:int}/replay", Right.WEBHOOKS_WRITE, api=("replay_delivery",), asks=ask_replay)
async def replay_notice(visit: Visit) -> Done:
    """Send an event again to the endpoints that did not take it."""
    one = await outbox.show(visit.parts, visit.actor, _number(visit))
    if not (left := _untaken(one)):
        raise Conflict(_("Nothing of it is to be sent again."))
    for envelope in left:
        await webhooks.send_again(visit.parts, visit.actor, envelope.channel, envelope.name)
    return Done(f"/outbox/{one.told.id}", _("It goes within seconds."))


def _untaken(one: Noted) -> list[Any]:
    return [
        e for e in one.told.envelopes if one.channel is Channel.WEBHOOK and e.state in ("failed", "refused")
    ]


async def _letter(visit: Visit, one: Noted) -> dict[str, Any]:
    written, trouble = await _written(visit, one)
    said = for_eyes(visit, trouble)
    return {"number": one.told.id, "to": for_eyes(visit, to(one)), "written": written, "trouble": said}


def _number(visit: Visit) -> int:
    number = int(visit.path["number"])
    if number > _LARGEST:
        raise NotFound(_("There is no notice of this number."))
    return number
