"""What on-call has to know now, read from the published facts: open incidents, and how our telling is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox import delays
from alerts.pages import ahead
from alerts.pages.ahead import Ahead
from alerts.pages.matters import Fact, Matter, Patience, Trouble, facts_of, standing, worth_telling
from alerts.pages.routes import Route
from alerts.pages.story import SLOTS
from alerts.rules import fleet, own
from alerts.rules.alert import RUNBOOKS, TEAM, Severity
from alerts.silences import silences
from alerts.silences.windows import Window
from monitor.health.causes import TABLE, Call, Owner, Subject
from monitor.store import app_checks, bindings, campaigns, incidents, processes, published
from monitor.store.incidents import OpenIncident
from monitor.text.names import one_line

STUCK = timedelta(minutes=15)  # how long a mail may be on its way
# Causes that are a single connection's own: on-call is told of those that call it, and while the operator has
# to act before the client. What is shared is told once, for what it is shared by.
_OWN = {cause: row for cause, row in TABLE.items() if row.subject is Subject.CONNECTION}
_CALLED = [cause for cause, row in _OWN.items() if row.call is not None]
_PAGED = [cause for cause in _CALLED if _OWN[cause].call is Call.PAGE]
_CLIENTS = [cause for cause, row in _OWN.items() if row.owner is Owner.CLIENT]


@dataclass(frozen=True, slots=True)
class Oncall:
    """How on-call is told: over which channels, how patiently, and what is silent."""

    routes: tuple[Route, ...]
    apps: Mapping[str, str]  # app -> provider
    teams: Mapping[str, str] = field(default_factory=dict)  # app -> team
    team: str = TEAM
    calm: timedelta = timedelta(minutes=2)
    patience: Patience = field(default_factory=Patience)
    runbooks: str = RUNBOOKS
    windows: tuple[Window, ...] = ()
    ahead: Ahead = field(default_factory=Ahead)

    @property
    def asks_labels(self) -> bool:
        """Whether a route looks at the labels of connections."""
        return any(route.labels for route in self.routes)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be told now, and why the rest is not."""

    told: Mapping[str, Matter]
    quiet: Mapping[str, str]


async def look(conn: AsyncConnection, oncall: Oncall, now: datetime, *, tickets: bool = True) -> Seen:
    """Gather what on-call has to know now; without `tickets`, what clients have not mended is left out."""
    facts = [
        fact
        for found in await _troubles(conn, oncall, now, tickets)
        for fact in facts_of(found, oncall.teams, oncall.patience, now)
    ]
    if not tickets:
        facts = [fact for fact in facts if fact.alert.severity is Severity.PAGE]
    facts += await _conditions(conn, now)
    doors = await app_checks.standing_now(conn)
    facts += ahead.facts(oncall.ahead, doors, oncall.apps, oncall.teams, now, tickets=tickets)
    facts += [
        Fact(
            fleet.EGRESS_BLOCKED, one.since, provider=one.provider,
            reasons=(f"replica {one.process} alone is refused, so it rests there; others do its work",),
        )
        for one in await processes.blocked(conn)
    ]  # fmt: skip
    if tickets:
        facts += await _waiting_accounts(conn, oncall)
        for name, since in await published.webhooks_given_up(conn):
            facts.append(Fact(own.WEBHOOK_GIVEN_UP, since, reasons=(f"{name} gets nothing any more",)))
        for stopped in await campaigns.halted(conn):
            why = f"{stopped.id} ({one_line(stopped.reason)}): {stopped.why}"
            facts.append(Fact(own.CAMPAIGN_STOPPED, stopped.changed_at, reasons=(why,)))
    silent = await silences.holding(conn, oncall.windows, now)
    told, quiet = worth_telling(standing(facts, oncall.team), silent)
    return Seen(told, quiet)


async def _troubles(conn: AsyncConnection, oncall: Oncall, now: datetime, tickets: bool) -> list[Trouble]:
    held = await published.held_by_waves(conn)
    looked_at = await published.shared_by(conn, oncall.apps)
    found = []
    for known in await incidents.shared(conn):
        if known.members and known.id not in looked_at:
            continue  # all of apps that are not configured any more: nobody knows whether it is over
        labels = await published.labels_alike(conn, known.id) if oncall.asks_labels else {}
        found.append(_shared(known, oncall, held, labels))
    return found + await _of_connections(conn, oncall, now, tickets)


def _shared(
    known: OpenIncident, oncall: Oncall, held: Mapping[str, int], labels: Mapping[str, str]
) -> Trouble:
    """Return an incident of what connections share, as on-call is concerned with it."""
    kind, name = known.about.kind, known.about.name
    app = name if kind is Subject.APP else ""
    provider = oncall.apps.get(app, "") if app else name.partition("/")[0]
    return Trouble(
        kind,
        name,
        known.cause,
        known.owner,
        known.opened_at,
        known.wave,
        held.get(name, 0) if known.wave else 0,
        known.members,
        provider if kind is not Subject.NETWORK else "",
        app,
        marks=labels,
        reasons=known.reasons,
        answered_at=known.spoken_at,
    )


async def _of_connections(
    conn: AsyncConnection, oncall: Oncall, now: datetime, tickets: bool
) -> list[Trouble]:
    """Return incidents of single connections that are on-call's: of ours, or of clients broken too long."""
    found = await published.breaks(
        conn,
        oncall.apps,
        causes=_CALLED if tickets else _PAGED,
        of_operator=_CLIENTS,
        of_clients_since=now - oncall.patience.shortest if tickets else None,
    )
    return [
        Trouble(
            Subject.CONNECTION,
            one.connection,
            one.cause,
            one.owner,
            one.opened_at,
            held=1 if one.in_wave else 0,
            members=1,
            provider=one.provider,
            app=one.app,
            client=one.client,
            marks=one.labels,
            reasons=one.reasons,
        )
        for one in found
    ]


async def _conditions(conn: AsyncConnection, now: datetime) -> list[Fact]:
    """Return what is wrong with our own telling."""
    found = []
    if (blown := await delays.fuse_blown(conn)) is not None:
        found.append(Fact(fleet.FUSE_BLOWN, blown))
    for channel, oldest in (await delays.by_channel(conn, but=SLOTS)).items():
        if now - oldest > STUCK:
            found.append(Fact(own.OUTBOX_STUCK, oldest, (now - oldest).total_seconds(), channel=channel))
    return found


async def _waiting_accounts(conn: AsyncConnection, oncall: Oncall) -> list[Fact]:
    """Return the first authorizations that a person has to decide on."""
    return [
        Fact(
            own.ACCOUNT_WAITS,
            grant.held_at,
            provider=grant.place.provider,
            app=grant.place.app,
            team=oncall.teams.get(grant.place.app, ""),
            connection=grant.connection,
            client=grant.client,
            reasons=(f"{grant.connection}: {grant.sentence}",),
        )
        for grant in await bindings.waiting_now(conn)
    ]
