"""What one process does for all now and then: the fleet's guards and waves, its sums, and what is old."""

from __future__ import annotations

from monitor.clock import Clock
from monitor.store import due, guarding, history, hours, waves
from monitor.store.engine import Database
from monitor.store.history import Kept
from monitor.store.verdicts import Terms
from monitor.watching.admission import Admission
from monitor.watching.presence import Presence


class Upkeep:
    """Done by the process that leads, and left alone by the others."""

    def __init__(
        self,
        database: Database,
        presence: Presence,
        admission: Admission,
        clock: Clock,
        *,
        terms: Terms,
        kept: Kept,
    ) -> None:
        self._database, self._presence, self._admission = database, presence, admission
        self._clock, self._terms, self._kept = clock, terms, kept

    async def guard(self) -> None:
        """Let guards come down and waves go on, also when no verdict changes.

        Some of what a wave holds is looked at as often as the healthy: it shows what the others do, too.
        """
        if not self._presence.leads:
            return
        now = self._clock.now()
        await guarding.judge_again(self._database, self._terms.guard, now, self._terms.ordinary)
        if closely := await waves.watched_closely(self._database):
            await due.keep_close(self._database, closely, self._admission.cadences, now)

    async def forget(self) -> None:
        """Drop what is older than it is kept for."""
        if self._presence.leads:
            await history.forget(self._database, self._kept, self._clock.now())

    async def note_sums(self) -> None:
        """Write down, once an hour, how the fleet stands: what a page compares it with a day later."""
        if self._presence.leads:
            await hours.note(self._database, self._clock.now())
