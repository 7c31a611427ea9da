"""The fleet as people and programs look through it: filtered, counted, and paged by key.

A page begins after a key and not at a number, so that what stood still is neither skipped nor shown twice
while the fleet moves. No ciphertext is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

from monitor.health.incidents import Place
from monitor.health.lifecycle import State
from monitor.health.listing import ALWAYS, MOST, WORST, Counts, Filter, Key, Listed, Page, Sort
from monitor.health.rotation import Doubt
from monitor.store import within
from monitor.store.columns import CLAIM, CLAIMED, HEALTH, read_claim, read_health
from monitor.store.engine import Database, UtcDateTime
from monitor.store.tables import connection, credential, incident, watch

_RANK = case({state.value: rank for rank, state in enumerate(WORST)}, value=watch.c.state, else_=len(WORST))
_SINCE = func.coalesce(watch.c.since, literal(ALWAYS, UtcDateTime))
_NEWCOMER = (watch.c.state == State.PENDING.value) & credential.c.access.is_(None)
_ROWS = (
    select(
        *HEALTH,
        connection.c.id,
        watch.c.app,
        watch.c.provider,
        watch.c.region,
        connection.c.client_name,
        connection.c.scopes,
        connection.c.labels,
        connection.c.custody,
        connection.c.revision,
        watch.c.last_probe_at,
        watch.c.next_probe_at,
        credential.c.doubt_since,
        credential.c.doubt_tried_at,
        credential.c.lost,
        _NEWCOMER,
        _RANK,
        *CLAIM,
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
    .outerjoin(incident, CLAIMED)
)


async def page(
    database: Database, which: Filter, sort: Sort = Sort.WORST, after: Key | None = None, limit: int = MOST
) -> Page:
    """Return up to `limit` connections that follow a key."""
    query = _ordered(_ROWS.where(*_conditions(which, database.is_sqlite)), sort, after).limit(limit + 1)
    async with database.read() as conn:
        rows = [_listed(row) for row in await conn.execute(query)]
    more = len(rows) > limit
    return Page([row for row, _ in rows[:limit]], rows[limit - 1][1] if more else None)


async def every(
    database: Database, which: Filter | None = None, sort: Sort = Sort.WORST
) -> AsyncIterator[Listed]:
    """Return all of them, read page by page."""
    found = await page(database, which or Filter(), sort)
    while True:
        for row in found.rows:
            yield row
        if found.after is None:
            return
        found = await page(database, which or Filter(), sort, found.after)


async def ids_beside(database: Database, name: str, limit: int) -> list[str]:
    """Return the ids that come before and after one in order, so many of each."""
    ids = connection.c.id
    before = select(ids).where(ids < name).order_by(ids.desc()).limit(limit)
    after = select(ids).where(ids > name).order_by(ids).limit(limit)
    async with database.read() as conn:
        return [one for query in (before, after) for one in (await conn.execute(query)).scalars()]


async def counts(database: Database, which: Filter | None = None) -> Counts:
    """Return how many there are."""
    # In the order of `watch_sums`, in which the whole fleet is counted without a look at its rows. For a part
    # SQLite would follow it, too, from row to row; a first value that is in no index has it sort instead.
    what: tuple[ColumnElement[Any], ...] = (
        watch.c.state, watch.c.cause, watch.c.owner, watch.c.provider, watch.c.app,
    )  # fmt: skip
    of = _needed(which or Filter())
    by = what if of is watch else (func.coalesce(watch.c.state, literal_column("''")), *what[1:])
    query: Select[Any] = (
        select(by[0], *what[1:], func.count())
        .select_from(of)
        .where(*_conditions(which or Filter(), database.is_sqlite))
        .group_by(*by)
    )
    sums: tuple[dict[str, int], ...] = ({}, {}, {}, {}, {})
    total = 0
    async with database.read() as conn:
        for state, cause, owner, provider, app, count in await conn.execute(query):
            total += int(count)
            broken = (owner, cause) if state == State.BROKEN.value else ()
            for found, value in zip(sums, (state, provider, app, *broken), strict=False):
                found[value] = found.get(value, 0) + int(count)
    states, providers, apps, owners, causes = sums
    return Counts(total, states, owners, causes, providers, apps)


def _needed(which: Filter) -> FromClause:
    """Return no more tables than a filter needs: to count the whole fleet is one walk through how it is."""
    beyond = (which.clients, which.custodies, which.ids, which.labels, which.text)
    if not any(beyond) and which.within.whole and not which.in_doubt:
        return watch
    found = connection.join(watch, watch.c.connection == connection.c.id)
    return found.join(credential, credential.c.connection == connection.c.id) if which.in_doubt else found


def _conditions(which: Filter, is_sqlite: bool) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        column.in_(sorted(values))
        for column, values in (
            (watch.c.state, which.states),
            (watch.c.cause, which.causes),
            (watch.c.owner, which.owners),
            (watch.c.provider, which.providers),
            (watch.c.app, which.apps),
            (connection.c.client_name, which.clients),
            (connection.c.custody, which.custodies),
            (connection.c.id, which.ids),
        )
        if values
    ]
    found += [connection.c.labels[name].as_string() == value for name, value in which.labels.items()]
    if which.text:
        named = (connection.c.id, connection.c.client_name, connection.c.account_name)
        found.append(or_(*(column.icontains(which.text, autoescape=True) for column in named)))
    if which.since_before is not None:
        found.append(watch.c.since < which.since_before)
    if which.in_doubt:
        found.append(credential.c.doubt_since.is_not(None) & credential.c.lost.is_(False))
    return found + within.conditions(which.within, is_sqlite)


def _ordered(query: Select[Any], sort: Sort, after: Key | None) -> Select[Any]:
    order: tuple[ColumnElement[Any], ...] = (connection.c.id,)
    reached: tuple[Any, ...] = (after.id,) if after else ()
    if sort is not Sort.ID:
        order, reached = (_SINCE, *order), (after.since, *reached) if after else ()
    if sort is Sort.WORST:
        order, reached = (_RANK, *order), (after.rank, *reached) if after else ()
    newest_first = sort is Sort.SINCE
    if after:
        here, there = tuple_(*order), tuple_(*map(_bound, reached))
        query = query.where(here < there if newest_first else here > there)
    return query.order_by(*(column.desc() for column in order) if newest_first else order)


def _bound(value: Any) -> ColumnElement[Any]:
    return literal(value, UtcDateTime) if isinstance(value, datetime) else literal(value)


def _listed(row: Any) -> tuple[Listed, Key]:
    (
        (
            *health,
            name,
            app,
            provider,
            region,
            client,
            scopes,
            labels,
            custody,
            revision,
            last,
            next_,
            since,
            tried,
            lost,
            newcomer,
            rank,
        ),
        claim,
    ) = row[: -len(CLAIM)], row[-len(CLAIM) :]
    found = Listed(
        name,
        Place(app, provider, region),
        client,
        tuple(scopes),
        labels,
        read_health(health),
        last,
        next_,
        Doubt(since, tried) if since is not None and not lost else None,
        bool(newcomer),
        custody,
        revision,
        read_claim(claim, newcomer=bool(newcomer)),
    )
    return found, Key(int(rank), found.health.since or ALWAYS, name)
