"""Waiting for an app's turn: app-wide limits, held by all processes together."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta

from monitor.clock import Clock
from monitor.store import budgets
from monitor.store.engine import Database
from monitor.wire.apps import App

# How far ahead turns are reserved when connections are claimed: short, so that a process that dies
# takes few with it, and long against the second between two claims.
AHEAD = timedelta(seconds=3)
# A request within a probe (a second scope, a refresh) waits longer for its turn than a new probe may.
PATIENCE = timedelta(seconds=20)


class Pacer:
    """Gives each request of an app with an app-wide limit its own moment."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._reserved: dict[str, deque[datetime]] = defaultdict(deque)

    async def prepare(self, app: App) -> None:
        """Make the row that the processes share, where the app's limit is one of the whole app."""
        if app.limits.app_wide is not None:
            await budgets.ensure(self._database, app.id, self._clock.now())

    async def reserve(self, app: App, wanted: int) -> int:
        """Reserve turns for up to `wanted` probes that start now; return how many there are."""
        rate = app.limits.app_wide
        if rate is None:
            return wanted
        turns = self._reserved[app.id]
        now = self._clock.now()
        while turns and turns[0] < now - AHEAD:
            turns.popleft()  # reserved, never used: gone, or a burst would follow
        if len(turns) < wanted:
            turns.extend(await budgets.take(self._database, app.id, wanted - len(turns), rate, now, AHEAD))
        return min(wanted, len(turns))

    async def turn(self, app: App) -> None:
        """Wait until the app may send one more request."""
        rate = app.limits.app_wide
        if rate is None:
            return
        turns = self._reserved[app.id]
        while not turns:
            now = self._clock.now()
            turns.extend(await budgets.take(self._database, app.id, 1, rate, now, PATIENCE))
            if not turns:
                await self._clock.sleep(1.0)
        wait = (turns.popleft() - self._clock.now()).total_seconds()
        if wait > 0:
            await self._clock.sleep(wait)

    async def hold(self, app: App, until: datetime) -> None:
        """Send nothing more for the app before a time: it answered 429."""
        if app.limits.app_wide is None:
            return
        self._reserved[app.id].clear()
        await budgets.hold(self._database, app.id, until)
