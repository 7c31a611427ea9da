"""Makes of opened parts what looks, what tells and what keeps tokens."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.channels.channel import Around, Channel
from alerts.channels.smtp import Sender
from alerts.mails.access import Doorbell
from alerts.mails.compose import Composer
from alerts.mails.language import languages
from alerts.mails.message import Logo
from alerts.mails.samples import sample
from alerts.mails.send import Pump
from alerts.mails.standing import KINDS
from alerts.mails.voice import Post, Registration, Voice
from alerts.pages import routes
from alerts.pages.ahead import Ahead, Announced
from alerts.pages.routes import Route
from alerts.pages.send import Pager
from alerts.pages.truth import Oncall
from alerts.webhooks.endpoints import Endpoint
from alerts.webhooks.send import Caller
from monitor.clock import SystemClock
from monitor.errors import ConfigurationError
from monitor.health.calendar import midnight
from monitor.metrics.ending import announced
from monitor.metrics.meters import Meters
from monitor.secret import Secret
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts
from monitor.store import bindings
from monitor.store.api_keys import Bell
from monitor.store.bindings import Binding
from monitor.store.due import Lease
from monitor.store.expected import Ordinary
from monitor.store.processes import Role
from monitor.store.verdicts import Tell, Terms
from monitor.tokens.custody import Custody
from monitor.tokens.grant import Granter
from monitor.tokens.refresh import Refresher
from monitor.tokens.uses import Uses
from monitor.tokens.vault import Cell
from monitor.watching.admission import Admission, Pace
from monitor.watching.comparing import Comparing
from monitor.watching.doors import Doors
from monitor.watching.hearing import Hearing
from monitor.watching.loop import Loop
from monitor.watching.pacing import Demand, Pacer
from monitor.watching.presence import Presence
from monitor.watching.probe import Prober
from monitor.watching.rounds import Rounds
from monitor.watching.settled import measure_refresh
from monitor.watching.tasks import Tasks
from monitor.watching.ticks import Ticks
from monitor.watching.upkeep import Upkeep

log = structlog.get_logger("monitor.settings")

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Wire
    from monitor.wire.endpoints import Reach, Resolve
    from monitor.wire.oidc import OpenIdProvider


@dataclass(frozen=True, slots=True)
class Watching:
    """What looks at connections in one process, put together."""

    loop: Loop
    rounds: Rounds
    ticks: Ticks
    presence: Presence
    admission: Admission
    upkeep: Upkeep
    comparing: Comparing
    refresher: Refresher
    custody: Custody
    uses: Uses
    hearing: Hearing
    doors: Doors
    meters: Meters
    scope_every: timedelta


def build_watching(
    parts: Parts, wire: Wire, meters: Meters, name: str, role: Role, tell: Tell | None = None
) -> Watching:
    """Put the watch together from opened parts. `tell` writes what is to be said about a verdict."""
    settings, database, apps, clock = parts.loaded.settings, parts.database, parts.apps, parts.clock
    schedule, rules = settings.schedule, binding(parts)

    async def waits(lease: Lease, account: str) -> bool:
        return await bindings.would_be_held(database, lease.id, lease.place, account, rules)

    refresher = Refresher(database, wire, parts.vault, clock, name, schedule.timeout)
    pacer, tasks = Pacer(database, clock), Tasks(meters)
    prober = Prober(wire, parts.vault, refresher, pacer, clock, schedule.scope_interval, waits)
    pace = Pace(schedule.concurrency, schedule.pace, settings.lease)
    terms = Terms(name, settings.guard_policy, settings.history.interval, tell, Ordinary(), rules)
    admission = Admission(database, apps, pacer, settings.cadence, pace)
    loop = Loop(
        database, prober, admission, apps, clock, meters, tasks,
        policy=settings.policy, pace=pace, terms=terms,
    )  # fmt: skip
    presence = Presence(database, apps, clock, process=name, role=role)
    custody = Custody(
        database, wire, parts.vault, refresher, Demand(database, clock, pacer), apps, clock, name,
        settings.lease, lambda: presence.skew,
        lambda app, done, connection: measure_refresh(meters, app, done, connection),
    )  # fmt: skip
    refresher.on_stored = custody.desk.changed
    comparing = Comparing(
        database, loop, admission.sight, apps, clock, meters, process=name, pace=pace
    )  # fmt: skip
    upkeep = Upkeep(database, presence, admission, clock, terms=terms, kept=settings.kept)
    return Watching(
        loop=loop,
        rounds=Rounds(database, loop, admission, apps, clock, process=name, pace=pace),
        ticks=Ticks(
            loop,
            presence,
            admission,
            upkeep,
            comparing,
            tasks,
            clock,
            meters,
            interval=settings.cadence.interval,
        ),
        presence=presence,
        admission=admission,
        upkeep=upkeep,
        comparing=comparing,
        refresher=refresher,
        custody=custody,
        uses=Uses(database, clock),
        hearing=Hearing(database, admission, clock),
        doors=Doors(
            database,
            wire,
            pacer,
            apps,
            clock,
            public_url=settings.web.public_url,
            every=schedule.doors,
            leads=lambda: presence.leads,
        ),
        meters=meters,
        scope_every=schedule.scope_interval,
    )


def binding(parts: Parts) -> Binding:
    """Return how first accounts are taken, from the settings."""
    issuers = {app.id: app.issuer for app in parts.apps.values()}
    return Binding(issuers, parts.loaded.settings.connections.first_account == "ask")


def build_composer(loaded: Loaded) -> tuple[Composer, Logo | None]:
    """Open the mail templates with the brand, the operator's own before ours."""
    settings = loaded.settings
    logo = settings.brand.read_logo(loaded.directory)
    folder = settings.email.templates
    brand = settings.brand.brand(settings.smtp.sender, logo=logo is not None)
    return Composer(brand, loaded.directory / folder if folder else None), logo


