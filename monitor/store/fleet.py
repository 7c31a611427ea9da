"""The fleet at a glance, for /metrics and `status`: few columns, whole Unix seconds, in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import bindparam, func, select

from monitor.store.engine import Database, epoch
from monitor.store.tables import connection, credential, incident, watch

_PAGE = (
    select(
        watch.c.connection,
        watch.c.app,
        watch.c.provider,
        connection.c.client_name,
        watch.c.state,
        watch.c.cause,
        watch.c.owner,
        epoch(watch.c.last_success_at),
        epoch(credential.c.access_expires_at),
        epoch(credential.c.refresh_used_at),
        epoch(credential.c.authorized_at),
    )
    .join(connection, connection.c.id == watch.c.connection)
    .join(credential, credential.c.connection == watch.c.connection)
    .where(watch.c.connection > bindparam("after"))
    .order_by(watch.c.connection)
    .limit(bindparam("size"))
)


async def pages(database: Database, size: int = 2000) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Yield all connections in pages: id, app, provider, client, state, cause, owner, and four times.

    The times are the last success, the access token's expiry, the refresh token's last use and the
    authorization, in Unix seconds or None. A page at a time keeps the event loop free in between.
    """
    after = ""
    async with database.read() as conn:
        while True:
            rows = (await conn.execute(_PAGE, {"after": after, "size": size})).all()
            if not rows:
                return
            yield rows
            if len(rows) < size:
                return
            after = rows[-1][0]


async def by_state(database: Database) -> list[tuple[str, str, str, int]]:
    """Return provider, app, state and how many connections."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(watch.c.provider, watch.c.app, watch.c.state, func.count()).group_by(
                watch.c.provider, watch.c.app, watch.c.state
            )
        )
        return [(row[0], row[1], row[2], int(row[3])) for row in rows]


async def incidents_open(database: Database) -> list[tuple[str, str, str, int]]:
    """Return kind, cause, owner and how many incidents are open."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(incident.c.kind, incident.c.cause, incident.c.owner, func.count())
            .where(incident.c.closed_at.is_(None))
            .group_by(incident.c.kind, incident.c.cause, incident.c.owner)
        )
        return [(row[0], row[1], row[2], int(row[3])) for row in rows]


async def guards(database: Database) -> list[tuple[str, str, str]]:
    """Return kind, name and cause of the groups that the guard is up over."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(incident.c.kind, incident.c.name, incident.c.cause).where(
                incident.c.guard.is_(True), incident.c.closed_at.is_(None)
            )
        )
        return [(row[0], row[1], row[2]) for row in rows]
