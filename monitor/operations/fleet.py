"""The fleet as one looks at it: a page of it, its sums, and what is the matter beside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from alerts.silences import silences
from alerts.silences.windows import Silenced
from monitor.health.listing import MOST, Counts, Filter, Key, Listed, Page, Sort
from monitor.health.question import Question
from monitor.operations import accounts, apps, incidents
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import listing
from monitor.store.bindings import HeldGrant
from monitor.store.incidents import OpenIncident

ALL = Filter()
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
