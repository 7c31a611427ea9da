"""Open incidents that stand for several connections of a list: an outage, a wave, an app that is refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, or_, select

from monitor.health.causes import Cause, Owner, Subject
from monitor.health.incidents import About
from monitor.health.listing import Filter
from monitor.store import choosing
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, incident, watch

LEAST = 2  # members, for a row that stands for them


@dataclass(frozen=True, slots=True)
class Shared:
    """A shared incident with those of its connections that were asked for.

    `held` are those whose client is told nothing while it stands; an app, a provider or a region is empty
    where they have several.
    """

    id: int
    about: About
    cause: Cause
    owner: Owner
    guard: bool
    wave: bool
    reasons: tuple[str, ...]
    opened_at: datetime
    mails: str
    members: int
    held: int
    clients: int
    app: str
    provider: str
    region: str
    next_probe_at: datetime | None

    @property
    def turn(self) -> Owner:
        """Whose turn it is."""
        return turn_of(self.owner, wave=self.wave)


@dataclass(frozen=True, slots=True)
class Open:
    """A shared incident, and the provider that its connections are of."""

    owner: Owner
    wave: bool
    provider: str

    @property
    def turn(self) -> Owner:
        """Whose turn it is."""
        return turn_of(self.owner, wave=self.wave)


def turn_of(owner: Owner, *, wave: bool) -> Owner:
    """Return whose turn a shared incident is: what the fleet guard holds waits for a person of ours."""
    return Owner.OPERATOR if wave else owner


_own, _parent = incident.alias("own"), incident.alias("parent")


def _one(column: Any) -> Any:
    return case((func.count(column.distinct()) == 1, func.min(column)), else_="")


async def among(database: Database, which: Filter) -> list[Shared]:
    """Return the open shared incidents with several members that a filter chooses, oldest first."""
    is_sqlite = database.is_sqlite
    source = (
        _own.join(_parent, (_parent.c.id == _own.c.parent_id) & _parent.c.closed_at.is_(None))
        .join(watch, watch.c.connection == _own.c.name)
        .join(connection, connection.c.id == _own.c.name)
    )
    if which.in_doubt:
        source = source.join(credential, credential.c.connection == connection.c.id)
    untold = _own.c.told_at.is_(None) & (_own.c.mails == "")
    query = (
        select(
            _parent.c.id,
            func.count().label("members"),
            func.sum(case((untold, 1), else_=0)).label("held"),
            func.count(connection.c.client_name.distinct()).label("clients"),
            _one(watch.c.app).label("app"),
            _one(watch.c.provider).label("provider"),
            _one(watch.c.region).label("region"),
            func.min(watch.c.next_probe_at).label("next_probe_at"),
        )
        .select_from(source)
        .where(
            _own.c.kind == Subject.CONNECTION.value,
            _own.c.closed_at.is_(None),
            *choosing.everything(which, is_sqlite),
        )
        .group_by(_parent.c.id)
        .having(func.count() >= LEAST)
    )
    async with database.read() as conn:
        found = {row.id: row for row in await conn.execute(query)}
        if not found:
            return []
        rows = await conn.execute(
            select(incident).where(incident.c.id.in_(found)).order_by(incident.c.opened_at, incident.c.id)
        )
        return [_shared(row, found[row.id]) for row in rows]


async def open_now(database: Database, which: Filter) -> list[Open]:
    """Return the open shared incidents that a connection which a filter chooses is part of.

    One connection of each is looked at, where `among` counts all of them.
    """
    some = (
        select(watch.c.provider)
        .select_from(
            _own.join(watch, watch.c.connection == _own.c.name).join(
                connection, connection.c.id == _own.c.name
            )
        )
        .where(
            _own.c.parent_id == _parent.c.id,
            _own.c.kind == Subject.CONNECTION.value,
            _own.c.closed_at.is_(None),
            *choosing.everything(which, database.is_sqlite),
        )
        .limit(1)
        .correlate(_parent)
        .scalar_subquery()
    )
    shared = or_(_parent.c.kind != Subject.CONNECTION.value, _parent.c.wave)
    query = select(_parent.c.owner, _parent.c.wave, some).where(_parent.c.closed_at.is_(None), shared)
    async with database.read() as conn:
        rows = await conn.execute(query)
        return [Open(Owner(owner), wave, provider) for owner, wave, provider in rows if provider is not None]


def _shared(row: Any, some: Any) -> Shared:
    return Shared(
        row.id, About(Subject(row.kind), row.name), Cause(row.cause), Owner(row.owner), row.guard, row.wave,
        tuple(row.reasons), row.opened_at, row.mails, some.members, int(some.held), some.clients, some.app,
        some.provider, some.region, some.next_probe_at,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """The open breaks of connections whose turn is somebody's: all, those on their own, those told of."""

    breaks: int
    alone: int
    told: int


async def turns(database: Database) -> dict[str, Turn]:
    """Return how many breaks are open, by whose turn it is."""
    alone = _parent.c.id.is_(None)
    query = (
        select(
            _own.c.owner,
            func.count(),
            func.sum(case((alone, 1), else_=0)),
            func.sum(case((_own.c.told_at.is_not(None), 1), else_=0)),
        )
        .select_from(
            _own.outerjoin(_parent, (_parent.c.id == _own.c.parent_id) & _parent.c.closed_at.is_(None))
        )
        .where(_own.c.kind == Subject.CONNECTION.value, _own.c.closed_at.is_(None))
        .group_by(_own.c.owner)
    )
    async with database.read() as conn:
        return {row[0]: Turn(row[1], int(row[2]), int(row[3])) for row in await conn.execute(query)}


async def clients(database: Database, which: Filter) -> int:
    """Return how many clients have a connection that a filter chooses."""
    conditions = choosing.of_watch(which)
    query = select(connection.c.client_name).distinct()
    if conditions:
        query = query.join(watch, watch.c.connection == connection.c.id)
    query = query.where(*conditions, *choosing.of_connection(which, database.is_sqlite))
    async with database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(query.subquery()))).scalar_one())
