"""The demo's middleware: a process that works with the firms' tokens, and what it says of its work."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from monitor.cli.demo import DEMO
from monitor.cli.demo.stage import FIRMS, Middleware, Stage
from monitor.errors import TokenHealthError

if TYPE_CHECKING:
    from monitor.settings.parts import Parts

SCOPES = ("tokens:read", "signals:write", "events:read")


async def at_work(stage: Stage, _parts: Parts) -> bool:
    """Whether it has been through all firms once, or there is none: somebody has never authorized."""
    return stage.middleware is None or bool(stage.middleware.parked)


async def begins(stage: Stage, parts: Parts) -> None:
    """Give the middleware a key of its own and start it, where the client library is at hand."""
    from monitor.operations import api_keys

    found = _library()
    if found is None:
        stage.say("[dim]No middleware plays: its client library is not here.[/]")
        return
    made = await api_keys.new(parts, DEMO, "middleware", SCOPES)
    stage.say(f"A middleware begins: a key for {', '.join(SCOPES)}, and no tokens.")
    env = os.environ | found | {"TOKEN_HEALTH_URL": stage.web, "TOKEN_HEALTH_KEY": made.secret.reveal()}
    with (stage.folder / "middleware.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - ourselves
            [sys.executable, "-m", "monitor.sandbox.middleware", *(firm.id for firm in FIRMS)],
            stdout=subprocess.PIPE, stderr=log, text=True, env=env,
        )  # fmt: skip
    stage.beside.append(process)
    stage.middleware = Middleware()
    threading.Thread(target=stage.middleware.listen, args=(process.stdout,), daemon=True).start()


def report(stage: Stage) -> None:
    """Show what it said since the last look."""
    one = stage.middleware
    while one is not None and not one.said.empty():
        at, line = one.said.get()
        firm, _, said = line.partition(" ")
        if said.startswith("parked"):
            one.parked.add(firm)
            stage.line(f"[magenta]middleware:[/] {escape(line)}")
            continue
        one.mended.add(firm)
        after = f", {at - stage.approved[firm]:.1f} s after the client approved" * (firm in stage.approved)
        stage.line(f"[magenta]middleware:[/] [green]{escape(firm)} {escape(said)}[/]{after}")


def goes_on(stage: Stage) -> bool:
    """Whether it works again where a client has approved; so without a middleware, too."""
    return stage.middleware is None or stage.approved.keys() <= stage.middleware.mended


def summary(stage: Stage) -> str | None:
    """Say how it fared. Raises TokenHealthError where it did not go on by itself."""
    one = stage.middleware
    if one is None:
        return None
    if not goes_on(stage):
        raise TokenHealthError("The demo's middleware did not go on by itself; this is a defect.")
    firms = " and ".join(sorted(stage.approved))
    return (
        f"The middleware parked {len(one.parked)} of {len(FIRMS)} firms, each with its cause, and went on "
        f"with {firms} by itself."
    )


def _library() -> dict[str, str] | None:
    """Return what the environment needs for the client library to be found; None where there is none.

    It is no part of the service's installation: middlewares have it. A checkout brings it along.
    """
    if importlib.util.find_spec("token_health_client") is not None:
        return {}
    beside = Path(__file__).parents[3] / "clients" / "python"
    return {"PYTHONPATH": str(beside)} if (beside / "token_health_client").is_dir() else None
