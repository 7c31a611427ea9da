"""Which programs read which tokens: counted an hour each, and the first time a line of the audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, Text, delete, func, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from monitor.health.events import Type
from monitor.store import audit, events
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.door_tables import api_key, token_use
from monitor.store.engine import Database, UtcDateTime
from monitor.store.retry import retried

MOST_NETWORKS = 200  # that are remembered of a key; one more is told of each time


class Use(NamedTuple):
    """How often a key read a connection's token in an hour (its start, Unix seconds), and which last."""

    key: str
    connection: str
    hour: int
    times: int
    first_at: datetime
    last_at: datetime
    generation: int


@retried
async def note_first(database: Database, use: Use, actor: str, network: str, now: datetime) -> None:
    """Write into the audit that a key reads a connection for the first time, or from a new network.

    Before the token leaves: what cannot be written down is not handed out.
    """
    async with database.write() as conn:
        mine = select(token_use.c.hour).where(
            token_use.c.key == use.key, token_use.c.connection == use.connection
        )
        make: Any = sqlite_insert if conn.dialect.name == "sqlite" else postgres_insert
        made = None
        if (await conn.execute(mine.limit(1))).first() is None:
            # Of two processes that hand out the first one, one writes the line.
            put = make(token_use).values(**_row(use)).on_conflict_do_nothing()
            made = (await conn.execute(put.returning(token_use.c.key))).first()
        if made is not None:
            await audit.record(
                conn, now, actor, "token.first_read", use.connection, generation=use.generation
            )
        if not network:
            return
        row = (
            await conn.execute(
                select(api_key.c.networks, api_key.c.name).where(api_key.c.id == use.key).with_for_update()
            )
        ).one_or_none()
        known: list[str] = list(row.networks or []) if row is not None else []
        if network not in known:
            await audit.record(conn, now, actor, "token.new_network", use.connection, network=network)
            if row is not None and known:
                why = f"it reads tokens from {network} for the first time"
                said = {"key": use.key, "name": row.name, "why": why}
                await events.general(conn, Type.KEY_UNUSUAL, now, said)
            if row is not None and len(known) < MOST_NETWORKS:
                await conn.execute(
                    update(api_key).where(api_key.c.id == use.key).values(networks=[*known, network])
                )


def _row(use: Use) -> dict[str, Any]:
    return dict(zip(_USES, use, strict=True))


_USES: Columns = {
    "key": Text, "connection": Text, "hour": Integer, "count": Integer, "first_at": UtcDateTime,
    "last_at": UtcDateTime, "generation": Integer,
}  # fmt: skip


def _adding(is_sqlite: bool) -> Any:
    given = unpacked(_USES, is_sqlite)
    added: Any = (sqlite_insert if is_sqlite else postgres_insert)(token_use).from_select(
        list(_USES),
        # `WHERE true` keeps SQLite from reading ON CONFLICT as a join condition.
        select(*(given.c[name] for name in _USES)).where(true()),
    )
    return added.on_conflict_do_update(
        index_elements=["key", "connection", "hour"],
        set_={
            "count": token_use.c["count"] + added.excluded["count"],
            "last_at": func.coalesce(added.excluded.last_at, token_use.c.last_at),
            "generation": added.excluded.generation,
        },
    )


_BULK = {is_sqlite: _adding(is_sqlite) for is_sqlite in (True, False)}


@retried
async def add(database: Database, uses: Sequence[Use]) -> None:
    """Add what was read since the last time."""
    rows = sorted(uses)
    async with database.write() as conn:
        await conn.execute(
            _BULK[database.is_sqlite], packed(_USES, [tuple(row) for row in rows], database.is_sqlite)
        )


async def of_connection(database: Database, connection_id: str, limit: int = 50) -> list[Use]:
    """Return who read a connection's token, the newest hours first."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(token_use)
            .where(token_use.c.connection == connection_id)
            .order_by(token_use.c.hour.desc(), token_use.c.key)
            .limit(limit)
        )
        return [Use(*row) for row in rows]


@retried
async def forget(database: Database, before: datetime) -> None:
    """Drop counts of hours before a time."""
    async with database.write() as conn:
        await conn.execute(delete(token_use).where(token_use.c.hour < int(before.timestamp())))
