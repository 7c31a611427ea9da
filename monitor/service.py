"""One process of the service: starts everything, ticks, and stops it in time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import platform
import signal
from collections.abc import Iterator

import structlog
from sqlalchemy.exc import SQLAlchemyError

from alerts import outbox, silences
from alerts.channels.smtp import Session, Unreachable
from alerts.pager import Pager
from alerts.pump import Pump
from alerts.windows import Over, Silenced
from monitor import __version__
from monitor.assembly import (
    Parts,
    Role,
    build_granter,
    build_loop,
    build_pager,
    build_pages,
    build_pump,
    build_wire,
    process_name,
    tell_both,
)
from monitor.errors import ConfigurationError, TokenHealthError
from monitor.exposition import Exposition
from monitor.loop import Loop, Tick
from monitor.metrics import Meters
from monitor.store import audit, connections, fleet, links, maintenance, processes, schema
from monitor.tokens.grant import Granter
from monitor.web.app import Server, application, server
from monitor.web.ops import Ops, Pulse

log = structlog.get_logger("monitor.service")

KEY_WATCH_SECONDS = 5.0
# Seconds between looks for what a timer has to say, for mails that are due, and for tokens to be revoked.
PLAN_EVERY, SEND_EVERY, REVOKE_EVERY = 15.0, 1.0, 30.0
# Seconds between looks at what on-call has to know, at windows, at Alertmanager, and at the mail server.
ONCALL_EVERY, WINDOWS_EVERY, ALIVE_EVERY, SMTP_EVERY, METERS_EVERY = 5.0, 5.0, 60.0, 60.0, 300.0


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
        self._meters = Meters().with_process()
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
        pager = build_pager(parts, self._meters, self._name)
        tell = tell_both(pump, pager)
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
                    await loop.start(await self._ticks(loop, pump, pager, granter))
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

    async def _ticks(self, loop: Loop, pump: Pump | None, pager: Pager, granter: Granter) -> list[Tick]:
        """What else is done now and then: mails, pages, windows, and tokens that nobody needs any more."""

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

        async def look() -> None:
            if loop.leads:
                await pager.plan()

        async def keep_alive() -> None:
            if loop.leads:
                await pager.keep_alive()

        async def windows() -> None:
            await self._keep_windows(leads=loop.leads)

        async def mail_server() -> None:
            await self._try_mail_server(leads=loop.leads)

        async def begin() -> None:
            self._meters.begin(await fleet.speaking(self._parts.database))

        ticks: list[Tick] = [
            ("meters", begin, METERS_EVERY),
            ("revoke", revoke, REVOKE_EVERY),
            ("mails.retention", forget, 3600.0),
            ("windows", windows, WINDOWS_EVERY),
            ("oncall.plan", look, ONCALL_EVERY),
            ("oncall.send", pager.pump, SEND_EVERY),
            ("oncall.alive", keep_alive, ALIVE_EVERY),
        ]
        await pager.recover()
        if pump is None:
            log.warning("mail.off", why="smtp.from is not set; no client is mailed")
        else:
            ticks += [
                ("mails.plan", plan, PLAN_EVERY),
                ("mails.send", pump.pump, SEND_EVERY),
                ("mails.server", mail_server, SMTP_EVERY),
            ]
        return ticks

    async def _keep_windows(self, *, leads: bool) -> None:
        """Let connections rest while their maintenance holds, and show what is silent."""
        now = self._parts.clock.now()
        if not leads:
            self._meters.silence.clear()
            return
        async with self._parts.database.read() as conn:
            standing = await silences.holding(conn, self._parts.loaded.settings.windows, now)
        windows = {s.identity: (s.over.value, s.name) for s in standing if s.pauses}
        rested, woken = await maintenance.keep(self._parts.database, windows, now)
        if rested or woken:
            log.info("maintenance", windows=sorted(windows), rested=rested, woken=woken)
        # Without a wait in between: a scrape that saw none would let Alertmanager page.
        self._meters.silence.clear()
        for silence in standing:
            # A name that must not be a label cannot be shown; an empty one would cover everything.
            if silence.over is not Over.CLIENT or self._parts.loaded.settings.metrics.client_names:
                self._meters.silence.labels(*_silence_labels(silence)).set(1)

    async def _try_mail_server(self, *, leads: bool) -> None:
        """Connect to the mail server and leave: whether it is there is known before a mail needs it."""
        mail_server = self._parts.loaded.mail_server()
        if not leads:
            self._meters.smtp_up.clear()
            return
        try:
            async with Session(mail_server):
                up = 1
        except Unreachable as error:
            up = 0
            log.warning("mail.server_down", answer=str(error))
        self._meters.smtp_up.labels(mail_server.name).set(up)

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
            self._parts.clock,
            interval=settings.schedule.interval,
            extent=settings.extent,
        )
        return Ops(
            exposition,
            pulse=lambda: Pulse(loop.leads, loop.lag, loop.alive, loop.intervals()),
            trouble=lambda: self._trouble(loop),
        )

    async def _trouble(self, loop: Loop) -> str | None:
        if not await self._parts.database.reachable():
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
        """Take up a changed key file at once, and say so: the next probe may meet a cell of the new key."""
        loaded, vault = self._parts.loaded, self._parts.vault
        seen, failed = loaded.keys_stamp(), object()
        while True:
            await asyncio.sleep(KEY_WATCH_SECONDS)
            now = loaded.keys_stamp()
            if now == seen:
                continue
            try:
                vault.reread()
                seen = now
                log.info("keys.reloaded", current=vault.current)
            except TokenHealthError as error:
                # Tried again until it works, and said once.
                if now != failed:
                    log.error("keys.unreadable", file=str(loaded.key_file), detail=str(error))
                failed = now


def _silence_labels(silence: Silenced) -> tuple[str, ...]:
    named = [silence.name if silence.over is over else "" for over in Over if over is not Over.ALL]
    return silence.over.value, *named, str(silence.pauses).lower()


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
