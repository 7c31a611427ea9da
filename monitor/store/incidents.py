"""Incidents: opened, updated and closed with the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health import breaks
from monitor.health.breaks import ALONE, AUTHORIZED, PROOF, asks_client
from monitor.health.causes import Cause, Owner, Subject
from monitor.health.events import Type
from monitor.health.incidents import About, Place, shared_subject
from monitor.health.lifecycle import IncidentChange
from monitor.store import events
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, incident


@dataclass(frozen=True, slots=True)
class Change:
    """What a verdict does to the incident of its connection."""

    connection: str
    place: Place
    change: IncidentChange | None
    cause: Cause
    owner: Owner
    at: datetime  # of the probe that said so
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident as it stands."""

    id: int
    about: About
    cause: Cause
    owner: Owner
    guard: bool
    opened_at: datetime
    reasons: tuple[str, ...]
    members: int = 0
    mails: str = ""  # what was said of its first mail: released, dropped, canary
    wave: bool = False  # it is what the fleet guard holds of a provider's clients
    waits: str = ""  # what its first mail waits for besides its time
    told_at: datetime | None = None
    spoken_at: datetime | None = None  # a wave's: when a person last said something about it


class Closed(NamedTuple):
    """An incident that is over, and what ended it: `alone`, `authorized`, or empty where nobody can say."""

    was: OpenIncident
    closed_at: datetime
    ended: str


RELEASED, DROPPED = breaks.RELEASED, breaks.DROPPED  # what a person may say of held mails


