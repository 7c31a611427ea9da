"""The fleet as one looks at it: a page of it, its sums, and what is the matter beside."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from alerts.mails.fuse import FuseState
from alerts.silences import silences
from alerts.silences.windows import Silenced
from monitor.health.causes import Subject
from monitor.health.listing import MOST, Counts, Filter, Key, Listed, Page, Sort
from monitor.health.question import Question
from monitor.operations import accounts, apps, incidents, notices
from monitor.operations import silences as silences_now
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import listing
from monitor.store.bindings import HeldGrant
from monitor.store.incident_pages import Wanted
from monitor.store.incidents import OpenIncident
from monitor.text.names import unprintable

ALL = Filter()
NEIGHBOURS = 50  # ids that are looked at on each side of one that is none
DOUBTED = 500  # connections whose refresh is in doubt, read to be named


@dataclass(frozen=True, slots=True)
class Matters:
    """What is the matter beside single connections."""

    shared: Sequence[OpenIncident]
    waves: Sequence[Question]
    silent: Sequence[Silenced]  # those that hold now
    waiting: Sequence[HeldGrant]  # first authorizations that a person has to decide on
    unwatched: Sequence[str]  # of which apps nobody looks at the connections
    stretched: Sequence[tuple[str, timedelta, timedelta]]  # app, its interval, the configured one


async def page(
    parts: Parts,
    actor: Actor,
    which: Filter = ALL,
    sort: Sort = Sort.WORST,
    after: Key | None = None,
    limit: int = 50,
) -> Page:
    """Return a page of connections, no token among them."""
    actor.needs(Right.CONNECTIONS_READ)
    return await listing.page(parts.database, _for(actor, which), sort, after, min(limit, MOST))


async def every(
    parts: Parts, actor: Actor, which: Filter = ALL, sort: Sort = Sort.WORST
) -> AsyncIterator[Listed]:
    """Return all connections that a filter chooses, read page by page."""
    actor.needs(Right.CONNECTIONS_READ)
    async for row in listing.every(parts.database, _for(actor, which), sort):
        yield row


async def counts(parts: Parts, actor: Actor, which: Filter = ALL) -> Counts:
    """Return how many connections there are, by what they are."""
    actor.needs(Right.CONNECTIONS_READ)
    return await listing.counts(parts.database, _for(actor, which))


async def near(parts: Parts, actor: Actor, name: str, limit: int = 3) -> list[Listed]:
    """Return the connections whose ids come nearest to one that is none, of those beside it in order."""
    actor.needs(Right.CONNECTIONS_READ)
    if unprintable(name) is not None:  # comes near to none, and no database takes a NUL
        return []
    beside = await listing.ids_beside(parts.database, name, NEIGHBOURS)
    ids = difflib.get_close_matches(name, beside, limit, cutoff=0.6)
    if not ids:
        return []
    found = {row.id: row for row in (await page(parts, actor, Filter(ids=frozenset(ids)))).rows}
    return [found[one] for one in ids if one in found]


@dataclass(frozen=True, slots=True)
class Summary:
    """The fleet in sums, and what stands over it; None: whoever asks may not see that."""

    counts: Counts
    guards: tuple[incidents.Shown, ...] | None
    shared: tuple[incidents.Shown, ...] | None
    fuse: FuseState | None
    silent: Sequence[Silenced] | None


async def summary(parts: Parts, actor: Actor) -> Summary:
    """Return the fleet in sums, and what stands over it, as far as the actor may see it."""
    counted = await counts(parts, actor)
    guards = shared = fuse = silent = None
    if Right.INCIDENTS_READ in actor.may:
        beyond = Wanted(open=True, kinds=[kind.value for kind in Subject if kind is not Subject.CONNECTION])
        found = (await incidents.page(parts, actor, MOST, which=beyond)).rows
        guards = tuple(one for one in found if one.seen.wave)
        shared = tuple(one for one in found if not one.seen.wave)
    if Right.NOTICES_READ in actor.may and actor.only.whole:
        fuse = await notices.fuse_now(parts, actor)
    if Right.SILENCES_READ in actor.may:
        laid = await silences_now.every(parts, actor)
        silent = [one for one in laid.laid if one.begun_at <= laid.at]
    return Summary(counted, guards, shared, fuse, silent)


def _for(actor: Actor, which: Filter) -> Filter:
    """Leave out what is not there for whoever asks."""
    return replace(which, within=actor.only) if not actor.only.whole else which


async def doubted(parts: Parts, actor: Actor) -> list[Listed]:
    """Return the connections whose refresh is in doubt, the longest in doubt first."""
    found = await page(parts, actor, Filter(in_doubt=True), Sort.ID, limit=DOUBTED)
    return sorted(found.rows, key=lambda row: (row.doubt.since if row.doubt else parts.clock.now(), row.id))


async def matters(parts: Parts, actor: Actor) -> Matters:
    """Return what is the matter beside single connections."""
    actor.needs(Right.SILENCES_READ)
    now = parts.clock.now()
    standing = await silences.standing(parts.database, parts.loaded.settings.windows, now)
    return Matters(
        shared=await incidents.shared(parts, actor),
        waves=await incidents.questions(parts, actor),
        silent=[one for one in standing if one.begun_at <= now],
        waiting=await accounts.waiting(parts, actor),
        unwatched=await apps.unwatched(parts, actor),
        stretched=await apps.stretched(parts, actor),
    )
