"""A notice with its envelopes, for people: as a document, and as a sentence that one would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.mails.notices import Kind, Slot
from monitor.errors import Remedy
from monitor.text.spans import span, when


@dataclass(frozen=True, slots=True)
class Sent:
    """One envelope of a notice."""

    address: str
    state: str
    attempts: int
    answer: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """A notice with its envelopes, for people."""

    id: int
    slot: Slot
    kind: str  # of a mail, or the name of the alert that on-call is told
    client: str
    state: str
    outcome: str
    reason: str
    number: int
    requested_by: str | None
    planned_at: datetime
    due_at: datetime
    settled_at: datetime | None
    connections: tuple[str, ...]
    envelopes: tuple[Sent, ...]

    def document(self) -> dict[str, Any]:
        """Return it as `--json` gives it."""
        return {
            "id": self.id,
            "slot": self.slot.value,
            "kind": self.kind,
            "client": self.client,
            "connections": list(self.connections),
            "state": self.state,
            "outcome": self.outcome,
            "reason": self.reason,
            "reminder": self.number if self.slot is Slot.REMINDER else None,
            "requested_by": self.requested_by,
            "planned_at": _iso(self.planned_at),
            "due_at": _iso(self.due_at),
            "settled_at": _iso(self.settled_at),
            "to": [
                {
                    "address": sent.address,
                    "state": sent.state,
                    "attempts": sent.attempts,
                    "answer": sent.answer or None,
                    "at": _iso(sent.at),
                }
                for sent in self.envelopes
            ],
        }

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What a person can do about it, beside the sentence."""
        if self.state != "failed" or self.slot in (Slot.PAGE, Slot.CLEAR):
            return ()
        return (Remedy("notices.retry", "tries again", str(self.id)),)

    def sentence(self, now: datetime) -> str:
        """Say what became of it, as `Thanked it@maple.example 2 hours ago, since it works again` does."""
        ago = span(now - (self.settled_at or now))
        match self.state:
            case "waiting":
                by = f", asked for by {self.requested_by}" if self.requested_by else ""
                due = f"due {when(self.due_at, now)}" if self.due_at > now else "due now"
                return f"Waits: {self._what}, {due}{by}."
            case "withdrawn":
                return f"Taken back {ago} ago: {self._what} ({self.outcome})."
            case "failed":
                return f"{_capital(self._what)} could not be sent, {ago} ago: {self._failures}."
            case "sending":
                return f"On its way for {ago}: {self._what}{self._answers}."
            case _:
                return self._done(ago)

    def _done(self, ago: str) -> str:
        """Say who has it now; beside that, who has not."""
        to = _listed([s.address for s in self.envelopes if s.state in ("sent", "unconfirmed")])
        doubt = any(s.state == "unconfirmed" for s in self.envelopes)
        rest = [s for s in self.envelopes if s.state in ("refused", "failed")]
        more = " It may not have arrived: the mail server's answer was lost." if doubt else ""
        more += "".join(f" {s.address} did not take it ({s.answer})." for s in rest)
        match self.slot:
            case Slot.ASK if self.kind == Kind.FIRST_AUTHORIZATION:
                return f"Invited {to} {ago} ago to authorize it for the first time.{more}"
            case Slot.ASK:
                why = "several connections" if self.kind == Kind.DIGEST else self.kind.replace("_", " ")
                return f"Asked {to} {ago} ago to authorize again ({why}).{more}"
            case Slot.REMINDER:
                return f"Reminded {to} {ago} ago, for the {_ordinal(self.number)} time.{more}"
            case Slot.EXPIRING:
                return f"Told {to} {ago} ago that the authorization runs out.{more}"
            case Slot.RESOLVED:
                return f"Thanked {to} {ago} ago, since it works again.{more}"
            case Slot.HANDOVER:
                return f"Handed over to {to} {ago} ago: {self.reason}.{more}"
            case _:
                return f"Told {to} {ago} ago: {self.reason or self.kind}.{more}"

    @property
    def _what(self) -> str:
        match self.slot:
            case Slot.ASK if self.kind == Kind.FIRST_AUTHORIZATION:
                return "the invitation"
            case Slot.ASK:
                return f"the request to authorize again ({self.kind.replace('_', ' ')})"
            case Slot.REMINDER:
                return f"the {_ordinal(self.number)} reminder"
            case Slot.EXPIRING:
                return "the word that the authorization runs out"
            case Slot.RESOLVED:
                return "the thanks"
            case Slot.HANDOVER:
                return "the handover to the operator"
            case _:
                return self.kind

    @property
    def _failures(self) -> str:
        said = {
            f"{s.address}: {s.answer}" if s.state == "refused" else s.answer: None for s in self.envelopes
        }
        return "; ".join(answer for answer in said if answer) or self.outcome

    @property
    def _answers(self) -> str:
        tried = [f"{s.address} after {_times(s.attempts)}: {s.answer}" for s in self.envelopes if s.answer]
        return f" ({'; '.join(tried)})" if tried else f" to {_listed([s.address for s in self.envelopes])}"


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
