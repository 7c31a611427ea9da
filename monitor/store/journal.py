"""The refresh journal: the intent is durable before the request, the new pair before its use.

A refresh is single-flight across processes because the table takes one open line a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.rotation import Doubt, Ending, Journal
from monitor.store import events, gates, provider_values
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import credential, journal, watch


@dataclass(frozen=True, slots=True)
class Line:
    """A journaled refresh: who began it, with which version of the pair, and how it stands."""

    id: int
    connection: str
    process: str
    version: int
    begun_at: datetime
    ended_at: datetime | None = None
    outcome: Journal = Journal.OPEN
    evidence: Mapping[str, Any] | None = None  # what came instead of an answer


@dataclass(frozen=True, slots=True)
class SealedPair:
    """A new pair, sealed; `refresh` is None where the provider keeps the old refresh token."""

    access: str
    refresh: str | None
    issued_at: datetime
    access_expires_at: datetime | None
    granted: tuple[str, ...] | None = None
    assumed: bool = False  # when the access token ends is what the provider's file says
    refresh_ends_at: datetime | None = None  # as the answer told, unless it is used before
    grant_ends_at: datetime | None = None  # as the answer told, whatever is done
    values: Mapping[str, str] = field(default_factory=dict)  # of the provider's [values], those it brought


@retried
async def begin(
    database: Database,
    connection: str,
    process: str,
    epoch: int,
    version: int,
    now: datetime,
    doubt: Doubt | None = None,
) -> Line | None:
    """Write the intent to refresh; return its line, or None when it may not be begun.

    It may not when another refresh is open, when the lease is no longer ours, or when the stored pair, or
    what is in doubt about it, is not what we hold (somebody refreshed meanwhile).
    """
    try:
        async with database.write() as conn:
            holder = (
                await conn.execute(
                    select(
                        watch.c.lease_by,
                        watch.c.lease_epoch,
                        credential.c.version,
                        credential.c.lost,
                        credential.c.doubt_since,
                    )
                    .join(credential, credential.c.connection == watch.c.connection)
                    .where(watch.c.connection == connection)
                    .with_for_update(of=watch)
                )
            ).one_or_none()
            since = doubt.since if doubt is not None else None
            if holder is None or tuple(holder) != (process, epoch, version, False, since):
                return None
            made = await conn.execute(
                insert(journal)
                .values(
                    connection=connection,
                    process=process,
                    version=version,
                    begun_at=now,
                    outcome=Journal.OPEN.value,
                )
                .returning(journal.c.id)
            )
            return Line(int(made.scalar_one()), connection, process, version, now)
    except IntegrityError:
        return None


def _this(entry: Line) -> ColumnElement[bool]:
    # The number alone does not tell: with its connection a line may be removed, and SQLite gives the
    # number out again.
    return and_(
        journal.c.id == entry.id,
        journal.c.connection == entry.connection,
        journal.c.process == entry.process,
        journal.c.begun_at == entry.begun_at,
    )


@retried
async def store_pair(
    database: Database, entry: Line, pair: SealedPair, now: datetime, *, over: int | None = None
) -> bool:
    """Make a new pair durable and close its line, in one transaction, also where somebody judged it before.

    It takes the place of the version that the refresh began with, or of `over`. False when neither is stored
    any more: a re-authorization or an import put another pair there meanwhile, and that one stays.
    """
    async with database.write() as conn:
        await gates.lock(conn, [entry.connection])
        if not await _write_line(conn, entry, Journal.STORED, now):
            return False
        values: dict[str, Any] = {
            "access": pair.access,
            "version": credential.c.version + 1,
            "issued_at": pair.issued_at,
            "access_expires_at": pair.access_expires_at,
            "expiry_assumed": pair.assumed,
            "demand_after": None,
            "refresh_used_at": pair.issued_at,
            # That it was used moved this end, where the answer does not tell a new one: the file's counts.
            "refresh_expires_at": pair.refresh_ends_at,
            "lost": False,
            "doubt_since": None,
            "doubt_tried_at": None,
        }
        if pair.refresh is not None:
            values["refresh"] = pair.refresh
        if pair.granted is not None:
            values["granted"] = list(pair.granted)
        if pair.grant_ends_at is not None:
            values["grant_ends_at"] = pair.grant_ends_at
        version = entry.version if over is None else over
        done = await conn.execute(
            update(credential)
            .where(credential.c.connection == entry.connection, credential.c.version == version)
            .values(**values)
        )
        if done.rowcount == 1:
            await provider_values.add(conn, {entry.connection: pair.values})
            await events.renewed(conn, entry.connection, now)
            return True
        # A commit whose acknowledgement was lost is tried again, and finds its own pair.
        kept = await conn.execute(
            select(credential.c.version).where(
                credential.c.connection == entry.connection, credential.c.access == pair.access
            )
        )
        if kept.first() is not None:
            return True
        await _write_line(conn, entry, Journal.SUPERSEDED, now)
        return False


async def _write_line(conn: AsyncConnection, entry: Line, outcome: Journal, now: datetime) -> bool:
    done = await conn.execute(update(journal).where(_this(entry)).values(outcome=outcome.value, ended_at=now))
    return done.rowcount == 1


@retried
async def close(
    database: Database,
    entry: Line,
    end: Ending,
    now: datetime,
    *,
    evidence: Mapping[str, Any] | None = None,
    over: int | None = None,
) -> bool:
    """Close a line without a new pair, with what it means for the stored refresh token.

    False when somebody closed it before: what was believed then stays.
    """
    line: dict[str, Any] = {"outcome": end.outcome.value, "ended_at": now}
    if evidence is not None:
        line["evidence"] = dict(evidence)
    async with database.write() as conn:
        await gates.lock(conn, [entry.connection])
        closed = await conn.execute(
            update(journal).where(_this(entry), journal.c.ended_at.is_(None)).values(**line)
        )
        if closed.rowcount == 0:
            return False
        if end.outcome in (Journal.UNCLEAR, Journal.RETRIED, Journal.LOST):
            await conn.execute(
                update(credential)
                .where(
                    credential.c.connection == entry.connection,
                    credential.c.version == (entry.version if over is None else over),
                )
                .values(
                    lost=end.lost,
                    doubt_since=end.doubt.since if end.doubt is not None else None,
                    doubt_tried_at=end.doubt.tried_at if end.doubt is not None else None,
                )
            )
        return True


async def unfinished(database: Database, connection: str) -> Line | None:
    """Return the open line of a connection: a refresh that is running, or whose process died."""
    async with database.read() as conn:
        row = (
            await conn.execute(
                select(journal).where(journal.c.connection == connection, journal.c.ended_at.is_(None))
            )
        ).one_or_none()
    return None if row is None else _entry(row)


async def unanswered(database: Database, connection: str, since: datetime) -> list[Mapping[str, Any]]:
    """Return the evidence of the refreshes since a time whose answers were lost, oldest first.

    `since` is when the doubt began.
    """
    async with database.read() as conn:
        rows = await conn.execute(
            select(journal.c.evidence)
            .where(
                journal.c.connection == connection,
                journal.c.begun_at >= since,
                journal.c.outcome.in_([Journal.UNCLEAR.value, Journal.LOST.value]),
            )
            .order_by(journal.c.id)
        )
        return [found for found in rows.scalars() if found is not None]


async def last(database: Database, connection: str, limit: int = 5) -> list[Line]:
    """Return the newest lines of a connection, newest first."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(journal)
            .where(journal.c.connection == connection)
            .order_by(journal.c.id.desc())
            .limit(limit)
        )
        return [_entry(row) for row in rows]


def _entry(row: Row[Any]) -> Line:
    return Line(
        id=row.id,
        connection=row.connection,
        process=row.process,
        version=row.version,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
        outcome=Journal(row.outcome),
        evidence=row.evidence,
    )
