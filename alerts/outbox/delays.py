"""What keeps messages in: for how long the oldest have been on their way, and a fuse that is blown."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox.envelope import TO_PROGRAMS, Story
from alerts.outbox.tables import delivery, fuse, notice
from monitor.store.engine import Database


async def oldest_waiting(database: Database, story: Story, now: datetime) -> float:
    """Return for how many seconds the oldest message of a story that should be out has been waiting."""
    oldest = select(func.min(notice.c.settled_at)).where(
        notice.c.state == "sending", notice.c.slot.in_(sorted(story.slots))
    )
    async with database.read() as conn:
        since: datetime | None = (await conn.execute(oldest)).scalar()
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0


async def by_channel(conn: AsyncConnection, but: Collection[str] = ()) -> dict[str, datetime]:
    """Return since when the oldest message to people over each channel has been on its way; but some slots.

    A program that does not answer is for its owner to mend: it is told by itself when it is given up.
    """
    rows = await conn.execute(
        select(delivery.c.channel, func.min(notice.c.settled_at))
        .join(notice, notice.c.id == delivery.c.notice)
        .where(notice.c.state == "sending", notice.c.slot.not_in(sorted({*but, TO_PROGRAMS})))
        .group_by(delivery.c.channel)
    )
    return {channel: since for channel, since in rows if since is not None}


async def fuse_blown(conn: AsyncConnection) -> datetime | None:
    """Return since when a fuse holds messages back, None where none does."""
    blown: datetime | None = (
        await conn.execute(select(fuse.c.blown_at).where(fuse.c.blown_at.is_not(None)))
    ).scalar()
    return blown
