"""Live a month: loop, guard, outbox and a real SMTP server, with restarts and a mail server that has bad days."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from aiosmtpd.smtp import SMTP

from monitor import desk, settings
from monitor.assembly import Role, build_loop, build_pump, opened
from monitor.health.incidents import Place
from monitor.metrics import Meters
from monitor.secret import Secret
from monitor.store import connections, incidents, waves
from monitor.store.connections import NewConnection
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.vault import new_key, write_key_file
from tests.conftest import START, Mailbox, SetClock
from tests.month.world import CAUSES, World, make

CONFIG = """
[schedule]
interval = "{interval}m"
[guard]
window = "{window}m"
[smtp]
url = "{smtp}"
from = "Integrations <integrations@agency.example>"
[email]
quiet_hours = ""
operator = "ops@agency.example"
[[apps]]
id = "clio"
provider = "clio"
region = "us"
base_url = "https://sky.example"
client_id = "clio"
client_secret_env = "SKY"
"""
STEP = timedelta(minutes=1)


@dataclass
class Report:
    """What the month came to."""

    firms: int
    days: int
    revocations: int
    owed: int = 0  # revocations that lasted, so that the client had to hear of it
    asked: int = 0
    reminders: int = 0
    thanked: int = 0
    to_operator: int = 0
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    probes: int = 0
    restarts: int = 0
    weather: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)  # minutes from the revocation to the mail

    def table(self) -> str:
        delays = sorted(self.delays) or [0.0]
        rows = [
            ("firms, days, probes", f"{self.firms:,}, {self.days}, {self.probes:,}"),
            *((f"weather: {CAUSES[kind]}", f"{count} times") for kind, count in self.weather.items()),
            ("restarts of the service", f"{self.restarts}"),
            ("real revocations, of these lasting", f"{self.revocations}, {self.owed}"),
            ("first mails, reminders, thanks, to the operator",
             f"{self.asked}, {self.reminders}, {self.thanked}, {self.to_operator}"),
            ("minutes from the revocation to the mail, median and longest",
             f"{delays[len(delays) // 2]:.0f}, {delays[-1]:.0f}"),
            ("wrong mails to clients", str(len(self.wrong))),
            ("missed mails", str(len(self.missed))),
            ("duplicates", str(len(self.duplicates))),
        ]  # fmt: skip
        return "\n".join(f"{name:<62} {value}" for name, value in rows)


async def live(
    folder: Path, firms: int, days: int, *, interval: int = 30, seed: int = 7, progress: bool = False
) -> Report:
    """Live `days` days with `firms` firms; `interval` is minutes between two probes of each."""
    clock = SetClock(START)
    world = make(firms, days, START, clock, seed)
    box, running = Mailbox("127.0.0.1", 0), asyncio.get_running_loop()
    server = await running.create_server(
        lambda: SMTP(box, hostname="mail.example", loop=running), "127.0.0.1", 0
    )
    box.port = server.sockets[0].getsockname()[1]
    config = folder / "token-health.toml"
    config.write_text(CONFIG.format(smtp=box.url, interval=interval, window=max(15, interval * 3 // 2)))
    write_key_file(folder / "token-health.key", [new_key()])
    report = Report(firms, days, len(world.revocations))
    report.weather.update(w.kind for w in world.weather)
    judge = _Judge(world, report)
    async with opened(settings.load(config, {"SKY": "s3cret"}), clock) as parts:
        await _fill(parts, firms, interval)
        end, life = START + timedelta(days=days), None
        while clock.now() < end:
            if life is None or clock.now() >= life.until:
                if life is not None:
                    report.restarts += 1
                life = _Life(parts, world, clock.now() + timedelta(hours=7, minutes=13))
                await life.begin()
                if progress:
                    print(f"{clock.now():%d %b %H:%M}  {len(box.taken)} mails", flush=True)
            # The mail server has its bad hours, too.
            hour = clock.now().hour
            box.data_answer = "451 try again later" if hour == 3 else "250 taken"
            before = len(box.taken)
            await life.minute(clock.now())
            if clock.now().minute == 0:
                await _decide(parts, world)
            for message in box.taken[before:]:
                judge.see(message, clock.now())
            clock.time += STEP
        report.probes = world.requests
    judge.close(end)
    server.close()
    return report


async def _decide(parts, world: World) -> None:
    """The operator knows the truth: a wave of those who have to act is let out, three hours after it began."""
    now = parts.clock.now()
    for wave in await waves.open_now(parts.database):
        held = [world.revoked(int(one.connection[5:]), now) for one in wave.held.breaks if one.untold]
        if (
            held
            and now - wave.held.wave.opened_at >= timedelta(hours=3)
            and 2 * sum(map(bool, held)) > len(held)
        ):
            await desk.decide_guard(parts, wave.provider, incidents.RELEASED, "month")


class _Life:
    """One process of the service, from its start until it is killed: nothing is given back at its end."""

    def __init__(self, parts, world: World, until: datetime) -> None:
        meters, name = Meters(), f"life-{until.isoformat()}"
        self.until = until
        self.pump = build_pump(parts, meters, name)
        self.loop, _ = build_loop(parts, world, meters, name, Role.ALL, self.pump.tell)
        self.loop.leads = True
        self.parts = parts

    async def begin(self) -> None:
        await self.loop.prepare()
        await self.pump.recover()

    async def minute(self, now: datetime) -> None:
        await self.loop.run_due()
        if now.minute % 5 == 0:
            await self.loop.keep_house()
            await self.pump.plan()
        await self.pump.pump()


class _Judge:
    """Holds each mail against the truth of its minute."""

    def __init__(self, world: World, report: Report) -> None:
        self._world, self._report = world, report
        self._asked: Counter[int] = Counter()
        self._ids: set[str] = set()

    def see(self, message, now: datetime) -> None:
        report, subject = self._report, str(message["Subject"])
        if message["Message-ID"] in self._ids:
            report.duplicates.append(f"{now} {subject}")
        self._ids.add(message["Message-ID"])
        if str(message["To"]) == "ops@agency.example":
            report.to_operator += 1
            return
        firm = int(re.search(r"it@(\d+)\.example", str(message["To"])).group(1))
        if subject.startswith("Thank you"):
            report.thanked += 1
            if not self._asked[firm]:
                report.wrong.append(f"{now} {firm}: {subject}")
            return
        truth = self._world.revoked(firm, now)
        if truth is None:
            report.wrong.append(f"{now} firm {firm}: {subject}")
            return
        if subject.startswith("Reminder"):
            report.reminders += 1
            return
        report.asked += 1
        self._asked[firm] += 1
        if self._asked[firm] > 1:
            report.duplicates.append(f"{now} firm {firm} asked again")
        report.delays.append((now - truth.at).total_seconds() / 60)
        if truth.reaction is not None and truth.mended is None:
            truth.mended = now + truth.reaction

    def close(self, end: datetime) -> None:
        """Whoever was cut off for hours, and heard nothing."""
        for one in self._world.revocations:
            lasted = (one.mended or end) - one.at
            if lasted > timedelta(hours=8):
                self._report.owed += 1
                if not self._asked[one.firm]:
                    self._report.missed.append(f"firm {one.firm}, revoked {one.at}")
            elif self._asked[one.firm]:
                self._report.owed += 1


async def _fill(parts, firms: int, interval: int) -> None:
    now, seal = parts.clock.now(), parts.vault.seal
    await connections.put(
        parts.database,
        [
            NewConnection(
                id=f"firm-{n:04}", place=Place("clio", "clio", "us"), client_name=f"Firm {n}",
                contacts=(f"it@{n}.example",), locale="en", timezone="UTC", scopes=(), account_id=str(n),
                labels={}, access=seal(Secret(f"a-{n}-0"), access_cell(f"firm-{n:04}")),
                refresh=seal(Secret(f"r-{n}-0"), refresh_cell(f"firm-{n:04}")),
                access_expires_at=now + timedelta(days=5), imported=str(n),
                first_probe_at=now + timedelta(minutes=interval * n / firms),
            )
            for n in range(firms)
        ],
        now, "month",
    )  # fmt: skip
