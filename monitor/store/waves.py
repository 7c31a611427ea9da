"""Waves: what the fleet guard holds of a provider's clients, read and written; and a person's word on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, and_, cast, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.breaks import CANARY, DAY, MAILABLE, Break
from monitor.health.causes import Cause, Owner, Subject, consequence
from monitor.health.events import Type
from monitor.health.holding import Held, Run, Trouble
from monitor.health.incidents import About, Place
from monitor.health.lifecycle import State
from monitor.health.wave import Wave, members
from monitor.store import audit, events
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, incident, watch

CHUNK = 5000  # incidents named in one statement
CLOSELY = 20  # members of a wave are looked at as often as what is healthy, so that their healing shows


@dataclass(frozen=True, slots=True)
class Standing:
    """An open wave with its number, what it says of itself, and its breaks."""

    id: int
    provider: str
    guard: bool
    reasons: tuple[str, ...]
    held: Held

    @property
    def about(self) -> About:
        """What it is over."""
        return About(Subject.PROVIDER, self.provider)


# Taken apart by position: after a mass event there are many.
_BREAK = (
    select(
        incident.c.parent_id,
        connection.c.app,
        connection.c.provider,
        connection.c.region,
        incident.c.cause,
        incident.c.id,
        incident.c.name,
        connection.c.client_name,
        incident.c.turned_at,
        incident.c.closed_at,
        incident.c.ended,
        incident.c.told_at,
        incident.c.mails,
        incident.c.waits,
        credential.c.authorized_at,
        watch.c.state == State.HEALTHY.value,
        cast(connection.c.contacts, Text) != "[]",
        watch.c.rule,
    )
    .join(connection, connection.c.id == incident.c.name)
    .join(watch, watch.c.connection == incident.c.name)
    .join(credential, credential.c.connection == incident.c.name)
    .where(incident.c.kind == Subject.CONNECTION.value)
    .order_by(incident.c.id)
)
_place = lru_cache(maxsize=4096)(Place)
_CAUSES = {cause.value: cause for cause in Cause}


def _break(row: Any) -> tuple[int | None, Break]:
    """Return the number of what it belongs to, and the break."""
    (parent, app, provider, region, cause, number, name, client, at, closed_at, ended, told_at, mails, waits,
     authorized_at, healthy, reachable, rule) = row  # fmt: skip
    return parent, Break(
        number, name, client, _place(app, provider, region), at, closed_at, ended, told_at, mails, waits,
        authorized_at, bool(healthy), bool(reachable), _CAUSES[cause], rule,
    )  # fmt: skip


async def read(conn: AsyncConnection, now: datetime) -> tuple[list[Break], dict[str, Standing]]:
    """Return the breaks of the last day and older ones whose mail waits, and the open waves by provider."""
    waves = await _open(conn)
    lately = and_(
        incident.c.owner == Owner.CLIENT.value,
        incident.c.cause.in_(sorted(cause.value for cause in MAILABLE)),
        or_(
            incident.c.turned_at > now - DAY,
            and_(incident.c.closed_at.is_(None), incident.c.waits != ""),
        ),
    )
    breaks: list[Break] = []
    mine: dict[int, list[Break]] = {row.id: [] for row in waves}
    for row in await conn.execute(_BREAK.where(or_(lately, incident.c.parent_id.in_(mine)))):
        parent, one = _break(row)
        if parent in mine:
            mine[parent].append(one)
        if now - one.at < DAY or (one.closed_at is None and one.waits):
            breaks.append(one)
    return breaks, _standing(waves, mine)


async def standing(conn: AsyncConnection) -> dict[str, Standing]:
    """Return the open waves, by provider."""
    waves = await _open(conn)
    mine: dict[int, list[Break]] = {row.id: [] for row in waves}
    if mine:
        for row in await conn.execute(_BREAK.where(incident.c.parent_id.in_(mine))):
            parent, one = _break(row)
            mine[parent or 0].append(one)
    return _standing(waves, mine)


async def _open(conn: AsyncConnection) -> Sequence[Any]:
    rows = await conn.execute(select(incident).where(incident.c.wave, incident.c.closed_at.is_(None)))
    return rows.all()


def _standing(waves: Sequence[Any], breaks: Mapping[int, Sequence[Break]]) -> dict[str, Standing]:
    return {
        row.name: Standing(
            row.id, row.name, row.guard, tuple(row.reasons), Held(_wave(row), tuple(breaks[row.id]))
        )
        for row in waves
    }


def _wave(row: Any) -> Wave:
    return Wave(
        row.opened_at, row.begun_at, row.joined_at, row.sent, row.total, row.tried, row.sent_at, row.spoken_at
    )


def columns(wave: Wave) -> dict[str, Any]:
    """Return how far a wave is as the columns of its incident."""
    names = ("begun_at", "joined_at", "sent", "total", "tried", "sent_at", "spoken_at")
    return {name: getattr(wave, name) for name in names}


async def troubles(conn: AsyncConnection, settle: timedelta, now: datetime) -> list[Trouble]:
    """Return outages, and answers that nobody knows, that stand or were over less than `settle` ago."""
    shared, member = incident.alias("shared"), incident.alias("member")
    rows = await conn.execute(
        select(
            shared.c.opened_at,
            shared.c.closed_at,
            connection.c.provider,
            func.max(member.c.turned_at).label("last_at"),
        )
        .join(member, member.c.parent_id == shared.c.id)
        .join(connection, connection.c.id == member.c.name)
        .where(
            shared.c.kind != Subject.CONNECTION.value,
            shared.c.wave.is_(False),
            shared.c.cause.in_(
                [cause.value for cause in Cause if consequence(cause).subject is Subject.PROVIDER]
            ),
            or_(shared.c.closed_at.is_(None), shared.c.closed_at > now - settle),
        )
        .group_by(shared.c.id, shared.c.opened_at, shared.c.closed_at, connection.c.provider)
    )
    return [Trouble(row.provider, row.opened_at, row.closed_at, row.last_at) for row in rows]


# -- what the rule writes ------------------------------------------------------------------------------


async def write(
    conn: AsyncConnection, made: Run, known: Standing | None, why: tuple[str, ...], now: datetime
) -> None:
    """Write what a run of the guard made of a provider's wave, with its lines in the audit."""
    number = known.id if known is not None else await _begin(conn, made, why, now)
    for part in chunks(made.joins):
        await conn.execute(update(incident).where(incident.c.id.in_(part)).values(parent_id=number, waits=""))
    if made.canaries:
        await conn.execute(
            update(incident).where(incident.c.id.in_(made.canaries)).values(mails=CANARY, waits="")
        )
        await _note(conn, "mails.canary", made.provider, now, clients=list(made.asked))
    values: dict[str, Any] = {"guard": bool(made.up) and made.end is None, **columns(made.wave)}
    if made.joins:
        values |= {"reasons": list(why), "cause": _mostly(made.breaks)}
    if made.end is not None:
        values |= {"closed_at": now, "guard": False}
        left = members(made.breaks, now).untold
        await _note(conn, "wave.end", made.provider, now, why=made.end.value, released=len(left))
    if known is None or _differs(values, known, made):
        await conn.execute(update(incident).where(incident.c.id == number).values(**values, updated_at=now))
        await say(conn, number, known, values, now)


