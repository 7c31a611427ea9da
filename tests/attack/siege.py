"""A siege: strangers do their worst to the running service, while promises 1 and 2 are kept within.

The service is a process with few descriptors; the provider, the mail server and the strangers are real. One
client revokes the app and has to get its one mail; others' tokens have to be refreshed, again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from monitor.host.trust import trusted
from tests.acceptance.test_processes import Program, cli, config, free_port, import_fleet
from tests.attack.odd import EDGES
from tests.conftest import MAIL, NO_GUARD, Mailbox, Sandbox

DESCRIPTORS = 400
IDLE, SLOW = 380, 40  # sockets that say nothing, and that say a little
HONEST, ROTATING = 6, 6
APPS = ("clio", "plat")
CROSSED = (HONEST - 2, HONEST - 1)  # two clients whose trips are crossed


@dataclass
class Report:
    """What was thrown at the service, and how it stood."""

    seconds: float = 0.0
    thrown: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    alive: Counter[bool] = field(default_factory=Counter)
    mails: list[str] = field(default_factory=list)
    causes: dict[str, str] = field(default_factory=dict)
    refreshed: int = 0
    early: int = 0  # refreshes that the provider refused, since the token was spent
    crossed: list[str] = field(default_factory=list)
    memory: tuple[int, int] = (0, 0)  # KiB resident, before and after
    errors: list[str] = field(default_factory=list)  # lines of the log that are errors of ours

    def faults(self) -> list[str]:
        """Return what was promised and did not hold."""
        wrong = [to for to in self.mails if to != "it@0.example"]
        lost = {name: cause for name, cause in self.causes.items() if cause not in ("ok", "revoked")}
        checks = {
            f"mailed without a reason: {wrong}": wrong,
            f"the client that revoked was mailed {len(self.mails) - len(wrong)} times": len(self.mails)
            - len(wrong)
            != 1,
            f"connections that are not well: {lost}": lost,
            "another than the client that revoked is revoked": list(self.causes.values()).count("revoked")
            != 1,
            "nothing was refreshed meanwhile": self.refreshed < ROTATING,
            f"spent refresh tokens were sent {self.early} times": self.early,
            f"a trip that was crossed was taken: {self.crossed}": self.crossed,
            "it never said that it lives": not self.alive[True],
            f"errors of ours: {self.errors[:3]}": self.errors,
            f"answers of 5xx: {dict(self.answers)}": any(name.startswith("5") for name in self.answers),
        }
        return [sentence for sentence, true in checks.items() if true]


class Siege:
    """One siege. `strangers` are the attacks that run side by side until the time is over."""

    def __init__(self, folder: Path, sandbox: Sandbox, mailbox: Mailbox, seconds: float) -> None:
        self.folder, self.sandbox, self.mailbox, self.seconds = folder, sandbox, mailbox, seconds
        self.port, self.report = free_port(), Report(seconds)
        self.random = random.Random(20261126)  # noqa: S311 - noise, the same in each run
        self.until = 0.0

    @property
    def going_on(self) -> bool:
        """Whether the siege lasts."""
        return time.monotonic() < self.until

    async def run(self) -> Report:
        """Lay siege; return how the service stood."""
        path = await asyncio.to_thread(self._prepare)
        program = Program(path, APPS, descriptors=DESCRIPTORS)
        try:
            await self._until(self._ready)
            self.report.memory = (_resident(program.process.pid), 0)
            self.until = time.monotonic() + self.seconds
            strangers = (self.idle, self.slow, self.flood, self.noise, self.guess, self.forge, self.cross)
            await asyncio.gather(
                *(self._again(stranger) for stranger in strangers), self.inside(), self.watch()
            )
            await self._until(self._ready)
            await self._until(self._mailed)
            self.report.memory = (self.report.memory[0], _resident(program.process.pid))
            self.report.causes = {
                row["id"]: "in doubt" if row["refresh_in_doubt_since"] else row["cause"] or row["state"]
                for row in json.loads(await asyncio.to_thread(cli, path, "status", "--json", apps=APPS))
            }
        finally:
            await asyncio.to_thread(program.end)
        seen = self.sandbox.seen()
        self.report.early = seen["early"]
        self.report.mails = [str(message["X-Envelope-To"]) for message in self.mailbox.taken]
        self.report.errors = [
            line for line in program.text.splitlines() if "error  " in line or "Traceback" in line
        ]
        return self.report

    def _prepare(self) -> Path:
        self.sandbox.app("clio", redirect_uris=[f"http://127.0.0.1:{self.port}/oauth/callback"])
        self.sandbox.app("plat", system="platform")
        more = MAIL.format(url=self.mailbox.url).replace('"10m"', '"0s"') + NO_GUARD
        apps = {"clio": {}, "plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}
        path = config(
            self.folder, self.sandbox, f"sqlite:///{self.folder / 'th.db'}", self.port, more=more, apps=apps
        )
        text = path.read_text().replace(
            "[web]\n", f'[web]\npublic_url = "http://127.0.0.1:{self.port}"\nproxies = []\n'
        )
        path.write_text(text.replace("[schedule]\n", "[schedule]\nconcurrency = 50\n"))
        self.path = path
        self.honest = import_fleet(path, self.sandbox, "clio", "us", HONEST, apps=APPS)
        self.rotating = import_fleet(
            path, self.sandbox, "plat", "platform-us", ROTATING, name="plat", first=50, apps=APPS
        )
        self.links = [cli(path, "reauthorize", f"firm-{i}", apps=APPS).split()[-1] for i in CROSSED]
        return path

    async def _again(self, stranger: Callable[[], Awaitable[None]]) -> None:
        """Let a stranger try again and again; that the service shuts the door on it is what is wanted."""
        while self.going_on:
            with contextlib.suppress(OSError, httpx.HTTPError, TimeoutError):
                await stranger()
            await asyncio.sleep(0.01)  # noqa: TID251 - a siege has real seconds

    async def _until(self, true: Callable[[], Awaitable[bool]], seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not await true():
            assert time.monotonic() < deadline, f"{true.__name__} did not come about: {self.report}"
            await asyncio.sleep(0.2)  # noqa: TID251 - for another process

    async def _ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            async with self._browser() as browser:
                return (await browser.get("/readyz")).status_code == 200
        return False

    async def _mailed(self) -> bool:
        return bool(self.mailbox.taken)

    @contextlib.asynccontextmanager
    async def _browser(
        self, seconds: float = 5, address: str = "127.0.0.1"
    ) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.AsyncHTTPTransport(local_address=address)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=seconds, transport=transport
        ) as browser:
            yield browser

    def _elsewhere(self) -> str:
        """An address that is not the clients': all of 127.0.0.0/8 is this machine."""
        return f"127.0.{self.random.randrange(1, 255)}.{self.random.randrange(1, 255)}"

    @contextlib.asynccontextmanager
    async def _socket(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(self._elsewhere(), 0)
        )
        try:
            yield reader, writer
        finally:
            writer.close()

    # -- within -----------------------------------------------------------------------------------

    async def inside(self) -> None:
        """What happens at the provider meanwhile: a client revokes, tokens run out and are refreshed."""
        await asyncio.to_thread(self.sandbox.do, self.honest[0], "revoke")
        while self.going_on:
            for grant in self.rotating:
                await asyncio.to_thread(self.sandbox.do, grant, "expire_access")
                self.report.refreshed += 1
            await asyncio.sleep(3)  # noqa: TID251 - a siege has real seconds

    async def watch(self) -> None:
        """An orchestrator that asks each second whether it lives."""
        while self.going_on:
            try:
                async with self._browser(2) as browser:
                    self.report.alive[(await browser.get("/healthz")).status_code == 200] += 1
            except httpx.HTTPError:
                self.report.alive[False] += 1
            await asyncio.sleep(1)  # noqa: TID251 - a siege has real seconds

    # -- strangers --------------------------------------------------------------------------------

    async def idle(self) -> None:
        """Hundreds of sockets that say nothing, or half a request."""
        held: list[socket.socket] = []
        try:
            while self.going_on and len(held) < IDLE:
                one = socket.create_connection(("127.0.0.1", self.port), 1, (self._elsewhere(), 0))
                if len(held) % 2:
                    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: ")
                held.append(one)
                self.report.thrown["idle sockets"] += 1
                await asyncio.sleep(0)  # noqa: TID251 - others have their turn
            await asyncio.sleep(2)  # noqa: TID251 - a siege has real seconds
        finally:
            for one in held:
                one.close()

    async def slow(self) -> None:
        """Headers and bodies that come a byte at a time."""

        async def drip(head: bytes) -> None:
            async with self._socket() as (_, writer):
                writer.write(head)
                while self.going_on:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.3)  # noqa: TID251 - a siege has real seconds

        heads = [
            b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
            b"POST /r/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n",
        ]
        self.report.thrown["slow requests"] += SLOW
        await asyncio.gather(*(drip(heads[i % 2]) for i in range(SLOW)), return_exceptions=True)

    async def flood(self) -> None:
        """A body of megabytes, headers without an end, and requests in one go."""
        for request in (
            b"POST /r/x HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n" + b"a" * 2_000_000,
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 500_000,
            b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 500,
            b"POST /r/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"ffffff\r\n"
            + b"a" * 1_000_000,
        ):
            self.report.thrown["floods"] += 1
            async with self._socket() as (reader, writer):
                with contextlib.suppress(OSError):
                    writer.write(request)
                    await asyncio.wait_for(reader.read(100), 3)

    async def noise(self) -> None:
        """Requests with something odd in every place."""
        odd = [text.encode("utf-8", "surrogatepass").replace(b"\n", b"")[:3_000] for text in EDGES]
        for _ in range(30):
            path = self.random.choice(
                [b"/", b"/r/", b"/oauth/callback?state=", b"/r/%00", b"//"]
            ) + self.random.choice(odd)
            method, header = self.random.choice([b"GET", b"POST", b"PUT", b"\xff"]), self.random.choice(odd)
            name = self.random.choice([b"Host", b"Origin", b"Cookie", b"X-Forwarded-For", b"Content-Length"])
            request = (
                method
                + b" "
                + path
                + b" HTTP/1.1\r\n"
                + name
                + b": "
                + header
                + b"\r\nConnection: close\r\n\r\n"
            )
            self.report.thrown["odd requests"] += 1
            async with self._socket() as (reader, writer):
                with contextlib.suppress(OSError):
                    writer.write(request)
                    answer = await asyncio.wait_for(reader.read(100), 3)
                    self._note(answer)

    def _note(self, answer: bytes) -> None:
        if answer.startswith(b"HTTP/1."):
            self.report.answers[answer.split(b" ", 2)[1].decode()] += 1

    async def guess(self) -> None:
        """Links that might exist, each as if from elsewhere."""
        async with self._browser(address=self._elsewhere()) as browser:
            for _ in range(200):
                answer = await browser.get(
                    f"/r/{secrets.token_urlsafe(32)}",
                    headers={"X-Forwarded-For": f"10.0.0.{self.random.randrange(256)}"},
                )
                self.report.thrown["guessed links"] += 1
                self.report.answers[str(answer.status_code)] += 1
                if not self.going_on:
                    return

    async def forge(self) -> None:
        """Callbacks for trips that never began, with codes that nobody gave."""
        async with self._browser(address=self._elsewhere()) as browser:
            for _ in range(20):
                state, code = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
                answer = await browser.get(
                    "/oauth/callback", params={"state": state, "code": code, "iss": "https://evil.example"}
                )
                self.report.thrown["forged callbacks"] += 1
                self.report.answers[str(answer.status_code)] += 1

    async def cross(self) -> None:
        """Two clients on their way at once; each one's answer is brought to the other's browser, and once more."""
        async with self._browser() as one, self._browser() as two:
            ways = []
            for browser, link, index in zip((one, two), self.links, CROSSED, strict=True):
                answer = await browser.post(urlsplit(link).path)
                if answer.status_code != 303:
                    return
                user = (await asyncio.to_thread(self.sandbox.do, self.honest[index], "look"))["user"]
                async with httpx.AsyncClient(verify=trusted(None)) as elsewhere:
                    approved = await elsewhere.post(
                        answer.headers["location"], data={"user": user, "decision": "approve"}
                    )
                back = urlsplit(approved.headers["location"])
                assert parse_qs(back.query)["code"]
                ways.append(f"{back.path}?{back.query}")
            self.report.thrown["crossed trips"] += 2
            for browser, way in zip((two, one), ways, strict=True):
                for _ in range(2):
                    answer = await browser.get(way)
                    if "it works" in answer.text:
                        self.report.crossed.append(answer.text[:200])


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


def table(report: Report) -> str:
    """Return a report as lines for people."""
    lines = [f"{report.seconds:.0f} s of siege, {DESCRIPTORS} descriptors", ""]
    lines += [f"  {count:>8,}  {name}" for name, count in report.thrown.most_common()]
    lines += ["", "  answers " + ", ".join(f"{code}: {n:,}" for code, n in sorted(report.answers.items()))]
    lines.append(
        f"  alive: {report.alive[True]} of {report.alive.total()} asked in vain or not within 2 s: {report.alive[False]}"
    )
    lines.append(
        f"  memory: {report.memory[0] / 1024:.0f} MiB before, {report.memory[1] / 1024:.0f} MiB after"
    )
    lines.append(f"  access tokens ended: {report.refreshed}; spent refresh tokens sent: {report.early}")
    lines.append(f"  mails: {len(report.mails)}; connections: {dict(Counter(report.causes.values()))}")
    return "\n".join(lines)
