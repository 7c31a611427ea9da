"""The outbox: what waits is claimed, handed over and settled, so that a crash neither repeats nor forgets.

1. `open_due`: a notice that is due is looked at once more. If it is still true and its probes are fresh,
   it turns from waiting to sending, and from then on is what it says.
2. `claim`: its envelopes are leased, one attempt each.
3. `hand_over`: durable, immediately before the final dot of the message. An envelope that is found in this
   state after a crash was most likely taken: it is `unconfirmed`, never sent again, and the next word to
   the client comes a day later instead of after days (`MailPolicy.unconfirmed`).
4. `settle`: what the server answered. A lease that ran out before step 3 is an attempt that did not happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, exists, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import fuse, ledger
from alerts.channels import Outcome
from alerts.ledger import Voice
from alerts.notices import Item, Kind, Slot, stale
from alerts.oncall import SLOTS as ONCALL
from alerts.oncall import oldest_sending
from alerts.tables import address, delivery, notice, notice_item
from monitor.health.causes import Cause
from monitor.store import incidents
from monitor.store.engine import Database
from monitor.store.tables import watch

LEASE = timedelta(minutes=5)  # longer than an SMTP server may take for everything before the dot
LOOK_AGAIN = timedelta(seconds=5)
# After a failure that passes: so long until the next attempt. The last one is repeated.
BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 3, 10, 30, 60, 120))
GIVE_UP = timedelta(days=3)
# Pages are tried again sooner, and a channel's lease is short: a page that is late is a page lost.
PAGE_LEASE = timedelta(minutes=1)
PAGE_BACK_OFF = tuple(timedelta(seconds=s) for s in (10, 30, 60, 120, 300))


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


async def plan_all(database: Database, voice: Voice, now: datetime) -> None:
    """Bring every client's waiting notices in line with what is true: the timer's work."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        await ledger.bring_in_line(conn, await ledger.with_open_matters(conn, voice, now), voice, now)


async def open_due(
    database: Database, voice: Voice, cap: fuse.Cap, now: datetime, limit: int = 50
) -> tuple[list[int], fuse.State]:
    """Turn due notices into mails to be sent, after one more look; return them, and how the fuse is."""
    async with database.read() as conn:
        state = await fuse.read(conn)
        # A blown fuse is looked at again also when nothing else is due: what it held may have healed.
        if not await _due(conn, now, 1) and state.blown_at is None:
            return [], state
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        blown = (await fuse.read(conn)).blown_at is not None
        first = await _due(conn, now, limit, blown=blown)
        await ledger.bring_in_line(conn, {row.client for row in first}, voice, now)
        state = await fuse.judge(conn, voice, cap, now)
        opened = []
        for row in await _due(conn, now, limit, blown=state.blown_at is not None):
            automatic = row.requested_by is None
            if (
                automatic
                and row.slot in (Slot.ASK, Slot.REMINDER)
                and not await _fresh(conn, row, voice, now)
            ):
                continue
            await _open(conn, row, now)
            opened.append(row.id)
        return opened, state


async def _due(conn: AsyncConnection, now: datetime, limit: int, *, blown: bool = False) -> Sequence[Any]:
    # What a blown fuse holds must not stand in the way of what may go out.
    may_go = ~fuse.counts() if blown else true()
    rows = await conn.execute(
        select(notice)
        .where(
            may_go,
            notice.c.slot.not_in(ONCALL),
            notice.c.state == "waiting",
            notice.c.due_at <= now,
            or_(notice.c.look_at.is_(None), notice.c.look_at <= now),
        )
        .order_by(notice.c.due_at, notice.c.id)
        .limit(limit)
    )
    return rows.all()


async def _fresh(conn: AsyncConnection, row: Any, voice: Voice, now: datetime) -> bool:
    """Whether the probes behind a notice are young; if not, have them made now and look again soon."""
    standing = (await ledger.stand(conn, [row.client], voice, now)).get(row.audience)
    items = await _items(conn, [row.id])
    old = stale(items.get(row.id, ()), standing.cases if standing else (), voice.policy, now)
    if not old:
        return True
    await conn.execute(
        update(watch)
        .where(watch.c.connection.in_(old), watch.c.next_probe_at > now)
        .values(next_probe_at=now)
    )
    await conn.execute(update(notice).where(notice.c.id == row.id).values(look_at=now + LOOK_AGAIN))
    return False


