"""What ends of connections, soonest first: a page at a time, never the fleet.

Each source of ends is a query in the order of one column that has an index, from after a key on and with a
limit; several are merged by whoever asks. No ciphertext is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

from monitor.health.calendar import Key, Kind, Known, Lasts, Needs, Wanted
from monitor.health.causes import Owner
from monitor.health.lifecycle import State
from monitor.store import within
from monitor.store.campaign_tables import campaign_member
from monitor.store.engine import Database, UtcDateTime, epoch
from monitor.store.tables import connection, credential, watch

_ASKED_ALREADY = and_(watch.c.state == State.BROKEN.value, watch.c.owner == Owner.CLIENT.value)
_ASKED_BY_NONE = ~exists().where(
    campaign_member.c.connection == credential.c.connection, campaign_member.c.standing
)
_KEPT = and_(watch.c.next_probe_at.is_not(None), watch.c.state != State.BROKEN.value)
_ALIVE = and_(credential.c.refresh.is_not(None), credential.c.lost.is_(False))
_EPOCH = date(1970, 1, 1)
_NONE_FOLLOWS = or_(credential.c.refresh.is_(None), credential.c.lost.is_(True))


@dataclass(frozen=True, slots=True)
class Source:
    """Where ends of one kind stand: `column` plus `lasts` is when, for connections of these apps."""

    kind: Kind
    column: ColumnElement[datetime]
    apps: tuple[str, ...]
    lasts: timedelta = timedelta(0)
    such: tuple[ColumnElement[bool], ...] = ()


def sources(lasts: Mapping[str, Lasts], wanted: Wanted) -> list[Source]:
    """Return the sources that there are for some apps, of what is wanted.

    What an answer told goes before what the provider's file says.
    """
    apps = tuple(sorted(app for app in lasts if not wanted.apps or app in wanted.apps))
    found = []
    if wanted.asks(Needs.CLIENT):
        had = (credential.c.access.is_not(None), _NONE_FOLLOWS)
        found.append(Source(Kind.ACCESS_TOKEN, credential.c.access_expires_at, apps, such=had))
        found.append(Source(Kind.GRANT, credential.c.grant_ends_at, apps, such=(_ALIVE,)))
        by_file = (_ALIVE, credential.c.grant_ends_at.is_(None))
        found += [
            Source(Kind.GRANT, credential.c.authorized_at, some, span, by_file)
            for span, some in _alike(lasts, apps, "absolute")
        ]
    if wanted.asks(Needs.NOBODY) or wanted.asks(Needs.OPERATOR):
        found.append(Source(Kind.REFRESH_TOKEN, credential.c.refresh_expires_at, apps, such=_unused(wanted)))
        such = (*_unused(wanted), credential.c.refresh_expires_at.is_(None))
        found += [
            Source(Kind.REFRESH_TOKEN, credential.c.refresh_used_at, some, span, such)
            for span, some in _alike(lasts, apps, "idle")
        ]
    return [one for one in found if not wanted.kinds or one.kind.value in wanted.kinds]


def _unused(wanted: Wanted) -> tuple[ColumnElement[bool], ...]:
    """Return which refresh tokens are wanted: those that the service uses in time, the others, or all."""
    if not wanted.asks(Needs.NOBODY):
        return (_ALIVE, ~_KEPT)
    return (_ALIVE,) if wanted.asks(Needs.OPERATOR) else (_ALIVE, _KEPT)


def _alike(
    lasts: Mapping[str, Lasts], apps: Sequence[str], which: str
) -> list[tuple[timedelta, tuple[str, ...]]]:
    """Return the apps by how long theirs last."""
    spans: dict[timedelta, list[str]] = {}
    for app in apps:
        if (span := getattr(lasts[app], which)) is not None:
            spans.setdefault(span, []).append(app)
    return [(span, tuple(some)) for span, some in spans.items()]


async def page(
    database: Database, source: Source, wanted: Wanted, after: Key | None, limit: int
) -> list[tuple[datetime, Known]]:
    """Return up to `limit` ends of a source that follow a key, soonest first, with what is known of each."""
    if not source.apps:
        return []
    told = source.lasts == timedelta(0)
    query = (
        select(
            source.column,
            watch.c.connection,
            watch.c.app,
            watch.c.provider,
            connection.c.client_name,
            watch.c.state,
            _KEPT,
            credential.c.issued_at,
            credential.c.access_expires_at,
            credential.c.refresh_used_at,
            watch.c.paused_until,
        )
        .select_from(credential)
        .join(watch, watch.c.connection == credential.c.connection)
        .join(connection, connection.c.id == credential.c.connection)
        .where(*_where(source, wanted, after, database.is_sqlite))
        .order_by(source.column, _name(database.is_sqlite))
        .limit(limit)
    )
    async with database.read() as conn:
        return [(row[0] + source.lasts, _known(row, told=told)) for row in await conn.execute(query)]


def _known(row: Any, *, told: bool) -> Known:
    _at, name, app, provider, client, state, kept, issued, expires, used, paused_until = row
    return Known(
        name, app, provider, client, State(state), bool(kept), issued, expires, used, told, paused_until
    )


def _where(
    source: Source,
    wanted: Wanted,
    after: Key | None,
    is_sqlite: bool,
    app: ColumnElement[str] = connection.c.app,
    provider: ColumnElement[str] = connection.c.provider,
) -> list[ColumnElement[bool]]:
    column, lasts = source.column, source.lasts
    found: list[ColumnElement[bool]] = [
        column.is_not(None),
        column > _moment(wanted.begin - lasts),
        column <= _moment(wanted.until - lasts),
        app.in_(source.apps),  # of a column that has no index: what ends first leads
        ~_ASKED_ALREADY,
        *source.such,
        *within.conditions(wanted.within, is_sqlite),
    ]
    if wanted.providers:
        found.append(provider.in_(sorted(wanted.providers)))
    if wanted.clients:
        found.append(connection.c.client_name.in_(sorted(wanted.clients)))
    if after is not None:
        at = _moment(after.at - lasts)
        if source.kind.value == after.kind:
            found.append(tuple_(column, _name(is_sqlite)) > tuple_(at, literal(after.name)))
        found.append(column >= at if source.kind.value >= after.kind else column > at)
    return found


def _name(is_sqlite: bool) -> ColumnElement[str]:
    """Return the connection's id in the order in which Python merges several sources."""
    return credential.c.connection if is_sqlite else credential.c.connection.collate("C")


