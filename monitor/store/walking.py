"""The keys of a page, however large the fleet is: found along an index, or collected where they are few.

`watch_worst` has the connections of one state and one turn in the order of time. The order "worst first" is
one such walk after the other; "since" is all of them side by side. The other two orders follow the ids, and
the clients. Where only few are left to be shown, walking past all others would take longest: those are
collected by what they are, and then sorted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.lifecycle import State
from monitor.health.listing import ALWAYS, TURNS, WORST, Filter, Key, Sort, rank
from monitor.store import choosing
from monitor.store.choosing import members
from monitor.store.engine import UtcDateTime
from monitor.store.tables import connection, credential, watch

FEW = 5_000  # so many are collected and sorted in a few milliseconds
NAMED = 1_000  # so many are named in a statement


@dataclass(frozen=True, slots=True)
class Walk:
    """Which keys, in which order, after which, and how many; `back` is the same order from its end.

    `without` are shared incidents whose members are left out: a row of their own stands for them.
    """

    which: Filter
    sort: Sort
    after: Key | None
    limit: int
    back: bool = False
    without: Collection[int] = ()

    @property
    def descending(self) -> bool:
        """Whether keys become smaller."""
        return self.back is not (self.sort is Sort.SINCE)


async def keys(conn: AsyncConnection, walk: Walk) -> list[Key]:
    """Return the keys of a page, in the order of the walk."""
    which = await narrowed(conn, walk.which)
    if which is None:
        return []
    walk = replace(walk, which=which)
    if choosing.of_watch(which) and await _few(conn, which):
        return await _collected(conn, walk)
    if walk.sort in (Sort.WORST, Sort.SINCE):
        return await _in_turns(conn, walk)
    return await _along(conn, walk)


async def narrowed(conn: AsyncConnection, which: Filter) -> Filter | None:
    """Return a filter by names in the place of what it says of who they are; None where nobody is so.

    Where too many are, it stays as it is: the first of a page are soon found among them.
    """
    if not choosing.of_connection(which, conn.dialect.name == "sqlite"):
        return which
    query = choosing.names(which, conn.dialect.name == "sqlite")
    if choosing.of_watch(which):
        if not await _few(conn, which):
            return which
        query = _fitting(_some(which), which, conn)
    ids = frozenset((await conn.execute(query.limit(NAMED + 1))).scalars())
    return None if not ids else choosing.named(which, ids) if len(ids) <= NAMED else which


async def total(conn: AsyncConnection, which: Filter, most: int) -> int:
    """Return how many there are, or one more than `most` where there are more."""
    is_sqlite = conn.dialect.name == "sqlite"
    if choosing.of_connection(which, is_sqlite) and choosing.of_watch(which) and await _few(conn, which):
        some = _fitting(_some(which), which, conn).limit(most + 1)
    else:
        some = select(literal_column("1")).select_from(choosing.needed(which, is_sqlite)).limit(most + 1)
        some = some.where(*choosing.everything(which, is_sqlite))
    return int((await conn.execute(select(func.count()).select_from(some.subquery()))).scalar_one())


async def _few(conn: AsyncConnection, which: Filter) -> bool:
    some: Select[Any] = select(literal_column("1")).where(*choosing.of_watch(which)).select_from(watch)
    some = some.limit(FEW + 1)
    return bool((await conn.execute(select(func.count()).select_from(some.subquery()))).scalar_one() <= FEW)


# -- few: collected, and sorted ------------------------------------------------------------------------


def _some(which: Filter, *more: ColumnElement[bool]) -> Subquery:
    # A subquery with a limit is done as it stands, on both databases: no index of an order leads it astray.
    chosen = select(watch.c.connection, watch.c.state, watch.c.owner, watch.c.since)
    return chosen.where(*choosing.of_watch(which), *more).limit(10 * FEW).subquery()


def _fitting(some: Subquery, which: Filter, conn: AsyncConnection) -> Select[Any]:
    """Return the query for those of some that are who a filter says, each looked at by its id."""
    query: Select[Any] = select(some.c.connection)
    conditions = choosing.of_connection(which, conn.dialect.name == "sqlite")
    if not conditions:
        return query
    # As a value, not as a join: PostgreSQL would look through all there are instead.
    source = connection.join(credential, credential.c.connection == connection.c.id)
    fits = select(and_(*conditions)).select_from(source if which.in_doubt else connection)
    return query.where(fits.where(connection.c.id == some.c.connection).scalar_subquery())


async def _collected(conn: AsyncConnection, walk: Walk) -> list[Key]:
    some = _some(walk.which, *_not_members(walk))
    ranks = {(s.value, o.value): rank(s.value, o.value) for s, o in product(WORST, TURNS)}
    ranked = case(
        *(
            ((some.c.state == state) & (some.c.owner == owner), literal_column(str(place)))
            for (state, owner), place in ranks.items()
        ),
        else_=literal_column(str(len(ranks))),
    )
    since = func.coalesce(some.c.since, literal(ALWAYS, UtcDateTime))
    columns: tuple[ColumnElement[Any], ...] = (ranked, since, some.c.connection)
    query = _fitting(some, walk.which, conn).with_only_columns(*columns)
    order: tuple[ColumnElement[Any], ...] = {
        Sort.WORST: columns, Sort.SINCE: columns[1:], Sort.ID: columns[2:], Sort.CLIENT: columns[2:],
    }[walk.sort]  # fmt: skip
    if walk.sort is Sort.CLIENT:
        query = query.add_columns(connection.c.client_name).join(
            connection, connection.c.id == some.c.connection
        )
        order = (connection.c.client_name, *order)
    found = await conn.execute(_from(query, walk, order))
    return [Key(int(row[0]), *row[1:]) for row in found]


def _from(query: Select[Any], walk: Walk, order: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Begin after the walk's key, and go on in its order."""
    if walk.after is not None:
        here, there = tuple_(*order), tuple_(*_place(walk.sort, walk.after))
        query = query.where(here < there if walk.descending else here > there)
    return query.order_by(*(one.desc() if walk.descending else one for one in order)).limit(walk.limit)


