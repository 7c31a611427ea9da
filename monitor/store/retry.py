"""One retry of what the database took back: a deadlock, a failed serialization, a file that stayed busy.

A transaction that is taken back left nothing behind, so the whole function around it runs again. That is why
whoever writes is a function of its own with exactly one transaction in it (a test keeps it so).
"""

from __future__ import annotations

import functools
import random
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from monitor.store.engine import Database

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[Concatenate[Database, P], Coroutine[Any, Any, R]]

TRIES = 5
FIRST_WAIT = 0.02  # seconds; doubled with each try, and anything from nothing to so much is waited
# PostgreSQL's error codes (its manual, appendix A) and SQLite's result code (sqlite.org/rescode.html#busy).
_STATES = {"40P01": "deadlock", "40001": "serialization"}


def taken_back(error: DBAPIError) -> str | None:
    """Return why the database took a transaction back, None where it is another error."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        # The extended codes of busy (snapshot, recovery) have it in their low byte.
        code = getattr(cause, "sqlite_errorcode", None) or 0
        return "busy" if code & 0xFF == sqlite3.SQLITE_BUSY else None
    return _STATES.get(getattr(cause, "sqlstate", None) or "")


def retried(work: Work[P, R]) -> Work[P, R]:
    """Let a function that is one transaction run again when the database took it back.

    It waits a little by the database's clock in between, and each time is counted (`Database.on_taken_back`).
    After `TRIES` the error is the caller's.
    """

    @functools.wraps(work)
    async def run(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(TRIES - 1):
            try:
                return await work(database, *args, **kwargs)
            except DBAPIError as error:
                why = taken_back(error)
                if why is None:
                    raise
                database.on_taken_back(why)
            await database.clock.sleep(random.uniform(0, FIRST_WAIT * 2**attempt))  # noqa: S311 - no secret
        return await work(database, *args, **kwargs)

    return run
