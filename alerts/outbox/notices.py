"""A notice before and after it is sent: written, changed, opened, taken back, and forgotten in the end.

Whoever plans notices holds lock 2 (`incidents.one_at_a_time`); a delivery is locked before its notice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, insert, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox import settling
from alerts.outbox.envelope import Item
from alerts.outbox.tables import delivery, notice, notice_item
from monitor.health.events import Type
from monitor.store.engine import Database
from monitor.store.retry import retried


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice that is to wait until it is due. `content` is stored, and handed to whoever sends it."""

    slot: str
    kind: str
    audience: str  # who is told, as one word: of each slot, one notice at most waits for an audience
    recipients: tuple[str, ...]
    reason: str
    due_at: datetime
    client: str = ""
    locale: str = "en"
    timezone: str = "UTC"
    number: int = 0
    requested_by: str | None = None
    content: dict[str, Any] | None = None
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class To:
    """One envelope of a notice: over which channel, to whom, and an id that is the same for every attempt."""

    channel: str
    address: str
    message_id: str


async def add(conn: AsyncConnection, draft: Draft, now: datetime) -> int:
    """Write a notice with what it is about; return its number, under which it is addressed."""
    content = {} if draft.content is None else {"matter": draft.content}  # None would be JSON's null
    made = await conn.execute(
        insert(notice)
        .values(
            slot=draft.slot, kind=draft.kind, client=draft.client, audience=draft.audience,
            locale=draft.locale, timezone=draft.timezone, recipients=list(draft.recipients),
            number=draft.number, reason=draft.reason, requested_by=draft.requested_by, state="waiting",
            outcome="", planned_at=now, due_at=draft.due_at, **content,
        )
        .returning(notice.c.id)
    )  # fmt: skip
    number = int(made.scalar_one())
    await _put_items(conn, number, draft.items)
    return number


async def address(conn: AsyncConnection, number: int, to: Sequence[To], due_at: datetime) -> None:
    """Give a notice its envelopes."""
    if to:
        await conn.execute(
            insert(delivery),
            [
                {
                    "notice": number, "channel": one.channel, "address": one.address, "state": "waiting",
                    "attempts": 0, "answer": "", "message_id": one.message_id, "next_at": due_at,
                }
                for one in to
            ],
        )  # fmt: skip


async def put_open(
    conn: AsyncConnection, drafts: Sequence[Draft], to: Sequence[Sequence[To]], now: datetime
) -> None:
    """Write notices that are to be sent at once, each with its envelopes.

    An envelope whose id is there already is not written again.
    """
    if not drafts:
        return
    values = [
        {
            "slot": one.slot, "kind": one.kind, "client": one.client, "audience": one.audience,
            "locale": one.locale, "timezone": one.timezone, "recipients": list(one.recipients),
            "number": one.number, "reason": one.reason, "requested_by": one.requested_by, "state": "sending",
            "outcome": "", "planned_at": now, "due_at": one.due_at, "settled_at": now,
        }
        for one in drafts
    ]  # fmt: skip
    made = await conn.execute(insert(notice).returning(notice.c.id, sort_by_parameter_order=True), values)
    rows = [
        {
            "notice": number, "channel": one.channel, "address": one.address, "state": "waiting",
            "attempts": 0, "answer": "", "message_id": one.message_id, "next_at": now,
        }
        for number, some in zip(made.scalars().all(), to, strict=True)
        for one in some
    ]  # fmt: skip
    new: Any = sqlite_insert if conn.dialect.name == "sqlite" else postgres_insert
    await conn.execute(new(delivery).on_conflict_do_nothing(index_elements=["message_id"]), rows)


async def rewrite(conn: AsyncConnection, notice_id: int, items: Sequence[Item], **values: Any) -> None:
    """Change a notice that waits, and what it is about."""
    await conn.execute(update(notice).where(notice.c.id == notice_id).values(**values))
    await conn.execute(delete(notice_item).where(notice_item.c.notice == notice_id))
    await _put_items(conn, notice_id, items)


