"""Puts the parts together, from opened settings to pumps and pages."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.channels import Channel
from alerts.channels.alertmanager import Alertmanager
from alerts.channels.notify import Notify
from alerts.language import languages
from alerts.ledger import Voice
from alerts.mail.compose import Composer
from alerts.mail.message import Logo, Sender
from alerts.mail.samples import sample
from alerts.notices import Kind as MailKind
from alerts.oncall import Duty
from alerts.pager import Pager
from alerts.pump import Post, Pump
from alerts.routes import Kind, Route
from monitor.clock import Clock, SystemClock
from monitor.errors import ConfigurationError, KeyMissing
from monitor.loop import Loop, Pace
from monitor.metrics import Meters
from monitor.pacing import Pacer
from monitor.probe import Prober
from monitor.secret import Secret
from monitor.settings import Loaded
from monitor.store import bindings, processes, schema, sealing
from monitor.store.bindings import Binding
from monitor.store.due import Lease
from monitor.store.engine import Database, database_trouble
from monitor.store.verdicts import Tell
from monitor.tokens.grant import Granter
from monitor.tokens.refresh import Refresher
from monitor.tokens.vault import KEYED, Cell, Vault, keyed, prefixes_of
from monitor.web.reauthorize import Look, Reauthorize
from monitor.wire.apps import App
from monitor.wire.client import Wire
from monitor.wire.hooks import Hook

log = structlog.get_logger("monitor.service")


IMPORTS = "imports"


class Role(StrEnum):
    """What a process does: all of it, or the probing and the pages apart; or one command's probes."""

    ALL = "all"
    WORKER = "worker"
    WEB = processes.WEB
    COMMAND = processes.COMMAND


@dataclass(frozen=True)
class Parts:
    """The opened parts that every command works with."""

    loaded: Loaded
    database: Database
    vault: Vault
    apps: dict[str, App]
    clock: Clock
    import_key: Secret  # what hashes of imported tokens are under


def process_name() -> str:
    """Name this process so that no other has had the name: host, pid, and something random."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@asynccontextmanager
async def opened(loaded: Loaded, clock: Clock | None = None) -> AsyncIterator[Parts]:
    """Open database and vault, and make sure that schema and keys fit, before anything is probed."""
    clock = clock or SystemClock()
    vault = Vault(loaded.keys(), loaded.keys, loaded.keys_stamp)
    database = Database(loaded.database_url(), clock=clock)
    try:
        await schema.ensure(database)
        checks = await sealing.key_checks(database)
        try:
            _verify(vault, checks)
        except KeyMissing as error:
            raise await explained(error, database, vault, checks) from None
        if vault.current not in checks:
            check = vault.check_text(vault.current)
            await sealing.add_key_check(database, vault.current, check, clock.now())
        import_key = await _import_key(database, vault)
        yield Parts(loaded, database, vault, loaded.apps(vault), clock, import_key)
    except SQLAlchemyError as error:
        raise database_trouble(error, database) or error from None
    finally:
        await database.close()


async def _import_key(database: Database, vault: Vault) -> Secret:
    """Return the secret that hashes of imported tokens are under; the first process to ask makes it.

    A secret of its own, sealed as tokens are: keys come and go, and the hashes have to stay comparable.
    """
    cell, made = Cell("own_secret", IMPORTS, "sealed"), Secret(secrets.token_urlsafe(32))
    while (sealed := await sealing.kept_secret(database, cell.row)) is None:
        await sealing.keep_secret_of_imports(
            database, cell.row, vault.seal(made, cell), lambda old: keyed(made, old), KEYED
        )
    return vault.open(sealed, cell)


async def explained(
    error: KeyMissing, database: Database, vault: Vault, checks: Mapping[str, str]
) -> KeyMissing:
    """Say to whoever lost a key whose tokens went with it, and what can be done."""
    said = []
    for key_id in vault.missing(checks):
        sealed = await sealing.sealed_with(database, prefixes_of(key_id))
        said.append(
            f"Key {key_id!r} seals the tokens of {sealed}."
            if sealed.count
            else f"Nothing is sealed with key {key_id!r}."
        )
        said.append(
            f"If it is gone for good, 'token-health keys forget {key_id}' gives them up, and their clients "
            "are asked to authorize again."
        )
    return KeyMissing(" ".join([str(error), *said]))


def _verify(vault: Vault, checks: Mapping[str, str]) -> None:
    """Make sure that the keys at hand fit; a rotation may have added one since the file was read."""
    try:
        vault.verify(checks)
    except KeyMissing:
        vault.reread()
        vault.verify(checks)


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


def build_pages(parts: Parts, granter: Granter, loop: Loop, meters: Meters) -> Reauthorize:
    """Put the client's pages together."""
    settings = parts.loaded.settings
    logo = settings.brand.read_logo(parts.loaded.directory)
    brand = settings.brand.brand(settings.smtp.sender, logo=False)

    async def probe_now(connection: str) -> None:
        try:
            await loop.look_now(connection)
        except Exception as error:
            # The approval is stored; the loop probes again in a moment, and the page says so.
            log.error("probe.failed", connection=connection, error=type(error).__name__)

    return Reauthorize(
        parts.database,
        granter,
        parts.apps,
        parts.clock,
        meters,
        Look(
            brand.name,
            brand.colour,
            brand.on_colour,
            (logo.data, logo.subtype) if logo else None,
            brand.footer,
            brand.support,
        ),
        settings.web.public_url,
        probe_now,
    )


def build_wire(parts: Parts) -> Wire:
    """Open the wire as the settings say."""
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
