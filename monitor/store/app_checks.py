"""How the doors of each app are that clients pass when they connect: a row a door, written by who asked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.doors import Door, Outcome, Seen, Standing
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import app_check


async def standing(database: Database) -> dict[str, dict[Door, Standing]]:
    """Return how the doors of each app are, as far as they were ever asked."""
    async with database.read() as conn:
        return await standing_now(conn)


async def standing_now(conn: AsyncConnection) -> dict[str, dict[Door, Standing]]:
    """Return the same within a transaction."""
    found: dict[str, dict[Door, Standing]] = {}
    for row in await conn.execute(select(app_check).order_by(app_check.c.app, app_check.c.door)):
        seen = Seen(Door(row.door), Outcome(row.outcome), row.says, row.rule)
        if seen.says:  # one that waits for its first turn was not asked yet
            its = found.setdefault(row.app, {})
            its[seen.door] = Standing(seen, row.at, row.refusals, row.since, row.well_at)
    return found


async def due(database: Database) -> dict[str, datetime]:
    """Return when each app's doors are to be asked next, of the apps that have a row."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(app_check.c.app, app_check.c.next_at).where(app_check.c.door == Door.TOKEN.value)
        )
        return {row.app: row.next_at for row in rows}


@retried
async def keep(database: Database, app: str, standings: Sequence[Standing], next_at: datetime) -> None:
    """Write down how an app's doors are, and when they are asked next."""
    try:
        async with database.write() as conn:
            for one in standings:
                await _put(conn, app, one, next_at)
    except IntegrityError:
        pass  # another process wrote the first row at the same moment, and knows as much


@retried
async def plan(database: Database, app: str, now: datetime, next_at: datetime) -> None:
    """Write down when an app that nobody asked yet has its first turn."""
    with contextlib.suppress(IntegrityError):  # another process has planned it: its time stands
        async with database.write() as conn:
            for door in Door:
                await conn.execute(
                    insert(app_check).values(
                        app=app, door=door.value, at=now, outcome=Outcome.UNCLEAR.value, next_at=next_at
                    )
                )


@retried
async def forget(database: Database, apps: Sequence[str]) -> None:
    """Forget apps that are not configured any more."""
    async with database.write() as conn:
        await conn.execute(delete(app_check).where(app_check.c.app.not_in(list(apps))))


async def _put(conn: AsyncConnection, app: str, one: Standing, next_at: datetime) -> None:
    values = {
        "at": one.at,
        "outcome": one.seen.outcome.value,
        "says": one.seen.says,
        "rule": one.seen.rule,
        "refusals": one.refusals,
        "since": one.since,
        "well_at": one.well_at,
        "next_at": next_at,
    }
    done = await conn.execute(
        update(app_check)
        .where(app_check.c.app == app, app_check.c.door == one.seen.door.value)
        .values(**values)
    )
    if not done.rowcount:
        await conn.execute(insert(app_check).values(app=app, door=one.seen.door.value, **values))
