"""Incidents: opened, updated and closed with the verdicts, and the fleet guard's judgement of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import NotFound
from monitor.health.causes import Cause, Owner, Subject, consequence
from monitor.health.guard import GuardPolicy, Hold, Tally, judge
from monitor.health.incidents import About, Place, shared_subject
from monitor.health.lifecycle import IncidentChange, State
from monitor.store import audit
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import incident, watch


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
    mails: str = ""  # what a person said of the mails that a guard holds


RELEASED, DROPPED = "released", "dropped"  # what a person said of the mails that a guard holds
guards = incident.alias("guards")


async def one_at_a_time(conn: AsyncConnection) -> None:
    """Let one transaction at a time change incidents: two processes may see the same outage begin.

    SQLite has one writer anyway. Freed with the transaction.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(select(func.pg_advisory_xact_lock(7238916)))


async def apply(conn: AsyncConnection, changes: Sequence[Change], now: datetime) -> None:
    """Make the incident changes of a batch, and keep the shared ones in step."""
    opened = [c for c in changes if c.change is IncidentChange.OPEN]
    updated = [c for c in changes if c.change is IncidentChange.UPDATE]
    closed = [c for c in changes if c.change is IncidentChange.CLOSE]
    for change in opened + updated:
        shared = shared_subject(change.cause, change.place)
        parent = await _open_shared(conn, shared, change, now) if shared is not None else None
        await _put(conn, change, parent)
    if closed:
        await conn.execute(
            update(incident)
            .where(
                incident.c.kind == Subject.CONNECTION.value,
                incident.c.name.in_([c.connection for c in closed]),
                incident.c.closed_at.is_(None),
            )
            .values(closed_at=now, updated_at=now)
        )
    if closed or updated:
        await close_empty(conn, now)


async def _put(conn: AsyncConnection, change: Change, parent: int | None) -> None:
    about = About(Subject.CONNECTION, change.connection)
    values = {
        "cause": change.cause.value,
        "owner": change.owner.value,
        "reasons": list(change.reasons),
        "updated_at": change.at,
        "parent_id": parent,
    }
    row = (await conn.execute(select(incident.c.id).where(_is_open(about)))).one_or_none()
    if row is not None:
        await conn.execute(update(incident).where(incident.c.id == row.id).values(**values))
    else:
        await conn.execute(
            insert(incident).values(
                kind=about.kind.value, name=about.name, guard=False, opened_at=change.at, **values
            )
        )


def _is_open(about: About) -> Any:
    return and_(
        incident.c.kind == about.kind.value, incident.c.name == about.name, incident.c.closed_at.is_(None)
    )


async def _open_shared(conn: AsyncConnection, about: About, change: Change, now: datetime) -> int:
    # The id of the one open incident of a provider, app or our network; made where there is none.
    row = (await conn.execute(select(incident.c.id).where(_is_open(about)))).one_or_none()
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
    return int(made.scalar_one())


async def close_empty(conn: AsyncConnection, now: datetime) -> None:
    """Close shared incidents that no open incident of a connection belongs to any more."""
    member = incident.alias("member")
    await conn.execute(
        update(incident)
        .where(
            incident.c.kind != Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            incident.c.guard.is_(False),
            ~exists().where(member.c.parent_id == incident.c.id, member.c.closed_at.is_(None)),
        )
        .values(closed_at=now, updated_at=now)
    )


async def guard(conn: AsyncConnection, policy: GuardPolicy, now: datetime) -> tuple[Hold, ...]:
    """Let the guard judge the fleet as this transaction sees it, and write what it decides."""
    standing = await _standing(conn)
    holds = judge(await _tallies(conn, policy, now), frozenset(standing), policy)
    for hold in holds:
        await _raise_guard(conn, hold, standing.get(hold.about), now)
    for about, number in standing.items():
        if about not in {hold.about for hold in holds}:
            await conn.execute(
                update(incident).where(incident.c.id == number).values(guard=False, updated_at=now, mails="")
            )
            # Who is still broken belongs to the cause's own subject again, or to nobody larger.
            await conn.execute(
                update(incident)
                .where(
                    incident.c.parent_id == number,
                    incident.c.closed_at.is_(None),
                    incident.c.owner == Owner.CLIENT.value,
                )
                .values(parent_id=None, updated_at=now)
            )
    if holds or standing:
        await close_empty(conn, now)
    return holds


@retried
async def judge_again(database: Database, policy: GuardPolicy, now: datetime) -> None:
    """Let the guard come down where it may, also when no verdict changes."""
    async with database.write() as conn:
        await one_at_a_time(conn)
        await guard(conn, policy, now)


async def _standing(conn: AsyncConnection) -> dict[About, int]:
    rows = await conn.execute(
        select(incident.c.id, incident.c.kind, incident.c.name).where(
            incident.c.guard.is_(True), incident.c.closed_at.is_(None)
        )
    )
    return {About(Subject(row.kind), row.name): row.id for row in rows}


