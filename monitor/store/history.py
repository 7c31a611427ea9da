"""The timeline and evidence of a connection, and how long both are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, Table, delete, func, select, tuple_

from monitor.health import paces
from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.health.probed import Count
from monitor.health.timeline import Turn
from monitor.store.engine import Database
from monitor.store.expected import NEEDED
from monitor.store.retry import retried
from monitor.store.tables import history, incident, journal, probe_count, watch


@dataclass(frozen=True, slots=True)
class Changed:
    """One change of a verdict, with what it rested on."""

    at: datetime
    state: State
    cause: Cause
    owner: Owner
    confidence: float
    rule: str
    scope: str | None
    reasons: tuple[str, ...]
    evidence: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Kept:
    """How long things are kept."""

    changes: timedelta = timedelta(days=400)
    counts: timedelta = timedelta(days=90)


async def timeline(database: Database, connection: str, limit: int = 20) -> list[Changed]:
    """Return the newest changes of a connection, newest first."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(history)
            .where(history.c.connection == connection)
            .order_by(history.c.id.desc())
            .limit(limit)
        )
        return [read_change(row) for row in rows]


async def page(
    database: Database, connection: str, limit: int, before: int | None = None
) -> list[tuple[int, Changed]]:
    """Return the changes of a connection with their numbers, newest first, before a number."""
    query = select(history).where(history.c.connection == connection)
    if before is not None:
        query = query.where(history.c.id < before)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(history.c.id.desc()).limit(limit))
        return [(row.id, read_change(row)) for row in rows]


async def turns(database: Database, connection: str, since: datetime, limit: int = 5000) -> list[Turn]:
    """Return the newest changes of a connection since a time, and the last one before, oldest first."""
    mine = select(history.c.at, history.c.state, history.c.cause).where(history.c.connection == connection)
    newest = history.c.id.desc()
    async with database.read() as conn:
        rows = list(await conn.execute(mine.where(history.c.at > since).order_by(newest).limit(limit)))
        rows += await conn.execute(mine.where(history.c.at <= since).order_by(newest).limit(1))
    return [Turn(row.at, State(row.state), Cause(row.cause)) for row in reversed(rows)]


async def since(database: Database, number: int, limit: int = 500) -> list[tuple[int, str, Changed]]:
    """Return the changes of all connections after a number, oldest first, with number and connection."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(history).where(history.c.id > number).order_by(history.c.id).limit(limit)
        )
        return [(row.id, row.connection, read_change(row)) for row in rows]


async def hours(database: Database, connection: str) -> list[tuple[datetime, float]]:
    """Return how fast a connection's good probes were answered, in seconds, an hour each for a day."""
    async with database.read() as conn:
        known = await conn.execute(select(watch.c.paces).where(watch.c.connection == connection))
        return paces.means(known.scalar_one_or_none() or "")


async def counts(database: Database, connection: str, since: datetime) -> list[Count]:
    """Return how many probes found what in each interval since a time."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(probe_count.c.bucket, probe_count.c.cause, probe_count.c.probes, probe_count.c.seconds)
            .where(probe_count.c.connection == connection, probe_count.c.bucket >= int(since.timestamp()))
            .order_by(probe_count.c.bucket, probe_count.c.cause)
        )
        return [
            Count(datetime.fromtimestamp(row.bucket, UTC), Cause(row.cause), row.probes, row.seconds)
            for row in rows
        ]


async def forget(database: Database, kept: Kept, now: datetime, batch: int = 5000) -> int:
    """Drop what is older than it is kept for; the newest change of a connection stays. Returns rows.

    In batches, each a transaction of its own, so that no writer waits for long; what somebody holds at this
    moment is left for the next time.
    """
    newest = select(func.max(history.c.id)).group_by(history.c.connection)
    old_changes = select(history.c.id).where(history.c.at < now - kept.changes, history.c.id.not_in(newest))
    old_lines = select(journal.c.id).where(journal.c.ended_at < now - kept.changes)
    children = incident.alias("children")
    old_incidents = select(incident.c.id).where(
        # The fleet guard learns from the last weeks what is usual, however little of the history is kept.
        incident.c.closed_at < now - max(kept.changes, NEEDED),
        ~select(children.c.id).where(children.c.parent_id == incident.c.id).exists(),
    )
    total = 0
    for tables, chosen in ((history, old_changes), (journal, old_lines), (incident, old_incidents)):
        while (gone := await _drop(database, tables, chosen.limit(batch))) == batch:
            total += gone
        total += gone
    before = int((now - kept.counts).timestamp())
    old_counts = select(*probe_count.primary_key).where(probe_count.c.bucket < before)
    return total + await _drop(database, probe_count, old_counts)


@retried
async def _drop(database: Database, table: Table, keys: Select[Any]) -> int:
    which = tuple_(*table.primary_key).in_(keys.with_for_update(skip_locked=True))
    async with database.write() as conn:
        return (await conn.execute(delete(table).where(which))).rowcount


def read_change(row: Row[Any]) -> Changed:
    """Read a row of the history."""
    return Changed(
        at=row.at,
        state=State(row.state),
        cause=Cause(row.cause),
        owner=Owner(row.owner),
        confidence=row.confidence,
        rule=row.rule,
        scope=row.scope,
        reasons=tuple(row.reasons),
        evidence=row.evidence,
    )
