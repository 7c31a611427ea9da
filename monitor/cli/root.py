"""The command `token-health`: its frame, errors and exit codes."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from monitor.errors import ConfigurationError

if TYPE_CHECKING:
    from monitor.settings.loaded import Loaded
    from monitor.settings.parts import Parts

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Configuration file.", show_default="token-health.toml, or TOKEN_HEALTH_CONFIG"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

app = typer.Typer(
    name="token-health",
    help="Watches OAuth connections: finds out which broke, why, and who can mend it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _frame(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from monitor import __version__

        print(f"token-health {__version__}")
        raise typer.Exit


def run_async(work: Callable[[], Awaitable[None]]) -> None:
    """Run one command's work on a fresh loop."""
    asyncio.run(work())  # type: ignore[arg-type]


def loaded(config: Path | None, *, log: bool = False) -> Loaded:
    """Read the configuration. Only the service logs; a command tells what it has to tell itself."""
    from monitor.host import confined
    from monitor.service import logs
    from monitor.settings.file import find_file, load

    found = load(find_file(config), confined.environment())
    confined.take_out(found.secret_variables())
    logs.configure(found.settings.log.format, found.settings.log.level if log else "error")
    gc.freeze()
    gc.enable()
    return found


@asynccontextmanager
async def parts(config: Path | None) -> AsyncIterator[Parts]:
    """Open everything that a command needs."""
    from monitor.settings.parts import opened

    async with opened(loaded(config)) as found:
        yield found


def print_json(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def confirm_or_stop(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; without a terminal, --yes has to be given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Add --yes to say so without a terminal.")
    if not typer.confirm(question):
        raise typer.Exit(1)
