"""Which mail a later one belongs to: what a reminder, or the thanks, would be a reply to."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails.standing import Slot
from alerts.outbox.envelope import Envelope, Item
from alerts.outbox.tables import delivery, notice, notice_item


async def thread_of(conn: AsyncConnection, envelope: Envelope) -> str | None:
    """Return the Message-ID of the first mail to the same address about the same trouble."""
    if not (envelope.slot in (Slot.REMINDER, Slot.RESOLVED) or _reminds(envelope)):
        return None
    for item in envelope.items:
        first = await _first(conn, item, envelope.address)
        if first is not None:
            return first
    return None


def _reminds(envelope: Envelope) -> bool:
    return envelope.slot == Slot.CAMPAIGN and envelope.number > 0


async def _first(conn: AsyncConnection, item: Item, address: str) -> str | None:
    same = notice_item.c.incident == item.incident
    if item.incident is None:
        same = notice_item.c.incident.is_(None)
    found: str | None = (
        await conn.execute(
            select(delivery.c.message_id)
            .join(notice, notice.c.id == delivery.c.notice)
            .join(notice_item, notice_item.c.notice == notice.c.id)
            .where(
                notice.c.slot.in_([Slot.ASK.value, Slot.EXPIRING.value, Slot.CAMPAIGN.value]),
                notice_item.c.connection == item.connection,
                same,
                delivery.c.address == address,
                delivery.c.state.in_(["sent", "unconfirmed"]),
            )
            .order_by(delivery.c.id.desc())
            .limit(1)
        )
    ).scalar()
    return found