async def _put_items(conn: AsyncConnection, number: int, items: Sequence[Item]) -> None:
    if items:
        await conn.execute(
            insert(notice_item),
            [
                {
                    "notice": number, "connection": item.connection, "incident": item.incident,
                    "cause": item.cause, "since": item.since,
                }
                for item in items
            ],
        )  # fmt: skip


async def items_of(conn: AsyncConnection, numbers: Sequence[int]) -> dict[int, tuple[Item, ...]]:
    """Return what notices are about, by their numbers."""
    rows = await conn.execute(
        select(notice_item).where(notice_item.c.notice.in_(numbers)).order_by(notice_item.c.connection)
    )
    found: dict[int, list[Item]] = {}
    for row in rows:
        found.setdefault(row.notice, []).append(Item(row.connection, row.incident, row.cause, row.since))
    return {number: tuple(items) for number, items in found.items()}


def about_no_incident() -> Select[Any]:
    """Return the query for the connections that something was said about without an incident."""
    return select(notice_item.c.connection).where(notice_item.c.incident.is_(None))


async def open_now(conn: AsyncConnection, number: int, now: datetime) -> None:
    """Turn a notice that waits into messages that are to be sent: `claims.claim` finds them."""
    await conn.execute(update(delivery).where(delivery.c.notice == number).values(next_at=now))
    await conn.execute(
        update(notice).where(notice.c.id == number).values(state="sending", settled_at=now, look_at=None)
    )


async def fail(conn: AsyncConnection, number: int, why: str, now: datetime) -> None:
    """Note that a notice can be sent to nobody."""
    failed = await conn.execute(
        update(notice)
        .where(notice.c.id == number)
        .values(state="failed", outcome=why, settled_at=now)
        .returning(notice.c.client, notice.c.kind)
    )
    row = failed.one()
    if row.client:
        await settling.say(conn, Type.NOTICE_FAILED, number, row.kind, now)


async def withdraw(
    conn: AsyncConnection, number: int, why: str, now: datetime, *, whatever_became: bool = False
) -> None:
    """Take a notice back. Envelopes that were tried stay as they are, unless `whatever_became` of them."""
    mine = update(delivery).where(delivery.c.notice == number)
    mine = mine if whatever_became else mine.where(delivery.c.state == "waiting")
    await conn.execute(mine.values(state="withdrawn", settled_at=now))
    await conn.execute(
        update(notice)
        .where(notice.c.id == number)
        .values(state="withdrawn", outcome=why, settled_at=now, look_at=None)
    )


async def stop_trying(conn: AsyncConnection, number: int, why: str, now: datetime) -> set[str]:
    """Take back what of a notice did not get out; return the channels that have it, or may have it.

    Where that is none, it was never told: all of it is taken back.
    """
    mine = delivery.c.notice == number
    await conn.execute(
        update(delivery).where(mine, delivery.c.state == "waiting").values(state="withdrawn", settled_at=now)
    )
    took = select(delivery.c.channel).where(
        mine, delivery.c.state.in_(["sent", "sending", "handed", "unconfirmed"])
    )
    names = set((await conn.execute(took)).scalars())
    if not names:
        await withdraw(conn, number, why, now, whatever_became=True)
        return names
    still = exists().where(mine, delivery.c.state.in_(["waiting", "sending", "handed"]))
    await conn.execute(
        update(notice).where(notice.c.id == number, notice.c.state == "sending", ~still).values(state="sent")
    )
    return names


async def keep_only(conn: AsyncConnection, number: int, channels: Collection[str]) -> None:
    """Drop the envelopes of a notice that waits, but those over these channels."""
    await conn.execute(
        delete(delivery).where(delivery.c.notice == number, delivery.c.channel.not_in(channels))
    )


@retried
async def forget(database: Database, before: datetime, slots: Collection[str] = ()) -> int:
    """Drop notices that were settled before a time, with their envelopes; return how many.

    Those of some slots, or of all.
    """
    old = (
        select(notice.c.id)
        .where(
            notice.c.settled_at < before,
            notice.c.state.in_(["sent", "failed", "withdrawn"]),
            notice.c.slot.in_(sorted(slots)) if slots else true(),
        )
        .with_for_update(skip_locked=True)
    )
    async with database.write() as conn:
        return int((await conn.execute(notice.delete().where(notice.c.id.in_(old)))).rowcount)