def _moment(at: datetime) -> ColumnElement[datetime]:
    return literal(at, UtcDateTime)


async def next_of(
    database: Database, source: Source, wanted: Wanted, *, unplanned: bool = False
) -> list[tuple[str, datetime, int]]:
    """Return for each app when the first of a source ends, and how many do by `wanted.until`.

    `unplanned` leaves out whose client a campaign asks anyway.
    """
    if not source.apps:
        return []
    query = (
        select(watch.c.app, func.min(source.column).label("first"), func.count())
        .select_from(credential)
        .join(watch, watch.c.connection == credential.c.connection)
        .join(connection, connection.c.id == credential.c.connection)
        .where(*_where(source, wanted, None, database.is_sqlite), *([_ASKED_BY_NONE] if unplanned else []))
        .group_by(watch.c.app)
    )
    async with database.read() as conn:
        return [(app, first + source.lasts, int(n)) for app, first, n in await conn.execute(query)]


@dataclass(frozen=True, slots=True)
class OfDay:
    """How many connections of an app have an end on a day of UTC; `first` is the first of their ids."""

    app: str
    on: date
    count: int
    first: str


async def by_day(database: Database, source: Source, wanted: Wanted) -> list[OfDay]:
    """Return how many of a source end on which day: a row an app and day, never the fleet."""
    if not source.apps:
        return []
    day, app = _day(source), func.coalesce(watch.c.app, literal_column("''"))  # what ends first leads
    query = select(app, day, func.count(), func.min(credential.c.connection)).select_from(credential)
    query = query.join(watch, watch.c.connection == credential.c.connection)
    if wanted.clients or not wanted.within.whole:
        query = query.join(connection, connection.c.id == credential.c.connection)
    where = _where(source, wanted, None, database.is_sqlite, app, watch.c.provider)
    async with database.read() as conn:
        return [
            OfDay(name, _EPOCH + timedelta(days=int(number)), int(count), first)
            for name, number, count, first in await conn.execute(query.where(*where).group_by(app, day))
        ]


async def asked_by_day(database: Database, source: Source, wanted: Wanted) -> dict[tuple[str, date], int]:
    """Return how many of them a campaign asks, by app and day."""
    if not source.apps:
        return {}
    day = _day(source)
    query = (
        select(watch.c.app, day, func.count())
        .select_from(campaign_member)
        .join(credential, credential.c.connection == campaign_member.c.connection)
        .join(watch, watch.c.connection == credential.c.connection)
        .join(connection, connection.c.id == credential.c.connection)
        .where(campaign_member.c.standing, *_where(source, wanted, None, database.is_sqlite))
        .group_by(watch.c.app, day)
    )
    async with database.read() as conn:
        return {
            (app, _EPOCH + timedelta(days=int(number))): int(count)
            for app, number, count in await conn.execute(query)
        }


async def clients_of(database: Database, ids: Sequence[str]) -> dict[str, str]:
    """Return whose some connections are."""
    found: dict[str, str] = {}
    query = select(connection.c.id, connection.c.client_name)
    async with database.read() as conn:
        for start in range(0, len(ids), 500):
            rows = await conn.execute(query.where(connection.c.id.in_(ids[start : start + 500])))
            found.update({row.id: row.client_name for row in rows})
    return found


def _day(source: Source) -> ColumnElement[int]:
    """Return the day of an end, in days since 1970 of UTC."""
    shift = literal_column(str(round(source.lasts.total_seconds())), BigInteger())
    return (epoch(source.column) + shift) // literal_column("86400", BigInteger())


async def touched(
    database: Database, provider: str, scopes: Collection[str], wanted: Wanted, apps: Collection[str]
) -> int:
    """Return how many connections of a provider need one of some scopes; of all its where there are none."""
    query = (
        select(func.count())
        .select_from(connection)
        .where(
            connection.c.provider == provider,
            connection.c.app.in_(sorted(apps)),
            *within.conditions(wanted.within, database.is_sqlite),
        )
    )
    if scopes:
        # A scope stands in the JSON list within quotes; % and _ in one are themselves.
        needed = cast(connection.c.scopes, String)
        query = query.where(or_(false(), *(needed.contains(f'"{one}"', autoescape=True) for one in scopes)))
    async with database.read() as conn:
        return int((await conn.execute(query)).scalar_one())
