"""Answers that go on for as long as somebody listens: how many there are, and that they end with us.

Each holds a place of its listener for as long as it lasts. All of them together leave half of the places to
requests, and whoever listens leaves half of the streams to others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from monitor.web.api.problems import Problem

T = TypeVar("T")
MOST = 200  # at once, in one process


class Streams:
    """The streams of one process, one of the application's `works`; stopped before its server is."""

    def __init__(self, places: int = 2 * MOST) -> None:
        """`places`: how many connections the listener holds at once."""
        self._ending = asyncio.Event()
        self._most, self._open = min(MOST, places // 2), Counter[str]()

    @property
    def open(self) -> int:
        """How many there are."""
        return self._open.total()

    def stop(self) -> None:
        """End every stream, and begin no more."""
        self._ending.set()

    def must_have_room(self, who: str) -> None:
        """Let pass where one more of somebody's may begin. Raises Problem."""
        if self._ending.is_set():
            raise Problem("stopping")
        if self.open >= self._most or self._open[who] >= max(1, self._most // 2):
            raise Problem("too_many_waiters")

    @asynccontextmanager
    async def one(self, source: AsyncIterator[T], who: str) -> AsyncIterator[AsyncIterator[T]]:
        """Give somebody what comes from a source, until nothing more does or the process ends.

        Raises Problem where others came first since there was room.
        """
        self.must_have_room(who)
        self._open[who] += 1
        ending: asyncio.Future[Any] = asyncio.ensure_future(self._ending.wait())
        coming: set[asyncio.Future[Any]] = set()
        try:
            yield self._until(source, ending, coming)
        finally:
            self._open[who] -= 1
            self._open += Counter()  # forgets who has none any more
            left = {ending, *coming}
            for task in left:
                task.cancel()
            await asyncio.wait(left)

    async def _until(
        self, source: AsyncIterator[T], ending: asyncio.Future[Any], coming: set[asyncio.Future[Any]]
    ) -> AsyncIterator[T]:
        while True:
            step = asyncio.ensure_future(_next(source))
            coming.add(step)
            await asyncio.wait({step, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                return
            coming.discard(step)
            try:
                yield step.result()
            except _Over:
                return


class _Over(Exception):
    """A source has no more; a task may not raise StopAsyncIteration."""


async def _next(source: AsyncIterator[T]) -> T:
    try:
        return await anext(source)
    except StopAsyncIteration:
        raise _Over from None
