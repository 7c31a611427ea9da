"""The demo's stage: a sandbox, a mailbox and the service as processes, and a client who reads mail."""

from __future__ import annotations

import asyncio
import contextlib
import html
import http.cookiejar
import json
import queue
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table

from monitor.cli.demo import DEMO
from monitor.cli.root import out
from monitor.errors import TokenHealthError

if TYPE_CHECKING:
    from monitor.settings.parts import Parts


@dataclass(frozen=True)
class Firm:
    """A client of the demo, and what will become of its connection."""

    id: str
    name: str
    app: str
    account: int
    fate: str  # the cause that has to be found; "" for healthy
    scopes: tuple[str, ...] = ("contacts", "matters")
    granted: tuple[str, ...] | None = None
    recorded_account: int | None = None
    speaks: dict[str, str] = field(default_factory=dict)


FRENCH = {"locale": "fr", "timezone": "Europe/Paris"}
GERMAN = {"locale": "de", "timezone": "Europe/Berlin"}
FIRMS = (
    Firm("harbor", "Harbor Legal", "clio-us", 101, ""),
    Firm("maple", "Maple & Partners", "clio-us", 102, "revoked"),
    Firm("northgate", "Northgate Law", "clio-us", 103, "refresh_expired"),
    Firm("riverside", "Riverside Attorneys", "clio-us", 104, "insufficient_scope", granted=("contacts",)),
    Firm("oakwood", "Oakwood Counsel", "clio-us", 105, "role_restricted"),
    Firm("summit", "Summit Chambers", "clio-us", 106, "wrong_account", recorded_account=907),
    Firm("lindgren", "Lindgren Advokat", "clio-eu", 201, "provider_outage"),
    Firm("moreau", "Moreau Avocats", "clio-eu", 202, "provider_outage", speaks=FRENCH),
    Firm("weber", "Weber Rechtsanwälte", "clio-eu", 203, "provider_outage", speaks=GERMAN),
    Firm("pinecrest", "Pinecrest Law", "clio-ca", 301, "app_misconfigured"),
    Firm("coral", "Coral Bay Legal", "clio-au", 401, "unexpected"),
    Firm("sterling", "Sterling Platform", "platform", 501, "refresh_lost", scopes=()),
    Firm("newcomer", "Newcomer LLP", "clio-us", 107, "pending"),
)

CONFIG = """\
[web]
listen = "127.0.0.1:{web}"
public_url = "http://127.0.0.1:{web}"
[schedule]          # the story in seconds instead of minutes
interval = "3s"
recheck = "1s"
scope_interval = "4s"
timeout = "2s"
{guard}[smtp]
url = "{smtp}"
from = "Northwind Integrations <integrations@northwind.example>"
[email]
delay = "2s"        # an hour, if it were for real
release_delay = "1s"
quiet_hours = ""
operator = "ops@northwind.example"
[brand]
support = "help@northwind.example"
footer = "Northwind Integrations Ltd · 1 Harbour Street"
[log]
format = "json"
"""
GUARD_OFF = """\
[guard]             # half of this fleet breaks within a minute, made up, each for a reason of its own: by the
once_in = "never"   # usual rule that is no chance, and the mails would be held
share = 0.95
"""
APP = """
[[apps]]
id = "{id}"
provider = "{provider}"
region = "{region}"
base_url = "{url}/{path}"
client_id = "{id}"
client_secret_file = "app-secret"
scopes = ["contacts", "matters"]
"""
APPS = (
    ("clio-us", "clio", "us", "us"),
    ("clio-eu", "clio", "eu", "eu"),
    ("clio-ca", "clio", "ca", "ca"),
    ("clio-au", "clio", "au", "au"),
    ("platform", "clio-platform", "us", "platform-us"),
)


@dataclass
class Middleware:
    """What the middleware's process has said so far, and who was parked or goes on."""

    said: queue.SimpleQueue[tuple[float, str]] = field(default_factory=queue.SimpleQueue)
    parked: set[str] = field(default_factory=set)
    mended: set[str] = field(default_factory=set)

    def listen(self, stream: IO[str]) -> None:
        """Take what it says, with the moment, until it ends."""
        for line in stream:
            self.said.put((time.monotonic(), line.strip()))


