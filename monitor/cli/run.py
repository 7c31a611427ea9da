"""init and run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from monitor.cli.root import ConfigOption, loaded, out
from monitor.operations.actor import on_this_host


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(init)
    app.command()(run)


def init(
    directory: Annotated[Path, typer.Option("--dir", help="Where to write.")] = Path("."),
) -> None:
    """Write a commented token-health.toml and a fresh encryption key file. Overwrites nothing."""
    from monitor.operations.setting_up import begin

    begun = begin(on_this_host(), directory)
    out.print(
        f"[green]✓[/] {escape(str(begun.config))}: the configuration, with comments. Set your app there."
    )
    out.print(
        f"[green]✓[/] {escape(str(begun.key_file))}: the encryption key, readable by you only. "
        "Keep a copy apart from the database."
    )
    there = "" if directory == Path() else f" --config {shlex.quote(str(begun.config))}"
    out.print(f"\nNext: [bold]token-health run{escape(there)}[/]", soft_wrap=True)
    out.print(
        f"Then open [bold]{begun.console}[/] in a browser on this machine: its first page leads from "
        "your app to the first connection."
    )


def run(
    role: Annotated[
        Literal["all", "worker", "web"], typer.Option(help="Everything, or probing and pages apart.")
    ] = "all",
    config: ConfigOption = None,
) -> None:
    """Run the service: scheduler, probes, refreshes, web and metrics. Ends cleanly on SIGTERM."""
    from monitor.service.process import serve

    found = loaded(config, log=True)
    fast_loop(lambda: serve(found, role))


def fast_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on uvloop where there is one: half the CPU time a probe of asyncio's own loop."""
    import asyncio

    try:
        import uvloop
    except ImportError:
        asyncio.run(work())
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
