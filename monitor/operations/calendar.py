"""The calendar of everything that ends, soonest first: read page by page from the database and settings."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from monitor.health import calendar
from monitor.health.calendar import Entry, Key, Kind, Known, Needs, Wanted
from monitor.health.listing import MOST, Filter
from monitor.metrics.ending import lasts_of
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import api_keys, listing
from monitor.store import calendar as stored
from monitor.wire.apps import App

AHEAD = timedelta(days=90)  # how far one looks where nobody says
LONGEST = timedelta(days=3650)
OVERDUE = timedelta(days=30)  # how long an announced end is shown when it is over
WHO_ACTS = frozenset({Needs.CLIENT.value, Needs.OPERATOR.value})


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see of the calendar; of several values one has to fit, and none means all."""

    within: timedelta = AHEAD
    kinds: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of it as of `at`; the next one begins after a key, None at the end."""

    at: datetime
    entries: list[Entry]
    after: Key | None


EVERYTHING = Asked()


async def page(
    parts: Parts, actor: Actor, asked: Asked = EVERYTHING, after: Key | None = None, limit: int = MOST
) -> Page:
    """Return up to `limit` entries that follow a key, soonest first."""
    actor.needs(Right.CONNECTIONS_READ)
    now = parts.clock.now()
    wanted = Wanted(
        now, now + min(asked.within, LONGEST), asked.kinds, asked.apps, asked.providers, asked.needs,
        actor.only, asked.clients,
    )  # fmt: skip
    apps = await seen(parts, actor, wanted)
    few = [*await of_settings(parts, actor, apps, wanted), *await of_keys(parts, actor, wanted)]
    ordered: list[Iterable[Entry]] = [
        sorted((e for e in few if wanted.takes(e) and (after is None or e.key > after)), key=_place)
    ]
    lasts = {app.id: lasts_of(app) for app in apps}
    for source in stored.sources(lasts, wanted):
        rows = await stored.page(parts.database, source, wanted, after, limit + 1)
        ordered.append([_entry(parts, source.kind, at, known) for at, known in rows])
    found = list(islice(heapq.merge(*ordered, key=_place), limit + 1))
    more = len(found) > limit
    return Page(now, found[:limit], found[limit - 1].key if more else None)


async def every(
    parts: Parts, actor: Actor, asked: Asked = EVERYTHING, most: int | None = None
) -> AsyncIterator[Entry]:
    """Return the entries one after the other, `most` of them at most, read page by page."""
    after, told = None, 0
    while most is None or told < most:
        found = await page(parts, actor, asked, after, MOST if most is None else min(MOST, most - told))
        for entry in found.entries:
            yield entry
        told += len(found.entries)
        if (after := found.after) is None:
            return


def _place(entry: Entry) -> Key:
    return entry.key


def _entry(parts: Parts, kind: Kind, at: datetime, known: Known) -> Entry:
    match kind:
        case Kind.GRANT:
            return calendar.of_grant(known, at)
        case Kind.ACCESS_TOKEN:
            return calendar.of_access_token(known, at)
        case _:
            plan, at_most = parts.loaded.settings.cadence, parts.apps[known.app].provider.oauth.refresh_ahead
            if at_most is not None:
                plan = replace(plan, refresh_ahead=min(plan.refresh_ahead, at_most))
            return calendar.of_refresh_token(known, at, plan)


async def seen(parts: Parts, actor: Actor, wanted: Wanted) -> list[App]:
    """Return the configured apps that are wanted, as far as there are any for whoever asks."""
    actor.needs(Right.CONNECTIONS_READ)
    there: Collection[str] = parts.apps
    if not actor.only.whole:
        counted = await listing.counts(parts.database, Filter(within=actor.only))
        there = actor.only.apps or counted.apps
    return [
        app
        for app in parts.apps.values()
        if app.id in there
        and (not wanted.apps or app.id in wanted.apps)
        and (not wanted.providers or app.provider.name in wanted.providers)
    ]


async def of_settings(parts: Parts, actor: Actor, apps: Collection[App], wanted: Wanted) -> list[Entry]:
    """Return what ends by the configuration and the providers' files: secrets, and announced ends."""
    actor.needs(Right.CONNECTIONS_READ)
    if Right.CATALOGUE_READ not in actor.may or not wanted.asks(Needs.OPERATOR):
        return []
    found, given = [], {one.id: one.secret_expires for one in parts.loaded.settings.apps}
    counted = (await listing.counts(parts.database, Filter(within=actor.only))).apps
    for app in apps:
        if (on := given.get(app.id)) is not None:
            found.append(calendar.of_secret(app.id, app.provider.name, on, counted.get(app.id, 0)))
    for provider in {app.provider.name: app.provider for app in apps}.values():
        its = [app.id for app in apps if app.provider.name == provider.name]
        for end in provider.ends:
            entry = calendar.of_provider(provider.name, provider.title, end.what, end.on, end.page or "", 0)
            if not wanted.begin - OVERDUE < entry.at <= wanted.until:
                continue
            count = await stored.touched(parts.database, provider.name, end.scopes, wanted, its)
            if count:
                found.append(calendar.touching(entry, count))
    return found


async def of_keys(parts: Parts, actor: Actor, wanted: Wanted) -> list[Entry]:
    """Return the ends of programs' keys, for whoever may see keys."""
    actor.needs(Right.CONNECTIONS_READ)
    if Right.KEYS_READ not in actor.may or not actor.only.whole or not wanted.asks(Needs.OPERATOR):
        return []
    found = await api_keys.ending(parts.database, wanted.until, wanted.begin)
    return [calendar.of_api_key(key.id, key.name, key.expires_at) for key, _ in found]
