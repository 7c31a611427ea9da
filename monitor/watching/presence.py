"""This process among the others: that it lives, whether it leads, and how the fleet stands as it sees it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import structlog

from monitor import __version__
from monitor.clock import Clock
from monitor.store import due, processes
from monitor.store.engine import Database
from monitor.store.processes import BEAT, GONE, Role

log = structlog.get_logger("monitor.loop")

FLEET_DUTY = "fleet"


class Presence:
    """A process on the list. One of them leads: it does what is done once for all.

    `process` is its name there, `lag` how many seconds the most overdue probe has waited, `alive` how many
    service processes there are, and `skew` how far our clock is off the database's.
    """

    def __init__(
        self, database: Database, apps: Collection[str], clock: Clock, *, process: str, role: Role
    ) -> None:
        self._database, self._apps, self._clock = database, apps, clock
        self.process, self._role = process, role
        self.leads = False
        self.lag = 0.0
        self.alive = 1
        self.skew = timedelta(0)

    async def live(self) -> None:
        """Say that this process lives: while it does, a refresh that it has begun is its own."""
        found = await processes.beat(
            self._database, self.process, self._role, __version__, self._clock.now(), GONE
        )
        self.alive, self.skew = found.alive, found.skew
        if found.freed:
            log.warning("process.buried", leases=found.freed)

    async def beat(self) -> None:
        """Live, keep or take the fleet's duty, and look at how late the fleet's probes are."""
        await self.live()
        now = self._clock.now()
        self.leads = await processes.hold_duty(self._database, FLEET_DUTY, self.process, now, BEAT * 3)
        self.lag = await due.lag(self._database, self._apps, now)

    async def leave(self) -> None:
        """Leave the list, and give up the duty."""
        await processes.leave(self._database, self.process)
