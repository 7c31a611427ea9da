"""The API in this process, over a rig: real routes and a real database; who asks is said by the test."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from monitor.errors import NotAdmitted
from monitor.health.restriction import UNRESTRICTED, Restriction
from monitor.operations.actor import Actor, Door, Right
from monitor.service.api import build_around
from monitor.settings.builders import build_doorbell
from monitor.store import api_keys
from monitor.store.api_keys import ApiKey
from monitor.web.api.app import build
from tests.conftest import Rig, rigged

EVERYTHING = frozenset(Right) - {Right.HOST}


@dataclass
class Known:
    """Lets in whoever the test knows, by the bearer's text."""

    actors: dict[str, Actor] = field(default_factory=dict)

    async def admit(self, request: Request) -> Actor:
        word, _, name = request.headers.get("authorization", "").partition(" ")
        if word.lower() != "bearer":
            raise NotAdmitted("no_credentials", "Send an API key.")
        if name not in self.actors:
            raise NotAdmitted("bad_credentials", "The key is not good.")
        return self.actors[name]


@dataclass
class Api:
    """Programs that ask, each with a key of its own."""

    rig: Rig
    keeper: Known
    http: httpx.AsyncClient

    def program(self, name: str, *rights: Right, only: Restriction = UNRESTRICTED) -> str:
        """Let a program in, with everything unless rights are given; return its name."""
        may = frozenset(rights) if rights else EVERYTHING
        self.keeper.actors[name] = Actor(f"key:{name}", Door.API, may, only)
        return name

    async def keep(self, name: str = "all") -> None:
        """Keep a program's key, for what goes on in its name."""
        actor, now = self.keeper.actors[name], self.rig.clock.now()
        key = ApiKey(
            name, name, "", None, None, tuple(right.value for right in actor.may), actor.only, "cli:test", now,
            now + timedelta(days=90), None, None, None, 1,
        )  # fmt: skip
        await api_keys.add(self.rig.parts.database, key, name, now, build_doorbell(self.rig.parts), "")

    async def ask(
        self, method: str, path: str, body: Any = None, *, as_: str | None = "all", **more: Any
    ) -> Any:
        """Send a request; `body` as JSON."""
        headers = dict(more.pop("headers", {}))
        if as_ is not None:
            headers["Authorization"] = f"Bearer {as_}"
        if body is not None:
            more["json"] = body
            if method == "PATCH":
                headers["Content-Type"] = "application/merge-patch+json"
        return await self.http.request(method, path, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> Any:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return await self.ask("POST", path, {} if body is None else body, **more)


@contextlib.asynccontextmanager
async def served(rig: Rig, *works: object) -> AsyncIterator[Api]:
    """Serve a rig's API."""
    keeper = Known()
    app = build(build_around(rig.parts, keeper, rig.meters, rig.watching.rounds, *works))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://th.test") as http:
        api = Api(rig, keeper, http)
        api.program("all")
        yield api


@pytest.fixture
async def api(tmp_path, sandbox, database_url) -> AsyncIterator[Api]:
    """One Clio Manage app, on SQLite and on PostgreSQL."""
    async with rigged(tmp_path, sandbox, database_url) as rig, served(rig) as found:
        yield found
