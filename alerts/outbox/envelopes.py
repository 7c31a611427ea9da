"""What is claimed to be sent: one notice to one address, or one page over one channel; and what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails.notices import Item, Kind, Slot
from alerts.outbox.tables import delivery, notice, notice_item
from monitor.health.causes import Cause


@dataclass(frozen=True, slots=True)
class Envelope:
    """One notice to one address, claimed for an attempt."""

    id: int
    notice: int
    slot: Slot
    kind: Kind
    client: str
    locale: str
    timezone: str
    number: int
    address: str
    message_id: str
    thread: str | None  # the Message-ID of the first mail about this, to the same address
    attempts: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """One page, or the end of one, over one channel, claimed for an attempt."""

    id: int
    notice: int
    slot: Slot
    key: str
    channel: str
    attempts: int
    began_at: datetime
    matter: dict[str, Any]


async def items_of(conn: AsyncConnection, notices: Sequence[int]) -> dict[int, tuple[Item, ...]]:
    """Return what notices are about, by their numbers."""
    rows = await conn.execute(
        select(notice_item).where(notice_item.c.notice.in_(notices)).order_by(notice_item.c.connection)
    )
    found: dict[int, list[Item]] = {}
    for row in rows:
        found.setdefault(row.notice, []).append(
            Item(row.connection, row.incident, Cause(row.cause), row.since)
        )
    return {number: tuple(items) for number, items in found.items()}


async def threads(
    conn: AsyncConnection, rows: Sequence[Any], items: dict[int, tuple[Item, ...]]
) -> dict[int, str]:
    """Return the first mail to the same address about the same trouble: what a reply would refer to."""
    found: dict[int, str] = {}
    for row in rows:
        if row.slot not in (Slot.REMINDER, Slot.RESOLVED):
            continue
        for item in items.get(row.notice, ()):
            same = notice_item.c.incident == item.incident
            if item.incident is None:
                same = notice_item.c.incident.is_(None)
            first = (
                await conn.execute(
                    select(delivery.c.message_id)
                    .join(notice, notice.c.id == delivery.c.notice)
                    .join(notice_item, notice_item.c.notice == notice.c.id)
                    .where(
                        notice.c.slot.in_([Slot.ASK.value, Slot.EXPIRING.value]),
                        notice_item.c.connection == item.connection,
                        same,
                        delivery.c.address == row.address,
                        delivery.c.state.in_(["sent", "unconfirmed"]),
                    )
                    .order_by(delivery.c.id.desc())
                    .limit(1)
                )
            ).scalar()
            if first is not None:
                found[row.id] = first
                break
    return found
