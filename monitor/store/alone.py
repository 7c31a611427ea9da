"""Work that one process may do at a time, whichever machine it runs on: a lock that ends with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy import func, select

from monitor.errors import AlreadyRunning, TokenHealthError
from monitor.store.engine import Database

Still = Callable[[], Awaitable[None]]


@asynccontextmanager
async def alone(database: Database, work: str) -> AsyncIterator[Still]:
    """Hold `work` of this database for as long as the block runs. Raises AlreadyRunning.

    Yields what makes sure, now and then, that it is still held: PostgreSQL gives the lock up with the
    connection, and that may be cut while nothing is asked over it.
    """
    if database.path is not None:
        handle = _lock_file(database, work)
        try:
            yield _held
        finally:
            os.close(handle)
        return
    async with database.write() as conn:
        # Of the transaction, not of the session: those stay behind in PgBouncer's connections.
        lock = func.pg_try_advisory_xact_lock(func.hashtext(f"token-health {work}"))
        if not await conn.scalar(select(lock)):
            raise _running(database, work)

        async def still() -> None:
            await conn.scalar(select(1))

        yield still


def _lock_file(database: Database, work: str) -> int:
    assert database.path is not None  # noqa: S101 - asked by the caller
    path = database.path.with_name(f"{database.path.name}.{work.replace(' ', '-')}.lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TokenHealthError(f"{path}: cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise _running(database, work) from None
    return handle


async def _held() -> None:
    """The kernel takes a file's lock away from nobody."""


def _running(database: Database, work: str) -> AlreadyRunning:
    return AlreadyRunning(
        f"{database.name}: another {work} is at work on this database, so nothing was done here. "
        "Wait until it has ended."
    )
