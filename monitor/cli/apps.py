"""apps list, show."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

from monitor.cli.root import ConfigOption, JsonOption, out, parts, print_json, run_async
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from monitor.operations.apps import Used

commands = typer.Typer(
    help="The apps: how often they are asked, and whether anybody could still connect.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="apps")


@commands.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the apps that are configured, or have connections."""

    async def work() -> None:
        from monitor.operations import apps, records

        async with parts(config) as p:
            found = await apps.every(p, on_this_host())
        if json:
            print_json([records.app(one) for one in found])
        elif not found:
            out.print(
                "No app yet. Add one under \\[\\[apps]]: the console's first page has the lines for it."
            )
        else:
            _print(found)

    run_async(work)


@commands.command()
def show(
    app: Annotated[str, typer.Argument(help="Its id.")], json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Show an app: its interval, what that costs, its secret's end, and whether anybody could connect."""

    async def work() -> None:
        from monitor.operations import apps, records

        async with parts(config) as p:
            found, now = await apps.show(p, on_this_host(), app), p.clock.now()
        if json:
            print_json(records.app(found))
        else:
            _print_one(found, now)

    run_async(work)


def _print(found: list[Used]) -> None:
    from monitor.cli.show import plain_table
    from monitor.text.spans import span

    table = plain_table("app", "provider", "connections", "interval", "secret ends", "can one connect?")
    for one in found:
        ends = one.settings.secret_expires if one.settings else None
        table.add_row(
            escape(one.id),
            one.provider,
            str(one.connections),
            span(one.interval, units=2) if one.app else "not configured",
            str(ends or "–"),
            _word(one),
        )
    out.print(table)


def _word(one: Used) -> str:
    if any(door.shut for door in one.doors.values()):
        return "[bold red]✗ refused[/]"
    if not one.doors:
        return "[dim]not asked yet[/]"
    good = all(door.seen.outcome.value == "good" for door in one.doors.values())
    return "[green]✓ yes[/]" if good else "[yellow]? cannot tell[/]"


def _print_one(one: Used, now: datetime) -> None:
    from monitor.cli.show import ago
    from monitor.text.spans import span

    asked = f"asked every {span(one.interval, units=2)}" if one.app else "not configured"
    out.print(f"[bold]{escape(one.id)}[/] at {one.provider}: {one.connections} connections, {asked}.")
    if one.settings is not None and one.settings.secret_expires is not None:
        out.print(f"Its client secret ends on {one.settings.secret_expires}.")
    if one.doors:
        out.print("\n[bold]Can anybody still connect?[/]")
    for door in one.doors.values():
        _line(f"{door.seen.says} Asked {ago(door.at, now)} ago.")
    if one.costs is not None and one.costs.says:
        out.print("\n[bold]What it costs[/]")
        for said in (*one.costs.says, *([one.costs.trouble] if one.costs.trouble else [])):
            _line(said)


def _line(text: str) -> None:
    out.print(Padding(escape(text), (0, 0, 0, 2), expand=False))
