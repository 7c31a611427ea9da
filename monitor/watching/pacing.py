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

    def _rate(self, app: App) -> float | None:
        return app.limits.app_wide

    def _row(self, app: App) -> str:
        return app.id

    async def prepare(self, app: App) -> None:
        """Make the row that the processes share, where the app's limit is one of the whole app."""
        if self._rate(app) is not None:
            await budgets.ensure(self._database, self._row(app), self._clock.now())

    async def reserve(self, app: App, wanted: int) -> int:
        """Reserve turns for up to `wanted` probes that start now; return how many there are."""
        rate = self._rate(app)
        if rate is None:
            return wanted
        turns = self._reserved[app.id]
        now = self._clock.now()
        while turns and turns[0] < now - AHEAD:
            turns.popleft()  # reserved, never used: gone, or a burst would follow
        if len(turns) < wanted:
            turns.extend(
                await budgets.take(self._database, self._row(app), wanted - len(turns), rate, now, AHEAD)
            )
        return min(wanted, len(turns))

    async def turn(self, app: App) -> None:
        """Wait until the app may send one more request."""
        rate = self._rate(app)
        if rate is None:
            return
        turns = self._reserved[app.id]
        while not turns:
            now = self._clock.now()
            turns.extend(await budgets.take(self._database, self._row(app), 1, rate, now, PATIENCE))
            if not turns:
                await self._clock.sleep(1.0)
        wait = (turns.popleft() - self._clock.now()).total_seconds()
        if wait > 0:
            await self._clock.sleep(wait)

    async def hold(self, app: App, until: datetime) -> None:
        """Send nothing more for the app before a time: it answered 429."""
        if self._rate(app) is None:
            return
        self._reserved[app.id].clear()
        await budgets.hold(self._database, self._row(app), until)


class Demand(Pacer):
    """Turns of renewals that programs ask for: they have what probing leaves of an app's limit.

    Where probing may use all of it, both share.
    """

    def __init__(self, database: Database, clock: Clock, probing: Pacer) -> None:
        super().__init__(database, clock)
        self._probing = probing
        self._prepared: set[str] = set()

    def _rate(self, app: App) -> float | None:
        return app.limits.left_over or app.limits.app_wide

    def _row(self, app: App) -> str:
        return f"{app.id}/demand" if app.limits.left_over else app.id  # no app's id has a slash

    async def turn(self, app: App) -> None:
        """Wait until one more may be renewed."""
        if app.id not in self._prepared:
            await self.prepare(app)
            self._prepared.add(app.id)
        await super().turn(app)

    async def hold(self, app: App, until: datetime) -> None:
        """Send nothing more for the app before a time, nor probe it."""
        await super().hold(app, until)
        await self._probing.hold(app, until)