def _place(sort: Sort, key: Key) -> tuple[ColumnElement[Any], ...]:
    since = literal(key.since, UtcDateTime)
    return {
        Sort.WORST: (literal(key.rank), since, literal(key.id)),
        Sort.SINCE: (since, literal(key.id)),
        Sort.ID: (literal(key.id),),
        Sort.CLIENT: (literal(key.client), literal(key.id)),
    }[sort]


def _not_members(walk: Walk) -> list[ColumnElement[bool]]:
    return [watch.c.connection.not_in(members(sorted(walk.without)))] if walk.without else []


# -- many, by rank and time: along `watch_worst` -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Turn:
    """Connections of one state and one turn; those of which nobody knows since when are apart."""

    state: str
    owner: str
    dated: bool

    @property
    def conditions(self) -> tuple[ColumnElement[bool], ...]:
        since = watch.c.since.is_not(None) if self.dated else watch.c.since.is_(None)
        return (watch.c.state == self.state, watch.c.owner == self.owner, since)

    @property
    def place(self) -> tuple[int, bool]:
        return (rank(self.state, self.owner), self.dated)


async def _turns(conn: AsyncConnection, which: Filter) -> list[_Turn]:
    """Return those that there are, worst first: one statement, a look into an index for each."""
    every = [
        _Turn(state.value, owner.value, dated)
        for state, owner, dated in product(WORST, TURNS, (False, True))
        if (not which.states or state.value in which.states)
        and (not which.owners or owner.value in which.owners)
    ]
    if not every:
        return []
    rest = choosing.of_watch(_but_turns(which))
    there = (await conn.execute(select(*(exists().where(*one.conditions, *rest) for one in every)))).one()
    return [one for one, yes in zip(every, there, strict=True) if yes]


def _but_turns(which: Filter) -> Filter:
    return replace(which, states=frozenset(), owners=frozenset())


