"""Incidents as people and programs leaf through them: filtered, newest first, and who belongs to each.

For whoever sees a part of the fleet only, an incident is there if one of its connections is, and has no more
members than they see.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, or_, select, tuple_

from monitor.health.causes import Cause, Owner, Subject
from monitor.health.incidents import About
from monitor.health.restriction import UNRESTRICTED, Restriction
from monitor.store import within
from monitor.store.engine import Database, UtcDateTime
from monitor.store.tables import connection, incident


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents: each that is given has to hold, and of several values one."""

    number: int | None = None
    open: bool | None = None
    causes: Collection[str] = ()
    owners: Collection[str] = ()
    about: About | None = None
    kinds: Collection[str] = ()
    members: int = 0  # so many at least
    guard: bool | None = None  # the fleet guard is up over it
    single: bool = False  # of a connection, and part of nothing larger that is open
    apart: bool = False  # that never was a part of something larger
    only: Restriction = UNRESTRICTED  # what there is for whoever asks


@dataclass(frozen=True, slots=True)
class Seen:
    """An incident that stands, or stood; `members` are the connections of a shared one."""

    id: int
    about: About
    cause: Cause
    owner: Owner
    guard: bool
    wave: bool
    reasons: tuple[str, ...]
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    ended: str
    mails: str
    told_at: datetime | None
    part_of: int | None
    members: int


class Member(NamedTuple):
    """A connection of an incident, with its own incident."""

    incident: int
    connection: str


_member = incident.alias("member")
# Of one that is over, whoever belonged to it.
_BELONGS = and_(
    _member.c.parent_id == incident.c.id,
    or_(_member.c.closed_at.is_(None), incident.c.closed_at.is_not(None)),
)


_parent = incident.alias("parent")
SINGLE = and_(
    incident.c.kind == Subject.CONNECTION.value,
    ~exists().where(_parent.c.id == incident.c.parent_id, _parent.c.closed_at.is_(None)),
)


def _names(only: Restriction, is_sqlite: bool) -> Select[Any]:
    return select(connection.c.id).where(*within.conditions(only, is_sqlite))


def _belongs(only: Restriction, is_sqlite: bool) -> ColumnElement[bool]:
    if only.whole:
        return _BELONGS
    return and_(_BELONGS, _member.c.name.in_(_names(only, is_sqlite)))


def _query(which: Wanted, is_sqlite: bool) -> Select[Any]:
    belongs = _belongs(which.only, is_sqlite)
    members = select(func.count()).select_from(_member).where(belongs).correlate(incident).scalar_subquery()
    query = select(incident, members.label("members")).where(*_conditions(which, members))
    if not which.only.whole:
        own = and_(
            incident.c.kind == Subject.CONNECTION.value, incident.c.name.in_(_names(which.only, is_sqlite))
        )
        query = query.where(or_(own, exists().where(belongs).correlate(incident)))
    return query


def _conditions(which: Wanted, members: Any) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if which.number is not None:
        found.append(incident.c.id == which.number)
    if which.open is not None:
        found.append(incident.c.closed_at.is_(None) if which.open else incident.c.closed_at.is_not(None))
    for column, values in (
        (incident.c.cause, which.causes),
        (incident.c.owner, which.owners),
        (incident.c.kind, which.kinds),
    ):
        if values:
            found.append(column.in_(sorted(values)))
    if which.about is not None:
        found += [incident.c.kind == which.about.kind.value, incident.c.name == which.about.name]
    if which.members:
        found.append(members >= which.members)
    if which.guard is not None:
        found.append(incident.c.guard.is_(which.guard))
    if which.single:
        found.append(SINGLE)
    if which.apart:
        found.append(incident.c.parent_id.is_(None))
    return found


async def page(database: Database, which: Wanted, limit: int, before: int | None = None) -> list[Seen]:
    """Return incidents by number, the newest first, before a number."""
    query = _query(which, database.is_sqlite)
    if before is not None:
        query = query.where(incident.c.id < before)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(incident.c.id.desc()).limit(limit))
        return [_seen(row) for row in rows]


_WHO_ACTS = case((incident.c.wave, 0), (incident.c.owner == Owner.OPERATOR.value, 1), else_=2)


async def pressing(database: Database, which: Wanted, limit: int) -> list[Seen]:
    """Return incidents by who has to act: waves, what is the operator's, the rest; the oldest first."""
    order = (_WHO_ACTS, incident.c.opened_at, incident.c.id)
    query = _query(which, database.is_sqlite).order_by(*order).limit(limit)
    async with database.read() as conn:
        return [_seen(row) for row in await conn.execute(query)]


async def closed(
    database: Database, which: Wanted, limit: int, before: tuple[datetime, int] | None = None
) -> list[Seen]:
    """Return incidents that are over, what ended last first, before a time and a number."""
    query = _query(replace(which, open=False), database.is_sqlite)
    if before is not None:
        bound = (literal(before[0], UtcDateTime), literal(before[1]))
        query = query.where(tuple_(incident.c.closed_at, incident.c.id) < tuple_(*bound))
    async with database.read() as conn:
        rows = await conn.execute(
            query.order_by(incident.c.closed_at.desc(), incident.c.id.desc()).limit(limit)
        )
        return [_seen(row) for row in rows]


async def members(database: Database, number: int, only: Restriction, limit: int) -> list[Member]:
    """Return connections that belong to an incident; of a connection's own, itself."""
    is_sqlite = database.is_sqlite
    own = select(incident.c.id, incident.c.name).where(
        incident.c.id == number, incident.c.kind == Subject.CONNECTION.value
    )
    if not only.whole:
        own = own.where(incident.c.name.in_(_names(only, is_sqlite)))
    theirs = (
        select(_member.c.id, _member.c.name)
        .select_from(_member)
        .join(incident, _belongs(only, is_sqlite))
        .where(incident.c.id == number)
        .order_by(_member.c.id)
        .limit(limit)
    )
    async with database.read() as conn:
        rows = (await conn.execute(own)).all() or (await conn.execute(theirs)).all()
    return [Member(*row) for row in rows]


def _seen(row: Any) -> Seen:
    return Seen(
        row.id, About(Subject(row.kind), row.name), Cause(row.cause), Owner(row.owner), row.guard, row.wave,
        tuple(row.reasons), row.opened_at, row.updated_at, row.closed_at, row.ended, row.mails, row.told_at,
        row.parent_id, row.members,
    )  # fmt: skip
