"""demo: the service beside a Clio sandbox, with connections of different fates, told as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table

from monitor.cli.root import out
from monitor.errors import TokenHealthError

if TYPE_CHECKING:
    from monitor.service import Parts

# The story ends when everybody's fate is known, or at the latest after so many seconds.
LONGEST = 55.0


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


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


FIRMS = (
    Firm("harbor", "Harbor Legal", "clio-us", 101, ""),
    Firm("maple", "Maple & Partners", "clio-us", 102, "revoked"),
    Firm("northgate", "Northgate Law", "clio-us", 103, "refresh_expired"),
    Firm("riverside", "Riverside Attorneys", "clio-us", 104, "insufficient_scope", granted=("contacts",)),
    Firm("oakwood", "Oakwood Counsel", "clio-us", 105, "role_restricted"),
    Firm("summit", "Summit Chambers", "clio-us", 106, "wrong_account", recorded_account=907),
    Firm("lindgren", "Lindgren Advokat", "clio-eu", 201, "provider_outage"),
    Firm("moreau", "Moreau Avocats", "clio-eu", 202, "provider_outage"),
    Firm("weber", "Weber Rechtsanwälte", "clio-eu", 203, "provider_outage"),
    Firm("pinecrest", "Pinecrest Law", "clio-ca", 301, "app_misconfigured"),
    Firm("coral", "Coral Bay Legal", "clio-au", 401, "unexpected"),
    Firm("sterling", "Sterling Platform", "platform", 501, "refresh_lost", scopes=()),
    Firm("newcomer", "Newcomer LLP", "clio-us", 107, "pending"),
)

CONFIG = """\
[web]
listen = "127.0.0.1:{web}"
[schedule]          # the story in seconds instead of minutes
interval = "3s"
recheck = "1s"
scope_interval = "4s"
timeout = "2s"
[guard]             # here half of the fleet breaks on purpose, each for a reason of its own
share = 0.95
[log]
format = "json"
"""
APP = """
[[apps]]
id = "{id}"
provider = "{provider}"
region = "{region}"
base_url = "{url}/{path}"
client_id = "{id}"
client_secret_env = "DEMO_SECRET"
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
class Stage:
    """The running demo: where things are, and what has been seen so far."""

    folder: Path
    sandbox: str
    began: float
    grants: dict[str, str] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)  # connection -> causes confirmed

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the sandbox's admin interface."""
        data = json.dumps(body).encode() if body is not None else b"{}"
        request = urllib.request.Request(  # noqa: S310 - our own sandbox, on loopback
            self.sandbox + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return json.load(answer)

    def to(self, firm: str, action: str, **body: Any) -> None:
        """Do something to a firm's grant."""
        self.call(f"/admin/grants/{self.grants[firm]}/{action}", body)

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


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running afterwards, to look around.")
    ] = False,
) -> None:
    """Show it all at work in a minute: a sandbox, a dozen connections, and what becomes of them."""
    asyncio.run(_demo(keep))


