"""What ends in the weeks ahead, in sums: for a page that shows it whole, however large the fleet is.

Each sum is one query a source of ends; its rows are apps and days, never connections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from monitor.health import horizon
from monitor.health.calendar import Kind, Lasts, Needs, Wanted
from monitor.health.horizon import WEEK, WEEKS, Group, Kept, Week, monday
from monitor.metrics.ending import lasts_of
from monitor.operations import calendar
from monitor.operations.actor import Actor, Right
from monitor.operations.calendar import LONGEST, Asked
from monitor.operations.kept import kept
from monitor.settings.parts import Parts
from monitor.store import calendar as stored
from monitor.wire.apps import App

A_WHILE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Horizon:
    """What ends in the weeks from `at` on.

    `unknown`: apps whose client secret ends on a day that nobody wrote down.
    """

    at: datetime
    weeks: list[Week]
    groups: list[Group]
    kept: list[Kept]
    unknown: tuple[str, ...]


async def show(parts: Parts, actor: Actor, asked: Asked = calendar.EVERYTHING) -> Horizon:
    """Return what ends in the next 13 weeks; of `asked` the time ahead is left aside.

    Read once in a while for all who see the whole fleet, and may as much: it walks through what ends.
    """
    actor.needs(Right.CONNECTIONS_READ)
    rights = tuple(right in actor.may for right in (Right.CATALOGUE_READ, Right.KEYS_READ))
    return await kept(parts, actor, ("horizon", asked, rights), lambda: _show(parts, actor, asked), A_WHILE)


async def _show(parts: Parts, actor: Actor, asked: Asked) -> Horizon:
    now = parts.clock.now()
    last = monday(now.date()) + WEEKS * WEEK
    wanted = Wanted(
        now, datetime.combine(last, time(), UTC), asked.kinds, asked.apps, asked.providers, asked.needs,
        actor.only, asked.clients,
    )  # fmt: skip
    apps = {app.id: app for app in await calendar.seen(parts, actor, wanted)}
    lasts = {app.id: lasts_of(app) for app in apps.values()}
    groups = await _few(parts, actor, list(apps.values()), wanted)
    for needs in (Needs.CLIENT, Needs.OPERATOR):
        if wanted.asks(needs):
            groups += await _of_connections(parts, apps, lasts, replace(wanted, needs=_only(needs)), needs)
    alive = await _kept(parts, apps, lasts, wanted) if wanted.asks(Needs.NOBODY) else []
    ordered = horizon.in_order(await _named(parts, groups))
    weeks = horizon.weeks(ordered, now.date())
    return Horizon(now, weeks, ordered, alive, _unknown(parts, actor, apps, wanted))


def _only(needs: Needs) -> frozenset[str]:
    return frozenset({needs.value})


async def _few(parts: Parts, actor: Actor, apps: list[App], wanted: Wanted) -> list[Group]:
    """Return what ends by the settings, the providers' files and the keys of programs, each by itself."""
    found = [
        *await calendar.of_settings(parts, actor, apps, wanted),
        *await calendar.of_keys(parts, actor, wanted),
    ]
    return [
        Group(one.at.date(), one.kind, one.needs, one.provider, one.app, 1, name=one.name, entry=one)
        for one in found
        if wanted.takes(one)
    ]


async def _of_connections(
    parts: Parts, apps: dict[str, App], lasts: dict[str, Lasts], wanted: Wanted, needs: Needs
) -> list[Group]:
    """Return what ends of connections, summed by day; several sources of one kind and day are one group."""
    found: dict[tuple[object, ...], Group] = {}
    for source in stored.sources(lasts, wanted):
        days = await stored.by_day(parts.database, source, wanted)
        asked = await stored.asked_by_day(parts.database, source, wanted) if days else {}
        for one in days:
            key, provider = (one.on, source.kind, one.app), apps[one.app].provider.name
            asks = asked.get((one.app, one.on), 0)
            group = Group(one.on, source.kind, needs, provider, one.app, one.count, asks, one.first)
            before = found.get(key)
            found[key] = group if before is None else _with(before, group)
    return list(found.values())


async def _named(parts: Parts, groups: list[Group]) -> list[Group]:
    """Return them with the client's name where one is about one connection."""
    alone = [one.name for one in groups if one.count == 1 and one.entry is None]
    clients = await stored.clients_of(parts.database, alone)
    return [
        replace(one, client=clients.get(one.name, "")) if one.count == 1 and one.entry is None else one
        for one in groups
    ]


def _with(one: Group, other: Group) -> Group:
    return replace(one, count=one.count + other.count, asked=one.asked + other.asked)


async def _kept(parts: Parts, apps: dict[str, App], lasts: dict[str, Lasts], wanted: Wanted) -> list[Kept]:
    """Return what the service keeps alive by using it, and what of that nobody uses, by provider."""
    far = replace(wanted, until=wanted.begin + LONGEST)
    found: dict[str, Kept] = {}
    for needs in (Needs.NOBODY, Needs.OPERATOR):
        if needs is Needs.OPERATOR and not found:
            break
        which = replace(far, needs=_only(needs))
        for source in stored.sources(lasts, which):
            if source.kind is not Kind.REFRESH_TOKEN:
                continue
            for app, first, count in await stored.next_of(parts.database, source, which):
                name = apps[app].provider.name
                known = found.get(name, Kept(name, 0, None))
                if needs is Needs.NOBODY:
                    found[name] = replace(known, count=known.count + count, first=_sooner(known.first, first))
                elif known.count:
                    found[name] = replace(
                        known, left=known.left + count, left_first=_sooner(known.left_first, first)
                    )
    return [found[name] for name in sorted(found)]


def _sooner(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)


def _unknown(parts: Parts, actor: Actor, apps: dict[str, App], wanted: Wanted) -> tuple[str, ...]:
    """Return the apps whose secret ends on a day that is not in the configuration."""
    of_secrets = not wanted.kinds or Kind.CLIENT_SECRET.value in wanted.kinds
    if (
        Right.CATALOGUE_READ not in actor.may
        or not of_secrets
        or not wanted.asks(Needs.OPERATOR)
        or wanted.clients
    ):
        return ()
    return tuple(
        one.id for one in parts.loaded.settings.apps if one.id in apps and one.secret_expires is None
    )
