"""The apps as they are used: whether they are configured, and how often their limits let us look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.errors import NotFound
from monitor.health import cadence
from monitor.health.doors import Door, Standing
from monitor.operations.actor import Actor, Right
from monitor.operations.costs import Costs, of_apps
from monitor.operations.kept import kept
from monitor.settings.parts import Parts
from monitor.settings.sections import AppSettings
from monitor.store import app_checks, app_sums, budgets, connections
from monitor.store.app_sums import Sums
from monitor.wire.apps import App

A_WHILE = timedelta(seconds=10)


async def unwatched(parts: Parts, actor: Actor) -> list[str]:
    """Say of which apps nobody looks at the connections, since they are not configured, and what to do."""
    actor.needs(Right.CATALOGUE_READ)
    found = await connections.unwatched(parts.database, parts.apps)
    return [not_watched(app, count) for app, count in found.items()]


def not_watched(app: str, count: int) -> str:
    """Say that nobody looks at the connections of an app that is not configured, and what to do."""
    these, are = (f"{count} connections", "are") if count != 1 else ("1 connection", "is")
    return (
        f"{these} of app {app!r}, which is not in [[apps]], {are} not looked at: add the app again, or "
        "pause, remove or import them with another app."
    )


@dataclass(frozen=True, slots=True)
class Used:
    """An app as it is used. `settings` and `app` are None for one that is on record and not configured."""

    id: str
    provider: str
    app: App | None
    settings: AppSettings | None
    connections: int  # those that there are for whoever asks
    interval: timedelta
    configured: timedelta
    wanted: timedelta  # the configured one, or the provider's least where that is longer
    free_at: datetime | None  # when the budget lets the next request start
    probed_at: datetime | None  # the newest probe of any of its connections
    well_at: datetime | None  # the newest that found its connection well
    costs: Costs | None  # what looking at its connections costs; None where that is not known
    doors: Mapping[Door, Standing]  # whether anybody could still connect, as far as it was asked
    sums: Sums = field(default_factory=Sums)  # how its connections are, those that there are for who asks


async def every(parts: Parts, actor: Actor) -> list[Used]:
    """Return the apps that are configured, or have connections, as far as there are any for who asks."""
    actor.needs(Right.CATALOGUE_READ)
    sums = await app_sums.by_app(parts.database, actor.only)
    counted = {app: sum(one.states.values()) for app, one in sums.items()}
    named = [*parts.apps, *(name for name in counted if name not in parts.apps)]
    if not actor.only.whole:
        named = [name for name in named if name in (actor.only.apps or counted)]
    # What walks through the fleet is read once in a while for all who see the whole of it; at once where
    # there is a state that there was not, such as the first connection that is well.
    sizes, database = await connections.per_app(parts.database), parts.database
    there = frozenset((app, state) for app, one in sums.items() for state in one.states)
    lately = await kept(parts, actor, ("lately", there), lambda: connections.lately(database), A_WHILE)
    doors = await app_checks.standing(parts.database)
    free, configured = await budgets.free_at(parts.database), parts.loaded.settings.schedule.interval
    # Of all of an app's connections: nothing for whoever is to see a part of them.
    costs = (
        await kept(parts, actor, ("costs", there), lambda: _costs(parts), A_WHILE) if actor.only.whole else {}
    )
    given = {one.id: one for one in parts.loaded.settings.apps}
    found = []
    for name in sorted(named):
        app, seen = parts.apps.get(name), lately.get(name)
        limit = app.limits.app_wide if app is not None else None
        wanted = cadence.wanted(configured, app.limits.least_interval if app is not None else None)
        found.append(
            Used(
                id=name,
                provider=app.provider.name if app else seen.provider if seen else "",
                app=app,
                settings=given.get(name),
                connections=counted.get(name, 0),
                interval=cadence.stretched(wanted, sizes.get(name, 0), limit),
                configured=configured,
                wanted=wanted,
                free_at=free.get(name) if limit is not None else None,
                probed_at=seen.probed_at if seen else None,
                well_at=seen.well_at if seen else None,
                costs=costs.get(name),
                doors=doors.get(name, {}) if app is not None else {},
                sums=sums.get(name, Sums()),
            )
        )
    return found


async def _costs(parts: Parts) -> dict[str, Costs]:
    return await of_apps(parts, await intervals_now(parts))


async def show(parts: Parts, actor: Actor, app: str) -> Used:
    """Return one app. Raises NotFound."""
    for one in await every(parts, actor):
        if one.id == app:
            return one
    raise NotFound(f"There is no app {app!r}.")


async def stretched(parts: Parts, actor: Actor) -> list[tuple[str, timedelta, timedelta]]:
    """Return the apps whose limit makes their interval longer: id, the interval, the configured one."""
    actor.needs(Right.CATALOGUE_READ)
    return await stretched_now(parts)


async def stretched_now(parts: Parts) -> list[tuple[str, timedelta, timedelta]]:
    """Do the same for an operation that has asked already what the actor may."""
    configured = parts.loaded.settings.schedule.interval
    found = []
    for app, interval in (await intervals_now(parts)).items():
        wanted = cadence.wanted(configured, parts.apps[app].limits.least_interval)
        if interval > wanted:
            found.append((app, timedelta(seconds=round(interval.total_seconds())), wanted))
    return found


async def intervals_now(parts: Parts) -> dict[str, timedelta]:
    """Return how often the connections of each configured app are looked at, by its limits and its size."""
    configured = parts.loaded.settings.schedule.interval
    sizes = await connections.per_app(parts.database)
    return {
        app.id: cadence.stretched(
            cadence.wanted(configured, app.limits.least_interval),
            sizes.get(app.id, 0),
            app.limits.app_wide,
        )
        for app in parts.apps.values()
    }
