"""/metrics: the fleet's gauges from one pass over the connections, and this process's own meters.

The fleet is written by one process at a time, the one that holds its duty, so that it is there once
however many processes are scraped. Rows are joined into text here: a hundred thousand samples through
the library's collectors take forty times as long.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from monitor.clock import Clock
from monitor.health.cadence import wanted
from monitor.metrics import catalogue, ending
from monitor.metrics.meters import Meters
from monitor.metrics.metric import Metric
from monitor.store import bindings, campaigns, connections, fleet
from monitor.store.engine import Database
from monitor.wire.apps import App

Encoder = Callable[[Collector], bytes]  # writes meters in the format that a scraper asked for
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def escape(value: str) -> str:
    """Escape a label's value (Prometheus exposition formats, text format)."""
    # Hardly any value needs it, and looking takes a tenth of translating.
    return value.translate(_ESCAPES) if '"' in value or "\\" in value or "\n" in value else value


def head(metric: Metric) -> str:
    """Return a family's HELP and TYPE lines."""
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"


def family(metric: Metric, samples: Iterable[tuple[Sequence[str], float]]) -> str:
    """Return a small family as text."""
    lines = [head(metric)]
    for values, number in samples:
        labels = ",".join(
            f'{name}="{escape(value)}"' for name, value in zip(metric.labels, values, strict=True)
        )
        lines.append(
            f"{metric.name}{{{labels}}} {_number(number)}\n"
            if labels
            else f"{metric.name} {_number(number)}\n"
        )
    return "".join(lines)


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(int(value)) if value == int(value) else repr(value)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of the fleet is written, and what people say of it in the configuration.

    `connections` is "all", "broken" (only what is broken is a series of its own) or "none". `teams` has each
    app's team; `tiers` for how long a client of a tier may be broken; `tier` tells it from a connection's
    labels.
    """

    client_names: bool = True
    connections: str = "all"
    teams: Mapping[str, str] = field(default_factory=dict)
    team: str = ""
    tiers: Mapping[str, timedelta] = field(default_factory=dict)
    tier: Callable[[Mapping[str, str]], str] = lambda _labels: "default"
    secrets: Mapping[str, date] = field(default_factory=dict)  # the day on which each app's secret ends
    scope_interval: timedelta = timedelta(hours=1)


class Exposition:
    """Writes /metrics."""

    def __init__(
        self,
        database: Database,
        meters: Meters,
        apps: Mapping[str, App],
        clock: Clock,
        *,
        interval: timedelta,
        extent: Extent,
    ) -> None:
        self._database, self._meters, self._apps, self._clock = database, meters, apps, clock
        self._interval, self._extent = interval, extent

    async def write(
        self, *, leads: bool, lag: float, alive: int, intervals: Mapping[str, timedelta], encoder: Encoder
    ) -> AsyncIterator[bytes]:
        """Yield the page in pieces. `leads` says whether this process writes the fleet.

        Without the database the page has this process's own meters, and says that it is gone.
        """
        reachable = await self._database.reachable()
        self._meters.database_up.set(1 if reachable else 0)
        if reachable and leads:
            async for piece in self._fleet(lag, alive, intervals):
                yield piece
        # Last, since OpenMetrics ends with a line that says so.
        yield encoder(self._meters.registry)

    async def _fleet(
        self, lag: float, alive: int, intervals: Mapping[str, timedelta]
    ) -> AsyncIterator[bytes]:
        if self._extent.connections == "all":
            async for piece in self._connections():
                yield piece
        if self._extent.connections != "none":
            yield (await self._broken()).encode()
        yield (await self._groups()).encode()
        yield (await self._incidents()).encode()
        yield (await self._held()).encode()
        yield (await self._campaigns()).encode()
        yield self._configured().encode()
        yield (await self._ahead(intervals)).encode()
        yield self._schedule(lag, alive, intervals).encode()

    async def _connections(self) -> AsyncIterator[bytes]:
        """A family at a time, from one pass: a family's lines have to stand together."""
        up, expiry, refresh, success, took = (
            [head(m)]
            for m in (
                catalogue.CONNECTION_UP,
                catalogue.ACCESS_EXPIRY,
                catalogue.REFRESH_EXPIRY,
                catalogue.LAST_SUCCESS,
                catalogue.LAST_PROBE,
            )
        )
        # Apps whose provider lets refresh tokens run out; others only where it told so itself.
        lifetimes = {app.id: found for app in self._apps.values() if any(found := _lifetimes(app))}
        name_up, name_took = catalogue.CONNECTION_UP.name, catalogue.LAST_PROBE.name
        client_names = self._extent.client_names
        name_expiry, name_refresh = catalogue.ACCESS_EXPIRY.name, catalogue.REFRESH_EXPIRY.name
        name_success = catalogue.LAST_SUCCESS.name
        async for page in fleet.pages(self._database):
            for row in page:
                connection, app, provider, client, state, _, _, ok_at, expires, used, born, seconds, *told = (
                    row
                )
                where = f'connection="{escape(connection)}",app="{app}",provider="{provider}"'
                # Of an app that is not configured nobody knows how its connections are.
                if state in _WATCHED and app in self._apps:
                    who = f'{where},client="{escape(client) if client_names else ""}"'
                    up.append(f"{name_up}{{{who}}} {0 if state == 'broken' else 1}\n")
                if expires is not None:
                    expiry.append(f"{name_expiry}{{{where}}} {expires}\n")
                if (app in lifetimes or any(told)) and (
                    ends := _ends(lifetimes.get(app, (None, None)), used, born, told)
                ) is not None:
                    refresh.append(f"{name_refresh}{{{where}}} {ends}\n")
                if ok_at is not None:
                    success.append(f"{name_success}{{{where}}} {ok_at}\n")
                if seconds is not None:
                    took.append(f"{name_took}{{{where}}} {seconds:.4g}\n")
        for lines in (up, expiry, refresh, success, took):
            for start in range(0, len(lines), 5000):
                yield "".join(lines[start : start + 5000]).encode()

    async def _broken(self) -> str:
        """What is broken, and how far its client is on the way back: few lines, also in a large fleet."""
        problem, since = [], []
        for row in await fleet.broken(self._database):
            connection, app, provider, client, cause, owner, labels, opened = row
            if app not in self._apps:
                continue
            who = (connection, app, provider, client if self._extent.client_names else "", cause, owner)
            problem.append((who, 1))
            since.append(((*who, self._extent.tier(labels)), opened))
        month = self._clock.now() - timedelta(days=30)
        steps = [
            ((row[0], row[1], row[2], step), at)
            for row in await fleet.link_steps(self._database, month)
            for step, at in zip(("link", "opened", "started", "completed"), row[3:], strict=True)
            if at is not None
        ]
        return (
            family(catalogue.PROBLEM, problem)
            + family(catalogue.BROKEN_SINCE, since)
            + family(catalogue.STEP_AT, steps)
        )

    async def _incidents(self) -> str:
        shared = await fleet.shared_incidents(self._database, self._apps)
        return family(
            catalogue.INCIDENT,
            (
                ((kind, name, *self._place(kind, name), cause, owner), members)
                for kind, name, cause, owner, members in shared
            ),
        )

    async def _held(self) -> str:
        """What the fleet guard holds back, and how it goes with those who are held."""
        held = await fleet.held(self._database)
        waves = await fleet.wave_clients(self._database)
        waiting = await fleet.waiting(self._database)
        return (
            family(
                catalogue.HELD,
                (
                    ((kind, name, self._place(kind, name)[0], cause, owner), count)
                    for kind, name, cause, owner, count in held
                ),
            )
            + family(catalogue.WAVE_SINCE, {(provider,): since for provider, since, _, _ in waves}.items())
            + family(catalogue.WAVE_CLIENTS, (((provider, state), n) for provider, _, state, n in waves))
            + family(catalogue.WAITING, (((provider, why), n) for provider, why, n in waiting))
        )

    def _place(self, kind: str, name: str) -> tuple[str, str, str]:
        """Return provider, app and team of what an incident is about; empty where it is about none."""
        if kind == "app":
            app = self._apps.get(name)
            return app.provider.name if app else "", name, self._extent.teams.get(name, self._extent.team)
        return name.partition("/")[0] if kind != "network" else "", "", self._extent.team

    def _configured(self) -> str:
        extent = self._extent
        limits = {
            app.id: app.limits.app_wide for app in self._apps.values() if app.limits.app_wide is not None
        }
        return (
            family(
                catalogue.PATIENCE, (((tier,), span.total_seconds()) for tier, span in extent.tiers.items())
            )
            + family(
                catalogue.APP_INFO,
                (
                    ((app.provider.name, app.id, app.region, extent.teams.get(app.id, extent.team)), 1)
                    for app in self._apps.values()
                ),
            )
            + family(
                catalogue.APP_LIMIT,
                (
                    ((self._apps[app].provider.name, app), round(limit / 60, 4))
                    for app, limit in limits.items()
                ),
            )
        )

    async def _ahead(self, intervals: Mapping[str, timedelta]) -> str:
        """What ends, whether anybody could still connect, and what probing takes of metered reads."""
        found = await ending.families(
            self._database, self._apps.values(), self._extent.secrets, self._clock.now(), intervals,
            self._extent.scope_interval,
        )  # fmt: skip
        return "".join(family(metric, samples) for metric, samples in found)

    async def _campaigns(self) -> str:
        going = await campaigns.every(self._database)
        return family(
            catalogue.CAMPAIGN_CONNECTIONS,
            (((name, state), n) for name, state, n in await campaigns.sums(self._database)),
        ) + family(catalogue.CAMPAIGN_STOPPED, (((one.id,), 1) for one in going if one.waits_for_person))

    async def _groups(self) -> str:
        states = await fleet.by_state(self._database)
        open_incidents = await fleet.incidents_open(self._database)
        guards = await fleet.guards(self._database)
        unwatched = await connections.unwatched(self._database, self._apps)
        doubts = await fleet.in_doubt(self._database)
        waiting = await bindings.counted(self._database)
        given_up = await fleet.webhooks_given_up(self._database)
        return (
            family(catalogue.CONNECTIONS, (((p, a, s), n) for p, a, s, n in states))
            + family(catalogue.UNWATCHED, (((app,), n) for app, n in unwatched.items()))
            + family(catalogue.ACCOUNTS_WAITING, (((p, a), n) for p, a, n in waiting))
            + family(catalogue.WEBHOOKS_GIVEN_UP, [((), given_up)])
            + family(catalogue.OPEN_INCIDENTS, (((k, c, o), n) for k, c, o, n in open_incidents))
            + family(catalogue.GUARD_ACTIVE, ((labels, 1) for labels in guards))
            + family(
                catalogue.REFRESH_IN_DOUBT,
                (((app.provider.name, app.id), doubts.get(app.id, 0)) for app in self._apps.values()),
            )
        )

    def _wanted(self, app: str) -> timedelta:
        return wanted(self._interval, self._apps[app].limits.least_interval)

    def _schedule(self, lag: float, alive: int, intervals: Mapping[str, timedelta]) -> str:
        named = [((self._apps[app].provider.name, app), span) for app, span in intervals.items()]
        return (
            family(catalogue.SCHEDULE_LAG, [((), round(lag, 3))])
            + family(catalogue.PROCESSES, [((), alive)])
            + family(catalogue.PROBE_INTERVAL, ((labels, span.total_seconds()) for labels, span in named))
            + family(
                catalogue.INTERVAL_STRETCHED,
                ((labels, round(span / self._wanted(labels[1]), 3)) for labels, span in named),
            )
        )


_WATCHED = frozenset({"healthy", "suspect", "broken"})


def _lifetimes(app: App) -> tuple[int | None, int | None]:
    oauth = app.provider.oauth
    idle, absolute = oauth.refresh_idle_lifetime, oauth.refresh_absolute_lifetime
    return (
        int(idle.total_seconds()) if idle else None,
        int(absolute.total_seconds()) if absolute else None,
    )


def _ends(lifetimes: tuple[int | None, int | None], used: Any, born: Any, told: Sequence[Any]) -> int | None:
    """When a refresh token runs out, in Unix time: after idling, or at the latest; the earlier one.

    What an answer told goes before what the provider's file says.
    """
    ends = [
        end if end is not None else start + life if life and start is not None else None
        for end, start, life in zip(told, (used, born), lifetimes, strict=True)
    ]
    return min((end for end in ends if end is not None), default=None)


def negotiated(accept: str) -> tuple[Encoder, str]:
    """Return what writes this process's meters for an Accept header, and the page's content type.

    The library's own choice. The fleet's text is the same in every format: gauges with plain names.
    """
    try:
        return choose_encoder(accept)
    except TypeError:  # the library compares a version that is no number: `version=abc`
        return choose_encoder("")
