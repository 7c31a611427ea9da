"""The outbox: what waits is claimed, handed over and settled, so that a crash neither repeats nor forgets.

1. `open_due`: a notice that is due is looked at once more. If it is still true and its probes are fresh,
   it turns from waiting to sending, and from then on is what it says.
2. `claim`: its envelopes are leased, one attempt each.
3. `hand_over`: durable, immediately before the final dot of the message. An envelope that is found in this
   state after a crash was most likely taken: it is `unconfirmed`, never sent again, and the next word to
   the client comes a day later instead of after days (`MailPolicy.unconfirmed`).
4. `settle`: what the server answered. A lease that ran out before step 3 is an attempt that did not happen;
   one that could not be made at all is given back as it was (`give_back`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, exists, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.channels import Outcome
from alerts.mails import fuse, ledger
from alerts.mails.ledger import Voice
from alerts.mails.notices import NOBODY, Kind, Slot, stale
from alerts.outbox import envelopes
from alerts.outbox.envelopes import Envelope, Signal
from alerts.outbox.tables import address, delivery, notice
from alerts.pages.oncall import SLOTS as ONCALL
from alerts.pages.oncall import oldest_sending
from monitor.store import due, incidents
from monitor.store.engine import Database
from monitor.store.retry import retried

LEASE = timedelta(minutes=5)  # longer than an SMTP server may take for everything before the dot
LOOK_AGAIN = timedelta(seconds=5)
# After a failure that passes: so long until the next attempt. The last one is repeated.
BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 3, 10, 30, 60, 120))
# Three days of them. What counts is how often the server said no, not for how long it was away.
GIVE_UP = 40
# Pages are tried again sooner, and a channel's lease is short: a page that is late is a page lost.
PAGE_LEASE = timedelta(minutes=1)
PAGE_BACK_OFF = tuple(timedelta(seconds=s) for s in (10, 30, 60, 120, 300))
# A page is tried for as long as its matter stands; only its end becomes old news.
STALE_CLEAR = timedelta(days=3)


@retried
async def plan_all(database: Database, voice: Voice, now: datetime) -> int:
    """Bring every client's waiting notices in line with what is true: the timer's work.

    Return for how many clients that was not possible.
    """
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        return await ledger.bring_in_line(conn, await ledger.with_open_matters(conn, voice, now), voice, now)


async def open_due(
    database: Database, voice: Voice, cap: fuse.Cap, now: datetime, limit: int = 50
) -> tuple[list[int], fuse.State]:
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
) -> tuple[list[int], list[str], fuse.State]:
    """Open what is due; return that, and the connections whose probe is too old to write about."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        blown = (await fuse.read(conn)).blown_at is not None
        first = await _due(conn, now, limit, blown=blown)
        await ledger.bring_in_line(conn, {row.client for row in first}, voice, now)
        state = await fuse.judge(conn, voice, cap, now)
        opened: list[int] = []
        stale_ones: list[str] = []
        for row in await _due(conn, now, limit, blown=state.blown_at is not None):
            automatic = row.requested_by is None
            if automatic and row.slot in (Slot.ASK, Slot.REMINDER):
                old = await _old_probes(conn, row, voice, now)
                if old is None:
                    continue  # what is true of this client cannot be read: nothing is said
                if old:
                    await conn.execute(
                        update(notice).where(notice.c.id == row.id).values(look_at=now + LOOK_AGAIN)
                    )
                    stale_ones += old
                    continue
            await _open(conn, row, now)
            opened.append(row.id)
        return opened, stale_ones, state


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


async def _old_probes(conn: AsyncConnection, row: Any, voice: Voice, now: datetime) -> list[str] | None:
    """Return the connections of a notice whose probe is too old; None where the client cannot be read."""
    standing = (await ledger.stand(conn, [row.client], voice, now)).get(row.audience)
    if standing is not None and standing.fault:
        return None
    items = await envelopes.items_of(conn, [row.id])
    return stale(items.get(row.id, ()), standing.cases if standing else (), voice.policy, now)


async def _open(conn: AsyncConnection, row: Any, now: datetime) -> None:
    await _note_told(conn, row, now)
    if not row.recipients:
        why = "email.operator is not set" if row.slot in (Slot.HANDOVER, Slot.FUSE) else "no address"
        await conn.execute(
            update(notice).where(notice.c.id == row.id).values(state="failed", outcome=why, settled_at=now)
        )
        return
    await conn.execute(update(delivery).where(delivery.c.notice == row.id).values(next_at=now))
    await conn.execute(
        update(notice).where(notice.c.id == row.id).values(state="sending", settled_at=now, look_at=None)
    )


