"""Mails that get a second look: those that waited on their way, and failed ones that are to be sent again.

A notice is looked at once more just before it turns from waiting to sending (`opening.open_due`). One that
could not be handed over for a while after that, since the mail server was away or put it off, is looked at
again before its next attempt, as if it had not been said: what is no longer true is taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import reconcile, truth
from alerts.mails.opening import LOOK_AGAIN
from alerts.mails.plan import stale
from alerts.mails.standing import Slot, Standing
from alerts.mails.still import PLANNED, TO_CLIENTS, still_asked, still_true
from alerts.mails.story import MAIL
from alerts.mails.voice import Voice
from alerts.outbox import notices
from alerts.outbox.envelope import Item
from alerts.outbox.tables import delivery, notice
from monitor.errors import ConfigurationError, Conflict, Remedy
from monitor.store import audit, due, incidents
from monitor.store.engine import Database
from monitor.store.retry import retried

WAITED = timedelta(seconds=10)  # from here on what was true when a notice was opened is looked at again


async def reconsider(database: Database, voice: Voice, now: datetime) -> None:
    """Look once more at what is to be tried now and was opened a while ago.

    What else is on its way to the same people goes with it: who was not asked is not thanked.
    """
    async with database.read() as conn:
        if not await _waited(conn, now):
            return
    if old := await _look_again(database, voice, now):
        await due.bring_forward(database, old, now)


@retried
async def _look_again(database: Database, voice: Voice, now: datetime) -> list[str]:
    """Judge what waited; return the connections whose probe is too old to write about."""
    old: list[str] = []
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        rows = await _ours(conn, await _untold(conn, await _waited(conn, now)))
        names = {row.client for row in rows}
        standing = await truth.stand(conn, sorted(names), voice, now, without=[row.id for row in rows])
        items = await notices.items_of(conn, [row.id for row in rows])
        for row in rows:
            old += await _judge(conn, row, items.get(row.id, ()), standing.get(row.audience), voice, now)
        await reconcile.bring_in_line(conn, names, voice, now)
    return old


_mine = delivery.c.notice == notice.c.id
_told = exists().where(_mine, delivery.c.state.in_(["sending", "handed", "sent", "unconfirmed"]))
_UNTOLD = select(notice).where(notice.c.state == "sending", notice.c.slot.in_(PLANNED), ~_told)


async def _waited(conn: AsyncConnection, now: datetime) -> set[str]:
    """Return to whom something is to be tried now that waited, or that somebody wants looked at."""
    rows = await conn.execute(
        _UNTOLD.with_only_columns(notice.c.audience)
        .where(
            or_(notice.c.settled_at <= now - WAITED, notice.c.look_at.is_not(None)),
            exists().where(_mine, delivery.c.state == "waiting", delivery.c.next_at <= now),
        )
        .limit(200)
    )
    return set(rows.scalars())


async def _untold(conn: AsyncConnection, audiences: set[str]) -> Sequence[Any]:
    """Return all that is on its way to them and that nobody has yet."""
    rows = await conn.execute(_UNTOLD.where(notice.c.audience.in_(audiences)).order_by(notice.c.id))
    return rows.all()


async def _ours(conn: AsyncConnection, rows: Sequence[Any]) -> Sequence[Any]:
    """Leave out those that another process claims at this moment."""
    waiting = select(delivery.c.id, delivery.c.notice).where(
        delivery.c.notice.in_([row.id for row in rows]), delivery.c.state == "waiting"
    )
    all_of_them = Counter(row.notice for row in await conn.execute(waiting))
    free = Counter(row.notice for row in await conn.execute(waiting.with_for_update(skip_locked=True)))
    return [row for row in rows if free[row.id] == all_of_them[row.id] > 0]


async def _judge(
    conn: AsyncConnection,
    row: Any,
    items: tuple[Item, ...],
    known: Standing | None,
    voice: Voice,
    now: datetime,
) -> list[str]:
    if known is not None and known.fault:
        await _wait(conn, row.id, now + LOOK_AGAIN)
        return []
    if known is None or not still_true(row, items, known, voice, now):
        await notices.withdraw(conn, row.id, "no longer true, or held, when it could be sent", now)
        return []
    awake = voice.policy.quiet.allowed(now, row.timezone)
    if row.slot in TO_CLIENTS and awake > now and row.requested_by is None:
        await _wait(conn, row.id, awake)
        return []
    if row.slot in (Slot.ASK, Slot.REMINDER) and (old := stale(items, known.cases, voice.policy, now)):
        await _wait(conn, row.id, now + LOOK_AGAIN)
        return old
    await conn.execute(update(notice).where(notice.c.id == row.id).values(look_at=None))
    return []


async def _wait(conn: AsyncConnection, number: int, until: datetime) -> None:
    await conn.execute(
        update(delivery)
        .where(delivery.c.notice == number, delivery.c.state == "waiting")
        .values(next_at=until)
    )
    # Whatever the clock says by then, it is looked at once more.
    await conn.execute(update(notice).where(notice.c.id == number).values(look_at=until))


@retried
async def retry(database: Database, numbers: Iterable[int], now: datetime, by: str) -> list[int]:
    """Try failed mails again, all failed ones without numbers; what is no longer true is taken back then.

    Raises ConfigurationError for a number that is none of a failed mail, and Conflict for one that may have
    arrived: that is sent again by its number alone (`send_twice`).
    """
    asked = list(dict.fromkeys(numbers))
    async with database.write() as conn:
        found = await conn.execute(
            select(notice.c.id)
            .where(
                notice.c.state == "failed",
                notice.c.slot.in_(sorted(MAIL.slots)),
                notice.c.id.in_(asked) if asked else notice.c.id > 0,
                exists().where(delivery.c.notice == notice.c.id, delivery.c.state.in_(["failed", "refused"])),
            )
            .order_by(notice.c.id)
        )
        ready = list(found.scalars())
        if missing := [number for number in asked if number not in ready]:
            await _refuse_what_may_have_arrived(conn, missing)
            raise ConfigurationError(
                f"Notice {missing[0]} is no mail that failed at an address.",
                Remedy("notices.list", "shows those that are"),
            )
        await _open_again(conn, ready, now)
        for number in ready:
            await audit.record(conn, now, by, "mail.retry", f"notice {number}")
    return ready


async def _open_again(conn: AsyncConnection, numbers: Sequence[int], now: datetime) -> None:
    await conn.execute(
        update(delivery)
        .where(delivery.c.notice.in_(numbers), delivery.c.state.in_(["failed", "refused"]))
        .values(state="waiting", attempts=0, answer="", next_at=now, settled_at=None)
    )
    await conn.execute(
        update(notice)
        .where(notice.c.id.in_(numbers))
        .values(state="sending", outcome="", settled_at=now, look_at=now)
    )


_DOUBTFUL = exists().where(_mine, delivery.c.state == "unconfirmed")


async def _refuse_what_may_have_arrived(conn: AsyncConnection, numbers: Sequence[int]) -> None:
    doubtful = select(notice.c.id).where(notice.c.id.in_(numbers), _DOUBTFUL).limit(1)
    if (number := (await conn.execute(doubtful)).scalar()) is not None:
        raise Conflict(
            f"Notice {number} may have arrived: the answer to it was lost. Sent again, it may arrive twice.",
            Remedy("notices.send_twice", "sends it all the same", str(number)),
        )


@retried
async def send_twice(database: Database, voice: Voice, number: int, now: datetime, by: str) -> None:
    """Send a mail again to those of whom nobody knows whether they have it, because a person says so.

    Raises Conflict where there is no such doubt, or where it is no longer true.
    """
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        which = select(notice).where(
            notice.c.id == number, notice.c.slot.in_(PLANNED), notice.c.state == "sent", _DOUBTFUL
        )
        row = (await conn.execute(which)).one_or_none()
        if row is None:
            raise Conflict(f"Notice {number} is no mail of which it is not known whether it arrived.")
        items = (await notices.items_of(conn, [number])).get(number, ())
        known = (await truth.stand(conn, [row.client], voice, now, without=[number])).get(row.audience)
        if known is None or known.fault or not still_asked(row, items, known, voice, now):
            raise Conflict(f"Notice {number} is not sent again: it is no longer true, or it is held.")
        await conn.execute(
            update(delivery)
            .where(delivery.c.notice == number, delivery.c.state == "unconfirmed")
            .values(state="waiting", attempts=0, answer="", next_at=now, settled_at=None)
        )
        await conn.execute(
            update(notice)
            .where(notice.c.id == number)
            .values(state="sending", outcome="", settled_at=now, look_at=now)
        )
        await audit.record(conn, now, by, "mail.send_twice", f"notice {number}")
