"""Where programs wait for another token of a connection: many of them, one question a second."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import structlog

from monitor.clock import Clock
from monitor.errors import Unavailable
from monitor.store.engine import UNWELL

log = structlog.get_logger("monitor.tokens")

MOST = 2_000  # waiters of one process
LOOK_EVERY = 1.0  # seconds


class Desk:
    """Wakes who waits for a connection when what the database says of it is another than before.

    `marks` reads, of several connections at once, whatever changes when an answer about their token may. What
    this process writes itself wakes at once (`changed`).
    """

    def __init__(
        self, marks: Callable[[Collection[str]], Awaitable[Mapping[str, tuple[Any, ...]]]], clock: Clock
    ) -> None:
        self._marks, self._clock = marks, clock
        self._waiting: defaultdict[str, dict[asyncio.Future[None], datetime]] = defaultdict(dict)
        self._known: dict[str, tuple[Any, ...] | None] = {}
        self._count = 0
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, connection: str, mark: tuple[Any, ...] | None, until: datetime) -> None:
        """Wait until something changed about a connection since its mark was read, or for the time.

        Raises Unavailable where too many wait already, and where the database does not answer.
        """
        if self._closed:
            raise Unavailable("stopping", "This process is ending; another one answers.")
        if self._count >= MOST:
            raise Unavailable("too_many_waiters", f"{MOST} callers wait here already.")
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[connection][woken] = until
        self._known.setdefault(connection, mark)
        self._count += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await woken
        finally:
            self._leave(connection, woken)

    def changed(self, connection: str) -> None:
        """Wake who waits for a connection: this process has just written something about it."""
        for woken in self._waiting.get(connection, ()):
            if not woken.done():
                woken.set_result(None)

    def close(self) -> None:
        """Let nobody wait any longer: this process ends."""
        self._closed = True
        self._fail(Unavailable("stopping", "This process is ending; another one answers."))
        if self._looking is not None:
            self._looking.cancel()

    def _leave(self, connection: str, woken: asyncio.Future[None]) -> None:
        self._count -= 1
        here = self._waiting[connection]
        here.pop(woken, None)
        if not here:
            del self._waiting[connection]
            self._known.pop(connection, None)

    async def _look(self) -> None:
        while self._waiting:
            await self._clock.sleep(self._pause())
            if not self._waiting:
                return
            try:
                async with asyncio.timeout(2):
                    found = await self._marks(list(self._waiting))
            except Exception as error:  # else who waits would wait for nobody
                if not isinstance(error, (*UNWELL, TimeoutError)):
                    log.error("token.not_watched", error=type(error).__name__)
                self._fail(Unavailable("database_unavailable", "The database does not answer."))
                continue
            now = self._clock.now()
            for connection, here in list(self._waiting.items()):
                # Who came while the database was asked is measured by what it said then.
                if found.get(connection) != self._known.get(connection):
                    self.changed(connection)
                for woken, until in here.items():
                    if until <= now and not woken.done():
                        woken.set_result(None)

    def _pause(self) -> float:
        soonest = min(min(here.values()) for here in self._waiting.values())
        return max(0.01, min(LOOK_EVERY, (soonest - self._clock.now()).total_seconds()))

    def _fail(self, why: Unavailable) -> None:
        for here in self._waiting.values():
            for woken in here:
                if not woken.done():
                    woken.set_exception(Unavailable(why.code, str(why), why.after))
