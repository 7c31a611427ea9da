"""What clients are not told, and what keeps it back: breaks under a wave, a provider's trouble, a silence.

What is held stands in no outbox: a plan has it only once nothing keeps it back. So it is counted here, where
the breaks are, and no further than `MOST`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.breaks import IN_TROUBLE
from monitor.health.causes import Owner, Subject
from monitor.health.lifecycle import State
from monitor.store.tables import connection, incident, watch

MOST = 10_000

_MINE = and_(incident.c.kind == Subject.CONNECTION.value, incident.c.closed_at.is_(None))
_UNTOLD = and_(_MINE, incident.c.told_at.is_(None), incident.c.mails == "")
_NAMED = {
    "provider": connection.c.provider,
    "app": connection.c.app,
    "client": connection.c.client_name,
    "connection": connection.c.id,
}


@dataclass(frozen=True, slots=True)
class InWave:
    """What a wave holds: how many clients and connections of how many that broke, since when, and why."""

    number: int
    provider: str
    since: datetime
    reasons: tuple[str, ...]
    clients: int
    held: int
    of: int


async def in_waves(conn: AsyncConnection) -> list[InWave]:
    """Return what the open waves hold, by their providers."""
    wave = incident.alias("wave")
    mine = (
        select(
            wave.c.id,
            func.count(distinct(connection.c.client_name)).label("clients"),
            func.count().label("held"),
        )
        .select_from(incident)
        .join(wave, wave.c.id == incident.c.parent_id)
        .join(connection, connection.c.id == incident.c.name)
        .where(_UNTOLD, wave.c.wave, wave.c.closed_at.is_(None))
        .group_by(wave.c.id)
    )
    held = {row.id: row for row in await conn.execute(mine)}
    members = select(wave.c.id, func.count().label("n")).select_from(incident).join(
        wave, wave.c.id == incident.c.parent_id
    ).where(wave.c.id.in_(held)).group_by(wave.c.id)  # fmt: skip
    total = {row.id: row.n for row in await conn.execute(members)}
    rows = await conn.execute(select(incident).where(incident.c.id.in_(held)).order_by(incident.c.name))
    return [
        InWave(
            row.id, row.name, row.opened_at, tuple(row.reasons), held[row.id].clients, held[row.id].held,
            total[row.id],
        )
        for row in rows
    ]  # fmt: skip


async def in_trouble(conn: AsyncConnection) -> dict[str, int]:
    """Return how many first mails wait until a provider's trouble is over, by provider."""
    rows = await conn.execute(
        select(connection.c.provider, func.count())
        .join(incident, incident.c.name == connection.c.id)
        .where(_UNTOLD, incident.c.waits == IN_TROUBLE)
        .group_by(connection.c.provider)
        .order_by(connection.c.provider)
    )
    return {provider: int(count) for provider, count in rows}


async def under(conn: AsyncConnection, over: str, name: str) -> int:
    """Return how many breaks that their clients would be asked to mend lie under a silence, up to `MOST`."""
    which = select(incident.c.id).where(_MINE, incident.c.owner == Owner.CLIENT.value)
    if over in _NAMED:
        which = which.join(connection, connection.c.id == incident.c.name).where(_NAMED[over] == name)
    return await _count(conn, which)


async def paused(conn: AsyncConnection) -> int:
    """Return how many connections are paused by a person, so that nobody is told about them, up to `MOST`."""
    return await _count(
        conn, select(watch.c.connection).where(watch.c.state == State.PAUSED.value, watch.c.rests.is_(None))
    )


async def _count(conn: AsyncConnection, which: Select[Any]) -> int:
    some = which.limit(MOST + 1).subquery()
    return int((await conn.execute(select(func.count()).select_from(some))).scalar_one())
