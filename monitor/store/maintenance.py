"""Maintenance: what is well rests while its window holds, and is looked at again when the window ends.

What was broken before keeps its state and its incident, so that nobody is asked twice because of it;
its silence holds all the same (`alerts.silences`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, true, update

from monitor.health.lifecycle import Health, State
from monitor.store import audit
from monitor.store.engine import Database
from monitor.store.tables import connection, watch
from monitor.store.verdicts import health_columns

_UNLEASED = {"lease_by": None, "lease_until": None, "lease_epoch": watch.c.lease_epoch + 1}


def _chosen(over: str, name: str) -> Any:
    match over:
        case "all":
            return true()
        case "provider":
            return watch.c.provider == name
        case "app":
            return watch.c.app == name
        case "client":
            return watch.c.connection.in_(select(connection.c.id).where(connection.c.client_name == name))
        case _:
            return watch.c.connection == name


async def keep(database: Database, windows: Mapping[str, tuple[str, str]], now: datetime) -> tuple[int, int]:
    """Let those rest that a window holds, wake those that none holds any more; return how many of each.

    `windows` has what tells a window from others, with what it lies over: ("provider", "clio").
    """
    if not windows and not await _anyone_rests(database):
        return 0, 0
    rested = woken = 0
    async with database.write() as conn:
        for identity, (over, name) in windows.items():
            done = await conn.execute(
                update(watch)
                .where(
                    watch.c.state.in_([State.HEALTHY.value, State.SUSPECT.value]),
                    watch.c.rests.is_(None),
                    _chosen(over, name),
                )
                .values(
                    state=State.PAUSED.value, since=now, rests=identity, next_probe_at=None, bad_since=None,
                    streak=0, good_streak=0, **_UNLEASED,
                )
            )  # fmt: skip
            if done.rowcount:
                rested += done.rowcount
                await audit.record(
                    conn, now, audit.SERVICE, "maintenance.begin", identity, connections=done.rowcount
                )
        for identity in await _over(conn, windows):
            done = await conn.execute(
                update(watch)
                .where(watch.c.rests == identity, watch.c.state == State.PAUSED.value)
                .values(
                    **health_columns(Health(since=now)), rests=None, scopes_all=True, next_probe_at=now,
                    **_UNLEASED,
                )
            )  # fmt: skip
            woken += done.rowcount
            await audit.record(
                conn, now, audit.SERVICE, "maintenance.end", identity, connections=done.rowcount
            )
    return rested, woken


async def _anyone_rests(database: Database) -> bool:
    async with database.read() as conn:
        found = await conn.execute(select(watch.c.connection).where(watch.c.rests.is_not(None)).limit(1))
        return found.first() is not None


async def _over(conn: Any, windows: Iterable[str]) -> list[str]:
    rows = await conn.execute(
        select(watch.c.rests)
        .where(watch.c.rests.is_not(None), watch.c.rests.not_in(list(windows)))
        .distinct()
    )
    return list(rows.scalars())
