"""The door as it is: real keys and people in a real database, over the application that a listener serves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from alerts.outbox.tables import notice
from monitor.operations import api_keys, people
from monitor.operations.actor import Actor, Door
from monitor.operations.roles import MAY, Role
from monitor.operations.single_sign_on import SingleSignOn
from monitor.secret import Secret
from monitor.service.api import build_around
from monitor.store.tables import audit
from monitor.web.api.app import build
from monitor.web.app import application
from monitor.web.doorkeeper import Doorkeeper
from monitor.web.signin import SignIn
from tests.conftest import ME, Rig, rigged

PUBLIC = "https://th.agency.example"
PASSWORD = "correct horse battery"
SMALL = '[people]\nargon2 = "small"\n'
MAILS = '[smtp]\nurl = "smtp://127.0.0.1:9"\nfrom = "TH <th@agency.example>"\n[email]\noperator = "ops@agency.example"\n'
ADMIN = Actor("user:anna", Door.CONSOLE, MAY[Role.ADMIN])


@dataclass
class House:
    """A service's parts, and whoever comes to its API's listener."""

    rig: Rig
    single: SingleSignOn | None = None

    @property
    def parts(self):
        return self.rig.parts

    def served(self, listen: str = "127.0.0.1", proxies: tuple[str, ...] = ("127.0.0.1",)) -> Any:
        """The application of a listener, behind what believes the proxies."""
        keeper = Doorkeeper(self.parts, listen)
        api = build(build_around(self.parts, keeper, self.rig.meters, self.rig.watching.rounds))
        web = self.parts.loaded.settings.web
        app = application(None, None, web.names, sign_in=SignIn(self.parts, keeper, self.single), api=api)
        return ProxyHeadersMiddleware(app, list(proxies))

    def caller(
        self, peer: str = "203.0.113.9", base: str = PUBLIC, app: Any = None, **served: Any
    ) -> httpx.AsyncClient:
        """Somebody at an address. Connections come without TLS; what a proxy says, it says in headers."""
        transport = httpx.ASGITransport(app or self.served(**served), client=(peer, 40_000))
        return httpx.AsyncClient(transport=transport, base_url=base)

    async def key(self, *scopes: str, **more: Any) -> str:
        made = await api_keys.new(
            self.parts, ME, more.pop("name", "middleware"), scopes or ["connections:read"], **more
        )
        return made.secret.reveal()

    async def add(self, name: str = "anna", role: str = "admin") -> None:
        await people.add(self.parts, ME, name, role, Secret(PASSWORD))

    async def lines(self, *columns: str) -> list[tuple[Any, ...]]:
        """The audit's lines, oldest first."""
        async with self.parts.database.read() as conn:
            rows = await conn.execute(select(audit).order_by(audit.c.id))
            return [tuple(getattr(row, name) for name in columns or ("actor", "action")) for row in rows]

    async def told(self) -> list[str]:
        """What the operator is told."""
        async with self.parts.database.read() as conn:
            rows = await conn.execute(select(notice).where(notice.c.slot == "access").order_by(notice.c.id))
            return [row.reason for row in rows]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@contextlib.asynccontextmanager
async def opened(
    folder, sandbox, database: str, more: str = "", public: str = PUBLIC, web: str = ""
) -> AsyncIterator[House]:
    web = f'[web]\npublic_url = "{public}"\n{web}'
    async with rigged(folder, sandbox, database, more=web + SMALL + MAILS + more) as rig:
        yield House(rig)


@pytest.fixture
async def house(tmp_path, sandbox, database_url):
    """A service that the world reaches at PUBLIC, on SQLite and on PostgreSQL."""
    async with opened(tmp_path, sandbox, database_url) as found:
        yield found


@pytest.fixture
async def home(tmp_path, sandbox, sqlite_url):
    """A service that this machine alone reaches."""
    async with opened(tmp_path, sandbox, sqlite_url, public="http://127.0.0.1:8080") as found:
        yield found
