"""What looking at each app's connections costs at its provider, as people and programs are told it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from monitor.health import cost
from monitor.health.cost import Allowed, Cost
from monitor.operations.checks import Check
from monitor.settings.parts import Parts
from monitor.store import connections
from monitor.wire.apps import App


@dataclass(frozen=True, slots=True)
class Costs:
    """What an app's connections take, what its provider allows, and what one should know of it."""

    cost: Cost
    allowed: Allowed
    says: tuple[str, ...]
    trouble: str | None  # it takes more than there is, and what to set


async def of_apps(parts: Parts, intervals: Mapping[str, timedelta]) -> dict[str, Costs]:
    """Return them of the configured apps; `intervals` is how often each one's connections are looked at."""
    sizes, scopes = await connections.per_app(parts.database), await connections.scopes_needed(parts.database)
    every = parts.loaded.settings.schedule.scope_interval
    found = {}
    for app in parts.apps.values():
        takes = Cost(sizes.get(app.id, 0), intervals[app.id], scopes.get(app.id, 0), every)
        allowed = allowed_of(app)
        said = tuple(cost.sentences(takes, allowed, app.provider.title))
        found[app.id] = Costs(takes, allowed, said, cost.too_dear(takes, allowed))
    return found


async def checked(parts: Parts, intervals: Mapping[str, timedelta]) -> list[Check]:
    """Say of each app what its fleet costs, and what to set where it costs too much."""
    found = []
    for app, costs in (await of_apps(parts, intervals)).items():
        if costs.trouble is not None:
            found.append(Check("cost", None, f"{app}: {costs.trouble}"))
        if costs.cost.connections and costs.says:
            found.append(Check("cost", True, f"{app}: {' '.join(costs.says)}"))
    return found


def allowed_of(app: App) -> Allowed:
    """Return what the provider allows an app."""
    limits = app.limits
    return Allowed(
        limits.requests_per_minute,
        limits.per == "app",
        limits.share,
        limits.reads_per_month,
        limits.live_access_tokens,
        limits.grants_per_user,
    )
