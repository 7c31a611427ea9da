"""A provider that a test makes up, on real HTTP: its file is a few lines, its answers are what the test says."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from werkzeug import Request, Response

from monitor.operations import imports, intake
from monitor.operations import links as asking
from monitor.service.assembly import build_pages
from monitor.web.app import application
from monitor.web.ops import Ops, Pulse
from tests.conftest import MAIL, ME, PUBLIC_URL, rigged

HEAD = """
name = "madeup"
title = "Made Up"
[regions.us]
base_url = "https://api.madeup.example"
"""


@dataclass
class Standin:
    """Answers by the last part of the path, each a document or a status with one; keeps what it was asked."""

    server: Any
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.expect_request(re.compile(".*")).respond_with_handler(self._handle)

    @property
    def url(self) -> str:
        return str(self.server.url_for("")).rstrip("/")

    def app(self, *_args: Any, **_more: Any) -> None:
        """It knows every app."""

    def token(self, **more: Any) -> None:
        """What the token endpoint answers from now on; None takes a member out."""
        pair = {"access_token": f"access-{len(self.asked)}", "refresh_token": f"refresh-{len(self.asked)}"}
        told = pair | {"token_type": "bearer", "expires_in": 3600} | more
        self.answers["token"] = {name: value for name, value in told.items() if value is not None}

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]

    def _handle(self, request: Request) -> Response:
        self.asked.append((request.method, request.full_path.rstrip("?"), request.form.to_dict()))
        found = self.answers.get(request.path.rsplit("/", 1)[1], (404, {"error": "not_here"}))
        status, document = found if isinstance(found, tuple) else (200, found)
        return Response(json.dumps(document), status, content_type="application/json")


@contextlib.asynccontextmanager
async def standing(tmp_path, server, database, text, *, extra="", mail=None, clock=None):
    """A rig whose one app, `madeup`, is at a stand-in by the provider file of `text`."""
    file = tmp_path / "madeup.toml"
    file.write_text(HEAD + text)
    provider = Standin(server)
    apps = {"madeup": {"scopes": [], "extra": f'provider_file = "{file}"\n{extra}'}}
    more = MAIL.format(url=mail.url) if mail is not None else ""
    async with rigged(tmp_path, provider, database, apps=apps, more=more, clock=clock) as rig:
        yield rig, provider


async def take(rig, name="acme", **more):
    """Import one connection."""
    client = {"name": f"Firm {name}", "contacts": [f"it@{name}.example"]}
    record = intake.Record.model_validate({"id": name, "app": "madeup", "client": client} | more)
    return await imports.take_in(rig.parts, ME, [record])


def tokens(rig, **more):
    """Tokens of a file."""
    return {"access_token": "file-access", "refresh_token": "file-refresh"} | more


def listed(*names):
    """An answer that lists accounts."""
    return {"all": [{"id": name.lower(), "name": name} for name in names]}


@dataclass
class Came:
    """What a client saw who went through the consent."""

    asked: dict[str, list[str]]
    status: int
    text: str

    @property
    def title(self) -> str:
        return re.search(r"<h1>(.*?)</h1>", self.text)[1]  # type: ignore[index]


async def authorize(rig, name="acme", **query) -> Came:
    """Walk from an operator's link to the callback, with what the provider sends along in its query."""
    link = await asking.new(rig.parts, ME, name)
    ops = Ops(None, lambda: Pulse(True, 0.0, 1, {}), lambda: None)
    pages = build_pages(rig.parts, rig.granter, rig.watching.rounds, rig.meters)
    transport = httpx.ASGITransport(application(ops, pages))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as browser:
        started = await browser.post(urlsplit(link).path)
        assert started.status_code == 303, started.text
        asked = parse_qs(urlsplit(started.headers["location"]).query)
        back = urlencode({"code": "a-code", "state": asked["state"][0]} | query)
        page = await browser.get(f"{urlsplit(asked['redirect_uri'][0]).path}?{back}")
    return Came(asked, page.status_code, page.text)
