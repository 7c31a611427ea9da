"""What was said and what waits, for people: notices of every story, with their envelopes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select

from alerts.outbox.envelope import TO_PROGRAMS
from alerts.outbox.tables import delivery, notice, notice_item
from monitor.store.engine import Database

_FOR_PEOPLE = notice.c.slot != TO_PROGRAMS


@dataclass(frozen=True, slots=True)
class Sent:
    """One envelope of a notice."""

    address: str
    state: str
    attempts: int
    answer: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """A notice with its envelopes. Slot and kind are words of its story."""

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


async def page(
    database: Database,
    limit: int,
    *,
    before: int | None = None,
    number: int | None = None,
    states: Collection[str] = (),
    client: str = "",
    connection_id: str = "",
) -> list[Told]:
    """Return what was said or waits, newest first, before a number; all, or what is asked for."""
    which: list[ColumnElement[bool]] = [notice.c.id > 0]
    if before is not None:
        which.append(notice.c.id < before)
    if number is not None:
        which.append(notice.c.id == number)
    if states:
        which.append(notice.c.state.in_(states))
    if client:
        which.append(notice.c.client == client)
    if connection_id:
        mine = select(notice_item.c.notice).where(notice_item.c.connection == connection_id)
        which.append(notice.c.id.in_(mine))
    return await _read(database, and_(*which), limit)


async def counted(database: Database) -> dict[str, int]:
    """Return how many notices are in each state that there is."""
    async with database.read() as conn:
        mine = select(notice.c.state, func.count().label("n")).where(_FOR_PEOPLE)
        rows = await conn.execute(mine.group_by(notice.c.state))
        return {row.state: row.n for row in rows}


async def _read(database: Database, which: Any, limit: int) -> list[Told]:
    async with database.read() as conn:
        rows = (
            await conn.execute(
                select(notice).where(_FOR_PEOPLE, which).order_by(notice.c.id.desc()).limit(limit)
            )
        ).all()
        numbers = [row.id for row in rows]
        items: dict[int, list[str]] = defaultdict(list)
        for row in await conn.execute(
            select(notice_item.c.notice, notice_item.c.connection)
            .where(notice_item.c.notice.in_(numbers))
            .order_by(notice_item.c.connection)
        ):
            items[row.notice].append(row.connection)
        sent: dict[int, list[Sent]] = defaultdict(list)
        for row in await conn.execute(
            select(delivery).where(delivery.c.notice.in_(numbers)).order_by(delivery.c.id)
        ):
            sent[row.notice].append(Sent(row.address, row.state, row.attempts, row.answer, row.settled_at))
    return [_told(row, items[row.id], sent[row.id]) for row in rows]


def _told(row: Row[Any], items: Sequence[str], sent: Sequence[Sent]) -> Told:
    return Told(
        row.id, row.slot, row.kind, row.client, row.state, row.outcome, row.reason, row.number,
        row.requested_by, row.planned_at, row.due_at, row.settled_at, tuple(items), tuple(sent),
    )  # fmt: skip
