"""Whoever waits for the database hears soon that it is away, however long its connections would hang.

A database that was stopped refuses at once; one that hangs, or whose network swallows what is sent, says
nothing for minutes, and to take a question back waits for it as well. So while requests are under way the
database is asked for a sign of life. Where none comes, all who wait are told; what they asked for is left to
end by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from monitor.errors import Unavailable
from monitor.store.engine import Database

EVERY = 0.3  # seconds between two looks
# So often the loop has to come round without a sign of life, a second in all: where our own process is what
# is slow, its turns are longer, and nothing is said of the database.
TURNS, TURN = 20, 0.05
T = TypeVar("T")


class Pulse:
    """Watches over requests of one process while they are under way. SQLite is a file here, and not asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: set[asyncio.Future[None]] = set()
        self._left: set[asyncio.Future[Any]] = set()  # what nobody waits for any more
        self._looking: asyncio.Task[None] | None = None

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns. Raises Unavailable where the database gives no sign of life."""
        if self._database.is_sqlite:
            return await work
        over = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: _end(over))
        self._waiting.add(over)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await over
        finally:
            self._waiting.discard(over)
            if not task.done():
                self._leave(task)
        return task.result()

    async def _look(self) -> None:
        while self._waiting:
            await _pause(EVERY)
            if self._waiting and not await self._answers():
                for over in self._waiting:
                    if not over.done():
                        over.set_exception(
                            Unavailable("database_unavailable", "The database does not answer.")
                        )

    async def _answers(self) -> bool:
        asked = asyncio.create_task(self._database.gives_sign())
        for _ in range(TURNS):
            await asyncio.wait((asked,), timeout=TURN)
            if asked.done():
                return asked.result()
        self._leave(asked)
        return False

    def _leave(self, task: asyncio.Task[Any]) -> None:
        """Have something end by itself, whatever comes of it."""
        self._left.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()


async def _pause(seconds: float) -> None:
    """Wait by the real clock: it is a real database that does not answer."""
    over = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, _end, over)
    await over


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
