"""The last fuse before clients: blown while more first mails want out than the fleet may well bring.

A last resort, for what slips past the fleet guard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import reconcile
from alerts.mails.plan import Wish
from alerts.mails.standing import Client, Kind, Slot
from alerts.mails.voice import Voice
from alerts.outbox.tables import fuse, notice, notice_item
from monitor.health.events import Type
from monitor.health.incidents import About
from monitor.health.surprise import Usual, expected_mails
from monitor.store import audit, events, incidents, published
from monitor.store.engine import Database
from monitor.store.expected import Ordinary
from monitor.store.retry import retried

NAME = "first mails"
FUSED = (Slot.ASK.value, Slot.EXPIRING.value)
TIMES = 5  # what is expected may want out before it is too much
SPANS = (
    timedelta(hours=2),
    timedelta(hours=12),
    timedelta(days=3),
)  # the last one stands for all that is older


@dataclass(frozen=True, slots=True)
class FuseState:
    """How the fuse is; `released_until` is a person's word that the mails may go."""

    blown_at: datetime | None = None
    wanted: int = 0
    released_until: datetime | None = None


class Cap:
    """How many first mails may want out: `least`, or so many times what the fleet is expected to bring."""

    def __init__(self, least: int) -> None:
        self.least = least
        self._ordinary = Ordinary()

    async def exceeded(self, conn: AsyncConnection, since: Sequence[datetime], now: datetime) -> int:
        """Return the cap that the mails about these breaks are more than; 0 where they are not."""
        if len(since) <= self.least:
            return 0
        return too_many(since, self.least, await self._ordinary.usual(conn, now), now)


def too_many(since: Sequence[datetime], least: int, usual: Mapping[About, Usual], now: datetime) -> int:
    """Return the cap that the mails about breaks since these times are more than; 0 where they are not.

    What wants out now broke an hour ago, or in the night before, or in an outage that lasted for days: it is
    held against what is expected of that time, or a large fleet would blow the fuse each morning.
    """
    for span in SPANS:
        wanted = len(since) if span is SPANS[-1] else sum(at > now - span for at in since)
        cap = max(least, int(TIMES * expected_mails(usual, span, now)))
        if wanted > cap:
            return cap
    return 0


def counts() -> ColumnElement[bool]:
    """The first mails that the fuse is about: not what a person asked for, or released from a wave."""
    return and_(
        notice.c.slot.in_(FUSED),
        notice.c.requested_by.is_(None),
        ~exists().where(notice_item.c.notice == notice.c.id, published.was_released(notice_item.c.incident)),
    )


def may_go(*, blown: bool) -> ColumnElement[bool]:
    """What a blown fuse lets out: neither first mails nor what can wait, which is all that campaigns ask."""
    return and_(~counts(), notice.c.slot != Slot.CAMPAIGN.value) if blown else true()


async def read(conn: AsyncConnection) -> FuseState:
    """Return how the fuse is."""
    row = (await conn.execute(select(fuse).where(fuse.c.name == NAME))).one_or_none()
    return FuseState() if row is None else FuseState(row.blown_at, row.wanted, row.released_until)


def held_now(now: datetime) -> ColumnElement[bool]:
    """The mails that a blown fuse holds: first ones that are due."""
    return and_(notice.c.state == "waiting", notice.c.due_at <= now, counts())


@dataclass(frozen=True, slots=True)
class Holds:
    """What a blown fuse holds: since when, and how many first mails that are due."""

    blown_at: datetime | None
    held: int


async def holds(conn: AsyncConnection, now: datetime) -> Holds:
    """Return what the fuse holds now."""
    blown_at = (await read(conn)).blown_at
    if blown_at is None:
        return Holds(None, 0)
    due = select(func.count()).where(held_now(now))
    return Holds(blown_at, int((await conn.execute(due)).scalar_one()))


async def judge(conn: AsyncConnection, voice: Voice, cap: Cap, now: datetime) -> FuseState:
    """Count the first mails of the last hour and those that want out now; more than the cap blow it.

    It counts what *wants* out, so that it holds all of a wave and not only its end.
    """
    before = await read(conn)
    since = await _wanted(conn, voice, now)
    released = before.released_until is not None and before.released_until > now
    limit = 0 if released else await cap.exceeded(conn, since, now)
    blown_at = (before.blown_at or now) if limit else None
    after = FuseState(blown_at, len(since), before.released_until if released else None)
    if after != before:
        await _keep(conn, after)
    if blown_at is not None and before.blown_at is None:
        await events.general(conn, Type.FUSE_BLOWN, now, {"wanted": len(since), "cap": limit})
        await _tell_operator(conn, f"{len(since)} first mails want out, the cap is {limit}", voice, now)
    return after


async def _wanted(conn: AsyncConnection, voice: Voice, now: datetime) -> list[datetime]:
    """Return since when the breaks stand whose first mails want out; of what is yet to expire, now."""
    oldest = select(func.min(notice_item.c.since)).where(notice_item.c.notice == notice.c.id)
    rows = await conn.execute(
        select(oldest.scalar_subquery().label("since")).where(
            counts(),
            or_(
                (notice.c.state == "waiting") & (notice.c.due_at <= now + voice.policy.delay),
                notice.c.state.in_(["sending", "sent"]) & (notice.c.settled_at > now - timedelta(hours=1)),
            ),
        )
    )
    return [row.since or now for row in rows]


async def _tell_operator(conn: AsyncConnection, why: str, voice: Voice, now: datetime) -> None:
    waits = await conn.execute(
        select(notice.c.id).where(notice.c.slot == Slot.FUSE.value, notice.c.state == "waiting")
    )
    if waits.first() is None:
        operator, wish = Client("", (), "en", "UTC"), Wish(Slot.FUSE, Kind.FUSE.value, (), now, why)
        await reconcile.write_new(conn, operator, "operator", wish, voice, now)


async def _keep(conn: AsyncConnection, state: FuseState) -> None:
    values = {"blown_at": state.blown_at, "wanted": state.wanted, "released_until": state.released_until}
    done = await conn.execute(update(fuse).where(fuse.c.name == NAME).values(**values))
    if done.rowcount == 0:
        await conn.execute(insert(fuse).values(name=NAME, **values))


@retried
async def release(database: Database, now: datetime, span: timedelta, actor: str) -> None:
    """Let first mails out for a while, however many: a person looked at them."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        await _keep(conn, FuseState(None, (await read(conn)).wanted, now + span))
        await audit.record(conn, now, actor, "mails.release", "fuse")
