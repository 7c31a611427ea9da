"""Due notices turn into mails to be sent, after one more look: what is still true, and its probes fresh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import forward, fuse, reconcile, truth
from alerts.mails.plan import stale
from alerts.mails.standing import TO_OPERATOR, Slot
from alerts.mails.story import MAIL
from alerts.mails.voice import Voice
from alerts.outbox import notices
from alerts.outbox.tables import notice
from monitor.store import due, incidents
from monitor.store.engine import Database
from monitor.store.retry import retried

LOOK_AGAIN = timedelta(seconds=5)


async def open_due(
    database: Database, voice: Voice, cap: fuse.Cap, now: datetime, limit: int = 50
) -> tuple[list[int], fuse.FuseState]:
    """Turn due notices into mails to be sent, after one more look; return them, and how the fuse is."""
    async with database.read() as conn:
        state = await fuse.read(conn)
        # A blown fuse is looked at again also when nothing else is due: what it held may have healed.
        if not await _due(conn, now, 1) and state.blown_at is None:
            return [], state
    opened, old, state = await _open_those_true(database, voice, cap, now, limit)
    if old:
        await due.bring_forward(database, old, now)
    return opened, state


@retried
async def _open_those_true(
    database: Database, voice: Voice, cap: fuse.Cap, now: datetime, limit: int
) -> tuple[list[int], list[str], fuse.FuseState]:
    """Open what is due; return that, and the connections whose probe is too old to write about."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        blown = (await fuse.read(conn)).blown_at is not None
        first = await _due(conn, now, limit, blown=blown)
        await reconcile.bring_in_line(conn, {row.client for row in first}, voice, now)
        state = await fuse.judge(conn, voice, cap, now)
        opened: list[int] = []
        stale_ones: list[str] = []
        for row in await _due(conn, now, limit, blown=state.blown_at is not None):
            if forward.brought(row) and not await forward.still_true(conn, row, voice, now):
                await notices.withdraw(conn, row.id, "no longer true, or held, when it could be sent", now)
                continue
            old = await _too_old(conn, row, voice, now)
            if old is None:
                continue  # what is true of this client cannot be read: nothing is said
            if old:
                await _look_later(conn, row.id, now)
                stale_ones += old
                continue
            await _open(conn, row, now)
            opened.append(row.id)
        return opened, stale_ones, state


async def _due(conn: AsyncConnection, now: datetime, limit: int, *, blown: bool = False) -> Sequence[Any]:
    # What a blown fuse holds must not stand in the way of what may go out.
    rows = await conn.execute(
        select(notice)
        .where(
            fuse.may_go(blown=blown),
            notice.c.slot.in_(sorted(MAIL.slots)),
            notice.c.state == "waiting",
            notice.c.due_at <= now,
            or_(notice.c.look_at.is_(None), notice.c.look_at <= now),
        )
        .order_by(notice.c.due_at, notice.c.id)
        .limit(limit)
    )
    return rows.all()


async def _too_old(conn: AsyncConnection, row: Any, voice: Voice, now: datetime) -> list[str] | None:
    """Return the connections of a notice whose probe is too old; None where the client cannot be read.

    What a person asked for is sent as it is, but for what was only brought forward.
    """
    asked_for = row.requested_by is not None and not forward.brought(row)
    if asked_for or row.slot not in (Slot.ASK, Slot.REMINDER):
        return []
    standing = (await truth.stand(conn, [row.client], voice, now)).get(row.audience)
    if standing is not None and standing.fault:
        return None
    items = await notices.items_of(conn, [row.id])
    return stale(items.get(row.id, ()), standing.cases if standing else (), voice.policy, now)


async def _look_later(conn: AsyncConnection, number: int, now: datetime) -> None:
    await conn.execute(update(notice).where(notice.c.id == number).values(look_at=now + LOOK_AGAIN))


async def _open(conn: AsyncConnection, row: Any, now: datetime) -> None:
    await _note_told(conn, row, now)
    if row.recipients:
        await notices.open_now(conn, row.id, now)
    else:
        to_operator = row.slot in TO_OPERATOR
        why = "email.operator is not set" if to_operator else "no address"
        await notices.fail(conn, row.id, why, now)


async def _note_told(conn: AsyncConnection, row: Any, now: datetime) -> None:
    """Tell the fleet guard who is told: it holds only what nobody was told about."""
    if row.slot in (Slot.ASK, Slot.HANDOVER):
        items = (await notices.items_of(conn, [row.id])).get(row.id, ())
        await incidents.note_told(conn, [item.incident for item in items if item.incident is not None], now)
