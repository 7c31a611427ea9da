"""Programs in front of running services: several processes on one database, real keys, requests over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.test_processes import Program, cli, config, free_port, get, until
from tests.conftest import Sandbox

APPS = ("clio", "plat")
BOTH = {
    "clio": {},
    "plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"},
}


class Process(Program):
    """One `token-health run --role ROLE`."""

    def __init__(self, path: Path, role: str) -> None:
        self.port = free_port()
        super().__init__(path, APPS, self.port, role=role)


@dataclass
class House:
    """A configuration, what runs of it, and the key that asks."""

    path: Path
    sandbox: Sandbox
    key: str = ""
    processes: list[Process] = field(default_factory=list)

    def start(self, *roles: str) -> list[Process]:
        """Start processes, and return them when all of them answer."""
        started = [Process(self.path, role) for role in roles]
        self.processes += started
        for one in started:
            until(lambda one=one: get(one.port, "/readyz")[0] == 200)
        return started

    def new_key(self, name: str, *scopes: str, more: Iterable[str] = ()) -> str:
        """Make a key by the command."""
        words = [word for scope in scopes for word in ("--scope", scope)]
        return cli(self.path, "api", "keys", "new", name, *words, *more, apps=APPS).strip()

    def url(self, at: int, what: str) -> str:
        return f"http://127.0.0.1:{self.processes[at].port}/api/v1{what}"

    def ask(
        self, method: str, what: str, at: int = 0, *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        """Send one request to a process."""
        headers = {"Authorization": f"Bearer {key or self.key}"} | dict(more.pop("headers", {}))
        return httpx.request(method, self.url(at, what), headers=headers, timeout=70, **more)

    def at_once(
        self, *asked: tuple[str, int, str], within: float = 70, keyed: bool = True, **more: Any
    ) -> list[httpx.Response]:
        """Send all of (method, process, path) at the same moment, each over a connection of its own.

        Without the key it is whoever is on this machine who asks.
        """
        return asyncio.run(self._at_once(asked, within, keyed, more))

    async def _at_once(
        self, asked: Sequence[tuple[str, int, str]], within: float, keyed: bool, more: dict[str, Any]
    ) -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=len(asked))
        headers = ({"Authorization": f"Bearer {self.key}"} if keyed else {}) | more.pop("headers", {})
        async with httpx.AsyncClient(headers=headers, timeout=within, limits=limits) as client:
            return await asyncio.gather(
                *(client.request(method, self.url(at, what), **more) for method, at, what in asked)
            )

    def authorize(self, name: str, app: str, seconds: int, account: int) -> dict[str, Any]:
        """Authorize a connection at the sandbox and give its pair to the service, over the API."""
        region = "us" if app == "clio" else "platform-us"
        wish = {"client_id": app, "account_id": account, "account_name": f"Firm {name}", "region": region}
        (made,) = self.sandbox.grants([wish])
        record = {
            "app": app, "account_id": str(account), "client": {"name": f"Firm {name}", "contacts": []},
            "tokens": pair(made, seconds),
        }  # fmt: skip
        answer = self.ask("PUT", f"/connections/{name}", json=record, headers={"If-None-Match": "*"})
        assert answer.status_code == 201, answer.text
        return made

    def end(self) -> None:
        for one in self.processes:
            if not one.log.closed:
                one.end()


def pair(made: dict[str, Any], seconds: int) -> dict[str, Any]:
    """The tokens of a grant as they are imported, good for so many seconds as far as the books know."""
    ends = time.gmtime(time.time() + seconds)  # noqa: TID251 - the services' own clock
    tokens = made["tokens"]
    return {
        "access_token": tokens["access_token"], "refresh_token": tokens["refresh_token"],
        "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", ends),
    }  # fmt: skip


@contextlib.contextmanager
def house(
    folder: Path, sandbox: Sandbox, database: str, *roles: str, more: str = "", **given: Any
) -> Iterator[House]:
    """Run processes of a service with an app whose refresh tokens are reused, and one where they rotate."""
    sandbox.app("clio")
    sandbox.app("plat", system="platform")
    path = config(folder, sandbox, database, apps=BOTH, more=more, **given)
    path.write_text(path.read_text() + "connections = 500\n")
    found = House(path, sandbox)
    found.key = found.new_key(
        "middleware", "tokens:read", "signals:write", "connections:read", "connections:write",
        "connections:operate", "incidents:read",
    )  # fmt: skip
    try:
        found.start(*roles)
        yield found
    finally:
        found.end()


def states(one: House, at: int = 0) -> dict[str, str]:
    """How each connection is, as its row says."""
    rows = json.loads(one.ask("GET", "/connections?limit=500", at).text)["items"]
    return {row["id"]: row["state"] for row in rows}
