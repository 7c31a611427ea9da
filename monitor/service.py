"""Builds everything from settings, starts it and stops it. The clock is chosen here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import platform
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from alerts import outbox
from alerts.ledger import Voice
from alerts.mail.compose import Composer
from alerts.mail.message import Logo, Sender
from alerts.pump import Post, Pump
from monitor import __version__
from monitor.clock import Clock, SystemClock
from monitor.errors import ConfigurationError, TokenHealthError
from monitor.exposition import Exposition
from monitor.loop import Loop, Pace, Tick
from monitor.metrics import Meters
from monitor.pacing import Pacer
from monitor.probe import Prober
from monitor.settings import Loaded
from monitor.store import audit, connections, links, processes, schema, sealing
from monitor.store.engine import Database, database_trouble
from monitor.store.verdicts import Tell
from monitor.tokens.grant import Granter
from monitor.tokens.refresh import Refresher
from monitor.tokens.vault import Vault
from monitor.web.app import Server, application, server
from monitor.web.ops import Ops, Pulse
from monitor.web.reauthorize import Look, Reauthorize
from monitor.wire.apps import App
from monitor.wire.client import Wire

log = structlog.get_logger("monitor.service")

KEY_WATCH_SECONDS = 5.0
# Seconds between looks for what a timer has to say, for mails that are due, and for tokens to be revoked.
PLAN_EVERY, SEND_EVERY, REVOKE_EVERY = 15.0, 1.0, 30.0


class Role(StrEnum):
    """What a process does: all of it, or the probing and the pages apart."""

    ALL = "all"
    WORKER = "worker"
    WEB = "web"


@dataclass(frozen=True)
class Parts:
    """The opened parts that every command works with."""

    loaded: Loaded
    database: Database
    vault: Vault
    apps: dict[str, App]
    clock: Clock


def process_name() -> str:
    """Name this process so that no other has had the name: host, pid, and something random."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@asynccontextmanager
async def opened(loaded: Loaded, clock: Clock | None = None) -> AsyncIterator[Parts]:
    """Open database and vault, and make sure that schema and keys fit, before anything is probed."""
    vault = Vault(loaded.keys(), loaded.keys)
    database = Database(loaded.database_url())
    try:
        await schema.ensure(database)
        checks = await sealing.key_checks(database)
        vault.verify(checks)
        for key_id in vault.key_ids[:1]:
            if key_id not in checks:
                await sealing.add_key_check(database, key_id, vault.check_text(key_id))
        yield Parts(loaded, database, vault, loaded.apps(vault), clock or SystemClock())
    except SQLAlchemyError as error:
        raise database_trouble(error, database) or error from None
    finally:
        await database.close()


def build_loop(
    parts: Parts, wire: Wire, meters: Meters, name: str, role: Role, tell: Tell | None = None
) -> tuple[Loop, Refresher]:
    """Put the loop together from opened parts. `tell` writes what is to be said about a verdict."""
    settings, clock = parts.loaded.settings, parts.clock
    refresher = Refresher(parts.database, wire, parts.vault, clock, name, settings.schedule.timeout)
    pacer = Pacer(parts.database, clock)
    prober = Prober(wire, parts.vault, refresher, pacer, clock, settings.schedule.scope_interval)
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
    )
    return loop, refresher


def build_composer(loaded: Loaded) -> tuple[Composer, Logo | None]:
    """Open the mail templates with the brand, the operator's own before ours."""
    settings = loaded.settings
    logo = settings.brand.read_logo(loaded.directory)
    folder = settings.email.templates
    brand = settings.brand.brand(settings.smtp.sender, logo=logo is not None)
    return Composer(brand, loaded.directory / folder if folder else None), logo


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
        voice=Voice(settings.mail_policy, settings.email.operator, sender.domain, lifetimes),
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
    callback = f"{parts.loaded.settings.web.public_url}/oauth/callback"
    return Granter(parts.database, wire, parts.vault, parts.clock, parts.apps, callback)


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


