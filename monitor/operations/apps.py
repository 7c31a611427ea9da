"""The apps as they are used: whether they are configured, and how often their limits let us look."""

from __future__ import annotations

from datetime import timedelta

from monitor.health import cadence
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import connections


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


async def stretched(parts: Parts, actor: Actor) -> list[tuple[str, timedelta, timedelta]]:
    """Return the apps whose limit makes their interval longer: id, the interval, the configured one."""
    actor.needs(Right.CATALOGUE_READ)
    return await stretched_now(parts)


async def stretched_now(parts: Parts) -> list[tuple[str, timedelta, timedelta]]:
    """Do the same for an operation that has asked already what the actor may."""
    wanted = parts.loaded.settings.schedule.interval
    sizes = await connections.per_app(parts.database)
    found = []
    for app in parts.apps.values():
        interval = cadence.stretched(wanted, sizes.get(app.id, 0), app.limits.app_wide)
        if interval > wanted:
            found.append((app.id, timedelta(seconds=round(interval.total_seconds())), wanted))
    return found
