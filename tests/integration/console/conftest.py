"""The console as it is: real people in a real database, over the application that a listener serves."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from monitor.operations import people
from monitor.operations.actor import Actor, Door
from monitor.operations.roles import MAY, Role
from monitor.secret import Secret
from monitor.service.api import build_around, build_console
from monitor.web.api.app import build
from monitor.web.api.streams import Streams
from monitor.web.app import application
from monitor.web.doorkeeper import Doorkeeper
from monitor.web.signin import SignIn
from tests.conftest import ME, Rig, rigged

PASSWORD = "correct horse battery"
HERE = "http://127.0.0.1:8080"
ADMIN = Actor("user:ada", Door.CONSOLE, MAY[Role.ADMIN])
MORE = f"""
[web]
public_url = "{HERE}"
[people]
argon2 = "small"
[smtp]
url = "smtp://127.0.0.1:9"
from = "TH <th@agency.example>"
"""


@dataclass
class Person:
    """Somebody at a browser."""

    http: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def post(self, path: str, form: Any = None, **more: Any) -> httpx.Response:
        headers = {"sec-fetch-site": "same-origin", **more.pop("headers", {})}
        return await self.http.post(path, data=form or {}, headers=headers, **more)

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Look at the page that an action leads to."""
        assert answer.status_code == 303, (answer.status_code, words(answer))
        return await self.get(answer.headers["location"])


@dataclass
class Console:
    """A service's console, and who uses it: `admin`, `operator`, `viewer` sign in when they are first asked for."""

    rig: Rig
    app: Any
    stack: contextlib.AsyncExitStack
    streams: Streams
    _people: dict[str, Person] = field(default_factory=dict)

    @property
    def parts(self):
        return self.rig.parts

    async def anybody(self, base: str = HERE, peer: str = "127.0.0.1") -> Person:
        """Somebody who has not signed in."""
        transport = httpx.ASGITransport(self.app, client=(peer, 40_000))
        http = httpx.AsyncClient(transport=transport, base_url=base)
        return Person(await self.stack.enter_async_context(http))

    async def as_(self, role: str) -> Person:
        """A person of a role, signed in."""
        if role not in self._people:
            await people.add(self.parts, ME, f"{role}-one", role, Secret(PASSWORD))
            person = await self.anybody()
            form = {"name": f"{role}-one", "password": PASSWORD, "next": "/"}
            answer = await person.post("/sign-in", form)
            assert answer.status_code == 303, answer.text
            self._people[role] = person
        return self._people[role]

    async def admin(self) -> Person:
        return await self.as_("admin")

    async def operator(self) -> Person:
        return await self.as_("operator")

    async def viewer(self) -> Person:
        return await self.as_("viewer")


def words(answer: httpx.Response) -> str:
    """What a page says, without its markup."""
    text = re.sub(r"<(script|style|symbol|dialog)\b.*?</\1>", " ", answer.text, flags=re.S)
    text = re.sub(r"<[^>]+>", " ", text)
    return re.sub(r"\s+", " ", html.unescape(text)).strip()


@contextlib.asynccontextmanager
async def served(rig: Rig) -> AsyncIterator[Console]:
    """Serve a rig's console."""
    keeper = Doorkeeper(rig.parts, "127.0.0.1")
    around = build_around(rig.parts, keeper, rig.meters, rig.watching.rounds, rig.watching)
    app = application(
        None, None, rig.parts.loaded.settings.web.names,
        sign_in=SignIn(rig.parts, keeper), api=build(around), console=build_console(around, keeper),
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        yield Console(rig, app, stack, around.works[Streams])


@pytest.fixture
async def console(tmp_path, sandbox, database_url) -> AsyncIterator[Console]:
    """One Clio Manage app, on SQLite and on PostgreSQL."""
    async with rigged(tmp_path, sandbox, database_url, more=MORE) as rig, served(rig) as found:
        yield found


@pytest.fixture
async def small(tmp_path, sandbox, sqlite_url) -> AsyncIterator[Console]:
    """The same on SQLite alone, for what does not touch the database."""
    async with rigged(tmp_path, sandbox, sqlite_url, more=MORE) as rig, served(rig) as found:
        yield found
