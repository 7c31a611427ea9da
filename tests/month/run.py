"""Live a month: loop, guard, outbox, pages and a real SMTP server, with restarts and a mail server's bad days."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette

from alerts.mails import truth
from alerts.pages.send import Pager
from monitor.clock import Clock
from monitor.metrics.meters import Meters
from monitor.secret import Secret
from monitor.service.assembly import build_pages
from monitor.settings.builders import (
    build_granter,
    build_oncall,
    build_post,
    build_pump,
    build_watching,
    tell_both,
)
from monitor.settings.file import load
from monitor.settings.parts import Parts, opened
from monitor.store import imports, incidents
from monitor.store.imports import NewConnection
from monitor.store.processes import Role
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.vault import new_key, write_key_file
from tests.conftest import START, Mailbox, SetClock
from tests.month import speech
from tests.month.fleet import firm_of
from tests.month.judge import OPERATOR, Judge, Report
from tests.month.peek import Peek
from tests.month.people import Clients, Operator, Phone
from tests.month.world import KINDS, World, tokens

CONFIG = """
[schedule]
interval = "{interval}m"
[smtp]
url = "{smtp}"
from = "Integrations <integrations@agency.example>"
[email]
quiet_hours = ""
operator = "{operator}"
[oncall]
urls = ["json://phone.example/"]
"""
APP = """
[[apps]]
id = "{app}"
provider = "{provider}"
region = "{region}"
client_id = "{app}"
client_secret_env = "SKY"
"""
LIFE = timedelta(hours=7, minutes=13)  # of one process, until it is killed
HEADSTART = timedelta(days=7)  # an access token's longest life


async def live(
    folder: Path,
    make: Callable[[datetime, Clock], World],
    days: float,
    *,
    begin: datetime = START,
    interval: int = 5,
    person: timedelta | None = None,
    drops: bool = False,
    progress: bool = False,
) -> Report:
    """Live `days` days of a world; `interval` is minutes between two probes of each connection.

    `person` is after how long somebody decides on what a guard holds; None: nobody ever does.
    """
    clock = SetClock(begin)
    world = make(begin, clock)
    async with _mail_server() as box:
        config = _configure(folder, world, box.url, interval)
        async with opened(load(config, {"SKY": "s3cret"}), clock) as parts:
            await _fill(parts, world, interval)
            life = Life(parts, world, box, folder / "token-health.db", person, drops)
            await life.until(begin + timedelta(days=days), progress)
            return life.report


@asynccontextmanager
async def _mail_server():
    box, running = Mailbox("127.0.0.1", 0), asyncio.get_running_loop()
    server = await running.create_server(
        lambda: SMTP(box, hostname="mail.example", loop=running), "127.0.0.1", 0
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


def _configure(folder: Path, world: World, smtp: str, interval: int) -> Path:
    text = CONFIG.format(interval=interval, smtp=smtp, operator=OPERATOR)
    for place in sorted({firm.place for firm in world.fleet.firms}, key=lambda one: one.app):
        text += APP.format(app=place.app, provider=place.provider, region=place.region)
    config = folder / "token-health.toml"
    config.write_text(text)
    write_key_file(folder / "token-health.key", [new_key()])
    return config


class Process:
    """One process of the service, from its start until it is killed: nothing is given back at its end."""

    def __init__(self, parts: Parts, world: World, phone: Phone, until: datetime) -> None:
        meters, name = Meters(), f"life-{until.isoformat()}"
        self.until = until
        pump = build_pump(parts, meters, name)
        assert pump is not None
        self.pump, duty = pump, build_oncall(parts)
        self.pager = Pager(
            parts.database, duty, {route.name: phone for route in duty.routes}, parts.clock, meters, name
        )
        self.watching = build_watching(parts, world, meters, name, Role.ALL, tell_both(pump, self.pager))
        self.watching.presence.leads = True
        pages = build_pages(parts, build_granter(parts, world), self.watching.rounds, meters)
        self.pages = Starlette(routes=pages.routes())

    async def begin(self) -> None:
        await self.watching.ticks.prepare()
        await self.pump.recover()
        await self.pager.recover()

    async def minute(self, peek: Peek, now: datetime, *, timers: bool) -> bool:
        """Do what is due now, as the service's ticks would; True where it looked at anybody."""
        if looked := peek.probes_due(now):
            await self.watching.rounds.due()
        if timers:
            await self.watching.upkeep.guard()
            await self.pump.plan()
        if timers and now.minute % 30 < 10:  # pages are written with the verdicts, too
            await self.pager.plan()
        if peek.words_due(now):
            await self.pump.pump()
            await self.pager.pump()
        return looked


