"""The refresh journal: the intent is durable before the request, the new pair before its use.

A refresh is single-flight across processes because the table takes one open line a connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.rotation import Journal
from monitor.store import gates
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import credential, journal, watch


@dataclass(frozen=True, slots=True)
class Entry:
    """A journaled refresh: who began it, with which version of the pair, and how it stands."""

    id: int
    connection: str
    process: str
    version: int
    begun_at: datetime
    ended_at: datetime | None
    outcome: Journal


@dataclass(frozen=True, slots=True)
class SealedPair:
    """A new pair, sealed; `refresh` is None where the provider keeps the old refresh token."""

    access: str
    refresh: str | None
    issued_at: datetime
    access_expires_at: datetime | None
    granted: tuple[str, ...] | None = None


@retried
async def begin(
    database: Database, connection: str, process: str, epoch: int, version: int, now: datetime
) -> int | None:
    """Write the intent to refresh; return its line, or None when it may not be begun.

    It may not when another refresh is open, when the lease is no longer ours, or when the stored pair
    is not the one we hold (somebody refreshed meanwhile).
    """
    try:
        async with database.write() as conn:
            holder = (
                await conn.execute(
                    select(watch.c.lease_by, watch.c.lease_epoch, credential.c.version, credential.c.lost)
                    .join(credential, credential.c.connection == watch.c.connection)
                    .where(watch.c.connection == connection)
                    .with_for_update(of=watch)
                )
            ).one_or_none()
            if holder is None or tuple(holder) != (process, epoch, version, False):
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
            return int(made.scalar_one())
    except IntegrityError:
        return None


@retried
async def store_pair(database: Database, entry: int, pair: SealedPair, now: datetime) -> bool:
    """Make a new pair durable and close its line, in one transaction.

    False when the stored pair is no longer the one that was refreshed: a re-authorization put
    another in its place meanwhile, and that one stays.
    """
    async with database.write() as conn:
        await _gate(conn, entry)
        row = (
            await conn.execute(
                update(journal)
                .where(journal.c.id == entry)
                .values(outcome=Journal.STORED.value, ended_at=now)
                .returning(journal.c.connection, journal.c.version)
            )
        ).one()
        values = {
            "access": pair.access,
            "version": credential.c.version + 1,
            "issued_at": pair.issued_at,
            "access_expires_at": pair.access_expires_at,
            "refresh_used_at": pair.issued_at,
            "lost": False,
        }
        if pair.refresh is not None:
            values["refresh"] = pair.refresh
        if pair.granted is not None:
            values["granted"] = list(pair.granted)
        done = await conn.execute(
            update(credential)
            .where(credential.c.connection == row.connection, credential.c.version == row.version)
            .values(**values)
        )
        return done.rowcount == 1


@retried
async def close(database: Database, entry: int, outcome: Journal, now: datetime) -> None:
    """Close a line without a new pair. `LOST` marks the stored refresh token as perhaps spent."""
    async with database.write() as conn:
        await _gate(conn, entry)
        row = (
            await conn.execute(
                update(journal)
                .where(journal.c.id == entry, journal.c.ended_at.is_(None))
                .values(outcome=outcome.value, ended_at=now)
                .returning(journal.c.connection, journal.c.version)
            )
        ).one_or_none()
        if row is not None and outcome is Journal.LOST:
            await conn.execute(
                update(credential)
                .where(credential.c.connection == row.connection, credential.c.version == row.version)
                .values(lost=True)
            )


async def _gate(conn: AsyncConnection, entry: int) -> None:
    whose = select(journal.c.connection).where(journal.c.id == entry).scalar_subquery()
    await gates.lock_where(conn, watch.c.connection == whose)


async def unfinished(database: Database, connection: str) -> Entry | None:
    """Return the open line of a connection: a refresh that is running, or whose process died."""
    async with database.read() as conn:
        row = (
            await conn.execute(
                select(journal).where(journal.c.connection == connection, journal.c.ended_at.is_(None))
            )
        ).one_or_none()
    return None if row is None else _entry(row)


async def last(database: Database, connection: str, limit: int = 5) -> list[Entry]:
    """Return the newest lines of a connection, newest first."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(journal)
            .where(journal.c.connection == connection)
            .order_by(journal.c.id.desc())
            .limit(limit)
        )
        return [_entry(row) for row in rows]


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        connection=row.connection,
        process=row.process,
        version=row.version,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
        outcome=Journal(row.outcome),
    )
