"""How connections that one process was refused look from others, and which one it tries next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import or_, select

from monitor.health.lifecycle import State
from monitor.store import processes
from monitor.store.engine import Database
from monitor.store.tables import credential, watch


async def others_probe(database: Database) -> bool:
    """Whether another process than this one probes."""
    async with database.read() as conn:
        return await processes.probing(conn) > 1


async def good_elsewhere(
    database: Database, process: str, refused: Mapping[str, tuple[datetime, int]], *, refreshed: bool
) -> set[str]:
    """Return which of these another process has found good since, without that its client authorized again.

    `refused` has for each when it was refused, and with which pair. With `refreshed` only those count whose
    pair was replaced since: that they can be read says nothing of what refreshes.
    """
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                watch.c.connection, watch.c.last_success_at, credential.c.version, credential.c.authorized_at
            )
            .join(credential, credential.c.connection == watch.c.connection)
            .where(
                watch.c.connection.in_(list(refused)),
                watch.c.state == State.HEALTHY.value,
                watch.c.judged_by.is_not(None),
                watch.c.judged_by != process,
            )
        )
        return {
            name
            for name, success, version, authorized in rows
            if success is not None
            and success > refused[name][0]
            and (authorized is None or authorized <= refused[name][0])
            and (not refreshed or version > refused[name][1])
        }


async def canary(
    database: Database, apps: Collection[str], now: datetime, *, among: Sequence[str] = (), refreshes: bool
) -> str | None:
    """Return a healthy connection to try: of `among` if any, the last seen, or the next to be refreshed."""
    query = (
        select(watch.c.connection)
        .join(credential, credential.c.connection == watch.c.connection)
        .where(
            watch.c.app.in_(list(apps)),
            watch.c.state == State.HEALTHY.value,
            or_(watch.c.lease_until.is_(None), watch.c.lease_until <= now),
        )
    )
    if among and not refreshes:
        query = query.where(watch.c.connection.in_(list(among)))
    if refreshes:
        query = query.where(credential.c.refresh.is_not(None), credential.c.access_expires_at.is_not(None))
        query = query.order_by(credential.c.access_expires_at)
    else:
        query = query.order_by(watch.c.last_success_at.desc())
    async with database.read() as conn:
        found: str | None = (await conn.execute(query.limit(1))).scalar_one_or_none()
    return found
