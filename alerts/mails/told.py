"""What was told, for people: as a document, and as a sentence that one would say.

Notices of other stories are told, too, in the words that they have themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from alerts.mails.standing import Kind, Slot
from alerts.outbox.listing import Told
from monitor.errors import Remedy
from monitor.text.spans import span, when


def document(told: Told) -> dict[str, Any]:
    """Return it as `--json` gives it."""
    return {
        "id": told.id,
        "slot": told.slot,
        "kind": told.kind,
        "client": told.client,
        "connections": list(told.connections),
        "state": told.state,
        "outcome": told.outcome,
        "reason": told.reason,
        "reminder": told.number if told.slot == Slot.REMINDER else None,
        "requested_by": told.requested_by,
        "planned_at": _iso(told.planned_at),
        "due_at": _iso(told.due_at),
        "settled_at": _iso(told.settled_at),
        "to": [
            {
                "address": sent.address,
                "state": sent.state,
                "attempts": sent.attempts,
                "answer": sent.answer or None,
                "at": _iso(sent.at),
            }
            for sent in told.envelopes
        ],
    }


def remedies(told: Told) -> tuple[Remedy, ...]:
    """Return what a person can do about it, beside the sentence: a mail that failed is tried again."""
    if told.state != "failed" or told.slot not in list(Slot):
        return ()
    return (Remedy("notices.retry", "tries again", str(told.id)),)


def sentence(told: Told, now: datetime) -> str:
    """Say what became of it, as `Thanked it@maple.example 2 hours ago, since it works again` does."""
    ago = span(now - (told.settled_at or now))
    match told.state:
        case "waiting":
            by = f", asked for by {told.requested_by}" if told.requested_by else ""
            due = f"due {when(told.due_at, now)}" if told.due_at > now else "due now"
            return f"Waits: {what(told)}, {due}{by}."
        case "withdrawn":
            return f"Taken back {ago} ago: {what(told)} ({told.outcome})."
        case "failed":
            return f"{_capital(what(told))} could not be sent, {ago} ago: {_failures(told)}."
        case "sending":
            return f"On its way for {ago}: {what(told)}{_answers(told)}."
        case _:
            return _done(told, ago)


def _done(told: Told, ago: str) -> str:
    """Say who has it now; beside that, who has not."""
    to = _listed([s.address for s in told.envelopes if s.state in ("sent", "unconfirmed")])
    doubt = any(s.state == "unconfirmed" for s in told.envelopes)
    rest = [s for s in told.envelopes if s.state in ("refused", "failed")]
    more = " It may not have arrived: the mail server's answer was lost." if doubt else ""
    more += "".join(f" {s.address} did not take it ({s.answer})." for s in rest)
    match told.slot:
        case Slot.ASK if told.kind == Kind.FIRST_AUTHORIZATION:
            return f"Invited {to} {ago} ago to authorize it for the first time.{more}"
        case Slot.ASK:
            why = "several connections" if told.kind == Kind.DIGEST else told.kind.replace("_", " ")
            return f"Asked {to} {ago} ago to authorize again ({why}).{more}"
        case Slot.REMINDER:
            return f"Reminded {to} {ago} ago, for the {_ordinal(told.number)} time.{more}"
        case Slot.EXPIRING:
            return f"Told {to} {ago} ago that the authorization runs out.{more}"
        case Slot.CAMPAIGN if told.number:
            return f"Reminded {to} {ago} ago of the campaign, for the {_ordinal(told.number)} time.{more}"
        case Slot.CAMPAIGN:
            return f"Invited {to} {ago} ago, by a campaign, to authorize it again while it works.{more}"
        case Slot.RESOLVED:
            return f"Thanked {to} {ago} ago, since it works again.{more}"
        case Slot.HANDOVER:
            return f"Handed over to {to} {ago} ago: {told.reason}.{more}"
        case _:
            return f"Told {to} {ago} ago: {told.reason or told.kind}.{more}"


def what(told: Told) -> str:
    """Say which mail it is, as part of a sentence."""
    match told.slot:
        case Slot.ASK if told.kind == Kind.FIRST_AUTHORIZATION:
            return "the invitation"
        case Slot.ASK:
            return f"the request to authorize again ({told.kind.replace('_', ' ')})"
        case Slot.REMINDER:
            return f"the {_ordinal(told.number)} reminder"
        case Slot.EXPIRING:
            return "the word that the authorization runs out"
        case Slot.CAMPAIGN:
            first = "a campaign's invitation"
            return f"the {_ordinal(told.number)} reminder of a campaign" if told.number else first
        case Slot.RESOLVED:
            return "the thanks"
        case Slot.HANDOVER:
            return "the handover to the operator"
        case _:
            return told.kind


def _failures(told: Told) -> str:
    said = {f"{s.address}: {s.answer}" if s.state == "refused" else s.answer: None for s in told.envelopes}
    return "; ".join(answer for answer in said if answer) or told.outcome


def _answers(told: Told) -> str:
    tried = [f"{s.address} after {_times(s.attempts)}: {s.answer}" for s in told.envelopes if s.answer]
    return f" ({'; '.join(tried)})" if tried else f" to {_listed([s.address for s in told.envelopes])}"


def _times(attempts: int) -> str:
    return f"{attempts} attempt{'s' if attempts != 1 else ''}"


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nobody"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
