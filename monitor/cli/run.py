"""init and run."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from monitor.cli.root import ConfigOption, loaded, out
from monitor.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(init)
    app.command()(run)


def init(
    directory: Annotated[Path, typer.Option("--dir", help="Where to write.")] = Path("."),
) -> None:
    """Write a commented token-health.toml and a fresh encryption key file. Overwrites nothing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from monitor.host.files import create, make_folder
    from monitor.settings.file import DEFAULT_FILE
    from monitor.settings.whole import Settings
    from monitor.tokens.vault import new_key, write_key_file

    config, key_file = directory / DEFAULT_FILE, directory / Settings().security.key_file
    for path in (config, key_file):
        if path.exists():
            raise ConfigurationError(f"{path}: is there already; nothing was written. Choose another --dir.")
    make_folder(directory)
    # The file is TOML, not HTML, and its one value is our own.
    env = Environment(
        loader=PackageLoader("monitor.cli"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
    )
    text = env.get_template("token-health.toml.j2").render(settings=Settings(), key_file=key_file.name)
    with os.fdopen(create(config), "w", encoding="utf-8") as file:
        file.write(text)
    write_key_file(key_file, [new_key()])
    out.print(f"[green]✓[/] {escape(str(config))}: the configuration, with comments. Set your app there.")
    out.print(
        f"[green]✓[/] {escape(str(key_file))}: the encryption key, readable by you only. "
        "Keep a copy apart from the database."
    )
    out.print("\nNext: [bold]token-health doctor[/], then [bold]token-health connections import FILE[/].")


def run(
    role: Annotated[
        Literal["all", "worker", "web"], typer.Option(help="Everything, or probing and pages apart.")
    ] = "all",
    config: ConfigOption = None,
) -> None:
    """Run the service: scheduler, probes, refreshes, web and metrics. Ends cleanly on SIGTERM."""
    from monitor.service.process import Service
    from monitor.settings.parts import opened
    from monitor.store.processes import Role

    found = loaded(config, log=True)
    if not found.settings.apps:
        raise ConfigurationError(f"{found.path}: no [[apps]] yet, so there is nothing to watch. Add one.")

    async def work() -> None:
        async with opened(found) as parts:
            await Service(parts, Role(role)).run()

    fast_loop(work)


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