async def _demo(keep: bool) -> None:
    out.print(Rule("[bold]Token Health[/]: a minute in the life of a fleet", align="left"))
    out.print(
        "A Clio sandbox and the service start as processes of their own. The service knows nothing of what "
        "is about to happen; it only sees answers.\n"
    )
    folder = Path(tempfile.mkdtemp(prefix="token-health-demo-"))
    try:
        async with _stage(folder) as (stage, parts):
            await _story(stage, parts)
            await _summary(stage, parts)
            if keep:
                out.print(f"\nStill running. Metrics: {_web(folder)}/metrics. Ctrl-C ends it.")
                out.print(f"Look around: [bold]token-health status --config {folder}/token-health.toml[/]")
                await asyncio.Event().wait()
    except asyncio.CancelledError:
        out.print("Ended.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[tuple[Stage, Parts]]:
    from monitor import intake, settings
    from monitor.desk import take_in
    from monitor.service import opened
    from monitor.tokens.vault import new_key, write_key_file

    began = time.monotonic()
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "monitor.sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    service: subprocess.Popen[bytes] | None = None
    environ = os.environ | {"DEMO_SECRET": "demo-secret"}
    try:
        line = await asyncio.to_thread(sandbox.stdout.readline)  # type: ignore[union-attr]
        if not line.startswith("http"):
            raise TokenHealthError("The sandbox did not start; see the lines above.")
        stage = Stage(folder, line.strip(), began)
        (folder / "token-health.toml").write_text(
            CONFIG.format(web=_free_port())
            + "".join(
                APP.format(id=a, provider=p, region=r, path=path, url=stage.sandbox) for a, p, r, path in APPS
            )
        )
        write_key_file(folder / "token-health.key", [new_key()])
        _authorize(stage)
        loaded = settings.load(folder / "token-health.toml", environ)
        async with opened(loaded) as parts:
            await take_in(parts, intake.read(folder / "connections.jsonl", parts.apps), "demo")
            with (folder / "service.log").open("wb") as log:
                service = subprocess.Popen(  # noqa: S603 - ourselves
                    [sys.executable, "-m", "monitor", "run", "--config", str(folder / "token-health.toml")],
                    stdout=log,
                    stderr=log,
                    env=environ,
                )
            yield stage, parts
    finally:
        for process in (service, sandbox):
            if process is not None:
                process.terminate()
                process.wait(timeout=12)


def _authorize(stage: Stage) -> None:
    """Let every firm but the pending one authorize its app at the sandbox, and write the import file."""
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
                **life,
            },
        )
    lines = []
    for firm in FIRMS:
        record: dict[str, Any] = {
            "id": firm.id,
            "app": firm.app,
            "scopes": firm.scopes,
            "client": {"name": firm.name, "contacts": [f"it@{firm.id}.example"]},
        }
        if firm.fate != "pending":
            region = next(path for app, _, _, path in APPS if app == firm.app)
            wish: dict[str, Any] = {
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


async def _story(stage: Stage, parts: Parts) -> None:
    """Play the acts, and report each verdict as the service reaches it."""
    acts = [
        (0.5, lambda: stage.say(f"{len(FIRMS)} connections are imported; the service probes them all.")),
        (6.0, lambda: _troubles(stage)),
        (13.0, lambda: _outage(stage)),
        (20.0, lambda: _mend(stage)),
    ]
    told = 0
    while (elapsed := time.monotonic() - stage.began) < LONGEST:
        while acts and elapsed >= acts[0][0]:
            acts.pop(0)[1]()
        told = await _report(stage, parts, told)
        if not acts and _complete(stage):
            return
        await asyncio.sleep(0.25)


def _troubles(stage: Stage) -> None:
    stage.say("Maple removes the app. Northgate's refresh token runs out. Oakwood's user loses a role.")
    stage.to("maple", "revoke")
    stage.to("northgate", "expire_refresh")
    stage.to("oakwood", "restrict_role", resources=["matters"])
    stage.say("Somebody changes the Canadian app's secret at the provider; a firewall covers Australia.")
    stage.call("/admin/apps", {"client_id": "clio-ca", "secret": "changed"})
    stage.to("pinecrest", "expire_access")
    stage.call("/admin/weather", {"region": "au", "mode": "waf"})
    stage.say("The network drops one answer, just as Sterling's refresh token was replaced.")
    stage.call("/admin/limits", {"lose_answers": 1})


def _outage(stage: Stage) -> None:
    stage.say("Clio's European region goes down for twelve seconds.")
    stage.call("/admin/weather", {"region": "eu", "mode": "down", "for": 12})


def _mend(stage: Stage) -> None:
    stage.say("Oakwood's administrator gives the role back.")
    stage.to("oakwood", "restore", resources=["matters"])


async def _report(stage: Stage, parts: Parts, after: int) -> int:
    """Print the verdicts that are new since the last look; return the newest one's number."""
    from monitor.cli.show import SIGN, STYLE
    from monitor.health.causes import consequence
    from monitor.health.lifecycle import State
    from monitor.store import history

    for number, connection, change in await history.since(parts.database, after):
        after = number
        seen = stage.seen.setdefault(connection, [])
        broken = change.state is State.BROKEN
        seen.append(change.cause.value if broken else change.state.value)
        if change.state is State.SUSPECT:
            continue  # a doubt; nobody is told, so the demo does not tell either
        text = f"[{STYLE[change.state]}]{SIGN[change.state]} {connection} {change.state.value}[/]"
        if broken:
            advice = escape(consequence(change.cause).advice)
            stage.line(f"{text}: [bold]{change.cause.value}[/]", f"[dim]{change.owner.value}:[/] {advice}")
        elif seen[:-1].count("healthy"):
            stage.line(f"{text}: recovered by itself; its incident is closed.")
        else:
            stage.line(text)
    return after


def _complete(stage: Stage) -> bool:
    """Whether every fate was found, and what was to recover has recovered."""
    for firm in FIRMS:
        seen = stage.seen.get(firm.id, [])
        if firm.fate not in ("", "pending") and firm.fate not in seen:
            return False
        if firm.fate in ("provider_outage", "role_restricted", "") and (not seen or seen[-1] != "healthy"):
            return False
    return True


async def _summary(stage: Stage, parts: Parts) -> None:
    from monitor.cli.look import print_explanation
    from monitor.cli.show import fleet_table, plain_table, summary, worst_first
    from monitor.health.causes import TABLE, Cause
    from monitor.store import connections

    out.print()
    out.print(Rule("[bold]How it stands[/]  (token-health status)", align="left"))
    fleet = worst_first(await connections.every(parts.database))
    out.print(fleet_table(fleet, parts.clock.now(), out))
    out.print(summary(fleet))
    out.print()
    out.print(Rule("[bold]One of them[/]  (token-health explain maple)", align="left"))
    await print_explanation(parts, "maple")
    out.print()
    out.print(Rule("[bold]Summary[/]", align="left"))
    table = plain_table("connection", "found", "as it was?", "client to be mailed?", "recovered?")
    wrong = 0
    for firm in FIRMS:
        seen = stage.seen.get(firm.id, [])
        found = [s for s in seen if s not in ("healthy", "suspect")]
        right = (firm.fate in found) if firm.fate not in ("", "pending") else not found
        wrong += not right
        mailed = any(TABLE[Cause(cause)].client_mail for cause in found)
        table.add_row(
            firm.id,
            ", ".join(dict.fromkeys(found)) or firm.fate or "healthy",
            "[green]✓[/]" if right else "[red]✗[/]",
            "yes" if mailed else "no",
            "yes" if found and seen[-1] == "healthy" else "",
        )
    out.print(table)
    known = len(FIRMS) - wrong
    out.print(
        f"{known} of {len(FIRMS)} fates found out in {time.monotonic() - stage.began:.0f} s. "
        "The outage came and went without a client to blame."
    )
    if wrong:
        raise TokenHealthError(f"{wrong} of the demo's connections were not found out; this is a defect.")


def _web(folder: Path) -> str:
    import tomllib

    listen = tomllib.loads((folder / "token-health.toml").read_text())["web"]["listen"]
    return f"http://{listen}"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
