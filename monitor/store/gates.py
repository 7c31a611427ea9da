"""The gate of a connection: its watch row. Whoever writes rows of connections takes their gates first.

Gates are taken by id and all at once, so that two transactions over the same connections wait for each other,
and never in a circle (`store.engine` has the whole order of locks).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.tables import watch

_IDS: Columns = {"id": Text}


async def one_import(conn: AsyncConnection) -> None:
    """Let one transaction at a time add connections: two may bring the same new ones. Freed with it."""
    if conn.dialect.name == "postgresql":
        await conn.execute(select(func.pg_advisory_xact_lock(7238917)))


async def one_binding(conn: AsyncConnection) -> None:
    """Let one transaction at a time put accounts on record: two may find the same one free."""
    if conn.dialect.name == "postgresql":
        await conn.execute(select(func.pg_advisory_xact_lock(7238918)))


async def lock(conn: AsyncConnection, ids: Collection[str]) -> None:
    """Take the gates of connections; SQLite has one writer anyway."""
    if ids and conn.dialect.name != "sqlite":
        await conn.execute(*of(select(watch.c.connection), ids, is_sqlite=False))


async def lock_where(conn: AsyncConnection, which: ColumnElement[bool]) -> list[str]:
    """Take the gates of the connections that a condition chooses; return their ids."""
    return list((await conn.execute(in_order(select(watch.c.connection).where(which)))).scalars())


def of(chosen: Select[Any], ids: Collection[str], *, is_sqlite: bool) -> tuple[Select[Any], dict[str, Any]]:
    """Return a query over `watch` for these connections that takes their gates, and its parameters."""
    given = unpacked(_IDS, is_sqlite)
    rows = packed(_IDS, [(name,) for name in ids], is_sqlite)
    return in_order(chosen.join(given, given.c.id == watch.c.connection)), rows


def in_order(chosen: Select[Any]) -> Select[Any]:
    """Let a query over `watch` take the gates: PostgreSQL locks rows as they come out of the sort."""
    return chosen.order_by(watch.c.connection).with_for_update(of=watch)
