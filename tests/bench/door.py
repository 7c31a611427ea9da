"""What programs wait for: the service as a process, a fleet that it probes, and requests over HTTP.

Times are of an open loop: a request is sent when its time has come, however long those before it take, and what
counts begins there. Whoever asks is a process of its own, on raw sockets that are kept open.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import bindparam, select, update

from monitor.health.causes import Cause, Owner
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store.tables import credential, watch
from monitor.tokens.vault import new_key, write_key_file
from tests.bench.rows import CONFIG, fill, floor_cpu
from tests.bench.rows import name as name_of
from tests.bench.usage import cpu_of

PORT, KEYS, READ = 18099, 8, 2_000
PER_SECOND, SECONDS = 200, 10
WEB = """
[web]
listen = "127.0.0.1:{port}"
connections = 1000
"""


@dataclass
class Client:
    """Connections that are kept open, and what the answers were."""

    keys: list[str]
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def get(self, path: str) -> bytes:
        """Ask for a path of the API and return the body; anything but 200 ends all.

        Each path has its key: one key may ask 6,000 times a minute, and its first read of each is written down.
        """
        key = self.keys[sum(path.encode()) % len(self.keys)]
        reader, writer = self.idle.pop(0) if self.idle else await asyncio.open_connection("127.0.0.1", PORT)
        request = (
            f"GET /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nAuthorization: Bearer {key}\r\n\r\n"
        )
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
        )
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path}: {head.decode()}{body.decode()}")
        self.idle.append((reader, writer))
        return body

    async def open(self, count: int) -> None:
        """Have so many connections open, one after the other: it is no flood of them that is measured."""
        while len(self.idle) < count:
            self.idle.append(await asyncio.open_connection("127.0.0.1", PORT))

    async def timed(self, path: str, since: float) -> float:
        """Return how long it was from a time on until the answer was there."""
        await self.get(path)
        return time.perf_counter() - since

    async def paced(self, paths: Callable[[int], str], rate: int, seconds: int) -> list[float]:
        """Ask so many times a second."""
        tasks, began = [], time.perf_counter()
        for number in range(rate * seconds):
            at = began + number / rate
            await asyncio.sleep(max(0.0, at - time.perf_counter()))  # noqa: TID251
            tasks.append(asyncio.create_task(self.timed(paths(number), at)))
        return sorted(await asyncio.gather(*tasks))


async def door(size: int, url: str, folder: Path) -> dict[str, float]:
    """A fleet of so many, evenly due, and what programs ask of it."""
    path = folder / f"door-{size}.toml"
    text = CONFIG.format(url=url, size=size, pace=1_000_000.0).replace("bench-", "door-")
    path.write_text(text + WEB.format(port=PORT))
    if not (folder / "token-health.key").exists():
        write_key_file(folder / "token-health.key", [new_key()])
    environ = {"BENCH_SECRET": "secret"}
    async with opened(load(path, environ)) as parts:
        await fill(parts, size)
        await _settled(parts, size)
        floor = await floor_cpu(parts, size)
        keys = [_key(path, number) for number in range(KEYS)]
        service = subprocess.Popen(
            [sys.executable, "-m", "monitor", "run", "--config", str(path)],
            env=os.environ | environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            client = await _ready(keys)
            figures = {"floor": floor, "cpu": await _cpu_a_read(client, service.pid, size)}
            figures |= await _flight(parts, client)
            figures |= await _pages(client)
            await _evenly_due(parts, size)
            client.idle.clear()  # closed by the service meanwhile
            await client.open(50)
            before = await _probes()
            took = await client.paced(lambda number: _token(number, size), PER_SECOND, SECONDS)
            figures["probes"] = (await _probes() - before) / SECONDS
        finally:
            service.terminate()
            service.wait(20)
    return figures | {"p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}


def _token(number: int, size: int) -> str:
    return f"/connections/{name_of(number, size)}/token"


def _key(path: Path, number: int) -> str:
    words = ["api", "keys", "new", f"bench {number}", "--scope", "tokens:read", "--scope", "connections:read"]
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *words, "--config", str(path)],
        env=os.environ | {"BENCH_SECRET": "secret"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


async def _ready(keys: list[str]) -> Client:
    client = Client(keys)
    for _ in range(300):
        try:
            await client.get("/me")
            return client
        except OSError:
            await asyncio.sleep(0.1)  # noqa: TID251
    raise SystemExit("the service does not answer")


async def _settled(parts: Any, size: int) -> None:
    """Everybody is well and looked at in an hour; one in a hundred is broken."""
    now = datetime.now(UTC)  # noqa: TID251
    later = now + timedelta(hours=1)
    async with parts.database.write() as conn:
        well = {"state": "healthy", "cause": Cause.OK.value, "owner": Owner.NOBODY.value, "since": now}
        well |= {"last_probe_at": now, "last_success_at": now, "next_probe_at": later}
        await conn.execute(update(watch).values(well))
        broken = [{"_id": f"client-{number:06}"} for number in range(50, size, 100)]
        sick = {"state": "broken", "cause": Cause.PROVIDER_OUTAGE.value, "owner": Owner.PROVIDER.value}
        one = update(watch).where(watch.c.connection == bindparam("_id"))
        await conn.execute(one.values(**sick, bad_since=now), broken)


async def _cpu_a_read(client: Client, pid: int, size: int) -> float:
    """CPU-milliseconds of the service for one read, less what it uses when nobody asks."""
    for number in range(READ):
        await client.get(_token(number, size))  # the first of each is written into the audit
    before, began = cpu_of(pid), time.perf_counter()
    await asyncio.sleep(3)  # noqa: TID251
    idle = (cpu_of(pid) - before) / (time.perf_counter() - began)
    before, began = cpu_of(pid), time.perf_counter()
    for number in range(READ):
        await client.get(_token(number, size))
    used = cpu_of(pid) - before - idle * (time.perf_counter() - began)
    return used / READ * 1000


async def _flight(parts: Any, client: Client) -> dict[str, float]:
    """One who asks for a token that has to be renewed, and two hundred at once."""
    took = []
    for name, callers in (("client-000000", 1), ("client-000001", 200)):
        soon = datetime.now(UTC) + timedelta(seconds=100)  # noqa: TID251
        one = update(credential).where(credential.c.connection == name)
        async with parts.database.write() as conn:
            await conn.execute(one.values(access_expires_at=soon))
        client.idle.clear()  # the service may have closed them while the database was written
        await client.open(callers)
        began = time.perf_counter()
        bodies = await asyncio.gather(*(client.get(f"/connections/{name}/token") for _ in range(callers)))
        took.append(time.perf_counter() - began)
        assert {json.loads(body)["generation"] for body in bodies} == {1}
    return {"flight_one": took[0], "flight_all": took[1]}


async def _pages(client: Client) -> dict[str, float]:
    """The middle of some tries, one after the other."""
    figures = {}
    for what, path in (("fleet", "/fleet"), ("broken", "/connections?state=broken")):
        took = sorted([await client.timed(path, time.perf_counter()) for _ in range(15)])
        figures[what] = took[len(took) // 2]
    return figures


async def _evenly_due(parts: Any, size: int) -> None:
    """All in five minutes, one after the other."""
    now = datetime.now(UTC)  # noqa: TID251
    later = update(watch).where(watch.c.connection == bindparam("_id")).values(next_probe_at=bindparam("at"))
    async with parts.database.write() as conn:
        names: Iterable[str] = (await conn.execute(select(watch.c.connection))).scalars().all()
        due = [{"_id": name, "at": now + timedelta(minutes=5) * n / size} for n, name in enumerate(names)]
        await conn.execute(later, due)


async def _probes() -> float:
    """How many probes the service has made."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nConnection: close\r\n\r\n".encode())
    page = (await reader.read()).decode()
    writer.close()
    lines = [line for line in page.splitlines() if line.startswith("token_health_probes_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def main() -> None:
    size, url, folder = sys.argv[1:4]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(door(int(size), url, Path(folder)))))


if __name__ == "__main__":
    main()