async def _open(conn: AsyncConnection, row: Any, now: datetime) -> None:
    await _note_told(conn, row, now)
    if not row.recipients:
        why = "email.operator is not set" if row.slot in (Slot.HANDOVER, Slot.FUSE) else "no address"
        await conn.execute(
            update(notice).where(notice.c.id == row.id).values(state="failed", outcome=why, settled_at=now)
        )
        return
    await conn.execute(update(notice).where(notice.c.id == row.id).values(state="sending", settled_at=now))
    await conn.execute(update(delivery).where(delivery.c.notice == row.id).values(next_at=now))


async def _note_told(conn: AsyncConnection, row: Any, now: datetime) -> None:
    """Tell the fleet guard who is told: it holds only what nobody was told about."""
    if row.slot in (Slot.ASK, Slot.HANDOVER):
        items = (await _items(conn, [row.id])).get(row.id, ())
        await incidents.note_told(conn, [item.incident for item in items if item.incident is not None], now)


# -- envelopes ----------------------------------------------------------------------------------------


async def claim(database: Database, process: str, now: datetime, limit: int = 20) -> list[Envelope]:
    """Lease envelopes that are to be sent now. Those whose sender died are freed, or unconfirmed."""
    mails = delivery.c.channel == "email"
    async with database.read() as conn:
        if not await _claimable(conn, mails, now, 1):
            return []
    async with database.write() as conn:
        rows = await _lease(conn, mails, process, now, limit, LEASE)
        items = await _items(conn, [row.notice for row in rows])
        threads = await _threads(conn, rows, items)
        return [
            Envelope(
                id=row.id, notice=row.notice, slot=Slot(row.slot), kind=Kind(row.kind), client=row.client,
                locale=row.locale, timezone=row.timezone, number=row.number, address=row.address,
                message_id=row.message_id, thread=threads.get(row.id), attempts=row.attempts + 1,
                items=items.get(row.notice, ()),
            )
            for row in rows
        ]  # fmt: skip


