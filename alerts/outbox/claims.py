"""What waits to be sent is leased, one attempt each, so that a crash neither repeats nor forgets.

1. A story opens a notice that is due (`notices.open_now`): from then on it is what it says.
2. `claim`: its envelopes are leased. A lease that ran out is an attempt that did not happen; one that could
   not be made at all is given back as it was (`give_back`).
3. `settling.hand_over`: durable, immediately before whatever cannot be taken back. An envelope that is found
   in this state after a crash was most likely taken: it is `unconfirmed`, and never sent again.
4. `settling.settle`: what the other side answered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox import notices, settling
from alerts.outbox.envelope import Envelope, Story
from alerts.outbox.tables import delivery, notice
from monitor.store.engine import Database
from monitor.store.retry import retried


async def has_work(database: Database, story: Story, now: datetime) -> bool:
    """Whether there is an envelope of this story to be tried now."""
    async with database.read() as conn:
        return bool(await _claimable(conn, _of(story), now, 1))


@retried
async def claim(
    database: Database,
    story: Story,
    process: str,
    now: datetime,
    limit: int = 20,
    *,
    over: str | None = None,
    but: Collection[str] = (),
) -> list[Envelope]:
    """Lease envelopes of a story that are to be sent now: over one channel, or over all but some.

    Those whose sender died are freed, or unconfirmed.
    """
    which = _of(story) & (delivery.c.channel.not_in(but) if over is None else delivery.c.channel == over)
    async with database.read() as conn:
        if not await _claimable(conn, which, now, 1):
            return []
    async with database.write() as conn:
        rows = await _lease(conn, which, process, now, limit, story.lease)
        items = await notices.items_of(conn, [row.notice for row in rows])
        return [
            Envelope(
                id=row.id, notice=row.notice, slot=row.slot, kind=row.kind, audience=row.audience,
                client=row.client, locale=row.locale, timezone=row.timezone, number=row.number,
                reason=row.reason, channel=row.channel, address=row.address, message_id=row.message_id,
                attempts=row.attempts + 1, planned_at=row.planned_at, opened_at=row.opened_at,
                content=row.matter or {}, items=items.get(row.notice, ()),
            )
            for row in rows
        ]  # fmt: skip


def _of(story: Story) -> ColumnElement[bool]:
    return notice.c.slot.in_(sorted(story.slots))


async def _lease(
    conn: AsyncConnection, which: Any, process: str, now: datetime, limit: int, span: timedelta
) -> Sequence[Any]:
    await _recover(conn, now)
    rows = await _claimable(conn, which, now, limit)
    await conn.execute(
        update(delivery)
        .where(delivery.c.id.in_([row.id for row in rows]))
        .values(state="sending", attempts=delivery.c.attempts + 1, lease_by=process, lease_until=now + span)
    )
    return rows


async def _claimable(conn: AsyncConnection, which: Any, now: datetime, limit: int) -> Sequence[Any]:
    expired = delivery.c.lease_until <= now
    rows = await conn.execute(
        select(
            delivery.c.id, delivery.c.notice, delivery.c.address, delivery.c.channel, delivery.c.message_id,
            delivery.c.attempts, notice.c.slot, notice.c.kind, notice.c.client, notice.c.audience,
            notice.c.locale, notice.c.timezone, notice.c.number, notice.c.reason, notice.c.planned_at,
            notice.c.settled_at.label("opened_at"), notice.c.matter,
        )
        .join(notice, notice.c.id == delivery.c.notice)
        .where(
            which,
            or_(
                and_(
                    notice.c.state == "sending", delivery.c.state == "waiting", delivery.c.next_at <= now
                ),
                and_(delivery.c.state.in_(["sending", "handed"]), expired),
            ),
        )
        .order_by(delivery.c.next_at, delivery.c.id)
        .limit(limit)
        .with_for_update(of=delivery, skip_locked=True)
    )  # fmt: skip
    return rows.all()


async def _recover(conn: AsyncConnection, now: datetime) -> None:
    orphans = (
        select(delivery.c.id)
        .where(delivery.c.state.in_(["sending", "handed"]), delivery.c.lease_until <= now)
        .order_by(delivery.c.id)
        .with_for_update(skip_locked=True)
    )
    rows = (
        await conn.execute(
            update(delivery)
            .where(delivery.c.id.in_(list((await conn.execute(orphans)).scalars())))
            .values(
                state=case((delivery.c.state == "handed", "unconfirmed"), else_="waiting"),
                answer=case(
                    (delivery.c.state == "handed", "the sender stopped before the answer"), else_=""
                ),
                settled_at=case((delivery.c.state == "handed", now), else_=None),
                next_at=now, lease_by=None, lease_until=None,
            )
            .returning(delivery.c.notice)
        )
    ).all()  # fmt: skip
    for number in sorted({row.notice for row in rows}):
        await settling.conclude(conn, number, now)


@retried
async def free_all(database: Database, now: datetime) -> None:
    """Take every lease to be void: on SQLite, where this process is the only one, at its start."""
    async with database.write() as conn:
        await conn.execute(
            update(delivery).where(delivery.c.state.in_(["sending", "handed"])).values(lease_until=now)
        )
        await _recover(conn, now)


@retried
async def give_back(
    database: Database, process: str, envelopes: Sequence[int], *, until: datetime | None = None
) -> None:
    """Free envelopes that were claimed and not tried: no attempt is counted, and no wait but `until`.

    One that was handed over meanwhile stays as it is.
    """
    when = {} if until is None else {"next_at": until}
    async with database.write() as conn:
        await conn.execute(
            update(delivery)
            .where(
                delivery.c.id.in_(envelopes), delivery.c.lease_by == process, delivery.c.state == "sending"
            )
            .values(
                state="waiting", attempts=delivery.c.attempts - 1, lease_by=None, lease_until=None, **when
            )
        )
