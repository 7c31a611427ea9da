"""What an action on many has to know of each connection beside its row: whom to ask, and what waits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from monitor.health.acting import Facts
from monitor.store.consent_tables import held
from monitor.store.engine import Database
from monitor.store.tables import connection, watch

PART = 500  # names in one statement


async def facts(database: Database, ids: Sequence[str]) -> dict[str, Facts]:
    """Return what is known of those connections that are there; what alerts know is not among it."""
    found: dict[str, Facts] = {}
    asked = (
        select(
            connection.c.id,
            connection.c.contacts,
            connection.c.locale,
            connection.c.timezone,
            watch.c.rests.is_not(None),
            held.c.connection.is_not(None),
        )
        .join(watch, watch.c.connection == connection.c.id)
        .outerjoin(held, held.c.connection == connection.c.id)
    )
    async with database.read() as conn:
        for start in range(0, len(ids), PART):
            rows = await conn.execute(asked.where(connection.c.id.in_(ids[start : start + PART])))
            for name, contacts, locale, timezone, rests, waits in rows:
                found[name] = Facts(tuple(contacts), locale, timezone, bool(rests), bool(waits))
    return found