async def _in_turns(conn: AsyncConnection, walk: Walk) -> list[Key]:
    turns = await _turns(conn, walk.which)
    if walk.sort is Sort.SINCE:
        return await _side_by_side(conn, walk, turns)
    found: list[Key] = []
    for turn in reversed(turns) if walk.back else turns:
        if len(found) < walk.limit and _begins(turn, walk):
            query = _of_turn(walk, turn, conn.dialect.name == "sqlite").limit(walk.limit - len(found))
            found += [_key(row) for row in await conn.execute(query)]
    return found


def _begins(turn: _Turn, walk: Walk) -> bool:
    """Whether any of these may come after the walk's key."""
    if walk.after is None:
        return True
    there = (walk.after.rank, walk.after.since > ALWAYS)
    return turn.place <= there if walk.back else turn.place >= there


async def _side_by_side(conn: AsyncConnection, walk: Walk, turns: Sequence[_Turn]) -> list[Key]:
    # Merged by the database: where two are of one moment, only it knows its own order of names.
    if not turns:
        return []
    is_sqlite = conn.dialect.name == "sqlite"
    arms = [select(_of_turn(walk, turn, is_sqlite).limit(walk.limit).subquery()) for turn in turns]
    every = union_all(*arms).subquery()
    order = (every.c.since, every.c.connection)
    query = select(every).order_by(*(one.desc() if walk.descending else one for one in order))
    return [_key(row) for row in await conn.execute(query.limit(walk.limit))]


def _key(row: Any) -> Key:
    return Key(rank(row.state, row.owner), row.since, row.connection)


def _of_turn(walk: Walk, turn: _Turn, is_sqlite: bool) -> Select[Any]:
    since = watch.c.since if turn.dated else literal(ALWAYS, UtcDateTime)
    which = _but_turns(walk.which)
    query = (
        select(watch.c.state, watch.c.owner, since.label("since"), watch.c.connection)
        .select_from(choosing.needed(which, is_sqlite))
        .where(*turn.conditions, *choosing.everything(which, is_sqlite))
    )
    if turn.state == State.BROKEN.value:  # whoever is part of an open incident
        query = query.where(*_not_members(walk))
    order = (watch.c.since, watch.c.connection) if turn.dated else (watch.c.connection,)
    if walk.after is not None and (beyond := _beyond(walk, turn, walk.after)) is not None:
        query = query.where(beyond)
    return query.order_by(*(one.desc() if walk.descending else one for one in order))


def _beyond(walk: Walk, turn: _Turn, key: Key) -> ColumnElement[bool] | None:
    """Return which of a turn come after a key; None where all of them do."""
    if walk.sort is Sort.WORST and turn.place != (key.rank, key.since > ALWAYS):
        return None
    if not turn.dated:
        if key.since > ALWAYS:  # they are the oldest
            return None if walk.descending else literal_column("1") == literal_column("0")
        here, there = tuple_(watch.c.connection), tuple_(literal(key.id))
    else:
        here = tuple_(watch.c.since, watch.c.connection)
        there = tuple_(literal(key.since, UtcDateTime), literal(key.id))
    return here < there if walk.descending else here > there


# -- many, by id or client: along the index of that --------------------------------------------------


async def _along(conn: AsyncConnection, walk: Walk) -> list[Key]:
    is_sqlite = conn.dialect.name == "sqlite"
    by_client = walk.sort is Sort.CLIENT
    source = connection.join(watch, watch.c.connection == connection.c.id)
    if walk.which.in_doubt:
        source = source.join(credential, credential.c.connection == connection.c.id)
    query = (
        select(watch.c.state, watch.c.owner, watch.c.since, connection.c.id, connection.c.client_name)
        .select_from(source)
        .where(
            *_without_index(walk.which),
            *choosing.of_connection(walk.which, is_sqlite),
            *_not_members(walk),
        )
    )
    order = (connection.c.client_name, connection.c.id) if by_client else (connection.c.id,)
    rows = await conn.execute(_from(query, walk, order))
    return [Key(rank(row[0], row[1]), row[2] or ALWAYS, *row[3:]) for row in rows]


def _without_index(which: Filter) -> list[ColumnElement[bool]]:
    # SQLite would take the index of a state, and then sort a large part of the fleet.
    conditions = choosing.of_watch(which)
    return [or_(and_(*conditions), literal_column("1") == literal_column("0"))] if conditions else []
