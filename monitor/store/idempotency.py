"""Requests that are done once, however often they are sent: what was answered to each, for a day.

1. A row that says "running" stands before the work, leased for as long as a request may take.
2. The transaction in which the work takes effect says so (`done`, with its line of the audit): from then on
   nobody does it again, though the lease runs out.
3. The answer is written after it. A process that ends between 2 and 3 leaves a row that says, once its lease
   is over: done, and the answer is lost. So nothing is ever done twice; at worst its answer is looked up.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.door_tables import idempotency
from monitor.store.engine import Database
from monitor.store.retry import retried

LEASE = timedelta(seconds=60)
KEPT = timedelta(hours=24)
DONE = 0  # the status of what took effect and is not answered yet
# The row of the request that is being answered.
RUNNING: ContextVar[str | None] = ContextVar("idempotent", default=None)


@dataclass(frozen=True, slots=True)
class Before:
    """What became of the same request before: `status` None: it runs, or its answer was lost."""

    request: str
    runs: bool
    status: int | None
    answer: str | None


@retried
async def begin(database: Database, row: str, request: str, now: datetime) -> Before | None:
    """Write that a request runs; or return what is there of it. What was given up is taken over."""
    try:
        async with database.write() as conn:
            found = (
                await conn.execute(select(idempotency).where(idempotency.c.id == row).with_for_update())
            ).one_or_none()
            if found is not None and found.at > now - KEPT:
                runs = found.running_until is not None and found.running_until > now
                if runs or found.status is not None or found.request != request:
                    return Before(found.request, runs, found.status or None, found.answer)
            if found is not None:
                await conn.execute(delete(idempotency).where(idempotency.c.id == row))
            await conn.execute(
                insert(idempotency).values(id=row, request=request, at=now, running_until=now + LEASE)
            )
    except IntegrityError:  # the same request, at the same moment
        return Before(request, runs=True, status=None, answer=None)
    return None


async def done(conn: AsyncConnection) -> None:
    """Say, in the transaction of an effect, that the request that runs took effect."""
    row = RUNNING.get()
    if row is not None:
        await conn.execute(update(idempotency).where(idempotency.c.id == row).values(status=DONE))


@retried
async def keep(database: Database, row: str, status: int, answer: str) -> None:
    """Write down what was answered."""
    async with database.write() as conn:
        await conn.execute(
            update(idempotency)
            .where(idempotency.c.id == row)
            .values(running_until=None, status=status, answer=answer)
        )


@retried
async def give_up(database: Database, row: str) -> None:
    """Forget a request that took no effect, so that it may be sent again."""
    async with database.write() as conn:
        await conn.execute(delete(idempotency).where(idempotency.c.id == row, idempotency.c.status.is_(None)))


@retried
async def forget(database: Database, before: datetime) -> int:
    """Forget answers that are older."""
    async with database.write() as conn:
        return (await conn.execute(delete(idempotency).where(idempotency.c.at < before))).rowcount
