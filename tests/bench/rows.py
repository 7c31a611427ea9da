"""One row of the bench, in a process of its own: prints its figures as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import ssl
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
import uvloop
from prometheus_client import generate_latest
from sqlalchemy import bindparam, select, update

from monitor.health.incidents import Place
from monitor.metrics.exposition import Exposition, Extent
from monitor.metrics.meters import Meters
from monitor.secret import Secret
from monitor.service.process import calm_collector
from monitor.settings.builders import build_watching
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store import imports
from monitor.store.imports import NewConnection
from monitor.store.processes import Role
from monitor.store.tables import credential, watch
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.vault import new_key, write_key_file
from monitor.wire.client import Wire
from monitor.wire.settings import HttpSettings

CONFIG = """
[database]
url = "sqlite:///bench-{size}.db"
[schedule]
concurrency = 100
pace = {pace}
[[apps]]
id = "clio"
provider = "clio"
base_url = "{url}"
client_id = "bench"
client_secret_env = "BENCH_SECRET"
"""


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def wire(folder: Path) -> Wire:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    return Wire(HttpSettings(), timeout=timedelta(seconds=10), concurrency=100, tls=context)


async def bare(size: int, url: str, folder: Path) -> dict[str, float]:
    """Nothing but GETs over the same client, a hundred at once, the JSON parsed."""
    found = wire(folder)
    whoami = f"{url}/api/v4/users/who_am_i.json?fields=id,name"
    left = iter(range(size))

    async def work() -> None:
        for number in left:
            reply = await found.get(whoami, Secret(f"token-{number}-{'x' * 40}"))
            json.loads(reply.body)  # type: ignore[union-attr]

    await asyncio.gather(*(found.get(whoami) for _ in range(100)))
    before = cpu()
    await asyncio.gather(*(work() for _ in range(100)))
    used = cpu() - before
    await found.close()
    return {"cpu": used / size * 1000}


async def drive(size: int, url: str, folder: Path) -> dict[str, float]:
    """Ask another exporter to probe; it is its CPU time that counts, not ours."""
    found = Wire(HttpSettings(), timeout=timedelta(seconds=30), concurrency=50)
    left = iter(range(size))

    async def work() -> None:
        for _ in left:
            reply = await found.get(url)
            assert b"probe_success 1" in reply.body, reply.body[-300:]  # type: ignore[union-attr]

    await asyncio.gather(*(work() for _ in range(20)))
    await found.close()
    return {}


async def pipeline(size: int, url: str, folder: Path) -> dict[str, float]:
    """Claim, decrypt, GET, parse, classify, write and count, over a fleet in SQLite."""
    path = folder / f"bench-{size}.toml"
    path.write_text(CONFIG.format(url=url, size=size, pace=1_000_000.0))
    if not (folder / "token-health.key").exists():
        write_key_file(folder / "token-health.key", [new_key()])
    async with opened(load(path, {"BENCH_SECRET": "secret"})) as parts:
        await fill(parts, size)
        found, meters = wire(folder), Meters()
        watching = build_watching(parts, found, meters, "bench", Role.ALL)
        await watching.ticks.prepare()
        await _all_due(parts)
        await _round(
            watching.loop, meters
        )  # the first round makes every connection healthy, with its history
        await _all_due(parts)
        calm_collector()
        before, began = cpu(), time.perf_counter()
        done = await _round(watching.loop, meters)
        used, wall = cpu() - before, time.perf_counter() - began
        assert done == size, (done, size)
        figures = {"cpu": used / size * 1000, "rate": size / wall, "rss": _rss()}
        figures |= await _metrics(parts, meters, watching.admission.intervals())
        await watching.ticks.stop()
        await found.close()
    return figures


_ONE = select(credential.c.access).where(credential.c.connection == bindparam("id"))
READS = 4_000


def name(number: int, size: int) -> str:
    """Return the name of one of those that are read."""
    return f"client-{number % min(size, READS):06}"


async def floor_cpu(parts: Any, size: int) -> float:
    """CPU-milliseconds of the least that a read costs: one row by its key, and nothing done with it."""

    async def read(number: int) -> None:
        async with parts.database.look() as conn:
            assert (await conn.execute(_ONE, {"id": name(number, size)})).scalar()

    for number in range(READS // 10):
        await read(number)
    before = cpu()
    for number in range(READS):
        await read(number)
    return (cpu() - before) / READS * 1000


async def fill(parts: Any, size: int) -> None:
    now, seal = datetime.now(UTC), parts.vault.seal  # noqa: TID251 - a bench, not a test
    for start in range(0, size, 5000):
        names = [f"client-{number:06}" for number in range(start, min(size, start + 5000))]
        await imports.put(
            parts.database,
            [
                NewConnection(
                    id=name, place=Place("clio", "clio", "us"), client_name=f"Firm {name}", contacts=(),
                    locale="en", timezone="UTC", scopes=(), account_id="7", labels={},
                    access=seal(Secret(f"{name}-{'a' * 40}"), access_cell(name, Place("clio", "clio", "us"))),
                    refresh=seal(Secret(f"{name}-{'r' * 40}"), refresh_cell(name, Place("clio", "clio", "us"))),
                    access_expires_at=now + timedelta(days=6), imported=name, first_probe_at=now,
                )
                for name in names
            ],
            now, "bench",
        )  # fmt: skip


async def _all_due(parts: Any) -> None:
    async with parts.database.write() as conn:
        await conn.execute(update(watch).values(next_probe_at=datetime.now(UTC)))  # noqa: TID251


async def _round(loop: Any, meters: Meters) -> int:
    before = _fine(meters)
    while await loop.pull():
        await loop.idle()
    await loop.idle()
    return int(_fine(meters) - before)


def _fine(meters: Meters) -> float:
    labels = {"provider": "clio", "app": "clio", "cause": "ok"}
    return meters.registry.get_sample_value("token_health_probes_total", labels) or 0.0


def _rss() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    return 0.0


async def _metrics(parts: Any, meters: Meters, intervals: Any) -> dict[str, float]:
    exposition = Exposition(
        parts.database, meters, parts.apps, parts.clock, interval=timedelta(minutes=5), extent=Extent()
    )
    worst, stop = 0.0, False

    async def ticker() -> None:
        nonlocal worst
        while not stop:
            before = time.perf_counter()
            await asyncio.sleep(0.001)  # noqa: TID251
            worst = max(worst, time.perf_counter() - before - 0.001)

    task = asyncio.create_task(ticker())
    await asyncio.sleep(0.05)  # noqa: TID251
    began, size = time.perf_counter(), 0
    async for piece in exposition.write(
        leads=True, lag=0, alive=1, intervals=intervals, encoder=generate_latest
    ):
        size += len(piece)
    took = time.perf_counter() - began
    stop = True
    await task
    return {"metrics": took, "bytes": float(size), "held": worst}


def main() -> None:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    what, size, url, folder = sys.argv[1:5]
    work = {"bare": bare, "drive": drive, "pipeline": pipeline}[what]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(work(int(size), url, Path(folder)))))


if __name__ == "__main__":
    main()