def templates_trouble(loaded: Loaded) -> str | None:
    """Write every kind of mail in every language; say what is wrong with a template of the agency's."""
    try:
        composer, _ = build_composer(loaded)
        composer.check()
        for kind in KINDS:
            for language in languages():
                sample(composer, kind, language, SystemClock().now())
    except ConfigurationError as error:
        return str(error)
    return None


def build_post(parts: Parts) -> Post | None:
    """Gather what sending mails needs; None where no sender is configured, and so nobody is mailed."""
    settings = parts.loaded.settings
    if not settings.smtp.sender:
        return None
    composer, logo = build_composer(parts.loaded)
    sender = Sender.parse(settings.smtp.sender, settings.brand.reply_to)
    lifetimes = {
        app.id: app.provider.oauth.refresh_absolute_lifetime
        for app in parts.apps.values()
        if app.provider.oauth.refresh_absolute_lifetime is not None
    }
    return Post(
        voice=Voice(
            settings.mail_policy,
            settings.email.operator,
            sender.domain,
            lifetimes,
            settings.windows,
            frozenset(parts.apps),
        ),
        composer=composer,
        sender=sender,
        server=parts.loaded.mail_server(),
        apps={app.id: Registration(app.provider, app.client_id) for app in parts.apps.values()},
        public_url=settings.web.public_url,
        link_lifetime=settings.email.link_lifetime,
        max_per_hour=settings.email.max_per_hour,
        logo=logo,
    )


def build_pump(parts: Parts, meters: Meters, name: str) -> Pump | None:
    """Put the outbox's pump together, None where nobody is mailed."""
    post = build_post(parts)
    return Pump(parts.database, post, parts.clock, meters, name) if post is not None else None


def build_doorbell(parts: Parts) -> Bell:
    """Return what tells the operator of who may come in: a mail, or the log where nobody is mailed."""
    settings = parts.loaded.settings
    if not settings.smtp.sender:
        return _into_the_log
    domain = Sender.parse(settings.smtp.sender, settings.brand.reply_to).domain
    return Doorbell(Voice(settings.mail_policy, settings.email.operator, domain)).ring


async def _into_the_log(_conn: AsyncConnection, reason: str, _now: datetime) -> None:
    log.warning("access.noted", what=reason)


def build_granter(parts: Parts, wire: Wire) -> Granter:
    """Put together what takes clients through consent."""
    public_url = parts.loaded.settings.web.public_url
    return Granter(parts.database, wire, parts.vault, parts.clock, parts.apps, public_url, binding(parts))


