"""What people wait for: the fleet's page over a fleet on a bad day, from the request to the last byte."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvloop
from sqlalchemy import text

import alerts.tables  # noqa: F401 - the schema is made with all of its tables
import monitor.store.campaign_tables
import monitor.store.consent_tables
import monitor.store.door_tables  # noqa: F401
from monitor.metrics.meters import Meters
from monitor.service.api import build_around, build_console
from monitor.settings.file import load
from monitor.settings.parts import Parts, opened
from monitor.store import schema
from monitor.store.engine import Database
from monitor.tokens.vault import new_key, write_key_file
from monitor.web.api.app import build
from monitor.web.app import application
from monitor.web.doorkeeper import Doorkeeper
from monitor.web.signin import SignIn
from tests.bench.fleet_rows import APPS, fill

HERE = "http://127.0.0.1:8080"
TIMES = 15
SETTLE = 2.2  # seconds: what a process keeps of the sums is old by then
CONFIG = """
[database]
url = "{url}"
[web]
listen = "127.0.0.1:8080"
"""
APP = """
[[apps]]
id = "{app}"
provider = "clio"
client_id = "bench"
client_secret_env = "BENCH_SECRET"
"""
VIEWS = {
    "default view": "/",
    "state=any": "/?state=any",
    "app and cause": "/?app=clio-us&cause=revoked",
    "search text": "/?q=tanaka+legal+33",
    "sort since": "/?state=any&sort=since",
}


@asynccontextmanager
async def filled(url: str, size: int, folder: Path) -> AsyncIterator[Parts]:
    """Make a fleet of so many, and open it."""
    database = Database(url)
    await schema.upgrade(database)
    await fill(database, size, datetime.now(UTC))  # noqa: TID251 - a bench, not a test
    if not database.is_sqlite:  # as its autovacuum does, a minute later
        async with database.write() as conn:
            await conn.execute(text("ANALYZE"))
    await database.close()
    async with _opened(url, folder) as parts:
        yield parts


@asynccontextmanager
async def _opened(url: str, folder: Path) -> AsyncIterator[Parts]:
    path = folder / "console.toml"
    path.write_text(CONFIG.format(url=url) + "".join(APP.format(app=app) for app, *_ in APPS))
    if not (folder / "token-health.key").exists():
        write_key_file(folder / "token-health.key", [new_key()])
    async with opened(load(path, {"BENCH_SECRET": "secret"})) as parts:
        yield parts


def served(parts: Parts) -> Any:
    """Return the application that a listener on loopback serves."""
    keeper = Doorkeeper(parts, "127.0.0.1")
    around = build_around(parts, keeper, Meters())
    return application(
        None, None, parts.loaded.settings.web.names,
        sign_in=SignIn(parts, keeper), api=build(around), console=build_console(around, keeper),
    )  # fmt: skip


async def measure(parts: Parts) -> dict[str, float]:
    """Return medians in milliseconds, and how large the page and the memory it needs are, in KB."""
    transport = httpx.ASGITransport(served(parts), client=("127.0.0.1", 40_000))
    figures: dict[str, float] = {}
    async with httpx.AsyncClient(transport=transport, base_url=HERE, timeout=60) as http:
        page = await _page(http, "/")  # templates are compiled, statements are known
        before = _rss()
        for name, path in VIEWS.items():
            figures[name] = await _median(http, path)
        next_page = page.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        figures["page 2"] = await _median(http, next_page)
        await asyncio.sleep(SETTLE)  # noqa: TID251
        figures["after a while"] = await _took(http, "/")
        figures["html"] = len(page.content) / 1024
    return figures | {"growth": _rss() - before, "rss": _rss()}


async def _page(http: httpx.AsyncClient, path: str) -> httpx.Response:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text[-2000:]
    return answer


async def _took(http: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    await _page(http, path)
    return (time.perf_counter() - began) * 1000


async def _median(http: httpx.AsyncClient, path: str) -> float:
    return sorted([await _took(http, path) for _ in range(TIMES)])[TIMES // 2]


def _rss() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    return 0.0


async def row(size: int, url: str, folder: Path) -> dict[str, float]:
    async with filled(url, size, folder) as parts:
        return await measure(parts)


def main() -> None:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    size, url, folder = sys.argv[1:4]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(row(int(size), url, Path(folder)))))


if __name__ == "__main__":
    main()
