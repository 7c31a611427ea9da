"""As much HTTP/1.1 as a stand-in needs: a request as plain data, an answer, and a server that may drop one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked. `place` is the host and path that it would have been at in the world."""

    method: str
    place: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @cached_property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @cached_property
    def document(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    @property
    def bearer(self) -> str:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else ""

    @property
    def basic(self) -> tuple[str, str] | None:
        scheme, _, text = self.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        name, _, secret = base64.b64decode(text).decode().partition(":")
        return name, secret


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def reply(document: Any, status: int = 200, **headers: str) -> Reply:
    """Answer JSON."""
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"content-type": "application/json"} | more)


class Dropped(Exception):
    """The request was handled, and its answer never sent."""


async def _asked(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Request(method, parts.path[1:], dict(parse_qsl(parts.query)), headers, body)


@contextlib.asynccontextmanager
async def serving(answer: Callable[[Request], Reply]) -> AsyncIterator[int]:
    """Serve on loopback; gives the port."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                try:
                    given = answer(await _asked(reader))
                except Dropped:
                    writer.transport.abort()
                    break
                lines = [f"HTTP/1.1 {given.status} Said"]
                lines += [f"{name}: {text}" for name, text in given.headers.items()]
                lines.append(f"content-length: {len(given.body)}")
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + given.body)
                await writer.drain()
        open_ones.discard(writer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_ones:
            writer.transport.abort()
        await server.wait_closed()
