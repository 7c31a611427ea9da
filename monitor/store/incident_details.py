"""What people look at beside an incident: its members, how it grew, and how those beside it are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.breaks import ALONE, AUTHORIZED
from monitor.health.causes import Subject
from monitor.health.growth import Growth
from monitor.health.incidents import Place
from monitor.health.restriction import Restriction
from monitor.store import within
from monitor.store.engine import Database, UtcDateTime
from monitor.store.history import Changed, read_change
from monitor.store.incident_pages import SINGLE
from monitor.store.tables import connection, history, incident, watch


@dataclass(frozen=True, slots=True)
class Tally:
    """The connections of a shared incident by how they are; `first_at` is when the first of them broke."""

    members: int = 0
    open: int = 0
    told: int = 0  # whose clients were told
    alone: int = 0  # that healed by themselves
    authorized: int = 0  # that an authorization mended
    first_at: datetime | None = None


class Share(NamedTuple):
    """How many connections of a place are in a state."""

    place: Place
    state: str
    connections: int


@dataclass(frozen=True, slots=True)
class Belongs:
    """A connection of an incident: its own incident, who it is, and what became of it."""

    incident: int
    connection: str
    client: str
    place: Place
    state: str  # now
    cause: str
    broke_at: datetime
    closed_at: datetime | None
    ended: str
    told_at: datetime | None
    mails: str


class Reader(NamedTuple):
    """Whom a mail about a connection goes to; those who are alike in all of it are told together."""

    client: str
    contacts: tuple[str, ...]
    locale: str
    timezone: str


class Open(NamedTuple):
    """How many incidents are open: waves, others that several share, and single connections, by who acts."""

    waves: int
    shared: Mapping[str, int]
    single: Mapping[str, int]
    members: int  # connections of waves and of what several share

    @property
    def total(self) -> int:
        """All of them, each member of a larger one left out."""
        return self.waves + sum(self.shared.values()) + sum(self.single.values())


_TURNED = func.coalesce(incident.c.turned_at, incident.c.opened_at)
_UNTOLD = and_(incident.c.closed_at.is_(None), incident.c.told_at.is_(None), incident.c.mails == "")


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


async def tallies(database: Database, numbers: Collection[int]) -> dict[int, Tally]:
    """Return the connections of shared incidents, counted."""
    query = (
        select(
            incident.c.parent_id, func.count(), _sum(incident.c.closed_at.is_(None)),
            _sum(incident.c.told_at.is_not(None)), _sum(incident.c.ended == ALONE),
            _sum(incident.c.ended == AUTHORIZED), func.min(_TURNED, type_=UtcDateTime),
        )
        .where(incident.c.parent_id.in_(sorted(numbers)))
        .group_by(incident.c.parent_id)
    )  # fmt: skip
    async with database.read() as conn:
        rows = await conn.execute(query)
        return {
            number: Tally(int(of), int(left), int(told), int(alone), int(mended), first)
            for number, of, left, told, alone, mended, first in rows
        }


async def growth(database: Database, wanted: Mapping[int, Sequence[datetime]]) -> dict[int, Growth]:
    """Return how many connections of each of these incidents were broken at some moments; all at once."""
    if not wanted:
        return {}
    counted = []
    for number, moments in wanted.items():
        broken = (
            and_(at >= _TURNED, or_(incident.c.closed_at.is_(None), incident.c.closed_at > at))
            for at in (literal(one, UtcDateTime) for one in moments)
        )
        counted.append(
            select(literal(number), *(_sum(one) for one in broken)).where(incident.c.parent_id == number)
        )
    found = {}
    async with database.read() as conn:
        for number, *counts in await conn.execute(union_all(*counted)):
            points = zip(wanted[number], map(int, counts), strict=True)
            found[number] = Growth(tuple(points))
    return found


# In the order of `watch_sums`: so the whole fleet is counted without a look at its rows.
_SUMS = (watch.c.state, watch.c.cause, watch.c.owner, watch.c.provider, watch.c.app)


async def spread(database: Database, providers: Collection[str], apps: Collection[str] = ()) -> list[Share]:
    """Return how many connections of these providers, and of those of these apps, are in which state.

    All connections of an app are in one region.
    """
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    async with database.read() as conn:
        for state, _, _, provider, app, n in await conn.execute(
            select(*_SUMS, func.count()).group_by(*_SUMS)
        ):
            counts[provider, app, state] += int(n)
        wanted = {*providers, *(provider for provider, app, _ in counts if app in apps)}
        mine = {key: n for key, n in counts.items() if key[0] in wanted}
        regions = await _regions(conn, {app for _, app, _ in mine})
    return [Share(Place(app, provider, regions[app]), state, n) for (provider, app, state), n in mine.items()]


async def _regions(conn: AsyncConnection, apps: Collection[str]) -> dict[str, str]:
    """Return the region of each of these apps, by one of its connections."""
    if not apps:
        return {}
    one = select(watch.c.app, watch.c.region)
    some = [select(one.where(watch.c.app == app).limit(1).subquery()) for app in sorted(apps)]
    rows = await conn.execute(union_all(*some))
    return {row[0]: row[1] for row in rows}


async def newest_changes(database: Database, connections: Collection[str]) -> dict[str, Changed]:
    """Return the newest change of each of these connections, with its evidence."""
    newest = select(func.max(history.c.id)).where(history.c.connection.in_(sorted(connections)))
    query = select(history).where(history.c.id.in_(newest.group_by(history.c.connection)))
    async with database.read() as conn:
        return {row.connection: read_change(row) for row in await conn.execute(query)}


async def some_of(database: Database, numbers: Collection[int]) -> dict[int, str]:
    """Return of each of these shared incidents the connection that broke last and is not mended."""
    newest = (
        select(func.max(incident.c.id))
        .where(incident.c.parent_id.in_(sorted(numbers)), incident.c.closed_at.is_(None))
        .group_by(incident.c.parent_id)
    )
    query = select(incident.c.parent_id, incident.c.name).where(incident.c.id.in_(newest))
    async with database.read() as conn:
        return {row.parent_id: row.name for row in await conn.execute(query)}


async def readers(database: Database, wave: int) -> list[Reader]:
    """Return for each connection whose mail a wave holds whom that would go to."""
    columns = (
        connection.c.client_name, connection.c.contacts, connection.c.locale, connection.c.timezone,
    )  # fmt: skip
    query = (
        select(*columns)
        .join(incident, incident.c.name == connection.c.id)
        .where(incident.c.parent_id == wave, _UNTOLD)
    )
    async with database.read() as conn:
        return [Reader(row[0], tuple(row[1]), row[2], row[3]) for row in await conn.execute(query)]


async def members(
    database: Database, number: int, only: Restriction, limit: int, after: int = 0
) -> list[Belongs]:
    """Return the connections of an incident in the order in which they broke, after one's own incident."""
    query = (
        select(
            incident.c.id, incident.c.name, connection.c.client_name, connection.c.app,
            connection.c.provider, connection.c.region, watch.c.state, incident.c.cause, _TURNED,
            incident.c.closed_at, incident.c.ended, incident.c.told_at, incident.c.mails,
        )
        .join(connection, connection.c.id == incident.c.name)
        .join(watch, watch.c.connection == incident.c.name)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            or_(incident.c.parent_id == number, incident.c.id == number),
            incident.c.id > after,
            *within.conditions(only, database.is_sqlite),
        )
        .order_by(incident.c.id)
        .limit(limit)
    )  # fmt: skip
    async with database.read() as conn:
        rows = await conn.execute(query)
        return [
            Belongs(
                own, name, client, Place(app, provider, region), state, cause, at, closed, ended, told, mails
            )
            for own, name, client, app, provider, region, state, cause, at, closed, ended, told, mails in rows
        ]


def part_of(number: int) -> Select[Any]:
    """Return the query for the numbers of an incident and of all that belong to it."""
    return select(incident.c.id).where(or_(incident.c.id == number, incident.c.parent_id == number))


async def counted(database: Database) -> Open:
    """Return how many incidents are open."""
    kind = case(
        (incident.c.wave, "wave"), (incident.c.kind != Subject.CONNECTION.value, "shared"),
        (SINGLE, "single"), else_="member",
    ).label("what")  # fmt: skip
    query = (
        select(kind, incident.c.owner, func.count())
        .where(incident.c.closed_at.is_(None))
        .group_by(kind, incident.c.owner)
    )
    found: dict[str, dict[str, int]] = {"wave": {}, "shared": {}, "single": {}, "member": {}}
    async with database.read() as conn:
        for what, owner, count in await conn.execute(query):
            found[what][owner] = int(count)
    sums = {what: sum(by.values()) for what, by in found.items()}
    return Open(sums["wave"], found["shared"], found["single"], sums["member"])
