"""Writing down what cannot be had again: a database that is gone for a while is no reason to lose tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

from monitor.clock import Clock
from monitor.host.shortage import shortage

log = structlog.get_logger("monitor.tokens")

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds between two tries
Written = TypeVar("Written")


async def insist(clock: Clock, connection: str, write: Callable[[], Awaitable[Written]]) -> Written:
    """Write, and try again for as long as this process lives while the database does not take it.

    What was given out once is in memory only; the caller is a task of its own that is drained at the end.
    Raises what no second try mends: a row that the database refuses for what is in it.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return await write()
        except (DataError, IntegrityError, ProgrammingError):
            raise
        except (SQLAlchemyError, OSError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and shortage(error) is None:
                raise  # a fault of the code, which no second try mends; a lack of threads is none
            log.error("tokens.not_stored_yet", connection=connection, error=type(error).__name__)
            await clock.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)
