"""A page of the fleet as people look at it: a line a connection, and one for all that an incident broke."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from monitor.health.listing import Filter, Key, Listed, Sort, rank
from monitor.operations import telling
from monitor.operations.actor import Actor, Right
from monitor.operations.telling import Telling
from monitor.settings.parts import Parts
from monitor.store import listing, shared
from monitor.store.shared import Shared as Shared  # noqa: PLC0414 - doors show it

SIZE = 50  # lines of a page
INSIDE = 25  # connections of an incident that is opened in place
COUNTED = 10_000  # beyond, there are "more"
BROKEN = "broken"


class Place(NamedTuple):
    """Where a page begins or ends: a connection's key, or an incident's number at its rank and time."""

    key: Key
    incident: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody looks at: which, in which order, from where, and which incidents opened in place."""

    which: Filter = field(default_factory=Filter)
    sort: Sort = Sort.WORST
    after: Place | None = None
    before: Place | None = None
    open: frozenset[int] = frozenset()

    @property
    def folds(self) -> bool:
        """Whether one line stands for what a shared incident broke.

        Not where one looks for somebody: by name, by client, or in the order of names.
        """
        which = self.which
        named = which.text or which.clients or which.ids or which.incidents
        return self.sort in (Sort.WORST, Sort.SINCE) and not named


@dataclass(frozen=True, slots=True)
class Line:
    """A connection, what was said of it, and what follows."""

    one: Listed
    told: Telling


@dataclass(frozen=True, slots=True)
class Many:
    """A shared incident in the place of its connections, and some of these where it is opened."""

    shared: Shared
    paged_at: datetime | None
    opened: bool
    inside: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """A page, how many connections a filter chooses in all, and where the pages beside begin.

    `cut`: there are more than `total`. `begins`: the search took too long, so that only what begins with the
    text was looked for. `stand_for`: how many lines stand for how many connections, on all pages.
    """

    lines: tuple[Line | Many, ...]
    total: int
    cut: bool
    begins: bool
    stand_for: tuple[int, int]
    before: Place | None
    after: Place | None


NOBODY = Overview((), 0, cut=False, begins=False, stand_for=(0, 0), before=None, after=None)


async def look(parts: Parts, actor: Actor, asked: Asked, size: int = SIZE) -> Overview:
    """Return a page of the fleet."""
    actor.needs(Right.CONNECTIONS_READ)
    mine = replace(asked.which, within=actor.only) if not actor.only.whole else asked.which
    which, begins = await listing.narrowed_in_time(parts.database, mine)
    if which is None:
        return replace(NOBODY, begins=begins)
    total = await listing.total(parts.database, which, COUNTED)
    folded = await shared.among(parts.database, which) if asked.folds else []
    back, at = asked.before is not None, asked.before or asked.after
    found = await listing.page(
        parts.database, which, asked.sort, at.key if at else None, size + 1, back=back,
        without=[one.id for one in folded],
    )  # fmt: skip
    places = _merged(found.keys, folded, asked, size)
    more, places = len(places) > size, places[:size]
    if back:
        places.reverse()
    rows = {row.id: row for row in found.rows}
    return Overview(
        await _lines(parts, actor, asked, which, places, rows, {one.id: one for one in folded}),
        min(total, COUNTED),
        cut=total > COUNTED,
        begins=begins,
        stand_for=(len(folded), sum(one.members for one in folded)),
        before=places[0] if places and (more if back else at is not None) else None,
        after=places[-1] if places and (at is not None if back else more) else None,
    )


def _merged(keys: Sequence[Key], folded: Sequence[Shared], asked: Asked, size: int) -> list[Place]:
    """Put incidents among connections, in the order of the walk; before those of the same time."""
    back, at = asked.before is not None, asked.before or asked.after
    descending = back is not (asked.sort is Sort.SINCE)

    def order(place: Place) -> tuple[int, datetime, bool, int]:
        badness = place.key.rank if asked.sort is Sort.WORST else 0
        return (badness, place.key.since, not place.incident, place.incident)

    groups = sorted((_place(one) for one in folded), key=order, reverse=descending)
    if at is not None:
        here = order(at)
        groups = [one for one in groups if (order(one) < here if descending else order(one) > here)]
    # The connections come in their order already; its database compares names in its own way.
    alone = [Place(key) for key in (reversed(keys) if back else keys)]
    return list(heapq.merge(groups, alone, key=order, reverse=descending))[: size + 1]


def _place(one: Shared) -> Place:
    return Place(Key(rank(BROKEN, one.turn.value), one.opened_at, ""), one.id)


async def _lines(
    parts: Parts,
    actor: Actor,
    asked: Asked,
    which: Filter,
    places: Sequence[Place],
    rows: dict[str, Listed],
    folded: dict[int, Shared],
) -> tuple[Line | Many, ...]:
    shown = [place.incident for place in places if place.incident]
    inside: dict[int, list[Listed]] = {}
    for number in asked.open & set(shown):  # each was asked for by name
        part = replace(which, incidents=frozenset({number}))
        inside[number] = (await listing.page(parts.database, part, asked.sort, None, INSIDE)).rows
    every = [rows[place.key.id] for place in places if not place.incident]
    told = await telling.of_rows(parts, actor, [*every, *(row for some in inside.values() for row in some)])
    paged = await telling.paged(parts, actor) if shown else ()
    lines: list[Line | Many] = []
    for place in places:
        if not place.incident:
            lines.append(Line(rows[place.key.id], told[place.key.id]))
            continue
        one = folded[place.incident]
        some = inside.get(one.id)
        lines.append(
            Many(
                one,
                telling.paged_of(paged, one.provider, one.app, "", one.cause.value),
                some is not None,
                tuple(Line(row, told[row.id]) for row in some or ()),
            )
        )
    return tuple(lines)
