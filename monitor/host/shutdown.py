"""The end of a process, step by step: each on its own, so that none is skipped because another failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from monitor.errors import EndedUncleanly

log = structlog.get_logger("monitor.service")

# Seconds from the beginning of the end, of which the whole service has ten: for probes that run to finish,
# for refreshes, and for what has to be written then.
DRAIN, DRAIN_REFRESHES, LAST_WORDS = 7.0, 8.0, 9.0
# Seconds that a step gets however late it is: closing what is open takes no more.
LEAST = 0.5


class Shutdown:
    """Runs the steps of an end within the seconds there are, and remembers which did not succeed."""

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self.failed: list[str] = []

    def left(self, until: float) -> float:
        """Return how many seconds there are until so many after the beginning of the end."""
        return self._began + until - asyncio.get_running_loop().time()

    async def step(self, name: str, work: Awaitable[object], until: float) -> None:
        """Do one step, until so many seconds after the beginning of the end.

        One that takes longer is cancelled and left behind: a thread that waits for a locked database heeds
        no cancelling, and would keep all that comes after it waiting, too.
        """
        task = asyncio.ensure_future(work)
        task.add_done_callback(_heard_of)
        done, _ = await asyncio.wait({task}, timeout=max(LEAST, self.left(until)))
        error: str | None = None
        if not done:
            task.cancel()
            error = "TimeoutError"
        elif task.cancelled():
            error = "CancelledError"
        elif (raised := task.exception()) is not None:
            error = type(raised).__name__
        if error is not None:
            self.failed.append(name)
            log.error("shutdown.failed", step=name, error=error)

    def check(self) -> None:
        """Raise when a step failed: an end that left something behind is no clean end."""
        if self.failed:
            raise EndedUncleanly(
                f"Ended, but not cleanly: {', '.join(self.failed)} failed; the log says why. What was held "
                "is free again within a minute or two, and open refreshes are judged by whoever looks next."
            )


def _heard_of(task: asyncio.Future[object]) -> None:
    """Keep asyncio from complaining that nobody asked how a step ended that was left behind."""
    if not task.cancelled():
        task.exception()
