"""A mail that waits, brought forward because a person says so: as true as one that is due by itself.

It waits neither for its time nor for the morning, and no fuse holds it; but it is sent only if the plan has
it still, whatever day it is due: what the guard, a silence or a person holds stays in. From then on it is a
person's (`requested_by`), which no plan puts off again, and `look_at` says that it is looked at once more
just before it leaves.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import truth
from alerts.mails.still import PLANNED, would_be_said
from alerts.mails.voice import Voice
from alerts.outbox import notices
from alerts.outbox.tables import notice
from monitor.errors import Conflict, NotFound, Remedy
from monitor.store import audit, incidents
from monitor.store.engine import Database
from monitor.store.retry import retried


def brought(row: Any) -> bool:
    """Whether a notice that waits was brought forward: what a person asked for from nothing is not."""
    return row.requested_by is not None and row.look_at is not None


async def still_true(conn: AsyncConnection, row: Any, voice: Voice, now: datetime) -> bool:
    """Whether the plan has it still, whenever it would be due."""
    items = (await notices.items_of(conn, [row.id])).get(row.id, ())
    known = (await truth.stand(conn, [row.client], voice, now, without=[row.id])).get(row.audience)
    return (
        known is not None and not known.fault and would_be_said(row, items, known, voice, now, whenever=True)
    )


@retried
async def send_now(database: Database, voice: Voice, number: int, now: datetime, by: str) -> None:
    """Have a mail that waits go out now. Raises NotFound, and Conflict for what does not wait or is held."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        row = (await conn.execute(select(notice).where(notice.c.id == number))).one_or_none()
        if row is None:
            raise NotFound(f"There is no notice {number}.", Remedy("notices.list", "shows those there are"))
        if row.slot not in PLANNED:
            raise Conflict(f"Notice {number} is no mail that waits for its time.")
        if row.state != "waiting":
            raise Conflict(f"Notice {number} does not wait: it is {row.state}.")
        if row.requested_by is not None:
            raise Conflict(f"Notice {number} goes out already: {row.requested_by} asked for it.")
        if not await still_true(conn, row, voice, now):
            raise Conflict(f"Notice {number} is not sent: it is no longer true, or it is held.")
        await conn.execute(
            update(notice).where(notice.c.id == number).values(requested_by=by, due_at=now, look_at=now)
        )
        await audit.record(conn, now, by, "mail.send_now", f"notice {number}")
