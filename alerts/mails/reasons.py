"""Why a mail is where it is, in one sentence: for what it waits, who has it, or why it does not arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.mails.plan import MailPolicy
from alerts.mails.standing import Kind, Slot
from alerts.outbox.listing import Told
from monitor.health.claim import Claim
from monitor.text.spans import span

A_MOMENT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Around:
    """What else is so: the policy, which breaks the fleet guard doubts, who is on what, the mail server.

    `doubted` are incidents, `claims` go by connection.
    """

    policy: MailPolicy
    doubted: frozenset[int] = frozenset()
    claims: Mapping[str, Claim] = field(default_factory=dict)
    trouble: str = ""
    operator: str = ""


def why(told: Told, around: Around, now: datetime) -> str:
    """Say why it is as it is."""
    match told.state:
        case "waiting":
            return _waits(told, around, now)
        case "sending":
            return _on_its_way(told, around, now)
        case "failed":
            return _failed(told, around)
        case "withdrawn":
            return _capital(f"{told.outcome or 'taken back'}.")
    if any(one.state == "unconfirmed" for one in told.envelopes):
        return _in_doubt(told)
    return _arrived(told)


# -- what waits ---------------------------------------------------------------------------------------


def _waits(told: Told, around: Around, now: datetime) -> str:
    if told.requested_by:
        look = ", after one more look" if told.look_at else ""
        return f"{told.requested_by} asked for it; it goes within seconds{look}."
    if told.due_at <= now:
        return "It is due: its connection is looked at once more, then it goes."
    if claim := _claim(told, around):
        return (
            f"{claim.who} is on it until {claim.until:%a %d %b %H:%M} UTC; the client is not reminded before."
        )
    if night := _night(told, around):
        return night
    return _by_the_plan(told, around)


def _claim(told: Told, around: Around) -> Claim | None:
    mine = [around.claims[name] for name in told.connections if name in around.claims]
    return next((one for one in mine if told.slot == Slot.REMINDER and one.until == told.due_at), None)


def _night(told: Told, around: Around) -> str:
    """Say that it waits for the morning, where it is due in the first minute in which mail may go out."""
    quiet = around.policy.quiet
    if told.slot in (Slot.HANDOVER, Slot.FUSE, Slot.ACCESS):
        return ""
    if quiet.allowed(told.due_at - A_MOMENT, told.timezone) != told.due_at:
        return ""
    there = told.due_at.astimezone(ZoneInfo(told.timezone))
    city = told.timezone.rpartition("/")[2].replace("_", " ")
    return f"Quiet hours in {city} until {there:%H:%M} there."


def _by_the_plan(told: Told, around: Around) -> str:
    policy = around.policy
    match told.slot:
        case Slot.ASK if any(item.incident in around.doubted for item in told.items):
            return (
                f"The fleet guard is in doubt whether it is the client's, so a confirmed break waits "
                f"{span(policy.doubt_delay)}, then for one more look."
            )
        case Slot.ASK:
            return f"A confirmed break waits {span(policy.delay)}, since it may heal; then for one more look."
        case Slot.REMINDER:
            return f"{_since_first(told, policy)}; nobody approved yet. Taken back by itself when it heals."
        case Slot.EXPIRING:
            return f"The authorization ends{_ends(told)}, and the client is told ahead of it."
        case Slot.CAMPAIGN:
            return f"{_capital(told.reason)}."
        case Slot.RESOLVED:
            return "They were asked, and it works again."
        case Slot.HANDOVER:
            return f"Over to the operator: {told.reason}."
        case _:
            return f"{_capital(told.reason or told.kind)}."


def _since_first(told: Told, policy: MailPolicy) -> str:
    if 0 < told.number <= len(policy.reminders):
        return f"{span(policy.reminders[told.number - 1])} after the first mail"
    return "Asked before, and still broken"


def _ends(told: Told) -> str:
    ends = [item.since for item in told.items if item.since is not None]
    return f" on {min(ends):%d %b %Y}" if ends else " on a known day"


# -- what left ----------------------------------------------------------------------------------------


def _on_its_way(told: Told, around: Around, now: datetime) -> str:
    waiting = [one for one in told.envelopes if one.state == "waiting"]
    if waiting and around.trouble:
        return f"It goes when the mail server is back. {around.trouble}"
    tried = [one for one in waiting if one.attempts and one.answer]
    if tried:
        first = min(tried, key=lambda one: one.next_at or now)
        again = f"; tried again {_in(first.next_at, now)}" if first.next_at else ""
        times = f"{first.attempts} time{'s' if first.attempts != 1 else ''}"
        return f"Put off {times} ({first.answer}){again}."
    return "It is being handed to the mail server."


def _in(moment: datetime, now: datetime) -> str:
    return f"in {span(moment - now)}" if moment > now else "now"


def _in_doubt(told: Told) -> str:
    sooner = " A reminder comes a day sooner." if told.slot in (Slot.ASK, Slot.REMINDER) else ""
    return f"The server broke off after it had the mail: it may have arrived, and is not sent twice.{sooner}"


def _arrived(told: Told) -> str:
    more = "".join(
        f" {one.address} did not take it: {one.answer}."
        for one in told.envelopes
        if one.state in ("refused", "failed")
    )
    match told.slot:
        case Slot.ASK if told.kind == Kind.FIRST_AUTHORIZATION:
            said = "Invited to connect for the first time."
        case Slot.ASK if told.requested_by:
            said = f"Asked to authorize again, since {told.requested_by} wanted it."
        case Slot.ASK:
            said = "Asked to authorize again: confirmed broken, and the client can mend it."
        case Slot.REMINDER:
            said = "Asked before, and it was still broken."
        case Slot.EXPIRING:
            said = f"The authorization ends{_ends(told)}."
        case Slot.RESOLVED:
            said = "They were asked, and it works again."
        case Slot.HANDOVER:
            said = f"Over to the operator: {told.reason}."
        case _:
            said = f"{_capital(told.reason or told.kind)}."
    return said + more


def _failed(told: Told, around: Around) -> str:
    said = {
        f"{one.address}: {one.answer}" if one.state == "refused" else one.answer: None
        for one in told.envelopes
    }
    why = "; ".join(answer for answer in said if answer) or told.outcome
    follows = (
        " The operator is told instead." if told.slot in (Slot.ASK, Slot.REMINDER) and around.operator else ""
    )
    return f"{why}.{follows}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
