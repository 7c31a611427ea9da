"""The fleet's sums as they were, an hour at a time: what it is compared with a day later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, exists, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.listing import Sum
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import fleet_hour, watch

HOUR = timedelta(hours=1)
KEPT = timedelta(days=3)
_ALIKE = ("state", "cause", "owner", "provider", "app")


@retried
async def note(database: Database, now: datetime) -> bool:
    """Write down how many connections are alike, once an hour, and forget what is old; whether it was due."""
    hour = _hour(now)
    async with database.write() as conn:
        if await _is_noted(conn, hour):
            return False
        alike = [watch.c[name] for name in _ALIKE]
        sums = select(literal(hour), *alike, func.count()).group_by(*alike)
        await conn.execute(insert(fleet_hour).from_select(["hour", *_ALIKE, "connections"], sums))
        await conn.execute(delete(fleet_hour).where(fleet_hour.c.hour < _hour(now - KEPT)))
    return True


async def _is_noted(conn: AsyncConnection, hour: int) -> bool:
    return bool((await conn.execute(select(exists().where(fleet_hour.c.hour == hour)))).scalar_one())


async def at(
    database: Database, moment: datetime, within: timedelta = 2 * HOUR
) -> tuple[datetime, list[Sum]] | None:
    """Return the sums of the last hour that was written down before a moment, None where none was lately."""
    newest = (
        select(func.max(fleet_hour.c.hour))
        .where(fleet_hour.c.hour <= _hour(moment), fleet_hour.c.hour >= _hour(moment - within))
        .scalar_subquery()
    )
    columns = (fleet_hour.c.hour, *(fleet_hour.c[name] for name in _ALIKE), fleet_hour.c.connections)
    async with database.read() as conn:
        rows = (await conn.execute(select(*columns).where(fleet_hour.c.hour == newest))).all()
    if not rows:
        return None
    return datetime.fromtimestamp(rows[0].hour, UTC), [Sum(*row[1:]) for row in rows]


def _hour(moment: datetime) -> int:
    size = int(HOUR.total_seconds())
    return int(moment.timestamp()) // size * size
