"""Makes of opened parts what looks, what tells and what keeps tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.channels import Channel
from alerts.channels.alertmanager import Alertmanager
from alerts.channels.notify import Notify
from alerts.mails.compose import Composer
from alerts.mails.language import languages
from alerts.mails.ledger import Voice
from alerts.mails.message import Logo, Sender
from alerts.mails.notices import Kind as MailKind
from alerts.mails.pump import Post, Pump
from alerts.mails.samples import sample
from alerts.pages.oncall import Duty
from alerts.pages.pager import Pager
from alerts.pages.routes import Kind, Route
from monitor.clock import SystemClock
from monitor.errors import ConfigurationError
from monitor.metrics.meters import Meters
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts
from monitor.store import bindings
from monitor.store.bindings import Binding
from monitor.store.due import Lease
from monitor.store.processes import Role
from monitor.store.verdicts import Tell
from monitor.tokens.grant import Granter
from monitor.tokens.refresh import Refresher
from monitor.watching.loop import Loop, Pace
from monitor.watching.pacing import Pacer
from monitor.watching.probe import Prober
from monitor.wire.hooks import Hook

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Wire


def build_loop(
    parts: Parts, wire: Wire, meters: Meters, name: str, role: Role, tell: Tell | None = None
) -> tuple[Loop, Refresher]:
    """Put the loop together from opened parts. `tell` writes what is to be said about a verdict."""
    settings, clock = parts.loaded.settings, parts.clock
    refresher = Refresher(parts.database, wire, parts.vault, clock, name, settings.schedule.timeout)
    pacer = Pacer(parts.database, clock)
    rules = binding(parts)

    async def waits(lease: Lease, account: str) -> bool:
        return await bindings.would_be_held(parts.database, lease.id, lease.place, account, rules)

    prober = Prober(wire, parts.vault, refresher, pacer, clock, settings.schedule.scope_interval, waits)
    loop = Loop(
        parts.database,
        prober,
        pacer,
        parts.apps,
        clock,
        meters,
        process=name,
        role=role.value,
        cadence=settings.cadence,
        policy=settings.policy,
        guard=settings.guard_policy,
        kept=settings.kept,
        pace=Pace(
            settings.schedule.concurrency, settings.schedule.pace, settings.lease, settings.history.interval
        ),
        tell=tell,
        binding=rules,
    )
    return loop, refresher


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
        for kind in MailKind:
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
        titles={app.id: app.provider.title for app in parts.apps.values()},
        public_url=settings.web.public_url,
        link_lifetime=settings.email.link_lifetime,
        max_per_hour=settings.email.max_per_hour,
        logo=logo,
    )


def build_pump(parts: Parts, meters: Meters, name: str) -> Pump | None:
    """Put the outbox's pump together, None where nobody is mailed."""
    post = build_post(parts)
    return Pump(parts.database, post, parts.clock, meters, name) if post is not None else None


def build_granter(parts: Parts, wire: Wire) -> Granter:
    """Put together what takes clients through consent."""
    public_url = parts.loaded.settings.web.public_url
    return Granter(parts.database, wire, parts.vault, parts.clock, parts.apps, public_url, binding(parts))


def build_wire(parts: Parts) -> Wire:
    """Open the wire as the settings say."""
    from monitor.wire.client import Wire

    schedule = parts.loaded.settings.schedule
    return Wire(parts.loaded.settings.http, timeout=schedule.timeout, concurrency=schedule.concurrency)


def build_duty(parts: Parts) -> Duty:
    """Gather how on-call is told, from the settings."""
    settings, oncall = parts.loaded.settings, parts.loaded.settings.oncall
    return Duty(
        routes=parts.loaded.routes(),
        apps={app.id: app.provider.name for app in parts.apps.values()},
        teams=settings.teams,
        team=oncall.team,
        calm=oncall.calm,
        patience=oncall.waits,
        runbooks=oncall.runbooks,
        windows=settings.windows,
    )


def build_channel(loaded: Loaded, route: Route) -> Channel:
    """Open one of on-call's channels. Raises ConfigurationError for an address that nobody knows."""
    if route.kind is Kind.ALERTMANAGER:
        ca_file = loaded.settings.oncall.ca_file
        hook = Hook(route.url, ca_file=loaded.directory / ca_file if ca_file else None)
        return Alertmanager(hook, loaded.settings.web.public_url)
    return Notify(route.name, route.url)


def build_pager(parts: Parts, meters: Meters, name: str) -> Pager:
    """Put the pager together; without channels it tells nobody, and still knows what is silent."""
    duty = build_duty(parts)
    channels = {route.name: build_channel(parts.loaded, route) for route in duty.routes}
    return Pager(parts.database, duty, channels, parts.clock, meters, name)


def tell_both(pump: Pump | None, pager: Pager) -> Tell:
    """Return what writes clients' mails and on-call's pages into a verdict's transaction."""

    async def tell(conn: AsyncConnection, about: Sequence[str], now: datetime) -> None:
        if pump is not None:
            await pump.tell(conn, about, now)
        await pager.tell(conn, about, now)

    return tell
