"""A stage for webhooks: real endpoints on this machine, and a service's parts on a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from alerts.webhooks.send import Caller
from monitor.clock import SystemClock
from monitor.health.causes import Cause
from monitor.metrics.meters import Meters
from monitor.operations import webhooks
from monitor.operations.webhooks import Made
from monitor.settings.builders import build_caller
from monitor.settings.file import load
from monitor.settings.parts import Parts, opened
from tests.conftest import ME, SetClock, environ, write_config
from tests.integration.test_store import _break, _healthy


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent, and answers as it is told: a status, headers, or never."""

    port: int = 0
    status: int = 200
    headers: str = ""
    hangs: bool = False
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    talks: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.taken]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.add(asyncio.current_task())
        try:
            await self._talk(reader, writer)
        finally:
            self.talks.discard(asyncio.current_task())
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            self.seen.append(first)
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if self.hangs:
                await reader.read()
                return
            self.taken.append((headers, body))
            writer.write(f"HTTP/1.1 {self.status} x\r\n{self.headers}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()


@contextlib.asynccontextmanager
async def receiving(**how: Any) -> AsyncIterator[Receiver]:
    """A receiver that listens on this machine."""
    found = Receiver(**how)
    server = await asyncio.start_server(found.talk, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    while found.talks:
        await asyncio.wait({task for task in found.talks if task is not None}, timeout=5)


@dataclass
class Stage:
    """The parts of a service, what tells programs, and a clock."""

    parts: Parts
    caller: Caller
    clock: SetClock
    meters: Meters

    async def add(self, receiver: Receiver, *events: str, **more: Any) -> Made:
        return await webhooks.add(self.parts, ME, receiver.url, events or ("connection.*",), **more)

    async def broken(self, *names: str) -> None:
        """Let connections be added, well, and then broken for sure."""
        await _healthy(self.parts.database, list(names), self.clock.time)
        await self.breaks(*names)

    async def breaks(self, *names: str) -> None:
        self.clock.tick(minutes=5)
        await _break(self.parts.database, list(names), Cause.REVOKED, self.clock.time)
        self.clock.tick(minutes=1)

    async def later(self, **span: float) -> None:
        self.clock.tick(**span)
        await self.caller.pump()


@contextlib.asynccontextmanager
async def staged(
    database_url: str, folder: Path, *, more: str = "", resolve: Callable[..., Any] | None = None
) -> AsyncIterator[Stage]:
    """Open a stage; its clock begins a while ago, so that what is sent in the end is sent about now."""
    path = write_config(folder, "http://127.0.0.1:1", database_url, more=more)
    clock, meters = SetClock(SystemClock().now() - timedelta(minutes=8)), Meters()
    async with opened(load(path, environ()), clock) as parts:
        yield Stage(parts, build_caller(parts, meters, "p1", resolve), clock, meters)
