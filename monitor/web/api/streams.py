"""Answers that go on for as long as somebody listens: how many there are, and that they end with us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from monitor.web.api.problems import Problem

T = TypeVar("T")
MOST = 200  # at once, in one process


class Streams:
    """The streams of one process, one of the application's `works`; stopped before its server is."""

    def __init__(self, most: int = MOST) -> None:
        self._ending = asyncio.Event()
        self._most, self._open = most, 0

    @property
    def open(self) -> int:
        """How many there are."""
        return self._open

    def stop(self) -> None:
        """End every stream, and begin no more."""
        self._ending.set()

    def must_have_room(self) -> None:
        """Let pass where one more may begin. Raises Problem."""
        if self._ending.is_set():
            raise Problem("stopping")
        if self._open >= self._most:
            raise Problem("too_many_waiters")

    @asynccontextmanager
    async def one(self, source: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
        """Give what comes from a source, until nothing more does or the process ends."""
        self._open += 1
        ending: asyncio.Future[Any] = asyncio.ensure_future(self._ending.wait())
        coming: set[asyncio.Future[Any]] = set()
        try:
            yield self._until(source, ending, coming)
        finally:
            self._open -= 1
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