@dataclass
class Stage:
    """The running demo: where things are, and what has been seen so far."""

    folder: Path
    sandbox: str
    mailbox: str
    smtp: str
    web: str
    began: float
    mails: int = 0  # how many were shown
    grants: dict[str, str] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)  # connection -> causes confirmed
    approved: dict[str, float] = field(default_factory=dict)  # connection -> when its client did
    middleware: Middleware | None = None
    beside: list[subprocess.Popen[str]] = field(default_factory=list)  # ends before the service does

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the sandbox's admin interface."""
        data = json.dumps(body).encode() if body is not None else b"{}"
        request = urllib.request.Request(  # noqa: S310 - our own sandbox, on loopback
            self.sandbox + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return json.load(answer)

    def arrived(self) -> list[dict[str, str]]:
        """Return the mails in the mailbox, oldest first."""
        with urllib.request.urlopen(f"{self.mailbox}/messages.json", timeout=5) as answer:  # noqa: S310
            return list(json.load(answer))

    def newest_link(self, firm: str) -> str | None:
        """Return the link in the newest mail to a firm."""
        for mail in reversed(self.arrived()):
            found = re.search(r"https?://\S+/r/\S+", mail["text"])
            if mail["to"] == f"it@{firm}.example" and found:
                return found.group()
        return None

    def to(self, firm: str, action: str, **body: Any) -> None:
        """Do something to a firm's grant."""
        self.to_grant(self.grants[firm], action, **body)

    def to_grant(self, grant: str, action: str, **body: Any) -> None:
        """Do something to a grant."""
        self.call(f"/admin/grants/{grant}/{action}", body)

    def say(self, text: str) -> None:
        """Say what happens in the story."""
        self.line(f"[bold blue]▸[/] {text}")

    def line(self, text: str, *below: str) -> None:
        """Print a line with its time, and what belongs to it below, wrapped beside the time."""
        row = Table.grid(padding=(0, 2))
        row.add_column(justify="right", style="dim", no_wrap=True)
        row.add_column()
        row.add_row(f"{time.monotonic() - self.began:5.1f} s", text)
        for more in below:
            row.add_row("", Padding(more, (0, 0, 0, 2), expand=False))
        out.print(row)


@contextlib.asynccontextmanager
async def stage_set(folder: Path) -> AsyncIterator[tuple[Stage, Parts]]:
    """Start sandbox, mailbox and service, with every firm authorized and imported; end them at the end."""
    began = time.monotonic()
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "monitor.sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    mailbox = subprocess.Popen(
        [sys.executable, "-m", "monitor.sandbox.mailbox", "--smtp", "0", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = await asyncio.to_thread(sandbox.stdout.readline)  # type: ignore[union-attr]
        if not line.startswith("http"):
            raise TokenHealthError("The sandbox did not start; see the lines above.")
        smtp, _, mails = (await asyncio.to_thread(mailbox.stdout.readline)).strip().partition(" ")  # type: ignore[union-attr]
        if not smtp.startswith("smtp"):
            raise TokenHealthError("The mailbox did not start; see the lines above.")
        port = free_port()
        stage = Stage(folder, line.strip(), mails, smtp, f"http://127.0.0.1:{port}", began)
        _authorize(stage)
        async with serving(stage, GUARD_OFF, APPS) as parts:
            try:
                yield stage, parts
            finally:
                _end(*stage.beside)
    finally:
        _end(sandbox, mailbox)


@contextlib.asynccontextmanager
async def serving(
    stage: Stage, guard: str, apps: Sequence[tuple[str, str, str, str]]
) -> AsyncIterator[Parts]:
    """Configure a service in the stage's folder, import its connections, run it; end it at the end."""
    from monitor.operations import imports, intake, keys
    from monitor.settings.file import load
    from monitor.settings.parts import opened

    folder, file = stage.folder, stage.folder / "token-health.toml"
    file.write_text(
        CONFIG.format(web=stage.web.rpartition(":")[2], smtp=stage.smtp, guard=guard)
        + "".join(
            APP.format(id=a, provider=p, region=r, path=path, url=stage.sandbox) for a, p, r, path in apps
        )
    )
    keys.make_file(DEMO, folder / "token-health.key")
    (folder / "app-secret").write_text("demo-secret")
    async with opened(load(file)) as parts:
        await imports.take_in(parts, DEMO, intake.read(folder / "connections.jsonl", parts.apps))
        with (folder / "service.log").open("wb") as log:
            service = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "monitor", "run", "--config", str(file)], stdout=log, stderr=log
            )
        try:
            yield parts
        finally:
            _end(service)


