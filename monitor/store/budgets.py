"""App-wide request budgets that all processes share.

One time a row: when the app's next request may start. Taking n requests moves it on by n gaps, so
the starts are spread evenly and never pass the limit, whichever process sends them (the generic
cell rate algorithm of ATM Forum TM 4.0, without its burst).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import budget


@retried
async def take(
    database: Database, app: str, wanted: int, per_minute: float, now: datetime, within: timedelta
) -> list[datetime]:
    """Reserve up to `wanted` requests of an app that may start within `within`; return when each may.

    An empty list means that the budget is spent for now.
    """
    gap = timedelta(minutes=1 / per_minute)
    async with database.write() as conn:
        free_at = (
            await conn.execute(select(budget.c.free_at).where(budget.c.app == app).with_for_update())
        ).scalar()
        if free_at is None:
            return []
        first = max(free_at, now)
        count = min(wanted, int((now + within - first) / gap) + 1 if first <= now + within else 0)
        if count <= 0:
            return []
        await conn.execute(update(budget).where(budget.c.app == app).values(free_at=first + gap * count))
    return [first + gap * index for index in range(count)]


async def free_at(database: Database) -> dict[str, datetime]:
    """Return when each app's next request may start."""
    async with database.read() as conn:
        rows = await conn.execute(select(budget.c.app, budget.c.free_at))
        return {row.app: row.free_at for row in rows}


@retried
async def hold(database: Database, app: str, until: datetime) -> None:
    """Let no request of an app start before a time: the provider said Retry-After."""
    async with database.write() as conn:
        await conn.execute(
            update(budget).where(budget.c.app == app, budget.c.free_at < until).values(free_at=until)
        )


@retried
async def ensure(database: Database, app: str, now: datetime) -> None:
    """Make an app's row where there is none, so that `take` has one to lock."""
    try:
        async with database.write() as conn:
            known = (await conn.execute(select(budget.c.app).where(budget.c.app == app))).scalar()
            if known is None:
                await conn.execute(insert(budget).values(app=app, free_at=now))
    except IntegrityError:
        pass  # another process made it at the same moment
