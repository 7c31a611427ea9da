"""The end of a process, step by step: each on its own, so that none is skipped because another failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from monitor.errors import EndedUncleanly

log = structlog.get_logger("monitor.service")

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
        """Do one step, until so many seconds after the beginning of the end."""
        try:
            async with asyncio.timeout(max(LEAST, self.left(until))):
                await work
        except Exception as error:
            self.failed.append(name)
            log.error("shutdown.failed", step=name, error=type(error).__name__)

    def check(self) -> None:
        """Raise when a step failed: an end that left something behind is no clean end."""
        if self.failed:
            raise EndedUncleanly(
                f"Ended, but not cleanly: {', '.join(self.failed)} failed; the log says why. What was held "
                "is free again within a minute or two, and open refreshes are judged by whoever looks next."
            )