async def claim_signals(database: Database, process: str, now: datetime, limit: int = 20) -> list[Signal]:
    """Lease pages and their ends. One whose sender died goes out again: twice is better than never."""
    signals = delivery.c.channel != "email"
    async with database.read() as conn:
        if not await _claimable(conn, signals, now, 1):
            return []
    async with database.write() as conn:
        rows = await _lease(conn, signals, process, now, limit, PAGE_LEASE)
        return [
            Signal(
                row.id, row.notice, Slot(row.slot), row.audience, row.channel, row.attempts + 1,
                row.planned_at, row.matter or {},
            )
            for row in rows
        ]  # fmt: skip


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
            notice.c.locale, notice.c.timezone, notice.c.number, notice.c.planned_at, notice.c.matter,
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
    rows = (
        await conn.execute(
            update(delivery)
            .where(delivery.c.state.in_(["sending", "handed"]), delivery.c.lease_until <= now)
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
    for number in {row.notice for row in rows}:
        await _conclude(conn, number, now)


async def free_all(database: Database, now: datetime) -> None:
    """Take every lease to be void: on SQLite, where this process is the only one, at its start."""
    async with database.write() as conn:
        await conn.execute(
            update(delivery).where(delivery.c.state.in_(["sending", "handed"])).values(lease_until=now)
        )
        await _recover(conn, now)


async def _items(conn: AsyncConnection, notices: Sequence[int]) -> dict[int, tuple[Item, ...]]:
    rows = await conn.execute(
        select(notice_item).where(notice_item.c.notice.in_(notices)).order_by(notice_item.c.connection)
    )
    found: dict[int, list[Item]] = {}
    for row in rows:
        found.setdefault(row.notice, []).append(
            Item(row.connection, row.incident, Cause(row.cause), row.since)
        )
    return {number: tuple(items) for number, items in found.items()}


async def _threads(
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


async def hand_over(database: Database, process: str, envelope: int) -> bool:
    """Note durably that the next thing is the final dot. False when the lease is no longer ours."""
    async with database.write() as conn:
        done = await conn.execute(
            update(delivery)
            .where(delivery.c.id == envelope, delivery.c.lease_by == process, delivery.c.state == "sending")
            .values(state="handed")
        )
        return done.rowcount == 1


async def settle(
    database: Database,
    process: str,
    envelope: Envelope | Signal,
    outcome: Outcome,
    answer: str,
    now: datetime,
) -> bool:
    """Write what became of an attempt, and of the notice where it was the last of its envelopes.

    True when that makes the notice one that was told.
    """
    async with database.write() as conn:
        mine = and_(delivery.c.id == envelope.id, delivery.c.lease_by == process)
        free = {"lease_by": None, "lease_until": None, "answer": answer[:500]}
        if outcome is Outcome.LATER:
            planned = (
                await conn.execute(select(notice.c.settled_at).where(notice.c.id == envelope.notice))
            ).scalar()
            if planned is not None and now - planned > GIVE_UP:
                outcome = Outcome.FAILED
            else:
                steps = BACK_OFF if isinstance(envelope, Envelope) else PAGE_BACK_OFF
                wait = steps[min(envelope.attempts, len(steps)) - 1]
                await conn.execute(
                    update(delivery).where(mine).values(state="waiting", next_at=now + wait, **free)
                )
                return False
        done = await conn.execute(
            update(delivery).where(mine).values(state=outcome.value, settled_at=now, **free)
        )
        if done.rowcount == 0:
            return False
        if isinstance(envelope, Envelope):
            await _note_address(conn, envelope.address, outcome, answer, now)
        return await _conclude(conn, envelope.notice, now)


async def _note_address(conn: AsyncConnection, to: str, outcome: Outcome, answer: str, now: datetime) -> None:
    if outcome is Outcome.REFUSED:
        make = sqlite_insert if conn.dialect.name == "sqlite" else postgres_insert
        added = make(address).values(address=to, refused_at=now, answer=answer[:500])
        await conn.execute(
            added.on_conflict_do_update(
                index_elements=["address"],
                set_={"refused_at": added.excluded.refused_at, "answer": added.excluded.answer},
            )
        )
    elif outcome is Outcome.SENT:
        await conn.execute(address.delete().where(address.c.address == to))


async def _conclude(conn: AsyncConnection, number: int, now: datetime) -> bool:
    """Close a notice when none of its envelopes is open any more; True where somebody has it now."""
    still = exists().where(
        delivery.c.notice == number, delivery.c.state.in_(["waiting", "sending", "handed"])
    )
    taken = exists().where(delivery.c.notice == number, delivery.c.state.in_(["sent", "unconfirmed"]))
    done = await conn.execute(
        update(notice)
        .where(notice.c.id == number, notice.c.state == "sending", ~still)
        .values(
            state=case((taken, "sent"), else_="failed"),
            outcome=case((taken, ""), else_="no address takes it"),
            settled_at=now,
        )
        .returning(notice.c.state)
    )
    return bool(done.scalar() == "sent")


async def forget(database: Database, before: datetime) -> int:
    """Drop notices that were settled before a time, with their envelopes; return how many."""
    async with database.write() as conn:
        done = await conn.execute(
            notice.delete().where(
                notice.c.settled_at < before, notice.c.state.in_(["sent", "failed", "withdrawn"])
            )
        )
        return int(done.rowcount)


async def oldest_waiting(database: Database, now: datetime, *, oncall: bool = False) -> float:
    """Return for how many seconds the oldest mail, or page, that should be out has been waiting."""
    which = notice.c.slot.in_(ONCALL) if oncall else notice.c.slot.not_in(ONCALL)
    async with database.read() as conn:
        oldest = await oldest_sending(conn, which)
    return max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