def build_openid_provider(parts: Parts, wire: Wire) -> OpenIdProvider | None:
    """Return the provider that people sign in at, None where there is none."""
    settings = parts.loaded.settings
    oidc = settings.oidc
    if not oidc.issuer:
        return None
    from monitor.wire.oidc import OpenIdProvider, Registration

    back = oidc.callback or f"{settings.web.public_url.rstrip('/')}/oidc/callback"
    return OpenIdProvider(
        Registration(
            oidc.issuer,
            oidc.client_id,
            parts.loaded.oidc_secret(),
            back,
            oidc.scopes,
            oidc.groups,
            oidc.called,
        ),
        wire,
        parts.clock,
    )


def build_wire(parts: Parts) -> Wire:
    """Open the wire as the settings say."""
    from monitor.wire.client import Wire

    schedule = parts.loaded.settings.schedule
    return Wire(parts.loaded.settings.http, timeout=schedule.timeout, concurrency=schedule.concurrency)


def build_oncall(parts: Parts) -> Oncall:
    """Gather how on-call is told, from the settings."""
    settings, oncall = parts.loaded.settings, parts.loaded.settings.oncall
    return Oncall(
        routes=parts.loaded.routes(),
        apps={app.id: app.provider.name for app in parts.apps.values()},
        teams=settings.teams,
        team=oncall.team,
        calm=oncall.calm,
        patience=oncall.waits,
        runbooks=oncall.runbooks,
        windows=settings.windows,
        ahead=_lies_ahead(parts),
    )


def _lies_ahead(parts: Parts) -> Ahead:
    """Gather when secrets end, and what the providers of our apps announced."""
    return Ahead(
        {app: midnight(on) for app, on in parts.loaded.settings.secrets.items()},
        [Announced(one.name, midnight(end.on), end.what) for one, end in announced(parts.apps.values())],
    )


def build_channel(loaded: Loaded, route: Route) -> Channel:
    """Open one of on-call's channels. Raises ConfigurationError for an address that nobody knows."""
    around = Around(loaded.settings.oncall, loaded.directory, loaded.settings.web.public_url)
    return routes.opened(route, around)


def build_pager(parts: Parts, meters: Meters, name: str) -> Pager:
    """Put the pager together; without channels it tells nobody, and still knows what is silent."""
    oncall = build_oncall(parts)
    channels = {route.name: build_channel(parts.loaded, route) for route in oncall.routes}
    return Pager(parts.database, oncall, channels, parts.clock, meters, name)


def secret_cell(endpoint: str) -> Cell:
    """Return where the secret that signs for an endpoint stands."""
    return Cell("webhook", endpoint, "secret")


def old_secret_cell(endpoint: str) -> Cell:
    """Return where the one before the last rotation stands."""
    return Cell("webhook", endpoint, "old_secret")


def build_reach(loaded: Loaded) -> Reach:
    """Gather where events may be sent, from the settings; never to ourselves."""
    from monitor.wire.endpoints import Reach

    allowed, web = loaded.settings.webhooks, loaded.settings.web
    networks = tuple(ipaddress.ip_network(one) for one in allowed.insecure_networks)
    own = tuple((one.host, one.port) for one in web.listeners)
    return Reach(allowed.private_networks, networks, own)


def build_caller(parts: Parts, meters: Meters, name: str, resolve: Resolve | None = None) -> Caller:
    """Put together what tells programs; `resolve` stands in for this machine's way to find names."""
    from monitor.wire.endpoints import Poster, by_system, tls

    vault = parts.vault

    def opened(endpoint: Endpoint, now: datetime) -> list[Secret]:
        both = endpoint.old_until is not None and endpoint.old_until > now
        sealed = [(endpoint.secret, secret_cell(endpoint.id))]
        if both:
            sealed.append((endpoint.old_secret, old_secret_cell(endpoint.id)))
        return [vault.open(text, cell) for text, cell in sealed if text is not None]

    poster = Poster(
        build_reach(parts.loaded), tls(parts.loaded.settings.http.ca_file), resolve=resolve or by_system
    )
    return Caller(parts.database, poster, opened, parts.clock, meters, name)


def tell_both(pump: Pump | None, pager: Pager) -> Tell:
    """Return what writes clients' mails and on-call's pages into a verdict's transaction."""

    async def tell(conn: AsyncConnection, about: Sequence[str], now: datetime) -> None:
        if pump is not None:
            await pump.tell(conn, about, now)
        await pager.tell(conn, about, now)

    return tell