async def say(
    conn: AsyncConnection, number: int, known: Standing | None, values: Mapping[str, Any], now: datetime
) -> None:
    """Tell programs what changed of a wave that programs know of: its guard, and its end."""
    up = known.guard if known is not None else False
    if values["guard"] != up:
        await events.of_incidents(
            conn, Type.GUARD_RAISED if values["guard"] else Type.GUARD_LOWERED, [number], now
        )
    if "closed_at" in values:
        await events.of_incidents(conn, Type.INCIDENT_CLOSED, [number], now)


def _differs(values: Mapping[str, Any], known: Standing, made: Run) -> bool:
    return (
        made.end is not None
        or made.wave != known.held.wave
        or values["guard"] != known.guard
        or tuple(values.get("reasons", known.reasons)) != known.reasons
    )


async def _begin(conn: AsyncConnection, made: Run, why: tuple[str, ...], now: datetime) -> int:
    done = await conn.execute(
        insert(incident)
        .values(
            kind=Subject.PROVIDER.value, name=made.provider, wave=True, guard=True,
            cause=_mostly(made.breaks), owner=Owner.CLIENT.value, reasons=list(why), opened_at=now,
            updated_at=now, **columns(made.wave),
        )
        .returning(incident.c.id)
    )  # fmt: skip
    number = int(done.scalar_one())
    await _note(conn, "wave.begin", made.provider, now, why=list(why), connections=len(made.joins))
    await events.of_incidents(conn, Type.INCIDENT_OPENED, [number], now)
    return number


def _mostly(breaks: Iterable[Break]) -> str:
    causes = [one.cause.value for one in breaks]
    return max(sorted(set(causes)), key=causes.count)


async def _note(conn: AsyncConnection, action: str, provider: str, now: datetime, **detail: Any) -> None:
    about = About(Subject.PROVIDER, provider)
    await audit.record(conn, now, audit.SERVICE, action, str(about), **detail)


async def wait(conn: AsyncConnection, waits: Mapping[int, str]) -> None:
    """Write for what first mails wait, of the breaks for which that changed."""
    for what in set(waits.values()):
        for part in chunks([number for number, wanted in waits.items() if wanted == what]):
            await conn.execute(update(incident).where(incident.c.id.in_(part)).values(waits=what))


def chunks(numbers: Collection[int]) -> Iterable[list[int]]:
    """Part numbers into as many as one statement takes."""
    listed = sorted(numbers)
    return (listed[start : start + CHUNK] for start in range(0, len(listed), CHUNK))


# -- for those who look ----------------------------------------------------------------------------------


async def open_now(database: Database) -> list[Standing]:
    """Return the open waves."""
    async with database.read() as conn:
        found = await standing(conn)
    return [found[provider] for provider in sorted(found)]


async def watched_closely(database: Database) -> list[str]:
    """Return some connections of each wave: those whose healing is to be seen soon."""
    found: list[str] = []
    async with database.read() as conn:
        numbers = select(incident.c.id).where(incident.c.wave, incident.c.closed_at.is_(None))
        for number in (await conn.execute(numbers)).scalars().all():
            rows = await conn.execute(
                select(incident.c.name)
                .where(incident.c.parent_id == number, incident.c.closed_at.is_(None))
                .order_by(incident.c.id)
                .limit(CLOSELY)
            )
            found += rows.scalars()
    return found
