"""The processes on this database, and the duties that one of them does for all.

Whoever looks at connections is on the list, commands of the command line too: that a process is on it is what
tells a refresh that is running from one whose process died.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store import gates
from monitor.store.engine import Database
from monitor.store.fence import FENCED
from monitor.store.retry import retried
from monitor.store.tables import duty, process, watch

BEAT = timedelta(seconds=5)
GONE = timedelta(seconds=20)  # a process silent for so long is dead, and what it held is free


class Role(StrEnum):
    """What a process does: all of it, or the probing and the pages apart; or one command's probes."""

    ALL = "all"
    WORKER = "worker"
    WEB = "web"
    COMMAND = "command"  # on the list while it works, and no replica


def new_name() -> str:
    """Name this process so that no other has had the name: host, pid, and something random."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class Roster:
    """What a beat found: how many service processes live, what was freed, how far our clock is off."""

    alive: int
    freed: int
    skew: timedelta


@retried
async def beat(
    database: Database, name: str, role: str, version: str, now: datetime, gone: timedelta
) -> Roster:
    """Say that this process is alive, and bury those silent for `gone`: free what they held.

    On PostgreSQL the database's clock is the judge, so that replicas whose clocks differ do not bury
    each other. A process that was only asleep loses its leases: its late verdicts are fenced off, and a
    refresh that it left open is judged as any other.
    """
    async with database.write() as conn:
        theirs = await _clock(conn, now)
        done = await conn.execute(update(process).where(process.c.id == name).values(beat_at=theirs))
        if done.rowcount == 0:
            await conn.execute(
                insert(process).values(id=name, role=role, version=version, started_at=theirs, beat_at=theirs)
            )
        freed = await _bury(conn, process.c.beat_at < theirs - gone)
        alive = await conn.execute(
            select(func.count()).select_from(process).where(process.c.role != Role.COMMAND)
        )
        return Roster(int(alive.scalar_one()), freed, abs(theirs - now))


async def clock(database: Database) -> datetime | None:
    """Return the database's own time; None on SQLite, which has ours."""
    if database.is_sqlite:
        return None
    async with database.read() as conn:
        theirs: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
    return theirs.astimezone(UTC)


async def lives(database: Database, name: str, now: datetime, gone: timedelta = GONE) -> bool:
    """Whether a process is on the list and has beaten lately, by the database's clock where it has one."""
    async with database.read() as conn:
        theirs = await _clock(conn, now)
        beat_at = (
            await conn.execute(select(process.c.beat_at).where(process.c.id == name))
        ).scalar_one_or_none()
    return beat_at is not None and beat_at >= theirs - gone


async def probing(conn: AsyncConnection) -> int:
    """Return how many processes on the list probe: neither commands nor web processes."""
    found = await conn.execute(
        select(func.count()).select_from(process).where(process.c.role.not_in([Role.COMMAND, Role.WEB]))
    )
    return int(found.scalar_one())


@retried
async def say_blocked(database: Database, name: str, blocked: Mapping[str, str]) -> None:
    """Write down which providers refuse this process alone, and since when (ISO 8601)."""
    async with database.write() as conn:
        await conn.execute(update(process).where(process.c.id == name).values(blocked=dict(blocked)))


class Blocked(NamedTuple):
    """A provider that refuses one process, while it serves others."""

    process: str
    provider: str
    since: datetime


async def blocked(conn: AsyncConnection) -> list[Blocked]:
    """Return which processes on the list are refused by which providers, the longest first."""
    rows = await conn.execute(select(process.c.id, process.c.blocked))
    found = [
        Blocked(name, provider, datetime.fromisoformat(since))
        for name, providers in rows
        for provider, since in providers.items()
    ]
    return sorted(found, key=lambda one: one.since)


async def _clock(conn: AsyncConnection, now: datetime) -> datetime:
    if conn.dialect.name == "sqlite":
        return now
    found: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
    return found


@retried
async def leave(database: Database, name: str) -> None:
    """Take this process off the list, and give up its duties, at a clean end."""
    async with database.write() as conn:
        await conn.execute(delete(process).where(process.c.id == name))
        await conn.execute(delete(duty).where(duty.c.holder == name))


@retried
async def bury_all(database: Database) -> int:
    """Give back what services held that are certainly gone; return how many leases.

    Only for the one service that holds an SQLite file's lock: whatever service is still on the list died;
    a command may be at work. Open refreshes stay in the journal, to be judged.
    """
    async with database.write() as conn:
        return await _bury(conn, process.c.role != Role.COMMAND)


async def _bury(conn: AsyncConnection, which: ColumnElement[bool]) -> int:
    # Locked and passed over, so that two processes that bury the same one do not wait for each other.
    dead = select(process.c.id).where(which).with_for_update(skip_locked=True)
    names = list((await conn.execute(dead)).scalars())
    if not names:
        return 0
    theirs = watch.c.lease_by.in_(names)
    await gates.lock_where(conn, theirs)
    freed = await conn.execute(update(watch).where(theirs).values(**FENCED))
    await conn.execute(delete(duty).where(duty.c.holder.in_(names)))
    await conn.execute(delete(process).where(process.c.id.in_(names)))
    return freed.rowcount


@retried
async def hold_duty(database: Database, work: str, name: str, now: datetime, lease: timedelta) -> bool:
    """Take or keep a duty; True while it is this process's. It passes on when its lease runs out."""
    try:
        async with database.write() as conn:
            done = await conn.execute(
                update(duty)
                .where(duty.c.name == work, or_(duty.c.holder == name, duty.c.until <= now))
                .values(holder=name, until=now + lease)
            )
            if done.rowcount:
                return True
            taken = (await conn.execute(select(duty.c.name).where(duty.c.name == work))).scalar()
            if taken is not None:
                return False
            await conn.execute(insert(duty).values(name=work, holder=name, until=now + lease))
            return True
    except IntegrityError:
        return False
