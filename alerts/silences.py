"""Who and what is silent now: laid by a person for a time, or given by the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.tables import silence
from alerts.windows import Over, Silenced, Window
from monitor.errors import NotFound
from monitor.store import audit
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection

_COLUMNS = {
    Over.PROVIDER: connection.c.provider,
    Over.APP: connection.c.app,
    Over.CLIENT: connection.c.client_name,
    Over.CONNECTION: connection.c.id,
}


@retried
async def begin(
    database: Database,
    over: Over,
    name: str,
    reason: str,
    until: datetime | None,
    now: datetime,
    by: str,
    *,
    start: datetime | None = None,
    pauses: bool = False,
) -> None:
    """Lay a silence, now or from `start` on; it takes the place of one over the same. Raises NotFound."""
    async with database.write() as conn:
        if over is not Over.ALL:
            wanted = select(connection.c.id).where(_COLUMNS[over] == name).limit(1)
            if (await conn.execute(wanted)).first() is None:
                raise NotFound(
                    f"There is no {over.value} {name!r}; 'token-health connections list' shows them."
                )
        await conn.execute(
            update(silence)
            .where(silence.c.kind == over.value, silence.c.name == name, silence.c.ended_at.is_(None))
            .values(ended_at=now)
        )
        await conn.execute(
            insert(silence).values(
                kind=over.value, name=name, reason=reason, by=by, begun_at=start or now, until=until,
                pauses=pauses,
            )
        )  # fmt: skip
        await audit.record(
            conn, now, by, "silence.begin", f"{over.value} {name}".strip(), reason=reason,
            until=until.isoformat() if until else None, maintenance=pauses,
        )  # fmt: skip


@retried
async def end(database: Database, over: Over, name: str, now: datetime, by: str) -> None:
    """Lift a silence. Raises NotFound where none lies."""
    async with database.write() as conn:
        done = await conn.execute(
            update(silence)
            .where(
                silence.c.kind == over.value,
                silence.c.name == name,
                silence.c.ended_at.is_(None),
                or_(silence.c.until.is_(None), silence.c.until > now),
            )
            .values(ended_at=now)
        )
        if done.rowcount == 0:
            what = "everything" if over is Over.ALL else f"{over.value} {name!r}"
            raise NotFound(
                f"No silence lies over {what}; 'token-health silence list' shows those that do. Those of the "
                "configuration end there."
            )
        await audit.record(conn, now, by, "silence.end", f"{over.value} {name}".strip())


async def holding(conn: AsyncConnection, windows: Iterable[Window], now: datetime) -> list[Silenced]:
    """Return the silences that hold now, people's and the configuration's."""
    return [item for item in await _laid(conn, now) if item.begun_at <= now] + _given(windows, now)


async def standing(database: Database, windows: Iterable[Window], now: datetime) -> list[Silenced]:
    """Return the silences that hold now, and those of people that are yet to begin."""
    async with database.read() as conn:
        return await _laid(conn, now) + _given(windows, now)


async def _laid(conn: AsyncConnection, now: datetime) -> list[Silenced]:
    rows = await conn.execute(
        select(silence)
        .where(silence.c.ended_at.is_(None), or_(silence.c.until.is_(None), silence.c.until > now))
        .order_by(silence.c.id)
    )
    return [
        Silenced(Over(row.kind), row.name, row.reason, row.by, row.begun_at, row.until, row.pauses)
        for row in rows
    ]


def _given(windows: Iterable[Window], now: datetime) -> list[Silenced]:
    return [found for window in windows if (found := window.at(now)) is not None]
