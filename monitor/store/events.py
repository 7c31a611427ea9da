"""Events for programs: written in the transaction of what came about, put in order, read and forgotten.

An event gets its number, its place in the feed, once it is committed, from one process at a time: whoever
reads on from a number misses nothing that is committed later with an older time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text, and_, cast, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health import events
from monitor.health.causes import Subject
from monitor.health.events import Type
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.door_tables import event, webhook
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, incident, watch
from monitor.text.ids import new_id


@dataclass(frozen=True, slots=True)
class Event:
    """Something that came about, as it is in the feed. Without a connection it is about more than one."""

    id: str
    number: int
    at: datetime
    type: str
    connection: str | None
    app: str | None
    labels: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


More = Mapping[str, Any]
_IDS: Columns = {"id": Text}
_NUMBERS: Columns = {"id": BigInteger}


async def moved(
    conn: AsyncConnection, of: Type, about: Mapping[str, More] | Collection[str], now: datetime
) -> None:
    """Write that something came about with connections whose gates are held: each counts it.

    `about` has what else is to be said of each. They are told as they are now, in this transaction.
    """
    more: Mapping[str, More] = about if isinstance(about, Mapping) else {name: {} for name in about}
    if not more:
        return
    is_sqlite = conn.dialect.name == "sqlite"
    given = unpacked(_IDS, is_sqlite)
    ids = packed(_IDS, [(name,) for name in more], is_sqlite)
    counts = update(watch).where(watch.c.connection == given.c.id).values(sequence=watch.c.sequence + 1)
    await conn.execute(counts, ids)
    rows = (await conn.execute(_HOW.join(given, given.c.id == connection.c.id), ids)).all()
    await _put(
        conn,
        [
            _about(row, of, now, {**_how(row), **more[row.id]}, sequence=row.sequence)
            for row in rows
        ],
    )  # fmt: skip


async def concerned(conn: AsyncConnection, of: Type, about: Mapping[str, More], now: datetime) -> None:
    """Write that something came about that concerns connections, and changes nothing of how they are."""
    if not about:
        return
    is_sqlite = conn.dialect.name == "sqlite"
    given = unpacked(_IDS, is_sqlite)
    ids = packed(_IDS, [(name,) for name in about], is_sqlite)
    rows = (await conn.execute(_WHO.join(given, given.c.id == connection.c.id), ids)).all()
    await _put(conn, [_about(row, of, now, about[row.id]) for row in rows])


async def of_incidents(conn: AsyncConnection, of: Type, numbers: Collection[int], now: datetime) -> None:
    """Write that incidents, under lock 2, began, changed or ended, or that a guard over them did."""
    if not numbers:
        return
    is_sqlite = conn.dialect.name == "sqlite"
    given = unpacked(_NUMBERS, is_sqlite)
    chosen = _INCIDENT.join(given, given.c.id == incident.c.id).order_by(incident.c.id)
    rows = (await conn.execute(chosen, packed(_NUMBERS, [(one,) for one in numbers], is_sqlite))).all()
    made = []
    for row in rows:
        said = {
            "incident": row.id,
            "about": {"kind": row.kind, "name": row.name},
            "cause": row.cause,
            "owner": row.owner,
            "since": events.moment(row.opened_at),
            "part_of": row.parent_id,
        }
        if of is Type.INCIDENT_CLOSED:
            said |= {"closed_at": events.moment(row.closed_at), "ended": row.ended or None}
        if row.app is not None:
            data = events.about_connection(row.name, row.app, row.client_name, row.labels, said)
            made.append(_event(of, now, data, row.name, row.app, row.labels))
        else:
            made.append(_event(of, now, said))
    await _put(conn, made)


async def general(conn: AsyncConnection, of: Type, now: datetime, data: More) -> None:
    """Write that something came about that is about no connection."""
    await _put(conn, [_event(of, now, data)])


async def renewed(conn: AsyncConnection, connection_id: str, now: datetime) -> None:
    """Write that a token was renewed, where somebody asked for that: else there is one an hour for each."""
    asked = select(webhook.c.id).where(
        webhook.c.state == "active", cast(webhook.c.events, Text).contains(f'"{Type.TOKEN_RENEWED.value}"')
    )
    if (await conn.execute(asked.limit(1))).first() is not None:
        await moved(conn, Type.TOKEN_RENEWED, [connection_id], now)


_WHO = select(connection.c.id, connection.c.app, connection.c.client_name, connection.c.labels)
_HOW = (
    _WHO.add_columns(
        watch.c.sequence, watch.c.state, watch.c.cause, watch.c.owner, credential.c.version.label("version")
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
)
_INCIDENT = select(incident, connection.c.app, connection.c.client_name, connection.c.labels).outerjoin(
    connection,
    and_(incident.c.kind == Subject.CONNECTION.value, connection.c.id == incident.c.name),
)


def _how(row: Any) -> dict[str, Any]:
    return events.how(row.sequence, row.state, row.cause, row.owner, row.version)


def _about(row: Any, of: Type, now: datetime, more: More, sequence: int | None = None) -> dict[str, Any]:
    data = events.about_connection(row.id, row.app, row.client_name, row.labels, more)
    return _event(of, now, data, row.id, row.app, row.labels, sequence)


def _event(
    of: Type,
    now: datetime,
    data: More,
    about: str | None = None,
    app: str | None = None,
    labels: Mapping[str, str] | None = None,
    sequence: int | None = None,
) -> dict[str, Any]:
    return {
        "id": new_id("evt"), "at": now, "type": of.value, "connection": about, "app": app,
        "labels": dict(labels or {}), "sequence": sequence, "data": dict(data),
    }  # fmt: skip


async def _put(conn: AsyncConnection, made: Sequence[Mapping[str, Any]]) -> None:
    if made:
        await conn.execute(insert(event), list(made))


# -- the feed ------------------------------------------------------------------------------------------


async def one_numbering(conn: AsyncConnection) -> None:
    """Let one transaction at a time put events in order; SQLite has one writer anyway. Freed with it."""
    if conn.dialect.name == "postgresql":
        await conn.execute(select(func.pg_advisory_xact_lock(7238919)))


async def any_unnumbered(database: Database) -> bool:
    """Whether an event waits for its number."""
    async with database.read() as conn:
        return (
            await conn.execute(select(event.c.id).where(event.c.number.is_(None)).limit(1))
        ).first() is not None


async def number(conn: AsyncConnection, limit: int) -> list[Event]:
    """Give events their numbers, under the lock of numbering; return those that got one, in order."""
    new = (
        await conn.execute(
            select(event)
            .where(event.c.number.is_(None))
            .order_by(event.c.at, event.c.sequence, event.c.id)
            .limit(limit)
        )
    ).all()
    if not new:
        return []
    last = (await conn.execute(select(func.max(event.c.number)))).scalar() or 0
    given = [(row.id, last + place) for place, row in enumerate(new, 1)]
    is_sqlite = conn.dialect.name == "sqlite"
    columns: Columns = {"id": Text, "number": BigInteger}
    rows = unpacked(columns, is_sqlite)
    await conn.execute(
        update(event).where(event.c.id == rows.c.id).values(number=rows.c.number),
        packed(columns, given, is_sqlite),
    )
    return [_read(row, number) for row, (_, number) in zip(new, given, strict=True)]


async def page(
    database: Database,
    limit: int,
    *,
    after: int = 0,
    types: Collection[str] | None = None,
    connection_id: str = "",
    until: int | None = None,
) -> list[Event]:
    """Return events in the order of the feed, after a number; all, or those of some types or a connection."""
    query = select(event).where(event.c.number > after)
    if types is not None:
        query = query.where(event.c.type.in_(types))
    if connection_id:
        query = query.where(event.c.connection == connection_id)
    if until is not None:
        query = query.where(event.c.number <= until)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(event.c.number).limit(limit))
        return [_read(row, row.number) for row in rows]


async def between(
    conn: AsyncConnection, since: datetime, until: datetime, types: Collection[str], after: int, limit: int
) -> list[Event]:
    """Return events of some types that came about in a time, in the order of the feed, after a number."""
    rows = await conn.execute(
        select(event)
        .where(event.c.number > after, event.c.type.in_(types), event.c.at >= since, event.c.at <= until)
        .order_by(event.c.number)
        .limit(limit)
    )
    return [_read(row, row.number) for row in rows]


async def of_ids(database: Database, ids: Collection[str]) -> dict[str, Event]:
    """Return events by their ids, those that are still kept."""
    async with database.read() as conn:
        rows = await conn.execute(select(event).where(event.c.id.in_(sorted(ids))))
        return {row.id: _read(row, row.number or 0) for row in rows}


async def place(database: Database, event_id: str) -> int | None:
    """Return the number of an event, None where none of this id is in the feed."""
    async with database.read() as conn:
        found = await conn.execute(select(event.c.number).where(event.c.id == event_id))
        return found.scalar_one_or_none()


async def last_number(database: Database) -> int:
    """Return the number of the newest event in the feed."""
    async with database.read() as conn:
        return int((await conn.execute(select(func.max(event.c.number)))).scalar() or 0)


@retried
async def forget(database: Database, before: datetime, limit: int = 5000) -> int:
    """Drop some events from before a time; return how many. The newest stays: numbers never begin again."""
    newest = select(func.max(event.c.number)).scalar_subquery()
    old = (
        select(event.c.id)
        .where(event.c.at < before, event.c.number < newest)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    async with database.write() as conn:
        return int((await conn.execute(delete(event).where(event.c.id.in_(old)))).rowcount)


def _read(row: Any, number: int) -> Event:
    return Event(row.id, number, row.at, row.type, row.connection, row.app, row.labels or {}, row.data)
