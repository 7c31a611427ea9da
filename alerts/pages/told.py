"""What on-call was told, and is not over: read from the outbox."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox.tables import delivery, notice
from alerts.pages.story import SLOTS, Slot


async def waiting(conn: AsyncConnection) -> dict[tuple[Slot, str], int]:
    """Return the pages and clearings that wait: their numbers, by slot and matter."""
    rows = await conn.execute(
        select(notice.c.id, notice.c.slot, notice.c.audience).where(
            notice.c.slot.in_(SLOTS), notice.c.state == "waiting"
        )
    )
    return {(Slot(row.slot), row.audience): row.id for row in rows}


def _standing_pages() -> Any:
    """Return the query for pages that were told, or are being told, and not taken back since."""
    later = notice.alias("later")
    return select(notice).where(
        notice.c.slot == Slot.PAGE.value,
        notice.c.state.in_(["sending", "sent", "failed"]),
        ~exists().where(
            later.c.audience == notice.c.audience,
            later.c.slot == Slot.CLEAR.value,
            later.c.id > notice.c.id,
            later.c.state.in_(["sending", "sent", "failed"]),
        ),
    )


async def paged(conn: AsyncConnection) -> dict[str, int]:
    """Return the pages that stand, by matter: the newest of each, since what nobody answers is told again."""
    return {row.audience: row.id for row in await conn.execute(_standing_pages().order_by(notice.c.id))}


async def standing_pages(conn: AsyncConnection) -> list[tuple[str, dict[str, Any], list[str]]]:
    """Return what stands and was told: key, document, and the channels that took it."""
    rows = (await conn.execute(_standing_pages().order_by(notice.c.id))).all()
    took: dict[int, list[str]] = defaultdict(list)
    for row in await conn.execute(
        select(delivery.c.notice, delivery.c.channel).where(
            delivery.c.notice.in_([row.id for row in rows]), delivery.c.state == "sent"
        )
    ):
        took[row.notice].append(row.channel)
    return [(row.audience, row.matter, took[row.id]) for row in rows]


class Heard(NamedTuple):
    """When on-call was told of a matter, and the channels that took it."""

    at: datetime | None  # None: nothing took it yet
    channels: tuple[str, ...]


async def heard(conn: AsyncConnection) -> dict[str, Heard]:
    """Return what stands and was told, by matter."""
    rows = (await conn.execute(_standing_pages().order_by(notice.c.id))).all()
    matters = {row.id: row.audience for row in rows}
    found = {matter: Heard(None, ()) for matter in matters.values()}
    took = select(delivery.c.notice, delivery.c.channel, delivery.c.settled_at).where(
        delivery.c.notice.in_(list(matters)), delivery.c.state == "sent"
    )
    for number, channel, at in await conn.execute(took.order_by(delivery.c.id)):
        before = found[matters[number]]
        found[matters[number]] = Heard(before.at or at, (*before.channels, channel))
    return found


async def told_since(conn: AsyncConnection) -> list[tuple[dict[str, Any], datetime]]:
    """Return what stands and was told: the labels of its matter, and when it was told last."""
    rows = await conn.execute(_standing_pages().order_by(notice.c.id.desc()))
    return [(row.matter["labels"], row.settled_at or row.due_at) for row in rows if row.matter]


async def any_due(conn: AsyncConnection, now: datetime) -> bool:
    """Whether a page or a clearing wants out now."""
    rows = await conn.execute(
        select(notice.c.id)
        .where(notice.c.slot.in_(SLOTS), notice.c.state == "waiting", notice.c.due_at <= now)
        .limit(1)
    )
    return rows.first() is not None