class Life:
    """The service, its clients and its operator, from one minute that matters to the next."""

    def __init__(
        self,
        parts: Parts,
        world: World,
        box: Mailbox,
        file: Path,
        person: timedelta | None,
        drops: bool,
    ) -> None:
        self.parts, self.world, self.box = parts, world, box
        self.clock = parts.clock
        self.peek, self.phone = Peek(file), Phone()
        self.clients = Clients(parts, world, random.Random(len(world.revocations)))  # noqa: S311
        self.operator = Operator(parts, world, self.phone, person, drops) if person is not None else None
        self.report = Report(len(world.fleet), 0)
        struck = {firm for one in world.troubles for firm in one.of or ()}
        self.report.weather.update(
            f"{KINDS[one.kind]}, for {f'{len(one.of)} firms' if one.of else 'everybody'}"
            for one in world.troubles
        )
        self.report.struck = len(struck | {one.firm for one in world.revocations if one.kind == "mass"})
        self.judge = Judge(world, self.report)
        self.process: Process | None = None
        self.timers_at = self.clock.now()

    async def until(self, end: datetime, progress: bool = False) -> None:
        """Live until then, and sum up."""
        begin = self.clock.now()
        while (now := self.clock.now()) < end:
            process = await self._running(now, progress)
            before = len(self.box.taken)
            # The mail server has its bad hours, too.
            self.box.data_answer = "451 try again later" if now.hour == 3 else "250 taken"
            timers = now >= self.timers_at
            looked = await process.minute(self.peek, now, timers=timers)
            await self.clients.act(process.pages, now)
            if timers:
                await self._count_held()
                if self.operator is not None:
                    await self.operator.act(now)
            for message in self.box.taken[before:]:
                self._see(message, now)
            if looked:
                self.peek.put_off(self.world, self.parts.loaded.settings.cadence, now, end + HEADSTART)
            if timers:
                self.timers_at = self.peek.next_timers(now)
            following = (self.peek.next_due(now), self.timers_at, self.clients.next_at, process.until)
            self.clock.time = max(min(at for at in following if at is not None), now + timedelta(minutes=1))
        self.report.days = (end - begin) / timedelta(days=1)
        await self._sum_up(end)

    async def _running(self, now: datetime, progress: bool) -> Process:
        if self.process is None or now >= self.process.until:
            self.report.restarts += self.process is not None
            self.process = Process(self.parts, self.world, self.phone, now + LIFE)
            await self.process.begin()
            if progress:
                print(f"{now:%d %b %H:%M}  {len(self.box.taken)} mails", flush=True)
        return self.process

    def _see(self, message, now: datetime) -> None:
        to = str(message["To"])
        said = self.peek.said_of(int(to[3:].partition(".")[0])) if to != OPERATOR else ""
        about = self.peek.asked_about(str(message["Message-ID"]))
        if self.judge.see(message, about, said, now):
            self.clients.read(message, now)

    async def _count_held(self) -> None:
        async with self.parts.database.read() as conn:
            held = sum(int(row[-1]) for row in await conn.execute(incidents.held()))
        self.report.held = max(self.report.held, held)

    async def _sum_up(self, end: datetime) -> None:
        owed = self.judge.owed(end)
        post = build_post(self.parts)
        assert post is not None
        held, dropped = set(), set()
        async with self.parts.database.read() as conn:
            standing = await truth.stand(conn, [f"Firm {firm}" for firm in owed], post.voice, end)
        for known in standing.values():
            for case in known.cases:
                held.update([firm_of(case.connection)] if case.held else [])
                dropped.update([firm_of(case.connection)] if case.dropped else [])
        self.judge.close(end, held, dropped)
        self.report.probes = self.world.requests
        self.report.pages.update(key.partition("/")[0] for key in self.phone.pages)
        self.report.decisions.update(self.operator.decisions if self.operator else ())
        self.peek.close()


async def _fill(parts: Parts, world: World, interval: int) -> None:
    now, seal = parts.clock.now(), parts.vault.seal
    new = []
    for firm in world.fleet.firms:
        for number, name in enumerate(firm.connections):
            access, refresh = tokens(name, now)
            world.stored[name] = [now]
            share = (firm.number + number / 50) / len(world.fleet)
            new.append(
                NewConnection(
                    id=name, place=firm.place, client_name=f"Firm {firm.number}", contacts=(firm.address,),
                    locale="en", timezone="UTC", scopes=(), account_id=speech.account(name), labels={},
                    values=speech.values(firm.place.provider, name),
                    access=seal(Secret(access), access_cell(name, firm.place)),
                    refresh=seal(Secret(refresh), refresh_cell(name, firm.place)),
                    access_expires_at=now + timedelta(days=1) + share * timedelta(days=6), imported=name,
                    first_probe_at=now + timedelta(minutes=interval * (share % 1)),
                )
            )  # fmt: skip
    await imports.put(parts.database, new, now, "month")
