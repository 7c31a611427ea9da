"""The outbox as people leaf through it: by what a notice is to them, page by page, and in bounded counts.

What a page costs does not depend on how much is in the outbox: each question has its index, a page goes on
where the last one ended, and nothing is counted beyond `MOST`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox.listing import Told, whole
from alerts.outbox.tables import delivery, notice, notice_item
from monitor.store.engine import Database

MOST = 10_000  # counted so far, and no further
# As its indexes have it, letter by letter: a bound value would not be known to be theirs.
_PEOPLE: ColumnElement[bool] = literal_column("notice.slot <> 'webhook'")
_PROGRAMS: ColumnElement[bool] = literal_column("notice.slot = 'webhook'")
_BAD: ColumnElement[bool] = literal_column("delivery.state IN ('unconfirmed', 'refused', 'failed')")


class Is(StrEnum):
    """What a notice is to whoever looks. Of a notice that was sent and may not have arrived: unconfirmed."""

    WAITING = "waiting"
    SENDING = "sending"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    SENT = "sent"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class View:
    """Which notices: what they are, of which slots (none: all to people), to which client, and since when.

    `but`: without those of which this is so.
    """

    is_: Is
    slots: Collection[str] = ()
    programs: bool = False
    client: str = ""
    since: datetime | None = None
    but: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the time that its order goes by, and the number."""

    at: datetime
    number: int


def is_of(told: Told) -> Is:
    """Return what a notice is to whoever looks."""
    if told.state == "sent" and any(one.state == "unconfirmed" for one in told.envelopes):
        return Is.UNCONFIRMED
    return Is(told.state)


async def page(database: Database, view: View, limit: int, after: Place | None = None) -> list[Told]:
    """Return notices after a place: what waits, the next first; the rest, the newest first."""
    async with database.read() as conn:
        return await whole(conn, (await conn.execute(_some(view, limit, after))).all())


async def to_programs(database: Database, number: int) -> Told | None:
    """Return what programs are told by the notice of this number; None where it is none of theirs."""
    async with database.read() as conn:
        rows = (await conn.execute(select(notice).where(_PROGRAMS, notice.c.id == number))).all()
        return next(iter(await whole(conn, rows)), None)


async def firsts(database: Database, views: Sequence[View], limit: int) -> list[list[Told]]:
    """Return the first notices of each of several pages."""
    async with database.read() as conn:
        rows = [(await conn.execute(_some(view, limit))).all() for view in views]
        told = {one.id: one for one in await whole(conn, [row for some in rows for row in some])}
    return [[told[row.id] for row in some] for some in rows]


def _some(view: View, limit: int, after: Place | None = None) -> Select[Any]:
    column, newest = _order(view.is_)
    found = _those(view)
    if after is not None:
        here = tuple_(column, notice.c.id)
        found = found.where(here < (after.at, after.number) if newest else here > (after.at, after.number))
    order = (column.desc(), notice.c.id.desc()) if newest else (column, notice.c.id)
    return found.order_by(*order).limit(limit)


def place_of(told: Told) -> Place:
    """Return the place of a notice in the order of its page."""
    at = told.due_at if told.state == "waiting" else told.settled_at
    return Place(at or told.due_at, told.id)


async def count(database: Database, views: Sequence[View]) -> list[int]:
    """Return how many notices there are of each, counted up to `MOST`, and one more where there are more."""
    async with database.read() as conn:
        return [await _count(conn, _those(view)) for view in views]


async def _count(conn: AsyncConnection, which: Select[Any]) -> int:
    some = which.with_only_columns(notice.c.id).limit(MOST + 1).subquery()
    return int((await conn.execute(select(func.count()).select_from(some))).scalar_one())


def _order(is_: Is) -> tuple[ColumnElement[Any], bool]:
    return (notice.c.due_at, False) if is_ is Is.WAITING else (notice.c.settled_at, True)


def _those(view: View) -> Select[Any]:
    state = "sent" if view.is_ is Is.UNCONFIRMED else view.is_.value
    column, _ = _order(view.is_)
    found = [
        _PROGRAMS if view.programs else _PEOPLE,
        # As the index of what waits has it.
        literal_column("notice.state = 'waiting'") if view.is_ is Is.WAITING else notice.c.state == state,
    ]
    if view.is_ is Is.UNCONFIRMED:
        doubtful = select(delivery.c.notice).where(_BAD, delivery.c.state == "unconfirmed")
        found.append(notice.c.id.in_(doubtful))
    if view.slots:
        found.append(notice.c.slot.in_(sorted(view.slots)))
    if view.client:
        found.append(notice.c.client == view.client)
    if view.since is not None:
        found.append(column >= view.since)
    if view.but is not None:
        found.append(~view.but)
    return select(notice).where(and_(*found))


async def refused_by(database: Database, addresses: Collection[str]) -> dict[str, Any]:
    """Return for addresses the newest notice that each refused: its number, client and a connection."""
    if not addresses:
        return {}
    about = select(func.min(notice_item.c.connection)).where(notice_item.c.notice == notice.c.id)
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                delivery.c.address,
                notice.c.id,
                notice.c.client,
                notice.c.state,
                notice.c.settled_at,
                about.scalar_subquery().label("connection"),
            )
            .join(notice, notice.c.id == delivery.c.notice)
            .where(_BAD, delivery.c.state == "refused", delivery.c.address.in_(list(addresses)))
            .order_by(notice.c.id)
        )
        return {row.address: row for row in rows}


async def last_taken(database: Database, channel: str) -> datetime | None:
    """Return when the last message over a channel was taken, of those that were sent last."""
    mine = exists().where(
        delivery.c.notice == notice.c.id, delivery.c.channel == channel, delivery.c.state == "sent"
    )
    newest = (
        select(notice.c.settled_at)
        .where(_PEOPLE, notice.c.state == "sent", mine)
        .order_by(notice.c.settled_at.desc())
        .limit(1)
    )
    async with database.read() as conn:
        return (await conn.execute(newest)).scalar()