async def _tallies(conn: AsyncConnection, policy: GuardPolicy, now: datetime) -> list[Tally]:
    lately = case((watch.c.bad_since >= now - policy.window, 1), else_=0)
    place = (watch.c.app, watch.c.provider, watch.c.region)
    watched = watch.c.state.in_([State.HEALTHY.value, State.SUSPECT.value, State.BROKEN.value])
    held_by_guard = select(incident.c.name).where(
        incident.c.kind == Subject.CONNECTION.value,
        incident.c.closed_at.is_(None),
        incident.c.parent_id.in_(
            select(incident.c.id).where(incident.c.guard.is_(True), incident.c.closed_at.is_(None))
        ),
    )
    fine: Counter[Place] = Counter()
    for row in await conn.execute(
        select(*place, func.count().label("n")).where(watched, watch.c.bad_since.is_(None)).group_by(*place)
    ):
        fine[Place(row.app, row.provider, row.region)] = row.n
    causes: dict[Place, dict[Cause, int]] = defaultdict(dict)
    held: dict[Place, dict[Cause, int]] = defaultdict(dict)
    bad = await conn.execute(
        select(
            *place,
            watch.c.candidate,
            func.sum(lately).label("n"),
            func.sum(case((watch.c.connection.in_(held_by_guard), 1), else_=0)).label("held"),
        )
        .where(watched, watch.c.bad_since.is_not(None))
        .group_by(*place, watch.c.candidate)
    )
    for row in bad:
        where = Place(row.app, row.provider, row.region)
        if row.held:
            held[where][Cause(row.candidate)] = int(row.held)
        if row.n:
            causes[where][Cause(row.candidate)] = int(row.n)
    return [
        Tally(where, fine[where], causes.get(where, {}), held.get(where, {}))
        for where in fine.keys() | causes.keys() | held.keys()
    ]


async def _raise_guard(conn: AsyncConnection, hold: Hold, standing: int | None, now: datetime) -> None:
    values = {
        "cause": hold.cause.value,
        "owner": consequence(hold.cause).owner.value,
        "reasons": [hold.sentence],
        "updated_at": now,
        "guard": True,
    }
    if standing is None:
        row = (await conn.execute(select(incident.c.id).where(_is_open(hold.about)))).one_or_none()
        standing = int(row.id) if row is not None else None
    if standing is None:
        made = await conn.execute(
            insert(incident)
            .values(kind=hold.about.kind.value, name=hold.about.name, opened_at=now, **values)
            .returning(incident.c.id)
        )
        standing = int(made.scalar_one())
    else:
        await conn.execute(update(incident).where(incident.c.id == standing).values(**values))
    await conn.execute(
        update(incident)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            incident.c.name.in_(_members(hold.about)),
            or_(incident.c.parent_id.is_(None), incident.c.parent_id != standing),
        )
        .values(parent_id=standing, updated_at=now)
    )
    # What a person dropped stays dropped, also for those that join the same break later.
    await conn.execute(
        update(incident)
        .where(
            incident.c.parent_id == standing,
            incident.c.closed_at.is_(None),
            incident.c.mails != DROPPED,
            exists().where(guards.c.id == standing, guards.c.mails == DROPPED),
        )
        .values(mails=DROPPED)
    )


def _members(about: About) -> Any:
    chosen = select(watch.c.connection)
    match about.kind:
        case Subject.APP:
            return chosen.where(watch.c.app == about.name)
        case Subject.REGION:
            provider, _, region = about.name.partition("/")
            return chosen.where(watch.c.provider == provider, watch.c.region == region)
        case Subject.PROVIDER:
            return chosen.where(watch.c.provider == about.name)
        case Subject.NETWORK:
            return chosen.where(watch.c.cause == Cause.NETWORK.value)
        case Subject.CONNECTION:
            return chosen.where(watch.c.connection == about.name)


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


async def shared(conn: AsyncConnection) -> list[OpenIncident]:
    """Return the open incidents of what connections share, the largest first."""
    rows = await conn.execute(_with_members().where(incident.c.kind != Subject.CONNECTION.value))
    return [_of(row) for row in rows]


async def of_connection(database: Database, connection_id: str) -> list[OpenIncident]:
    """Return the open incident of one connection, and the larger one it belongs to."""
    own = select(incident).where(_is_open(About(Subject.CONNECTION, connection_id)))
    async with database.read() as conn:
        row = (await conn.execute(own)).one_or_none()
        if row is None:
            return []
        found = [_of(row)]
        if row.parent_id is not None:
            parent = (
                await conn.execute(select(incident).where(incident.c.id == row.parent_id))
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
    )


@retried
async def decide(database: Database, about: About, mails: str, now: datetime, actor: str) -> int:
    """Release or drop the mails that a standing guard holds; return of how many connections.

    Raises NotFound where no guard stands.
    """
    async with database.write() as conn:
        await one_at_a_time(conn)
        row = (
            await conn.execute(select(incident.c.id).where(_is_open(about), incident.c.guard.is_(True)))
        ).one_or_none()
        if row is None:
            raise NotFound(f"No guard stands over {about}; 'token-health notices list' shows those that do.")
        await conn.execute(update(incident).where(incident.c.id == row.id).values(mails=mails))
        members = (
            incident.c.parent_id == row.id,
            incident.c.closed_at.is_(None),
            incident.c.owner == Owner.CLIENT.value,
        )
        if mails == DROPPED:
            await conn.execute(update(incident).where(*members).values(mails=DROPPED))
        count = (await conn.execute(select(func.count()).select_from(incident).where(*members))).scalar_one()
        await audit.record(conn, now, actor, f"mails.{mails}", str(about), connections=count)
    return int(count)


def held() -> Any:
    """Return the query for how many broken connections' clients are not told because a guard holds it.

    Rows of the guard's kind, name, cause and owner, and how many.
    """
    parent = incident.alias("holder")
    return (
        select(parent.c.kind, parent.c.name, parent.c.cause, parent.c.owner, func.count())
        .select_from(incident)
        .join(parent, parent.c.id == incident.c.parent_id)
        .where(
            incident.c.closed_at.is_(None),
            incident.c.owner == Owner.CLIENT.value,
            incident.c.mails != DROPPED,
            parent.c.guard.is_(True),
            parent.c.closed_at.is_(None),
            parent.c.mails != RELEASED,
        )
        .group_by(parent.c.kind, parent.c.name, parent.c.cause, parent.c.owner)
    )
