"""What became of an attempt is written down: of the envelope, and of its notice with the last of them."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from sqlalchemy import case, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox.envelope import Envelope, Outcome, Story
from alerts.outbox.tables import delivery, notice, notice_item
from monitor.health.events import Type
from monitor.store import events
from monitor.store.engine import Database
from monitor.store.retry import retried


@retried
async def hand_over(database: Database, process: str, envelope: int) -> bool:
    """Note durably that the next thing is the final dot. False when the lease is no longer ours."""
    async with database.write() as conn:
        done = await conn.execute(
            update(delivery)
            .where(delivery.c.id == envelope, delivery.c.lease_by == process, delivery.c.state == "sending")
            .values(state="handed")
        )
        return done.rowcount == 1


@retried
async def settle(
    database: Database,
    story: Story,
    process: str,
    envelope: Envelope,
    outcome: Outcome,
    answer: str,
    now: datetime,
    *,
    not_before: datetime | None = None,
) -> bool:
    """Write what became of an attempt, and of the notice where it was the last of its envelopes.

    `not_before`: the other side said when it may be tried again. True when that makes the notice
    one that was told.
    """
    async with database.write() as conn:
        if outcome is Outcome.LATER:
            if not story.gives_up(envelope, now):
                next_at = now + story.wait(envelope.attempts, random.uniform(-1, 1))  # noqa: S311
                next_at = max(next_at, not_before or next_at)
                await _free(conn, process, envelope, answer, state="waiting", next_at=next_at)
                return False
            outcome, answer = Outcome.FAILED, f"given up after {envelope.attempts} attempts: {answer}"
        if not await _free(conn, process, envelope, answer, state=outcome.value, settled_at=now):
            return False
        if story.heard is not None:
            await story.heard(conn, envelope, outcome, answer, now)
        why = answer if outcome is Outcome.FAILED else story.nobody
        return await conclude(conn, envelope.notice, now, why)


async def _free(conn: AsyncConnection, process: str, envelope: Envelope, answer: str, **values: Any) -> bool:
    """Give up the lease of an envelope; False where it went to somebody else meanwhile."""
    done = await conn.execute(
        update(delivery)
        .where(delivery.c.id == envelope.id, delivery.c.lease_by == process)
        .values(lease_by=None, lease_until=None, answer=answer[:500], **values)
    )
    return done.rowcount == 1


async def conclude(conn: AsyncConnection, number: int, now: datetime, why: str = "") -> bool:
    """Close a notice when none of its envelopes is open any more; True where somebody has it now.

    `why` is noted where nobody has.
    """
    still = exists().where(
        delivery.c.notice == number, delivery.c.state.in_(["waiting", "sending", "handed"])
    )
    taken = exists().where(delivery.c.notice == number, delivery.c.state.in_(["sent", "unconfirmed"]))
    done = await conn.execute(
        update(notice)
        .where(notice.c.id == number, notice.c.state == "sending", ~still)
        .values(
            state=case((taken, "sent"), else_="failed"),
            outcome=case((taken, ""), else_=why[:500]),
            settled_at=now,
        )
        .returning(notice.c.state, notice.c.client, notice.c.kind)
    )
    row = done.one_or_none()
    if row is None:
        return False
    if row.client:
        await say(
            conn, Type.NOTICE_SENT if row.state == "sent" else Type.NOTICE_FAILED, number, row.kind, now
        )
    return bool(row.state == "sent")


async def say(conn: AsyncConnection, what: Type, number: int, kind: str, now: datetime) -> None:
    """Tell programs what became of a notice to a client, for each connection that it is about."""
    items = await conn.execute(
        select(notice_item.c.connection, notice_item.c.incident).where(notice_item.c.notice == number)
    )
    about = {row.connection: {"notice": number, "kind": kind, "incident": row.incident} for row in items}
    await events.concerned(conn, what, about, now)
