"""Counts probes: how many found what, by connection and interval, the quiet part of the history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Double, Integer, Text, literal, select, true
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.causes import Cause
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.tables import probe_count

_COUNTS: Columns = {"connection": Text, "bucket": Integer, "cause": Text, "seconds": Double}


def _add_counts(is_sqlite: bool) -> Any:
    given = unpacked(_COUNTS, is_sqlite)
    added: Any = (sqlite_insert if is_sqlite else postgres_insert)(probe_count).from_select(
        ["connection", "bucket", "cause", "probes", "seconds"],
        # `WHERE true` keeps SQLite from reading ON CONFLICT as a join condition.
        select(given.c.connection, given.c.bucket, given.c.cause, literal(1), given.c.seconds).where(true()),
    )
    return added.on_conflict_do_update(
        index_elements=["connection", "bucket", "cause"],
        set_={
            "probes": probe_count.c.probes + added.excluded.probes,
            "seconds": probe_count.c.seconds + added.excluded.seconds,
        },
    )


_ADD = {is_sqlite: _add_counts(is_sqlite) for is_sqlite in (True, False)}


async def add(
    conn: AsyncConnection, found: Sequence[tuple[str, datetime, Cause, float]], bucket: timedelta
) -> None:
    """Count probes: of which connection, when, what they found, and how many seconds each took."""
    size, is_sqlite = int(bucket.total_seconds()), conn.dialect.name == "sqlite"
    rows = [
        (name, int(at.timestamp()) // size * size, cause.value, seconds) for name, at, cause, seconds in found
    ]
    await conn.execute(_ADD[is_sqlite], packed(_COUNTS, rows, is_sqlite))
