"""A provider that says what a test writes down for it, over real HTTP: for dialects that the sandbox lacks."""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from monitor.operations import imports, intake
from tests.conftest import ME, Rig, Sandbox, rigged

ACCESS, REFRESH = "acc-5d41402abc4b2a76b971", "ref-7d793037a0760186574b"

FILE = """
name = "mine"
title = "Mine"
[regions.us]
base_url = "https://api.example"
[oauth]
authorize = "/authorize"
token = "/token"
rotates_refresh_token = true
{oauth}
[whoami]
path = "/me"
account_id = "id"
user = "login"
{whoami}
[scopes.contacts]
probe = "/contacts"
{more}
"""


def said(status: int = 200, body: Any = None, **headers: str) -> Response:
    """An answer in JSON, or a text as it is."""
    text = body if isinstance(body, str) else json.dumps(body if body is not None else {})
    kind = "application/json" if not isinstance(body, str) else "text/plain"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(text, status, named, content_type=kind)


class Dialect:
    """What it answers, by path: one after the other, the last again and again; and what it was asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.answers: dict[str, list[Response]] = defaultdict(list)
        self.asked: list[Request] = []
        server.expect_request(re.compile(".*")).respond_with_handler(self._handle)

    def _handle(self, request: Request) -> Response:
        if request.path.startswith("/admin"):
            return said()
        request.get_data()  # before the connection is gone
        self.asked.append(request)
        answers = self.answers[request.path.removeprefix("/us")]
        if not answers:
            return said(404, "nothing here")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def of(self, path: str) -> list[Request]:
        """Return the requests of a path."""
        return [request for request in self.asked if request.path == f"/us{path}"]


@contextlib.asynccontextmanager
async def speaking(
    folder: Path, dialect: Dialect, *, oauth: str = "", whoami: str = "", more: str = "", limits: str = ""
) -> AsyncIterator[Rig]:
    """A rig whose one app is registered at this provider."""
    file = folder / "mine.toml"
    file.write_text(FILE.format(oauth=oauth, whoami=whoami, more=more))
    apps = {"mine": {"scopes": ["contacts"], "extra": f'provider_file = "{file}"\n{limits}'}}
    database = f"sqlite:///{folder / 'th.db'}"
    async with rigged(folder, Sandbox(dialect.url), database, apps=apps) as rig:
        yield rig


async def connect(
    rig: Rig, *names: str, scopes: tuple[str, ...] = (), account: str = "7", refresh: str | None = REFRESH
) -> None:
    """Import connections with a pair each."""
    ends = rig.clock.now() + timedelta(days=1)
    tokens = {"access_token": ACCESS, "refresh_token": refresh, "expires_at": ends}
    records = [
        intake.Record.model_validate(
            {
                "id": name,
                "app": "mine",
                "client": {"name": f"Firm {name}", "contacts": [f"it@{name}.example"]},
                "scopes": scopes,
                "account_id": account,
                "tokens": {key: value for key, value in tokens.items() if value is not None},
            }
        )
        for name in names
    ]
    await imports.take_in(rig.parts, ME, records)
