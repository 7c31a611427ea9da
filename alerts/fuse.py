"""The last fuse before clients: blown while more first mails want out within an hour than the cap allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import ledger
from alerts.ledger import Voice
from alerts.notices import Client, Kind, Slot, Wish
from alerts.tables import fuse, notice
from monitor.store import audit, incidents
from monitor.store.engine import Database
from monitor.store.retry import retried

NAME = "first mails"
FUSED = (Slot.ASK.value, Slot.EXPIRING.value)


@dataclass(frozen=True, slots=True)
class State:
    """How the fuse is; `released_until` is a person's word that the mails may go."""

    blown_at: datetime | None = None
    wanted: int = 0
    released_until: datetime | None = None


async def read(conn: AsyncConnection) -> State:
    """Return how the fuse is."""
    row = (await conn.execute(select(fuse).where(fuse.c.name == NAME))).one_or_none()
    return State() if row is None else State(row.blown_at, row.wanted, row.released_until)


async def judge(conn: AsyncConnection, voice: Voice, cap: int, now: datetime) -> State:
    """Count the first mails of the last hour and those that want out now; more than the cap blow it.

    It counts what *wants* out, so that it holds all of a wave and not only its end.
    """
    before = await read(conn)
    wanted = (
        await conn.execute(
            select(func.count()).where(
                notice.c.slot.in_(FUSED),
                notice.c.requested_by.is_(None),
                or_(
                    (notice.c.state == "waiting") & (notice.c.due_at <= now + voice.policy.delay),
                    notice.c.state.in_(["sending", "sent"])
                    & (notice.c.settled_at > now - timedelta(hours=1)),
                ),
            )
        )
    ).scalar_one()
    released = before.released_until is not None and before.released_until > now
    blown_at = None if released or wanted <= cap else before.blown_at or now
    after = State(blown_at, int(wanted), before.released_until if released else None)
    if after != before:
        await _keep(conn, after)
    if blown_at is not None and before.blown_at is None:
        operator = Client("", (), "en", "UTC")
        wish = Wish(Slot.FUSE, Kind.FUSE, (), now, f"{wanted} first mails want out, the cap is {cap}")
        waits = await conn.execute(
            select(notice.c.id).where(notice.c.slot == Slot.FUSE.value, notice.c.state == "waiting")
        )
        if waits.first() is None:
            await ledger.write_new(conn, operator, "operator", wish, voice, now)
    return after


async def _keep(conn: AsyncConnection, state: State) -> None:
    values = {"blown_at": state.blown_at, "wanted": state.wanted, "released_until": state.released_until}
    done = await conn.execute(update(fuse).where(fuse.c.name == NAME).values(**values))
    if done.rowcount == 0:
        await conn.execute(insert(fuse).values(name=NAME, **values))


@retried
async def release(database: Database, now: datetime, span: timedelta, actor: str) -> None:
    """Let first mails out for a while, however many: a person looked at them."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        await _keep(conn, State(None, (await read(conn)).wanted, now + span))
        await audit.record(conn, now, actor, "mails.release", "fuse")