async def one_at_a_time(conn: AsyncConnection) -> None:
    """Let one transaction at a time change incidents: two processes may see the same outage begin.

    SQLite has one writer anyway. Freed with the transaction.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(select(func.pg_advisory_xact_lock(7238916)))


async def apply(conn: AsyncConnection, changes: Sequence[Change], now: datetime) -> dict[str, int]:
    """Make the incident changes of a batch, and keep the shared ones in step.

    Return the numbers of the incidents that began, changed or ended, by connection.
    """
    numbers: dict[str, int] = {}
    opened = [c for c in changes if c.change is IncidentChange.OPEN]
    updated = [c for c in changes if c.change is IncidentChange.UPDATE]
    closed = [c for c in changes if c.change is IncidentChange.CLOSE]
    told: dict[Type, list[int]] = {}
    for change in opened + updated:
        shared = shared_subject(change.cause, change.place)
        parent = await _open_shared(conn, shared, change, now) if shared is not None else None
        numbers[change.connection], what = await _put(conn, change, parent)
        if what is not None:
            told.setdefault(what, []).append(numbers[change.connection])
    for what, some in told.items():
        await events.of_incidents(conn, what, some, now)
    if closed:
        rows = await conn.execute(
            update(incident)
            .where(
                incident.c.kind == Subject.CONNECTION.value,
                incident.c.name.in_([c.connection for c in closed]),
                incident.c.closed_at.is_(None),
            )
            .values(closed_at=now, updated_at=now, ended=_how_it_ended(now))
            .returning(incident.c.name, incident.c.id)
        )
        over = {row.name: row.id for row in rows}
        await events.of_incidents(conn, Type.INCIDENT_CLOSED, over.values(), now)
        numbers |= over
    if closed or updated:
        await close_empty(conn, now)
    if changes:
        await _follow_members(conn, now)
    return numbers


def _how_it_ended(now: datetime) -> Any:
    """A new authorization mended it, or nobody did; where a person changed the connection, nobody can say.

    An authorization that it outlived for long did not mend it.
    """
    mine = select(1).where(credential.c.connection == incident.c.name)
    authorized = mine.where(
        credential.c.authorized_at >= incident.c.opened_at, credential.c.authorized_at > now - PROOF
    )
    changed = mine.join(connection, connection.c.id == credential.c.connection).where(
        connection.c.updated_at >= incident.c.opened_at,
        or_(credential.c.authorized_at.is_(None), connection.c.updated_at > credential.c.authorized_at),
    )
    return case((authorized.exists(), AUTHORIZED), (changed.exists(), ""), else_=ALONE)


async def _put(conn: AsyncConnection, change: Change, parent: int | None) -> tuple[int, Type | None]:
    # Its number, and what programs are told of it.
    about = About(Subject.CONNECTION, change.connection)
    values: dict[str, Any] = {
        "cause": change.cause.value,
        "owner": change.owner.value,
        "reasons": list(change.reasons),
        "updated_at": change.at,
    }
    turned = {"parent_id": parent, "turned_at": change.at, "waits": ""}
    row = (
        await conn.execute(select(incident.c.id, incident.c.cause, incident.c.owner).where(is_open(about)))
    ).one_or_none()
    if row is None:
        made = await conn.execute(
            insert(incident)
            .values(
                kind=about.kind.value, name=about.name, guard=False, opened_at=change.at, **values, **turned
            )
            .returning(incident.c.id)
        )
        return int(made.scalar_one()), Type.INCIDENT_OPENED
    # A client's break stays in its wave, and as old as it is, whatever else is found out about it.
    still = asks_client(Cause(row.cause), Owner(row.owner)) and asks_client(change.cause, change.owner)
    await conn.execute(
        update(incident).where(incident.c.id == row.id).values(**values, **({} if still else turned))
    )
    same = (row.cause, row.owner) == (change.cause.value, change.owner.value)
    return int(row.id), None if same else Type.INCIDENT_UPDATED


async def note_told(conn: AsyncConnection, numbers: Sequence[int], now: datetime) -> None:
    """Note that the clients of these breaks are being told: no wave holds them any more."""
    await conn.execute(
        update(incident)
        .where(incident.c.id.in_(numbers), incident.c.told_at.is_(None))
        .values(told_at=now, waits="")
    )


def is_open(about: About) -> Any:
    """Return the condition for the one open incident of something, which is no wave."""
    return and_(
        incident.c.kind == about.kind.value,
        incident.c.name == about.name,
        incident.c.wave.is_(False),
        incident.c.closed_at.is_(None),
    )


async def _open_shared(conn: AsyncConnection, about: About, change: Change, now: datetime) -> int:
    # The id of the one open incident of a provider, app or our network; made where there is none.
    row = (await conn.execute(select(incident.c.id).where(is_open(about)))).one_or_none()
    if row is not None:
        return int(row.id)
    made = await conn.execute(
        insert(incident)
        .values(
            kind=about.kind.value,
            name=about.name,
            cause=change.cause.value,
            owner=change.owner.value,
            guard=False,
            reasons=list(change.reasons),
            opened_at=now,
            updated_at=now,
        )
        .returning(incident.c.id)
    )
    number = int(made.scalar_one())
    await events.of_incidents(conn, Type.INCIDENT_OPENED, [number], now)
    return number


async def _follow_members(conn: AsyncConnection, now: datetime) -> None:
    """Let each shared incident have the cause that most of its members have; in a tie it keeps its own.

    What the fleet guard has judged stays as it was judged.
    """
    member = incident.alias("member")
    rows = await conn.execute(
        select(
            incident.c.id,
            incident.c.cause,
            member.c.cause.label("found"),
            func.count(),
            func.max(member.c.id),
        )
        .join(member, and_(member.c.parent_id == incident.c.id, member.c.closed_at.is_(None)))
        .where(
            incident.c.kind != Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            incident.c.guard.is_(False),
            incident.c.wave.is_(False),
        )
        .group_by(incident.c.id, incident.c.cause, member.c.cause)
    )
    most: dict[int, tuple[tuple[int, bool], int]] = {}
    for number, cause, found, count, newest in rows:
        weight = (int(count), cause == found)
        if number not in most or weight > most[number][0]:
            most[number] = weight, newest
    for number, ((_, same), speaks) in most.items():
        if not same:
            said = select(member.c.cause, member.c.owner, member.c.reasons).where(member.c.id == speaks)
            cause, owner, why = (await conn.execute(said)).one()
            values = {"cause": cause, "owner": owner, "reasons": why, "updated_at": now}
            await conn.execute(update(incident).where(incident.c.id == number).values(**values))
            await events.of_incidents(conn, Type.INCIDENT_UPDATED, [number], now)


async def close_of(conn: AsyncConnection, ids: Sequence[str], now: datetime) -> None:
    """Close the incidents of connections that are not looked at any more, under lock 2."""
    await _close(
        conn,
        and_(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.name.in_(ids),
            incident.c.closed_at.is_(None),
        ),
        now,
    )
    await close_empty(conn, now)


async def _close(conn: AsyncConnection, which: ColumnElement[bool], now: datetime) -> None:
    done = update(incident).where(which).values(closed_at=now, updated_at=now).returning(incident.c.id)
    numbers = (await conn.execute(done)).scalars().all()
    await events.of_incidents(conn, Type.INCIDENT_CLOSED, numbers, now)


async def close_empty(conn: AsyncConnection, now: datetime) -> None:
    """Close shared incidents that no open incident of a connection belongs to any more."""
    member = incident.alias("member")
    await _close(
        conn,
        and_(
            incident.c.kind != Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            incident.c.guard.is_(False),
            incident.c.wave.is_(False),
            ~exists().where(member.c.parent_id == incident.c.id, member.c.closed_at.is_(None)),
        ),
        now,
    )


def _with_members() -> Any:
    member = incident.alias("member")
    members = (
        select(func.count())
        .where(member.c.parent_id == incident.c.id, member.c.closed_at.is_(None))
        .scalar_subquery()
    )
    return (
        select(incident, members.label("members"))
        .where(incident.c.closed_at.is_(None))
        .order_by(members.desc(), incident.c.opened_at)
    )


async def open_now(database: Database) -> list[OpenIncident]:
    """Return every open incident, the largest first, with how many connections belong to it."""
    async with database.read() as conn:
        return [_of(row) for row in await conn.execute(_with_members())]


async def over(database: Database, limit: int, before: int | None = None) -> list[Closed]:
    """Return incidents that are closed, by number, the newest first, before a number."""
    query = select(incident).where(incident.c.closed_at.is_not(None))
    if before is not None:
        query = query.where(incident.c.id < before)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(incident.c.id.desc()).limit(limit))
        return [Closed(_of(row), row.closed_at, row.ended) for row in rows]


async def shared(conn: AsyncConnection) -> list[OpenIncident]:
    """Return the open incidents of what connections share, the largest first."""
    rows = await conn.execute(_with_members().where(incident.c.kind != Subject.CONNECTION.value))
    return [_of(row) for row in rows]


async def troubled(conn: AsyncConnection) -> frozenset[About]:
    """Return what several connections share and that is in trouble now, waves of the fleet guard too."""
    rows = await conn.execute(
        select(incident.c.kind, incident.c.name)
        .where(incident.c.kind != Subject.CONNECTION.value, incident.c.closed_at.is_(None))
        .distinct()
    )
    return frozenset(About(Subject(row.kind), row.name) for row in rows)


async def of_connection(database: Database, connection_id: str) -> list[OpenIncident]:
    """Return the open incident of one connection, and the larger one it belongs to."""
    own = select(incident).where(is_open(About(Subject.CONNECTION, connection_id)))
    async with database.read() as conn:
        row = (await conn.execute(own)).one_or_none()
        if row is None:
            return []
        found = [_of(row)]
        if row.parent_id is not None:
            parent = (
                await conn.execute(
                    select(incident).where(incident.c.id == row.parent_id, incident.c.closed_at.is_(None))
                )
            ).one_or_none()
            found += [_of(parent)] if parent is not None else []
        return found


def _of(row: Any) -> OpenIncident:
    return OpenIncident(
        id=row.id,
        about=About(Subject(row.kind), row.name),
        cause=Cause(row.cause),
        owner=Owner(row.owner),
        guard=row.guard,
        opened_at=row.opened_at,
        reasons=tuple(row.reasons),
        members=getattr(row, "members", 0),
        mails=row.mails,
        wave=row.wave,
        waits=row.waits,
        told_at=row.told_at,
        spoken_at=row.spoken_at,
    )


def held() -> Select[Any]:
    """Return the query for how many connections' clients are not told because a wave holds them.

    Rows of the wave's kind, name, cause and owner, and how many.
    """
    wave = incident.alias("wave")
    return (
        select(wave.c.kind, wave.c.name, wave.c.cause, wave.c.owner, func.count())
        .select_from(incident)
        .join(wave, wave.c.id == incident.c.parent_id)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            incident.c.told_at.is_(None),
            incident.c.mails == "",
            wave.c.wave,
            wave.c.closed_at.is_(None),
        )
        .group_by(wave.c.kind, wave.c.name, wave.c.cause, wave.c.owner)
    )
