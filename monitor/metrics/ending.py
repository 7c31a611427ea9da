"""What lies ahead, for /metrics: the next end of each kind, doors that are shut, and metered reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from monitor.health.calendar import Kind, Lasts, Needs, Wanted, midnight
from monitor.health.cost import Cost
from monitor.metrics import ahead
from monitor.metrics.metric import Metric
from monitor.providers.schema import End, Provider
from monitor.store import api_keys, app_checks, calendar, connections
from monitor.store.engine import Database
from monitor.wire.apps import App

NEAR, FAR = timedelta(days=30), timedelta(days=90)
WHO_ACTS = frozenset({Needs.CLIENT.value, Needs.OPERATOR.value})
Samples = list[tuple[Sequence[str], float]]


async def families(
    database: Database,
    apps: Collection[App],
    secrets: Mapping[str, date],
    now: datetime,
    intervals: Mapping[str, timedelta],
    scope_interval: timedelta,
) -> list[tuple[Metric, Samples]]:
    """Return each metric of `metrics.ahead` with its samples. `secrets`: the day each app's secret ends."""
    by_id = {app.id: app for app in apps}
    ends, ending = await _of_connections(database, by_id, now)
    ends += [
        ((Kind.CLIENT_SECRET.value, by_id[app].provider.name, app), midnight(on).timestamp())
        for app, on in secrets.items()
        if app in by_id
    ]
    ends += _next_announced(apps, now)
    if keys := await api_keys.ending(database, now + FAR, now):
        ends.append(((Kind.API_KEY.value, "", ""), keys[0][0].expires_at.timestamp()))
    doors: Samples = [
        ((by_id[app].provider.name, app, door.value), 0 if one.shut else 1)
        for app, its in (await app_checks.standing(database)).items()
        if app in by_id
        for door, one in its.items()
        if one.well_at is not None or one.shut
    ]
    reads, limits = await _reads(database, apps, intervals, scope_interval)
    found = (ends, ending, doors, reads, limits)
    return list(zip(ahead.ALL, found, strict=True))


async def _of_connections(
    database: Database, apps: Mapping[str, App], now: datetime
) -> tuple[Samples, Samples]:
    """Return when the next end of each kind comes, and how many grants end soon, by app."""
    lasts = {app.id: lasts_of(app) for app in apps.values()}
    first: dict[tuple[str, str], datetime] = {}
    wanted = Wanted(now, now + FAR, needs=WHO_ACTS)
    for source in calendar.sources(lasts, wanted):
        for app, at, _ in await calendar.next_of(database, source, wanted):
            key = (source.kind.value, app)
            first[key] = min(at, first.get(key, at))
    soon = Wanted(now, now + NEAR, kinds=frozenset({Kind.GRANT.value}), needs=WHO_ACTS)
    ending = dict.fromkeys(apps, 0)
    for source in calendar.sources(lasts, soon):
        for app, _, count in await calendar.next_of(database, source, soon, unplanned=True):
            ending[app] += count
    return (
        [((kind, apps[app].provider.name, app), at.timestamp()) for (kind, app), at in first.items()],
        [((apps[app].provider.name, app), count) for app, count in ending.items()],
    )


def lasts_of(app: App) -> Lasts:
    """Return how long an app's refresh tokens and grants last, by its provider's file."""
    oauth = app.provider.oauth
    return Lasts(oauth.refresh_idle_lifetime, oauth.refresh_absolute_lifetime)


def announced(apps: Collection[App]) -> Iterator[tuple[Provider, End]]:
    """Yield the announced ends that touch one of our apps, by the scopes that its registration has."""
    for provider in {app.provider.name: app.provider for app in apps}.values():
        its = [app for app in apps if app.provider.name == provider.name]
        asked = {scope for app in its for scope in (*app.scopes, *provider.oauth.default_scopes)}
        unknown = any(not app.scopes for app in its)
        for end in provider.ends:
            if not end.scopes or unknown or asked & set(end.scopes):
                yield provider, end


def _next_announced(apps: Collection[App], now: datetime) -> Samples:
    first: dict[str, datetime] = {}
    for provider, end in announced(apps):
        at = midnight(end.on)
        if at > now:
            first[provider.name] = min(at, first.get(provider.name, at))
    return [((Kind.PROVIDER_END.value, name, ""), at.timestamp()) for name, at in first.items()]


async def _reads(
    database: Database,
    apps: Collection[App],
    intervals: Mapping[str, timedelta],
    scope_interval: timedelta,
) -> tuple[Samples, Samples]:
    """Return what probing takes of metered reads, of the apps where they are, and how many there are."""
    metered = [app for app in apps if app.limits.reads_per_month is not None and app.id in intervals]
    if not metered:
        return [], []
    sizes, scopes = await connections.per_app(database), await connections.scopes_needed(database)
    reads: Samples = []
    for app in metered:
        cost = Cost(sizes.get(app.id, 0), intervals[app.id], scopes.get(app.id, 0), scope_interval)
        reads.append(((app.provider.name, app.id), cost.reads_per_month))
    return reads, [((app.provider.name, app.id), app.limits.reads_per_month or 0) for app in metered]
