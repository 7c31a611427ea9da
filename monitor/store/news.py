"""What changed lately: breaks that began and ended, those of one shared incident as one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.causes import Cause, Owner, Subject
from monitor.health.incidents import About
from monitor.health.restriction import Restriction
from monitor.store import within
from monitor.store.engine import Database
from monitor.store.tables import connection, incident


@dataclass(frozen=True, slots=True)
class Change:
    """That something broke or was mended, last at `at`: one connection, or `count` of one incident."""

    at: datetime
    began: bool
    count: int
    incident: int
    about: About
    cause: Cause
    owner: Owner
    wave: bool
    ended: str  # how all of them did, where that is known
    client: str  # of one connection
    opened_at: datetime  # of the incident


async def lately(database: Database, since: datetime, limit: int, only: Restriction) -> list[Change]:
    """Return what changed after a time, the newest first."""
    mine: list[ColumnElement[bool]] = []
    if not only.whole:
        mine = [
            incident.c.name.in_(select(connection.c.id).where(*within.conditions(only, database.is_sqlite)))
        ]
    async with database.read() as conn:
        rows = [
            (began, row)
            for began in (True, False)
            for row in await _groups(conn, began=began, since=since, limit=limit, mine=mine)
        ]
        rows = sorted(rows, key=lambda one: (one[1].at, one[1].number), reverse=True)[:limit]
        about = {row.id: row for row in await _incidents(conn, {row.number for _, row in rows})}
    return [_change(row, about[row.number], began=began) for began, row in rows if row.number in about]


async def _groups(
    conn: AsyncConnection, *, began: bool, since: datetime, limit: int, mine: list[ColumnElement[bool]]
) -> list[Any]:
    moment = incident.c.opened_at if began else incident.c.closed_at
    number = func.coalesce(incident.c.parent_id, incident.c.id)
    query = (
        select(
            number.label("number"), func.count().label("count"), func.max(moment).label("at"),
            func.min(incident.c.ended).label("least"), func.max(incident.c.ended).label("most"),
        )
        .where(moment > since, incident.c.kind == Subject.CONNECTION.value, *mine)
        .group_by(number)
        .order_by(func.max(moment).desc(), number.desc())
        .limit(limit)
    )  # fmt: skip
    return list(await conn.execute(query))


async def _incidents(conn: AsyncConnection, numbers: set[int]) -> list[Any]:
    query = (
        select(incident, connection.c.client_name)
        .outerjoin(
            connection,
            (incident.c.kind == Subject.CONNECTION.value) & (connection.c.id == incident.c.name),
        )
        .where(incident.c.id.in_(sorted(numbers)))
    )
    return list(await conn.execute(query))


def _change(row: Any, about: Any, *, began: bool) -> Change:
    return Change(
        row.at, began, row.count, row.number, About(Subject(about.kind), about.name), Cause(about.cause),
        Owner(about.owner), about.wave, row.most if row.least == row.most else "", about.client_name or "",
        about.opened_at,
    )  # fmt: skip
