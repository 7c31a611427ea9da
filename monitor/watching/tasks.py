"""Work that runs beside what started it: an error in it is counted and logged, and stops nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Set

import structlog
from sqlalchemy.exc import SQLAlchemyError

from monitor.metrics.meters import Meters

log = structlog.get_logger("monitor.loop")


class Tasks:
    """What was started and is not done yet, by name."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._running: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> Set[asyncio.Task[None]]:
        """What is not done yet."""
        return self._running

    def runs(self, name: str) -> bool:
        """Whether work of this name is not done yet."""
        return any(task.get_name() == name for task in self._running)

    def start(self, work: Awaitable[object], name: str) -> None:
        """Start work, and return at once."""
        task = asyncio.create_task(self.guarded(work, name), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def guarded(self, work: Awaitable[object], name: str) -> None:
        """Do work, and time it; an error of ours is counted and logged, not raised."""
        try:
            with self._meters.tick_seconds.labels(name).time():
                await work
        except Exception as error:
            self.failed(name, "tick.failed", error, tick=name)

    def failed(self, name: str, what: str, error: Exception, **about: str) -> None:
        """Count an error of our own under a name, and say what went wrong about what."""
        self._meters.tick_errors.labels(name).inc()
        log.error(what, **about, error=type(error).__name__, detail=brief(error))


def brief(error: BaseException) -> str:
    """Say an error of ours in one line; a database's would show the row, so only its class."""
    return "" if isinstance(error, SQLAlchemyError) else str(error).split("\n")[0][:200]
