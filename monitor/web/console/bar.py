"""What stands beside the words of the navigation on every page: how much waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.operations import board, outbox, withheld
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts

KEPT = timedelta(seconds=2)  # all pages of a process ask the database together


@dataclass(frozen=True, slots=True)
class Counts:
    """How many decisions wait for a person, and how many mails are held."""

    decisions: int = 0
    held: int = 0


class Bar:
    """Counts, at most every two seconds, whoever asks: people see the whole fleet."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._counts = Counts()
        self._read_at: datetime | None = None

    async def counts(self, actor: Actor, now: datetime) -> Counts:
        """Return the counts."""
        if not {Right.INCIDENTS_READ, Right.NOTICES_READ, Right.CONNECTIONS_READ} <= actor.may:
            return Counts()
        if self._read_at is None or not timedelta(0) <= now - self._read_at < KEPT:
            decisions = await board.decisions(self._parts, actor)
            held = withheld.total(await outbox.held(self._parts, actor))
            self._counts, self._read_at = Counts(decisions, held), now
        return self._counts
