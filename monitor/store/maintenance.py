"""Maintenance: what is well rests while its window holds, and is looked at again when the window ends.

What was broken before keeps its state and its incident, so that nobody is asked twice because of it;
its silence holds all the same (`alerts.silences`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select, true

from monitor.health.events import Type
from monitor.health.lifecycle import By, State, movable, rested, woken
from monitor.store import audit, events, fence
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, watch

PART = 2000  # connections that rest or wake in one transaction


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
    """Wake those that no window holds any more, let those rest that one holds; return how many rest and wake.

    `windows` has what tells a window from others, with what it lies over: ("provider", "clio").
    """
    waking = resting = 0
    for identity in await _over(database, windows):
        waking += await _in_parts(partial(_end, database, identity, now))
    for identity, lies in windows.items():
        resting += await _in_parts(partial(_begin, database, identity, *lies, now))
    return resting, waking


async def _in_parts(some: Callable[[], Awaitable[int]]) -> int:
    """Do what is done `PART` at a time until nothing is left of it: no writer waits for the whole fleet."""
    total = 0
    while (done := await some()) == PART:
        total += done
    return total + done


@retried
async def _begin(database: Database, identity: str, over: str, name: str, now: datetime) -> int:
    well = watch.c.state.in_([state.value for state in movable(By.REST)]) & watch.c.rests.is_(None)
    async with database.write() as conn:
        held = await fence.hold_where(conn, well & _chosen(over, name), PART)
        if held:
            moved = {who: rested(was.health, now) for who, was in held.items()}
            await fence.fence(conn, moved, rests=identity, next_probe_at=None)
            await events.moved(conn, Type.PAUSED, fence.by("maintenance", held, held, until=None), now)
            await audit.record(conn, now, audit.SERVICE, "maintenance.begin", identity, connections=len(held))
    return len(held)


@retried
async def _end(database: Database, identity: str, now: datetime) -> int:
    async with database.write() as conn:
        rest = (watch.c.rests == identity) & (watch.c.state == State.PAUSED.value)
        held = await fence.hold_where(conn, rest, PART)
        if held:
            moved = {name: woken(was.health, now) for name, was in held.items()}
            await fence.fence(conn, moved, rests=None, scopes_all=True, next_probe_at=now)
            await events.moved(conn, Type.RESUMED, fence.by("maintenance", held, held), now)
            await audit.record(conn, now, audit.SERVICE, "maintenance.end", identity, connections=len(held))
    return len(held)


async def _over(database: Database, windows: Iterable[str]) -> list[str]:
    """Return the windows that connections rest for and that hold no more."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(watch.c.rests)
            .where(watch.c.rests.is_not(None), watch.c.rests.not_in(list(windows)))
            .distinct()
        )
        return list(rows.scalars())