def _end(*processes: subprocess.Popen[Any]) -> None:
    for process in processes:
        process.terminate()
        process.wait(timeout=12)


def _authorize(stage: Stage) -> None:
    """Let every firm but the pending one authorize its app at the sandbox, and write the import file."""
    stage.call("/admin/limits", {"per_minute": 500})  # 50 by Clio's own; here a minute passes in seconds
    for app, provider, _, _ in APPS:
        system = "platform" if provider == "clio-platform" else "manage"
        life = {"lifetime": 14} if system == "platform" else {}
        stage.call(
            "/admin/apps",
            {
                "client_id": app,
                "secret": "demo-secret",
                "system": system,
                "permissions": ["contacts", "matters"],
                "redirect_uris": [f"{stage.web}/oauth/callback"],
                **life,
            },
        )
    lines = []
    for firm in FIRMS:
        wish: dict[str, Any]
        record: dict[str, Any] = {
            "id": firm.id,
            "app": firm.app,
            "scopes": firm.scopes,
            "client": {"name": firm.name, "contacts": [f"it@{firm.id}.example"], **firm.speaks},
        }
        if firm.fate == "pending":
            # Its user is there; it has only never authorized the app, and so nothing is imported.
            wish = {"client_id": firm.app, "account_id": firm.account, "account_name": firm.name}
            made = stage.call("/admin/grants", {"grants": [wish | {"email": f"it@{firm.id}.example"}]})
            stage.to_grant(made["grants"][0]["grant"], "revoke")
        else:
            region = next(path for app, _, _, path in APPS if app == firm.app)
            wish = {
                "client_id": firm.app,
                "account_id": firm.account,
                "account_name": firm.name,
                "region": region,
                "email": f"it@{firm.id}.example",
            }
            if firm.granted is not None:
                wish["permissions"] = firm.granted
            made = stage.call("/admin/grants", {"grants": [wish]})["grants"][0]
            stage.grants[firm.id] = made["grant"]
            tokens = made["tokens"]
            record["tokens"] = {
                "access_token": tokens["access_token"],
                "refresh_token": tokens["refresh_token"],
                "expires_at": time.strftime(
                    "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + tokens["expires_in"])
                ),
            }
            record["account_id"] = str(firm.recorded_account or firm.account)
        lines.append(json.dumps(record) + "\n")
    (stage.folder / "connections.jsonl").write_text("".join(lines))


class Reader:
    """A client at a browser without JavaScript: opens a link, decides, and reads what the page says."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )

    def approve(self, link: str, account: str) -> str:
        """Follow a link, approve with an account, and return the last page's heading."""
        page, consent = self._open(link, b"")
        choices = re.findall(r'value="(\d+)"[^>]*>\s*<span>([^<]*)', page)
        user = next(number for number, name in choices if html.unescape(name) == account)
        form = urllib.parse.urlencode({"user": user, "decision": "approve"}).encode()
        page, _ = self._open(consent, form)
        heading = re.search(r"<h1>(.*?)</h1>", page)
        return heading.group(1) if heading else ""

    def _open(self, url: str, form: bytes) -> tuple[str, str]:
        try:
            with self._opener.open(url, form, timeout=10) as answer:
                return answer.read().decode(), answer.geturl()
        except urllib.error.HTTPError as error:  # a page that says no is a page
            return error.read().decode(), error.geturl() or url


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