async def _note_told(conn: AsyncConnection, row: Any, now: datetime) -> None:
    """Tell the fleet guard who is told: it holds only what nobody was told about."""
    if row.slot in (Slot.ASK, Slot.HANDOVER):
        items = (await envelopes.items_of(conn, [row.id])).get(row.id, ())
        await incidents.note_told(conn, [item.incident for item in items if item.incident is not None], now)


# -- envelopes ----------------------------------------------------------------------------------------


async def has_work(database: Database, now: datetime) -> bool:
    """Whether there is a mail to be tried now."""
    async with database.read() as conn:
        return bool(await _claimable(conn, delivery.c.channel == "email", now, 1))


@retried
async def claim(database: Database, process: str, now: datetime, limit: int = 20) -> list[Envelope]:
    """Lease envelopes that are to be sent now. Those whose sender died are freed, or unconfirmed."""
    mails = delivery.c.channel == "email"
    async with database.read() as conn:
        if not await _claimable(conn, mails, now, 1):
            return []
    async with database.write() as conn:
        rows = await _lease(conn, mails, process, now, limit, LEASE)
        items = await envelopes.items_of(conn, [row.notice for row in rows])
        threads = await envelopes.threads(conn, rows, items)
        return [
            Envelope(
                id=row.id, notice=row.notice, slot=Slot(row.slot), kind=Kind(row.kind), client=row.client,
                locale=row.locale, timezone=row.timezone, number=row.number, address=row.address,
                message_id=row.message_id, thread=threads.get(row.id), attempts=row.attempts + 1,
                items=items.get(row.notice, ()),
            )
            for row in rows
        ]  # fmt: skip


@retried
async def claim_signals(
    database: Database,
    process: str,
    now: datetime,
    limit: int = 20,
    *,
    over: str | None = None,
    but: Collection[str] = (),
) -> list[Signal]:
    """Lease pages and their ends, over one channel, or over all but some.

    One whose sender died goes out again: twice is better than never.
    """
    signals = delivery.c.channel.not_in(["email", *but]) if over is None else delivery.c.channel == over
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
        await _conclude(conn, number, now)


@retried
async def free_all(database: Database, now: datetime) -> None:
    """Take every lease to be void: on SQLite, where this process is the only one, at its start."""
    async with database.write() as conn:
        await conn.execute(
            update(delivery).where(delivery.c.state.in_(["sending", "handed"])).values(lease_until=now)
        )
        await _recover(conn, now)


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


@retried
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
            if _patience_is_spent(envelope, planned, now):
                outcome, answer = Outcome.FAILED, f"given up after {envelope.attempts} attempts: {answer}"
                free["answer"] = answer[:500]
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
        why = answer if outcome is Outcome.FAILED else NOBODY
        return await _conclude(conn, envelope.notice, now, why)


def _patience_is_spent(envelope: Envelope | Signal, planned: datetime | None, now: datetime) -> bool:
    if isinstance(envelope, Envelope):
        return envelope.attempts >= GIVE_UP
    return envelope.slot is Slot.CLEAR and planned is not None and now - planned > STALE_CLEAR


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
        await conn.execute(address.delete().where(func.lower(address.c.address) == to.lower()))


async def _conclude(conn: AsyncConnection, number: int, now: datetime, why: str = NOBODY) -> bool:
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
            outcome=case((taken, ""), else_=why[:500]),
            settled_at=now,
        )
        .returning(notice.c.state)
    )
    return bool(done.scalar() == "sent")


@retried
async def forget(database: Database, before: datetime) -> int:
    """Drop notices that were settled before a time, with their envelopes; return how many."""
    old = (
        select(notice.c.id)
        .where(notice.c.settled_at < before, notice.c.state.in_(["sent", "failed", "withdrawn"]))
        .with_for_update(skip_locked=True)
    )
    async with database.write() as conn:
        return int((await conn.execute(notice.delete().where(notice.c.id.in_(old)))).rowcount)


async def oldest_waiting(database: Database, now: datetime, *, oncall: bool = False) -> float:
    """Return for how many seconds the oldest mail, or page, that should be out has been waiting."""
    which = notice.c.slot.in_(ONCALL) if oncall else notice.c.slot.not_in(ONCALL)
    async with database.read() as conn:
        oldest = await oldest_sending(conn, which)
    return max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
