"""What became of events that an endpoint was to be told: shown, and sent again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox import notices, settling
from alerts.outbox.envelope import TO_PROGRAMS
from alerts.outbox.notices import Draft, To
from alerts.outbox.tables import delivery, notice
from monitor.store import audit, events
from monitor.store.engine import Database
from monitor.store.events import Event
from monitor.store.retry import retried
from monitor.text.ids import derived_id

PART = 500  # events that are sent again in one transaction
_STATES = {"handed": "sending", "unconfirmed": "failed", "refused": "failed"}
STATES = ("waiting", "sending", "sent", "failed", "withdrawn")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint: its state, after so many attempts, with which last answer."""

    id: str
    place: int
    event: str
    type: str
    state: str
    attempts: int
    answer: str
    next_at: datetime | None
    settled_at: datetime | None


def name_of(event_id: str, endpoint_id: str) -> str:
    """Return the id of what brings an event to an endpoint: the same each time it is planned."""
    return derived_id("dlv", event_id, endpoint_id)


def draft_of(event: Event, now: datetime) -> Draft:
    """Return the notice of an event."""
    return Draft(TO_PROGRAMS, event.type, event.id, (), "a program asked for it", now)


def to(event: Event, endpoint_id: str) -> To:
    """Return the envelope of an event for an endpoint."""
    return To(endpoint_id, endpoint_id, name_of(event.id, endpoint_id))


_ROWS = select(
    delivery.c.id, delivery.c.message_id, delivery.c.state, delivery.c.attempts, delivery.c.answer,
    delivery.c.next_at, delivery.c.settled_at, notice.c.audience, notice.c.kind,
).join(notice, notice.c.id == delivery.c.notice).where(notice.c.slot == TO_PROGRAMS)  # fmt: skip


async def page(
    database: Database, endpoint_id: str, limit: int, *, before: int | None = None, state: str = ""
) -> list[Delivery]:
    """Return deliveries to an endpoint, the newest first, before a place; all, or those in a state."""
    query = _ROWS.where(delivery.c.channel == endpoint_id)
    if before is not None:
        query = query.where(delivery.c.id < before)
    if state:
        query = query.where(
            delivery.c.state.in_([one for one in _all_states() if _STATES.get(one, one) == state])
        )
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(delivery.c.id.desc()).limit(limit))
        return [_read(row) for row in rows]


def _all_states() -> list[str]:
    return [*STATES, *_STATES]


async def find(database: Database, endpoint_id: str, name: str) -> Delivery | None:
    """Return a delivery to an endpoint by its id."""
    query = _ROWS.where(delivery.c.channel == endpoint_id, delivery.c.message_id == name)
    async with database.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    return None if row is None else _read(row)


def _read(row: Any) -> Delivery:
    open_ = row.state in ("waiting", "sending", "handed")
    return Delivery(
        row.message_id, row.id, row.audience, row.kind, _STATES.get(row.state, row.state), row.attempts,
        row.answer, row.next_at if open_ else None, row.settled_at,
    )  # fmt: skip


async def counted(database: Database, endpoint_id: str, limit: int = 1000) -> dict[str, int]:
    """Return how many deliveries to an endpoint wait and failed, counted up to a limit."""
    found = {}
    async with database.read() as conn:
        for state in ("waiting", "failed"):
            some = select(delivery.c.id).where(delivery.c.channel == endpoint_id, delivery.c.state == state)
            found[state] = len((await conn.execute(some.limit(limit))).all())
    return found


@retried
async def again(database: Database, endpoint_id: str, name: str, now: datetime, actor: str) -> bool:
    """Send what was settled once more, with the same id; False where there is none of this name."""
    async with database.write() as conn:
        found = await _anew(conn, endpoint_id, [name], now)
        if found:
            await audit.record(conn, now, actor, "webhook.replay", endpoint_id, delivery=name)
    return bool(found)


async def replay(
    database: Database,
    endpoint_id: str,
    wants: Any,
    types: Collection[str],
    since: datetime,
    until: datetime,
    now: datetime,
    actor: str,
) -> int:
    """Send again what came about in a time and an endpoint wants, delivered or not; return how many events.

    `wants` says of an event whether it does. Ids are those of the first time.
    """
    total, after = 0, 0
    while True:
        seen, last, sent = await _some(database, endpoint_id, wants, types, since, until, after, now, actor)
        total += sent
        if seen < PART:
            return total
        after = last


@retried
async def _some(
    database: Database,
    endpoint_id: str,
    wants: Any,
    types: Collection[str],
    since: datetime,
    until: datetime,
    after: int,
    now: datetime,
    actor: str,
) -> tuple[int, int, int]:
    async with database.write() as conn:
        found = await events.between(conn, since, until, types, after, PART)
        mine = [one for one in found if wants(one)]
        known = await _anew(conn, endpoint_id, [name_of(one.id, endpoint_id) for one in mine], now)
        new = [one for one in mine if name_of(one.id, endpoint_id) not in known]
        await notices.put_open(
            conn, [draft_of(one, now) for one in new], [[to(one, endpoint_id)] for one in new], now
        )
        if mine:
            await audit.record(
                conn, now, actor, "webhook.replay", endpoint_id, since=since.isoformat(),
                until=until.isoformat(), events=len(mine),
            )  # fmt: skip
        return len(found), found[-1].number if found else after, len(mine)


async def _anew(conn: AsyncConnection, endpoint_id: str, names: Sequence[str], now: datetime) -> set[str]:
    """Let deliveries wait again that were settled; return those of these names that there are."""
    if not names:
        return set()
    mine = (
        select(delivery.c.id, delivery.c.notice, delivery.c.message_id, delivery.c.state)
        .where(delivery.c.channel == endpoint_id, delivery.c.message_id.in_(names))
        .order_by(delivery.c.id)
        .with_for_update()
    )
    rows = (await conn.execute(mine)).all()
    over = [row for row in rows if row.state not in ("sending", "handed")]
    await conn.execute(
        update(delivery)
        .where(delivery.c.id.in_([row.id for row in over]))
        .values(state="waiting", attempts=0, next_at=now, settled_at=None, answer="")
    )
    await conn.execute(
        update(notice)
        .where(notice.c.id.in_(sorted({row.notice for row in over})))
        .values(state="sending", outcome="", settled_at=now)
    )
    return {row.message_id for row in rows}


async def end_all(conn: AsyncConnection, endpoint_id: str, why: str, now: datetime) -> None:
    """Give up what waits for an endpoint."""
    ended = await conn.execute(
        update(delivery)
        .where(
            delivery.c.channel == endpoint_id,
            or_(
                delivery.c.state == "waiting",
                delivery.c.state.in_(["sending", "handed"]) & (delivery.c.lease_until <= now),
            ),
        )
        .values(state="failed", answer=why[:500], settled_at=now, lease_by=None, lease_until=None)
        .returning(delivery.c.notice)
    )
    for number in sorted(set(ended.scalars())):
        await settling.conclude(conn, number, now, why)
