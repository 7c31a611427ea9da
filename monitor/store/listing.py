"""The fleet as people and programs look through it: filtered, counted, and paged by key.

A page begins after a key and not at a number, so that what stood still is neither skipped nor shown twice
while the fleet moves. No ciphertext is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.incidents import Place
from monitor.health.lifecycle import State
from monitor.health.listing import MOST, Counts, Filter, Key, Listed, Page, Sort, Sum, counted
from monitor.health.restriction import Restriction
from monitor.health.rotation import Doubt
from monitor.store import choosing, walking, within
from monitor.store.columns import CLAIM, CLAIMED, HEALTH, read_claim, read_health
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, incident, watch
from monitor.store.walking import Walk

PATIENCE = timedelta(milliseconds=500)
CANCELLED = "57014"  # PostgreSQL: query_canceled
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
        watch.c.paused_until,
        watch.c.rests.is_not(None),
        *CLAIM,
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
    .outerjoin(incident, CLAIMED)
)


async def page(
    database: Database,
    which: Filter,
    sort: Sort = Sort.WORST,
    after: Key | None = None,
    limit: int = MOST,
    *,
    back: bool = False,
    without: Collection[int] = (),
) -> Page:
    """Return up to `limit` connections that follow a key; `back`, those before it, in the same order.

    `without` are shared incidents whose members are left out.
    """
    async with database.read() as conn:
        keys = await walking.keys(conn, Walk(which, sort, after, limit + 1, back, without))
        more, keys = len(keys) > limit, keys[:limit]
        rows = {one.id: one for one in await _named(conn, [key.id for key in keys])}
    there = [key for key in keys if key.id in rows]
    end = keys[-1] if more else None
    if back:
        there.reverse()
    return Page([rows[key.id] for key in there], end, there)


async def _named(conn: AsyncConnection, ids: Sequence[str]) -> list[Listed]:
    if not ids:
        return []
    return [_listed(row) for row in await conn.execute(_ROWS.where(watch.c.connection.in_(ids)))]


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


async def total(database: Database, which: Filter, most: int) -> int:
    """Return how many there are, or one more than `most` where there are more."""
    async with database.read() as conn:
        return await walking.total(conn, which, most)


async def narrowed_in_time(database: Database, which: Filter) -> tuple[Filter | None, bool]:
    """Return a filter that chooses the same and is faster to go by; None where there is nobody to choose.

    A text is looked for within PATIENCE: where that is not enough, only what begins with it is, and that is
    said, too.
    """
    try:
        return await _narrowed(database, which), False
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != CANCELLED or not which.text or which.begins:
            raise
    return await _narrowed(database, replace(which, begins=True)), True


async def _narrowed(database: Database, which: Filter) -> Filter | None:
    async with database.read() as conn:
        if which.text and not which.begins and not database.is_sqlite:
            # SQLite goes through 100,000 in 30 ms, and knows no such bound.
            patience = round(PATIENCE.total_seconds() * 1000)
            await conn.execute(text(f"SET LOCAL statement_timeout = {patience}"))
        return await walking.narrowed(conn, which)


async def ids_beside(database: Database, name: str, limit: int) -> list[str]:
    """Return the ids that come before and after one in order, so many of each."""
    ids = connection.c.id
    before = select(ids).where(ids < name).order_by(ids.desc()).limit(limit)
    after = select(ids).where(ids > name).order_by(ids).limit(limit)
    async with database.read() as conn:
        return [one for query in (before, after) for one in (await conn.execute(query)).scalars()]


async def sums(database: Database, which: Filter | None = None) -> list[Sum]:
    """Return how many there are of each kind: one walk through an index."""
    # In the order of `watch_sums`, in which the whole fleet is counted without a look at its rows. For a part
    # SQLite would follow it, too, from row to row; a first value that is in no index has it sort instead.
    what: tuple[ColumnElement[Any], ...] = (
        watch.c.state, watch.c.cause, watch.c.owner, watch.c.provider, watch.c.app,
    )  # fmt: skip
    chosen, is_sqlite = which or Filter(), database.is_sqlite
    of = choosing.needed(chosen, is_sqlite)
    by = what if of is watch else (func.coalesce(watch.c.state, literal_column("''")), *what[1:])
    query: Select[Any] = (
        select(by[0], *what[1:], func.count())
        .select_from(of)
        .where(*choosing.everything(chosen, is_sqlite))
        .group_by(*by)
    )
    async with database.read() as conn:
        return [Sum(*row) for row in await conn.execute(query)]


async def counts(database: Database, which: Filter | None = None) -> Counts:
    """Return how many there are, in all and by what they are."""
    return counted(await sums(database, which))


async def labels(database: Database, only: Restriction, among: int = 2_000) -> list[tuple[str, str]]:
    """Return the labels that so many connections have: names and values, the most frequent first."""
    query = select(connection.c.labels).where(*within.conditions(only, database.is_sqlite)).limit(among)
    found: Counter[tuple[str, str]] = Counter()
    async with database.read() as conn:
        for one in (await conn.execute(query)).scalars():
            found.update(one.items())
    return [one for one, _ in found.most_common()]


def _listed(row: Any) -> Listed:
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
            paused_until,
            rests,
        ),
        claim,
    ) = row[: -len(CLAIM)], row[-len(CLAIM) :]
    return Listed(
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
        paused_until,
        bool(rests),
    )
