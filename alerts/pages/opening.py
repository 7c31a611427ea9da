"""Due pages turn into messages to be sent, after one more look; an end goes only where its page went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox import notices
from alerts.outbox.tables import notice
from alerts.pages import reconcile, told
from alerts.pages.story import SLOTS, Slot
from alerts.pages.truth import Oncall
from monitor.store import incidents
from monitor.store.engine import Database
from monitor.store.retry import retried


@retried
async def open_due(database: Database, oncall: Oncall, now: datetime) -> int:
    """Turn the pages and clearings that are due into messages to be sent; return how many."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        # Once more, just before it is said: what was over meanwhile is not told.
        await reconcile.bring_in_line(conn, oncall, now)
        return await _open_due(conn, now)


async def _open_due(conn: AsyncConnection, now: datetime) -> int:
    rows = (
        await conn.execute(
            select(notice.c.id, notice.c.slot, notice.c.audience)
            .where(notice.c.slot.in_(SLOTS), notice.c.state == "waiting", notice.c.due_at <= now)
            .order_by(notice.c.id)
        )
    ).all()
    for row in rows:
        if row.slot == Slot.CLEAR and not await _only_where_paged(conn, row.id, row.audience, now):
            continue
        await notices.open_now(conn, row.id, now)
    return len(rows)


async def _only_where_paged(conn: AsyncConnection, clear: int, key: str, now: datetime) -> bool:
    """Tell the end only to channels that took the page.

    False where no channel took it: then nobody has to be told that it is over.
    """
    page = (await told.paged(conn)).get(key)
    names = await notices.stop_trying(conn, page, "over before any channel took it", now) if page else set()
    if not names:
        await notices.withdraw(conn, clear, "nobody was told", now)
        return False
    await notices.keep_only(conn, clear, names)
    return True