def calm_collector() -> None:
    """Let the garbage collector look less often, and not at what was loaded for good.

    A probe makes a few hundred short-lived objects and no cycles; with the default thresholds a sixth of
    all CPU time went into looking through them (measured by `make bench`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Service:
    """One process of the service."""

    def __init__(self, parts: Parts, role: Role) -> None:
        self._parts, self._role = parts, role
        self._name = process_name()
        self._meters = Meters()
        self._meters.build.labels(__version__, platform.python_version()).set(1)
        self._stop = asyncio.Event()
        self._server: Server | None = None

    async def run(self) -> None:
        """Run until `stop`, or a SIGTERM or SIGINT; then end what is under way, within ten seconds."""
        parts, settings = self._parts, self._parts.loaded.settings
        await self._refuse_unknown_apps()
        if self._role is not Role.WEB:
            parts.database.claim_file()
            if parts.database.is_sqlite and (freed := await processes.bury_all(parts.database)):
                log.warning("service.recovered", leases=freed)
        wire = build_wire(parts)
        pump = build_pump(parts, self._meters, self._name)
        tell = pump.tell if pump is not None else None
        loop, refresher = build_loop(parts, wire, self._meters, self._name, self._role, tell)
        granter = build_granter(parts, wire)
        pages = build_pages(parts, granter, loop, self._meters)
        self._server = server(
            application(self._ops(loop), pages), settings.web.host, settings.web.port, settings.web.proxies
        )
        with _handling(self._stop):
            try:
                serving = asyncio.create_task(self._serve(self._server))
                await self._first(serving, self._started(self._server))
                calm_collector()
                await self._record("service.start")
                if self._role is not Role.WEB:
                    await loop.start(await self._ticks(loop, pump, granter))
                log.info(
                    "service.started",
                    role=self._role.value,
                    listen=settings.web.listen,
                    database=parts.database.name,
                    apps=len(parts.apps),
                    version=__version__,
                )
                await self._first(serving, self._stop.wait(), self._watch_keys())
            finally:
                log.info("service.stopping")
                self._server.should_exit = True
                if self._role is not Role.WEB:
                    await loop.stop()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1):
                            await refresher.drain()
                with contextlib.suppress(TokenHealthError):
                    await serving
                await wire.close()
                await self._record("service.stop")
                log.info("service.stopped")

    async def _ticks(self, loop: Loop, pump: Pump | None, granter: Granter) -> list[Tick]:
        """What else is done now and then: mails, and tokens that nobody needs any more."""

        async def plan() -> None:
            if pump is not None and loop.leads:
                await pump.plan()

        async def revoke() -> None:
            if loop.leads:
                await granter.revoke_leftovers()

        async def forget() -> None:
            if loop.leads:
                before = self._parts.clock.now() - self._parts.loaded.settings.kept.changes
                await outbox.forget(self._parts.database, before)
                await links.forget(self._parts.database, before)

        ticks: list[Tick] = [("revoke", revoke, REVOKE_EVERY), ("mails.retention", forget, 3600.0)]
        if pump is None:
            log.warning("mail.off", why="smtp.from is not set; no client is mailed")
        else:
            await pump.recover()
            ticks += [("mails.plan", plan, PLAN_EVERY), ("mails.send", pump.pump, SEND_EVERY)]
        return ticks

    def stop(self) -> None:
        """Ask the service to end."""
        self._stop.set()

    async def _serve(self, web: Server) -> None:
        try:
            await web.serve()
        except SystemExit:  # uvicorn's way of saying that it could not listen
            listen = self._parts.loaded.settings.web.listen
            raise ConfigurationError(
                f"web.listen: cannot listen on {listen}: it is taken, or not this machine's address. "
                "Choose another, or stop what listens there."
            ) from None

    async def _record(self, action: str) -> None:
        """Write into the audit that this process came or went; a database that is gone takes no word."""
        with contextlib.suppress(SQLAlchemyError, OSError):
            async with self._parts.database.write() as conn:
                await audit.record(
                    conn, self._parts.clock.now(), audit.SERVICE, action, self._name,
                    role=self._role.value, version=__version__,
                )  # fmt: skip

    async def _started(self, web: Server) -> None:
        while not web.started:
            await asyncio.sleep(0.01)

    async def _first(self, *works: object) -> None:
        """Wait for the first of several to end, cancel the others but the server, raise its error."""
        tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending - {tasks[0]}:
            task.cancel()
        for task in done:
            task.result()

    def _ops(self, loop: Loop) -> Ops:
        settings = self._parts.loaded.settings
        exposition = Exposition(
            self._parts.database,
            self._meters,
            self._parts.apps,
            interval=settings.schedule.interval,
            client_names=settings.metrics.client_names,
        )
        return Ops(
            exposition,
            pulse=lambda: Pulse(loop.leads, loop.lag, loop.alive, loop.intervals()),
            trouble=lambda: self._trouble(loop),
        )

    async def _trouble(self, loop: Loop) -> str | None:
        try:
            async with self._parts.database.read() as conn:
                await conn.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return "the database is not reachable"
        if await schema.current(self._parts.database) != schema.head():
            return "the database's schema is not the one of this version"
        return loop.healthy(self._parts.clock.now()) if self._role is not Role.WEB else None

    async def _refuse_unknown_apps(self) -> None:
        known = await connections.per_app(self._parts.database)
        missing = sorted(known.keys() - self._parts.apps.keys())
        if missing:
            raise ConfigurationError(
                f"{self._parts.loaded.path}: the database has connections of app {missing[0]!r}, which is "
                "not configured. Add it to [[apps]], or remove or pause those connections."
            )

    async def _watch_keys(self) -> None:
        """Take up a changed key file while running: `keys rotate` relies on it."""
        path = self._parts.loaded.key_file
        seen = _mtime(self._parts)
        while True:
            await asyncio.sleep(KEY_WATCH_SECONDS)
            now = _mtime(self._parts)
            if now != seen and now is not None:
                seen = now
                try:
                    self._parts.vault.use(self._parts.loaded.keys())
                    log.info("keys.reloaded", current=self._parts.vault.current)
                except TokenHealthError as error:
                    log.error("keys.unreadable", file=str(path), detail=str(error))


def _mtime(parts: Parts) -> float | None:
    try:
        return None if parts.loaded.keys_from_environment else parts.loaded.key_file.stat().st_mtime
    except OSError:
        return None


@contextlib.contextmanager
def _handling(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
