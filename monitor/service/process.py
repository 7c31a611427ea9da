"""One process of the service: starts everything, ticks, and stops it in time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import platform
import signal
from collections.abc import Callable, Iterator, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from alerts.mails.send import Pump
from alerts.webhooks.send import Caller
from monitor import __version__
from monitor.errors import ConfigurationError, TokenHealthError
from monitor.host import descriptors
from monitor.host.shutdown import DRAIN_REFRESHES, LAST_WORDS, Shutdown
from monitor.metrics.exposition import Exposition
from monitor.metrics.meters import Meters
from monitor.operations.admittance import closed_to_strangers
from monitor.service.assembly import Access, build_api, build_pages
from monitor.service.chores import chores
from monitor.settings.builders import (
    Watching,
    build_caller,
    build_granter,
    build_pager,
    build_pump,
    build_watching,
    build_wire,
    tell_both,
    templates_trouble,
)
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts, opened
from monitor.settings.sections import EXPOSED, Listener
from monitor.store import audit, connections, processes, schema
from monitor.store.processes import Role, new_name
from monitor.tokens.grant import Granter
from monitor.watching.ticks import Tick, Ticks
from monitor.web.app import Server, application, server
from monitor.web.ops import Ops, Pulse
from monitor.wire.client import Wire

log = structlog.get_logger("monitor.service")

KEY_WATCH_SECONDS = 5.0
WEB_ENDS = 5.0  # seconds into the end, by which the web server has cut what its own three did not finish
DOORS_EVERY = 60.0  # seconds between two looks at which app's doors are to be asked
USES_EVERY = 5.0  # seconds between two writings down of what programs read


def calm_collector() -> None:
    """Let the garbage collector look less often, and not at what was loaded for good.

    A probe makes a few hundred short-lived objects and no cycles; with the default thresholds a sixth of
    all CPU time went into looking through them (measured by `make bench`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def serve(loaded: Loaded, role: str) -> None:
    """Run one process until it is told to stop. Without an app it is idle; the console says what is next."""
    async with opened(loaded) as parts:
        await Service(parts, Role(role)).run()


class Service:
    """One process of the service."""

    def __init__(self, parts: Parts, role: Role) -> None:
        self._parts, self._role = parts, role
        self._name = new_name()
        self._meters = Meters().with_process()
        self._meters.build.labels(__version__, platform.python_version()).set(1)
        parts.database.on_taken_back = self._taken_back
        self._stop = asyncio.Event()
        self._servers: list[Server] = []
        self._streams: list[Callable[[], None]] = []

    async def run(self) -> None:
        """Run until `stop`, or a SIGTERM or SIGINT; then end what is under way, within ten seconds."""
        parts, web = self._parts, self._parts.loaded.settings.web
        listeners = web.listeners
        await closed_to_strangers(parts)
        descriptors.ensure(
            parts.loaded.settings.schedule.concurrency, web.connections * len(listeners), len(listeners)
        )
        if not parts.apps:
            log.warning("apps.none", why="no [[apps]] yet; the console's first page has the lines for one")
        for app, count in (await connections.unwatched(parts.database, parts.apps)).items():
            log.warning("app.not_configured", app=app, connections=count)
        if parts.loaded.settings.email.templates and (trouble := templates_trouble(parts.loaded)) is not None:
            log.error("mail.template_unusable", detail=trouble)  # its mails end as failed; the others go out
        if self._role is not Role.WEB:
            parts.database.claim_file()
            if parts.database.is_sqlite and (freed := await processes.bury_all(parts.database)):
                log.warning("service.recovered", leases=freed)
        wire = build_wire(parts)
        pump = build_pump(parts, self._meters, self._name)
        pager = build_pager(parts, self._meters, self._name)
        caller = build_caller(parts, self._meters, self._name)
        tell = tell_both(pump, pager)
        watching = build_watching(parts, wire, self._meters, self._name, self._role, tell)
        granter = build_granter(parts, wire)
        granter.on_stored = watching.custody.desk.changed
        pages = build_pages(parts, granter, watching.rounds, self._meters)
        ops = self._ops(watching, pump)
        for one in listeners:
            access = (
                build_api(parts, wire, one, self._meters, watching.rounds, watching) if one.api else Access()
            )
            served = application(
                ops if one.operations else None,
                pages if one.clients else None,
                web.names,
                sign_in=access.sign_in,
                api=access.api,
                console=access.console,
            )
            self._streams.append(access.stop)
            self._servers.append(server(served, one.host, one.port, web.proxies, web.connections))
            if one.exposed:
                log.warning("web.open_to_all", listen=one.address, why=EXPOSED)
        with _handling(self._stop):
            serving = asyncio.create_task(self._serve(listeners))
            try:
                await self._first(serving, self._started())
                calm_collector()
                await self._record("service.start")
                if self._role is Role.WEB:
                    await watching.ticks.attend(_of_programs(watching))
                else:
                    await watching.ticks.start(
                        [
                            *await chores(
                                parts,
                                self._name,
                                self._meters,
                                watching.presence,
                                pump,
                                pager,
                                caller,
                                granter,
                            ),
                            *_of_programs(watching),
                            Tick("doors", watching.doors.ask_those_due, DOORS_EVERY),
                        ]
                    )
                log.info(
                    "service.started",
                    role=self._role.value,
                    listen=" and ".join(one.address for one in listeners),
                    console=" and ".join(f"http://{one.address}/" for one in listeners if one.api),
                    database=parts.database.name,
                    apps=len(parts.apps),
                    version=__version__,
                )
                await self._first(serving, self._stop.wait(), self._watch_keys())
            except BaseException:
                await self._end(watching, granter, caller, wire, serving)
                raise
            (await self._end(watching, granter, caller, wire, serving)).check()

    async def _end(
        self, watching: Watching, granter: Granter, caller: Caller, wire: Wire, serving: asyncio.Task[None]
    ) -> Shutdown:
        """End what is under way; what fails or hangs here keeps nothing after it from its turn.

        Clients' requests first: what they began at a provider is drained while the wire and the database
        are still there, and so are refreshes. Programs that wait for another token wait no longer.
        """
        log.info("service.stopping")
        shutdown = Shutdown()
        watching.ticks.halt()
        watching.custody.stop()
        for end in self._streams:
            end()
        for web in self._servers:
            web.should_exit = True
        await shutdown.step("web", serving, WEB_ENDS)
        await shutdown.step("exchanges", granter.drain(), DRAIN_REFRESHES)
        await shutdown.step("renewals", watching.custody.drain(), DRAIN_REFRESHES)
        await watching.ticks.stop(shutdown)
        await shutdown.step("uses", watching.uses.write(), LAST_WORDS)
        await shutdown.step("webhooks", caller.stop(), LAST_WORDS)
        await shutdown.step("wire", wire.close(), LAST_WORDS)
        await shutdown.step("audit", self._record("service.stop"), LAST_WORDS)
        log.info("service.stopped", unfinished=shutdown.failed)
        return shutdown

    def _taken_back(self, why: str) -> None:
        self._meters.taken_back.labels(why).inc()
        log.warning("database.taken_back", why=why)

    def stop(self) -> None:
        """Ask the service to end."""
        self._stop.set()

    async def _serve(self, listeners: Sequence[Listener]) -> None:
        """Serve on all listeners; when one ends or cannot begin, so do the others."""
        serving = [
            asyncio.create_task(self._serve_one(web, one))
            for web, one in zip(self._servers, listeners, strict=True)
        ]
        try:
            await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for web in self._servers:
                web.should_exit = True
            await asyncio.wait(serving)
        for task in serving:
            task.result()

    async def _serve_one(self, web: Server, on: Listener) -> None:
        try:
            await web.serve()
        except SystemExit:  # uvicorn's way of saying that it could not listen
            raise ConfigurationError(
                f"{on.setting}: cannot listen on {on.address}: it is taken, or not this machine's address. "
                "Choose another, or stop what listens there."
            ) from None

    async def _record(self, action: str) -> None:
        """Write into the audit that this process came or went; a database that is gone takes no word."""
        with contextlib.suppress(SQLAlchemyError, OSError):
            await audit.write_down(
                self._parts.database, self._parts.clock.now(), audit.SERVICE, action, self._name,
                role=self._role.value, version=__version__,
            )  # fmt: skip

    async def _started(self) -> None:
        while not all(web.started for web in self._servers):
            await asyncio.sleep(0.01)

    async def _first(self, *works: object) -> None:
        """Wait for the first of several to end, cancel the others but the server, raise its error."""
        tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending - {tasks[0]}:
            task.cancel()
        for task in done:
            task.result()

    def _ops(self, watching: Watching, pump: Pump | None) -> Ops:
        settings, seen = self._parts.loaded.settings, watching.presence
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
            pulse=lambda: Pulse(seen.leads, seen.lag, seen.alive, watching.admission.intervals()),
            trouble=lambda: self._trouble(watching.ticks),
            mail=lambda: pump.mail_server.trouble if pump is not None else "",
        )

    async def _trouble(self, ticks: Ticks) -> str | None:
        if not await self._parts.database.reachable():
            return "the database is not reachable"
        if await schema.current(self._parts.database) != schema.head():
            return "the database's schema is not the one of this version"
        return ticks.trouble(self._parts.clock.now()) if self._role is not Role.WEB else None

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


def _of_programs(watching: Watching) -> list[Tick]:
    """What programs leave behind, written down now and then: in every process that answers them."""
    return [
        Tick("uses", watching.uses.write, USES_EVERY),
        Tick("signals", watching.hearing.write, USES_EVERY),
    ]


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
