"""What people and the service did, line by line; the database refuses to change it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.restriction import UNRESTRICTED, Restriction
from monitor.store import idempotency, within
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import audit, connection

SERVICE = "service"
# What is known of the request that a change comes by, such as where it came from; a door sets it.
REQUEST: ContextVar[Mapping[str, str] | None] = ContextVar("request", default=None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


async def record(
    conn: AsyncConnection, now: datetime, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Write a line into the transaction of what it tells of."""
    await idempotency.done(conn)
    known = {**(REQUEST.get() or {}), **detail}
    await conn.execute(
        insert(audit).values(at=now, actor=actor, action=action, subject=subject, detail=known)
    )


async def record_each(
    conn: AsyncConnection, now: datetime, actor: str, action: str, subjects: Iterable[str], **detail: Any
) -> None:
    """Write the same line about each of several subjects."""
    await idempotency.done(conn)
    line = {"at": now, "actor": actor, "action": action, "detail": {**(REQUEST.get() or {}), **detail}}
    if lines := [{**line, "subject": subject} for subject in subjects]:
        await conn.execute(insert(audit), lines)


@retried
async def write_down(
    database: Database, /, now: datetime, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Write a line of what changes no other row."""
    async with database.write() as conn:
        await record(conn, now, actor, action, subject, **detail)


async def page(
    database: Database,
    limit: int,
    *,
    before: int | None = None,
    subject: str = "",
    actor: str = "",
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    only: Restriction = UNRESTRICTED,
) -> list[tuple[int, Entry]]:
    """Return lines with their numbers, newest first, before a number; all, or what is asked for.

    Whoever sees a part of the fleet `only` sees the lines about its connections.
    """
    given = ((audit.c.subject, subject), (audit.c.actor, actor), (audit.c.action, action))
    query = select(audit).where(*(column == value for column, value in given if value))
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    if not only.whole:
        mine = select(connection.c.id).where(*within.conditions(only, database.is_sqlite))
        query = query.where(audit.c.subject.in_(mine))
    if before is not None:
        query = query.where(audit.c.id < before)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(audit.c.id.desc()).limit(limit))
        return [(row.id, Entry(row.at, row.actor, row.action, row.subject, row.detail)) for row in rows]


async def newest(database: Database, actions: Collection[str], subjects: Sequence[str]) -> dict[str, Entry]:
    """Return the newest line of any of these actions about each of these subjects that has one."""
    chosen = (audit.c.action.in_(sorted(actions)), audit.c.subject.in_(subjects))
    query = select(audit).where(*chosen).order_by(audit.c.id)
    async with database.read() as conn:
        rows = await conn.execute(query)
        return {row.subject: Entry(row.at, row.actor, row.action, row.subject, row.detail) for row in rows}


async def about(
    database: Database, subject: str, since: datetime, until: datetime | None, limit: int
) -> list[Entry]:
    """Return the newest lines about a subject from one time to another, newest first."""
    query = select(audit).where(audit.c.subject == subject, audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at <= until)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(audit.c.id.desc()).limit(limit))
        return [Entry(row.at, row.actor, row.action, row.subject, row.detail) for row in rows]


async def of_subject(database: Database, subject: str, limit: int = 20) -> list[Entry]:
    """Return the newest lines about a subject, newest first."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(audit).where(audit.c.subject == subject).order_by(audit.c.id.desc()).limit(limit)
        )
        return [Entry(row.at, row.actor, row.action, row.subject, row.detail) for row in rows]


async def lines(
    database: Database, subjects: Sequence[str], actions: Sequence[str], since: datetime
) -> list[Entry]:
    """Return the lines of some actions about some subjects since a time, oldest first."""
    query = select(audit).where(
        audit.c.subject.in_(subjects), audit.c.action.in_(actions), audit.c.at >= since
    )
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(audit.c.id))
        return [Entry(row.at, row.actor, row.action, row.subject, row.detail) for row in rows]
