"""What this process heard from programs about connections lately: so that a flood of it costs little."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.clock import Clock
from monitor.health.signals import TOGETHER, Effect, Kind, share
from monitor.store import connections, signals
from monitor.store.engine import Database
from monitor.watching.admission import Admission

BURST = 2.0  # seconds of its share that a program may use at once


@dataclass(slots=True)
class _Window:
    signal: str
    opened_at: datetime
    times: int = 1


@dataclass(slots=True)
class _Share:
    left: float
    at: datetime


class Hearing:
    """Counts signals that stand for one, and how many looks each program has brought forward."""

    def __init__(self, database: Database, admission: Admission, clock: Clock) -> None:
        self._database, self._admission, self._clock = database, admission, clock
        self._windows: dict[tuple[str, Kind, bool], _Window] = {}
        self._over: list[tuple[str, _Window]] = []
        self._shares: dict[tuple[str, str], _Share] = {}
        self._sizes: dict[str, int] = {}

    def stands_for(self, connection: str, kind: Kind, effect: Effect) -> bool:
        """Whether a signal is one more of those that were just written down; it is counted there, then."""
        window = self._windows.get(_of(connection, kind, effect))
        if window is None or self._clock.now() - window.opened_at >= TOGETHER:
            return False
        window.times += 1
        return True

    def written(self, connection: str, kind: Kind, effect: Effect, signal: str) -> None:
        """Note a signal that was written down: the next like it are counted there."""
        before = self._windows.get(of := _of(connection, kind, effect))
        if before is not None:
            self._over.append((connection, before))
        self._windows[of] = _Window(signal, self._clock.now())

    def may_bring_forward(self, key: str, app: str) -> bool:
        """Whether a program may bring one more look of an app forward; it is taken off its share, then."""
        now, rate = self._clock.now(), share(self._rate(app))
        mine = self._shares.setdefault((key, app), _Share(rate * BURST, now))
        mine.left = min(rate * BURST, mine.left + rate * (now - mine.at).total_seconds())
        mine.at = now
        if mine.left < 1:
            return False
        mine.left -= 1
        return True

    async def write(self) -> None:
        """Write down for how many each signal stands whose time is over, and look at the fleet's size."""
        now = self._clock.now()
        over, self._over = self._over, []
        for of, window in list(self._windows.items()):
            if now - window.opened_at >= TOGETHER:
                over.append((of[0], self._windows.pop(of)))
        if over:
            times = {window.signal: window.times for _, window in over if window.times > 1}
            await signals.conclude(self._database, times, sorted({name for name, _ in over}))
        self._sizes = await connections.per_app(self._database)
        self._admission.fit(self._sizes)

    def _rate(self, app: str) -> float:
        cadence = self._admission.cadences.get(app)
        return self._sizes.get(app, 0) / cadence.interval.total_seconds() if cadence is not None else 0.0


def _of(connection: str, kind: Kind, effect: Effect) -> tuple[str, Kind, bool]:
    # What is ignored must not hide what is not.
    return connection, kind, effect is Effect.IGNORED
