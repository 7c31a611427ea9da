"""The entry point: all commands, and how errors reach people."""

from __future__ import annotations

import gc
import sys
from functools import cache
from typing import cast

from rich.markup import escape
from typer.core import TyperGroup
from typer.main import get_command

from monitor.cli import (
    access,
    apps,
    audit,
    calendar,
    campaigns,
    connections,
    look,
    mail,
    oncall,
    programs,
    providers,
    run,
    upkeep,
    webhooks,
)
from monitor.cli.demo import play as demo
from monitor.cli.help import readable
from monitor.cli.remedies import said
from monitor.cli.root import app, err
from monitor.errors import ImportRefused, TokenHealthError
from monitor.host.confined import leave_no_image


@cache
def command() -> TyperGroup:
    """Return all commands as one, with a help that people can read."""
    for module in (
        run, demo, look, calendar, mail, oncall, webhooks, connections, campaigns, programs, apps, providers,
        access, audit, upkeep,
    ):  # fmt: skip
        module.register(app)
    found = cast("TyperGroup", get_command(app))
    readable(found)
    return found


def main() -> None:
    """Run the command line. Errors for people are one or two lines on stderr, and exit code 2."""
    leave_no_image()
    # What modules are made of stays: to look through it for garbage while they load is a seventh of a start.
    # `root.loaded` turns it on again.
    gc.disable()
    try:
        command()()
    except ImportRefused as error:
        for problem in error.problems[:100]:
            err.print(f"  {escape(problem)}")
        if len(error.problems) > 100:
            err.print(f"  … and {len(error.problems) - 100} more")
        _fail(error)
    except TokenHealthError as error:
        _fail(error)
    except KeyboardInterrupt:
        err.print("Stopped.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


def _fail(error: TokenHealthError) -> None:
    err.print(f"[bold red]error:[/] {escape(said(str(error), error.remedies))}")
    sys.exit(error.exit_code)
