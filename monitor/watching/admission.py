"""What may begin now: how many probes, of which apps, and how often each app's connections are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from monitor.health.cadence import Cadence, stretched, wanted
from monitor.store import connections
from monitor.store.engine import Database
from monitor.watching.pacing import Pacer
from monitor.watching.sight import Sight
from monitor.wire.apps import App

log = structlog.get_logger("monitor.loop")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one process works: `per_second` is the most probes begun in a second, None for the usual."""

    concurrency: int = 100
    per_second: float | None = None
    lease: timedelta = timedelta(seconds=120)


class Admission:
    """Says what may begin now, given the pace, the fleet's size, and what the apps' limits leave."""

    def __init__(
        self, database: Database, apps: Mapping[str, App], pacer: Pacer, cadence: Cadence, pace: Pace
    ) -> None:
        self._database, self._apps, self._pacer, self._pace = database, apps, pacer, pace
        self._configured = cadence
        self._usual = {
            app.id: replace(cadence, interval=wanted(cadence.interval, app.limits.least_interval))
            for app in apps.values()
        }
        self._cadences = dict(self._usual)
        self.sight = Sight()
        self._fleet_size = 0
        self._allowance = 0.0
        self._allowed_at: datetime | None = None

    @property
    def cadences(self) -> Mapping[str, Cadence]:
        """Each app's cadence, its interval as long as its limit asks for."""
        return self._cadences

    def intervals(self) -> dict[str, timedelta]:
        """Return each app's interval as it is now."""
        return {app: cadence.interval for app, cadence in self._cadences.items()}

    async def prepare(self) -> None:
        """Make the rows that shared limits need, and look at the fleet once."""
        for app in self._apps.values():
            await self._pacer.prepare(app)
        await self.resize()

    async def resize(self) -> None:
        """Look at how many connections each app has."""
        self.fit(await connections.per_app(self._database))

    def fit(self, sizes: Mapping[str, int]) -> None:
        """Fit each app's interval to how many connections it has, and to its limit."""
        self._fleet_size = sum(sizes.get(app, 0) for app in self._apps)
        for app in self._apps.values():
            count, usual = sizes.get(app.id, 0), self._usual[app.id].interval
            interval = stretched(usual, count, app.limits.app_wide)
            if interval == self._cadences[app.id].interval:
                continue
            self._cadences[app.id] = replace(self._configured, interval=interval)
            if interval > usual:
                log.warning(
                    "interval.stretched",
                    app=app.id,
                    connections=count,
                    interval_seconds=round(interval.total_seconds()),
                    configured_seconds=round(usual.total_seconds()),
                )

    async def admit(self, room: int, now: datetime) -> list[tuple[list[str], int]]:
        """Return groups of apps, and how many probes of each may begin; `room` is how many fit at all.

        Apps with an app-wide limit are groups of their own, with no more than their turns allow. Where a
        provider refuses this process alone, others do its work.
        """
        room = min(room, self.allowance(now))
        apps = [app for app in self._apps.values() if not self.sight.rests(app.provider.name)]
        free = [app.id for app in apps if app.limits.app_wide is None]
        groups = [(free, room)] if free else []
        for app in apps:
            if app.limits.app_wide is not None and room > 0:
                groups.append(([app.id], await self._pacer.reserve(app, room)))
        return groups

    def allowance(self, now: datetime) -> int:
        """Return how many probes may begin now.

        Three times the fleet's steady rate, and at least `concurrency` a second: after a standstill the
        backlog is worked off quickly and yet not all at once.
        """
        usual = 3 * self._fleet_size / self._configured.interval.total_seconds()
        rate = self._pace.per_second or max(float(self._pace.concurrency), usual)
        elapsed = (now - self._allowed_at).total_seconds() if self._allowed_at else 1.0
        self._allowed_at = now
        self._allowance = min(self._allowance + rate * max(0.0, elapsed), rate * 2)
        return int(self._allowance)

    def began(self, count: int) -> None:
        """Take what has begun off the allowance."""
        self._allowance -= count
