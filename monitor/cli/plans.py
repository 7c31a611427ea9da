"""connections plan, apply: the fleet as a file has it."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from monitor.cli.root import ConfigOption, JsonOption, confirm_or_stop, out, parts, print_json, run_async
from monitor.errors import ConfigurationError
from monitor.operations.actor import on_this_host

WithinOption = Annotated[
    str, typer.Option(help="Only this part of the fleet: label.NAME=VALUE.", show_default=False)
]


def register(commands: typer.Typer) -> None:
    """Add these commands."""
    commands.command()(plan)
    commands.command("apply")(apply_)


def plan(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or CSV by its .csv ending: the fleet as wanted.")],
    within: WithinOption = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what would change if the fleet were as the file has it. Changes nothing."""

    async def work() -> None:
        from monitor.operations import intake, plans

        async with parts(config) as p:
            made = plans.document(await plans.make(p, on_this_host(), intake.read(file, p.apps), within))
        if json:
            print_json(made)
        else:
            _show_plan(made)

    run_async(work)


def apply_(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or CSV by its .csv ending: the fleet as wanted.")],
    within: WithinOption = "",
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what the file does not have, with tokens and history.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the fleet as the file has it: all of it, or nothing where somebody changes it meanwhile."""

    async def work() -> None:
        from monitor.operations import intake, plans

        async with parts(config) as p:
            made = await plans.make(p, on_this_host(), intake.read(file, p.apps), within)
            said = plans.document(made)
            if not json:
                _show_plan(said)
            if not any(said[name] for name in ("create", "change", "remove")):
                if json:
                    print_json(said)
                return
            if said["remove"] and not remove:
                raise ConfigurationError(
                    f"{file} lacks {len(said['remove'])} that are there, so nothing was done. Add them, "
                    "or --remove to have them forgotten."
                )
            confirm_or_stop("Do this?", yes)
            await plans.apply(p, on_this_host(), made.id, remove=remove)
            if json:
                print_json(plans.document(await plans.show(p, on_this_host(), made.id)))
            else:
                out.print("[green]✓[/] Done.")

    run_async(work)


def _show_plan(made: dict[str, Any]) -> None:
    """Print what a plan does, a line a thing, as a diff is read."""
    for name in made["create"]:
        out.print(f"[green]+ {escape(name)}[/]")
    for one in made["change"]:
        was, will = (jsonlib.dumps(one[side], ensure_ascii=False) for side in ("was", "will"))
        out.print(f"[yellow]~ {escape(one['id'])}[/] {escape(one['at'])}: {escape(was)} → {escape(will)}")
    for name in made["remove"]:
        out.print(f"[red]- {escape(name)}[/]")
    changed = len({one["id"] for one in made["change"]})
    out.print(
        f"{len(made['create'])} to add, {changed} to change, {len(made['remove'])} to remove, "
        f"{made['same']} as they are."
    )
