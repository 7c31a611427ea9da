"""What was said and what waits, for people: notices of every story, with their envelopes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox.envelope import TO_PROGRAMS, Envelope, Item
from alerts.outbox.tables import delivery, notice, notice_item
from monitor.store.engine import Database

_FOR_PEOPLE = notice.c.slot != TO_PROGRAMS


@dataclass(frozen=True, slots=True)
class Sent:
    """One envelope of a notice. `next_at`: when it is tried, or tried again, while it is open."""

    address: str
    state: str
    attempts: int
    answer: str
    at: datetime | None
    channel: str = ""
    next_at: datetime | None = None
    name: str = ""  # the same for every attempt


@dataclass(frozen=True, slots=True)
class Told:
    """A notice with its envelopes. Slot and kind are words of its story, `content` is what it says besides.

    `look_at`: not before, since something is looked at once more first.
    """

    id: int
    slot: str
    kind: str
    client: str
    state: str
    outcome: str
    reason: str
    number: int
    requested_by: str | None
    planned_at: datetime
    due_at: datetime
    settled_at: datetime | None
    connections: tuple[str, ...]
    envelopes: tuple[Sent, ...]
    items: tuple[Item, ...] = ()
    look_at: datetime | None = None
    timezone: str = "UTC"
    locale: str = "en"
    content: Mapping[str, Any] = field(default_factory=dict)


async def about_connection(database: Database, connection_id: str, limit: int = 20) -> list[Told]:
    """Return what was said, or waits to be said, about a connection; newest first."""
    mine = select(notice_item.c.notice).where(notice_item.c.connection == connection_id)
    return await _read(database, notice.c.id.in_(mine), limit)


async def about_incident(
    database: Database, connection_id: str, incident: int, limit: int = 20
) -> list[Told]:
    """Return what was said, or waits to be said, about one break of a connection; newest first."""
    mine = select(notice_item.c.notice).where(
        notice_item.c.connection == connection_id, notice_item.c.incident == incident
    )
    return await _read(database, notice.c.id.in_(mine), limit)


async def listing(database: Database, limit: int, *, everything: bool = False) -> list[Told]:
    """Return what waits, is being sent, or could not be sent; or everything. Newest first."""
    open_ones = notice.c.state.in_(["waiting", "sending", "failed"])
    return await _read(database, open_ones if not everything else notice.c.id > 0, limit)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which notices: each that is given has to hold, and of several values one.

    `among` are the names of the connections that there are for whoever asks, as a query; None: all. Of a
    notice that is about others too, they see their own part.
    """

    number: int | None = None
    states: Collection[str] = ()
    kinds: Collection[str] = ()
    client: str = ""
    connection: str = ""
    incidents: Collection[int] | Select[Any] = ()  # a query for their numbers, too
    among: Select[Any] | None = None


async def page(database: Database, which: Wanted, limit: int, before: int | None = None) -> list[Told]:
    """Return what was said or waits, newest first, before a number."""
    found: list[ColumnElement[bool]] = [notice.c.id > 0]
    if before is not None:
        found.append(notice.c.id < before)
    if which.number is not None:
        found.append(notice.c.id == which.number)
    if which.states:
        found.append(notice.c.state.in_(which.states))
    if which.kinds:
        found.append(notice.c.kind.in_(which.kinds))
    if which.client:
        found.append(notice.c.client == which.client)
    if which.connection:
        found.append(_about(notice_item.c.connection == which.connection))
    if isinstance(which.incidents, Select) or which.incidents:
        found.append(_about(notice_item.c.incident.in_(which.incidents)))
    if which.among is not None:
        found.append(_about(notice_item.c.connection.in_(which.among)))
    return await _read(database, and_(*found), limit, which.among)


def _about(items: ColumnElement[bool]) -> ColumnElement[bool]:
    return notice.c.id.in_(select(notice_item.c.notice).where(items))


async def unaddressed(database: Database, number: int, among: Select[Any] | None = None) -> Envelope | None:
    """Return a notice as it is handed to whoever writes it, addressed to nobody; None where there is none."""
    async with database.read() as conn:
        row = (await conn.execute(select(notice).where(notice.c.id == number))).one_or_none()
        if row is None:
            return None
        which = select(notice_item).where(notice_item.c.notice == number)
        which = which if among is None else which.where(notice_item.c.connection.in_(among))
        items = await conn.execute(which.order_by(notice_item.c.connection))
        return Envelope(
            0, row.id, row.slot, row.kind, row.audience, row.client, row.locale, row.timezone, row.number,
            row.reason, "", "", "", 0, row.planned_at, row.settled_at, row.matter or {},
            tuple(Item(one.connection, one.incident, one.cause, one.since) for one in items),
        )  # fmt: skip


async def counted(database: Database) -> dict[str, int]:
    """Return how many notices are in each state that there is."""
    async with database.read() as conn:
        mine = select(notice.c.state, func.count().label("n")).where(_FOR_PEOPLE)
        rows = await conn.execute(mine.group_by(notice.c.state))
        return {row.state: row.n for row in rows}


async def _read(database: Database, which: Any, limit: int, among: Select[Any] | None = None) -> list[Told]:
    some = select(notice).where(_FOR_PEOPLE, which).order_by(notice.c.id.desc()).limit(limit)
    async with database.read() as conn:
        return await whole(conn, (await conn.execute(some)).all(), among)


async def whole(
    conn: AsyncConnection, rows: Sequence[Row[Any]], among: Select[Any] | None = None
) -> list[Told]:
    """Return notices with what they are about and their envelopes, in the order of their rows."""
    mine = notice_item.c.connection.in_(among) if among is not None else true()
    numbers = [row.id for row in rows]
    items: dict[int, list[Item]] = defaultdict(list)
    for row in await conn.execute(
        select(notice_item).where(notice_item.c.notice.in_(numbers), mine).order_by(notice_item.c.connection)
    ):
        items[row.notice].append(Item(row.connection, row.incident, row.cause, row.since))
    sent: dict[int, list[Sent]] = defaultdict(list)
    for row in await conn.execute(
        select(delivery).where(delivery.c.notice.in_(numbers)).order_by(delivery.c.id)
    ):
        open_ = row.state in ("waiting", "sending", "handed")
        sent[row.notice].append(
            Sent(
                row.address, row.state, row.attempts, row.answer, row.settled_at, row.channel,
                row.next_at if open_ else None, row.message_id,
            )
        )  # fmt: skip
    return [_told(row, items[row.id], sent[row.id]) for row in rows]


def _told(row: Row[Any], items: Sequence[Item], sent: Sequence[Sent]) -> Told:
    return Told(
        row.id, row.slot, row.kind, row.client, row.state, row.outcome, row.reason, row.number,
        row.requested_by, row.planned_at, row.due_at, row.settled_at,
        tuple(item.connection for item in items), tuple(sent), tuple(items), row.look_at, row.timezone,
        row.locale, row.matter or {},
    )  # fmt: skip
