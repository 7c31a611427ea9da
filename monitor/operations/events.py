"""Events: what came about, in the order of the feed, for whoever reads on from where it stopped."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import NamedTuple

from alerts.webhooks.endpoints import visible
from monitor.errors import Invalid, NotFound
from monitor.health import events as catalogue
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import events
from monitor.store.events import Event

SCANNED = 500  # events that are looked at for one page, where most are outside of what there is for somebody
LOOKS_EVERY = 1.0  # seconds
QUIET = 5.0  # seconds without a word, after which whoever follows is told that there was nothing


class Page(NamedTuple):
    """Some events, the oldest first. The next page begins at `after`; `more`: there may be one."""

    events: list[Event]
    after: str
    more: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of these types or groups, about this connection; all without."""

    types: tuple[str, ...] = ()
    connection: str = ""


def check(types: Collection[str], at: str = "events") -> None:
    """Let pass what may be asked for. Raises Invalid, with the nearest that may."""
    for one in catalogue.unknown(types):
        near = difflib.get_close_matches(one, catalogue.patterns(), n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise Invalid(at, f"{one!r} is no type of event{hint}")


async def page(parts: Parts, actor: Actor, limit: int, *, after: str = "", wanted: Wanted = Wanted()) -> Page:
    """Return the events after one, by its id; from the oldest that is kept without. Raises NotFound."""
    actor.needs(Right.EVENTS_READ)
    check(wanted.types, "type")
    return await _page(parts, actor, limit, await _place(parts, after), after, wanted)


async def follow(
    parts: Parts, actor: Actor, *, after: str | None = None, wanted: Wanted = Wanted()
) -> AsyncIterator[Event | None]:
    """Return what gives events as they come about, from one on by its id, from now on without.

    It gives None after each quiet while. Raises NotFound.
    """
    actor.needs(Right.EVENTS_READ)
    check(wanted.types, "type")
    number = await events.last_number(parts.database) if after is None else await _place(parts, after)
    return _following(parts, actor, number, after or "", wanted)


async def _following(
    parts: Parts, actor: Actor, number: int, name: str, wanted: Wanted
) -> AsyncIterator[Event | None]:
    quiet = 0.0
    while True:
        found = await _page(parts, actor, SCANNED, number, name, wanted)
        for one in found.events:
            yield one
        if found.after != name:
            name = found.after
            number = await _place(parts, name)
        if found.events:
            quiet = 0.0
        elif quiet >= QUIET:
            quiet = 0.0
            yield None
        if not found.more:
            await parts.clock.sleep(LOOKS_EVERY)
            quiet += LOOKS_EVERY


async def _page(parts: Parts, actor: Actor, limit: int, number: int, after: str, wanted: Wanted) -> Page:
    types = catalogue.types_of(wanted.types) if wanted.types else None
    mine: list[Event] = []
    while True:
        some = await events.page(
            parts.database, SCANNED, after=number, types=types, connection_id=wanted.connection
        )
        for one in some:
            number, after = one.number, one.id
            if visible(actor.only, one):
                mine.append(one)
                if len(mine) == limit:
                    return Page(mine, after, more=one is not some[-1] or len(some) == SCANNED)
        if len(some) < SCANNED:
            return Page(mine, after, more=False)


async def _place(parts: Parts, after: str) -> int:
    if not after:
        return 0
    number = await events.place(parts.database, after)
    if number is None:
        raise NotFound(f"There is no event {after!r}, or it is kept no longer; begin without one.")
    return number
