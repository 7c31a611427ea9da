"""Counts what people configured of a connection, so that two who change it do not undo each other's work."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ChangedMeanwhile
from monitor.store.tables import connection


async def expect(conn: AsyncConnection, expected: Mapping[str, int]) -> None:
    """Let pass where each connection is as it was read. Its gate is held. Raises ChangedMeanwhile."""
    rows = await conn.execute(
        select(connection.c.id, connection.c.revision).where(connection.c.id.in_(list(expected)))
    )
    for name, revision in rows:
        if revision != expected[name]:
            raise ChangedMeanwhile(f"{name} was changed meanwhile.", revision)


async def count(conn: AsyncConnection, ids: Collection[str]) -> None:
    """Count a change of connections whose gates are held."""
    if ids:
        await conn.execute(
            update(connection)
            .where(connection.c.id.in_(list(ids)))
            .values(revision=connection.c.revision + 1)
        )
