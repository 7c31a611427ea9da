"""providers list, show, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from monitor.cli.root import JsonOption, out, print_json
from monitor.health.rotation import AfterLost
from monitor.operations.actor import on_this_host

commands = typer.Typer(
    help="The providers that are known, and files that describe more.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="providers")


@commands.command("list")
def list_(json: JsonOption = False) -> None:
    """List the built-in providers."""
    from monitor.cli.show import plain_table
    from monitor.operations import documents, providers

    found = providers.every(on_this_host())
    if json:
        print_json([documents.provider(one) for one in found])
        return
    table = plain_table("name", "title", "regions", "scopes checked")
    for column in table.columns[2:]:
        column.no_wrap, column.overflow = False, "fold"
    for provider in found:
        table.add_row(
            provider.name, provider.title, " ".join(provider.regions), " ".join(provider.scopes) or "–"
        )
    out.print(table)


@commands.command()
def show(
    name: Annotated[str, typer.Argument(help="A built-in provider's name.")], json: JsonOption = False
) -> None:
    """Print a provider's file, or with --json what is understood of it."""
    from monitor.operations import documents, providers

    if json:
        print_json(documents.provider_whole(providers.show(on_this_host(), name)))
        return
    print(providers.text(on_this_host(), name), end="")


@commands.command()
def check(file: Annotated[Path, typer.Argument(help="A provider file.")]) -> None:
    """Check a provider file; every mistake is named with its line."""
    from monitor.operations import providers

    provider = providers.check(on_this_host(), file)
    out.print(
        f"[green]✓[/] {escape(str(file))}: {escape(provider.title)}, {len(provider.regions)} "
        f"region{'s' if len(provider.regions) != 1 else ''}, {len(provider.scopes)} scope checks, "
        f"{len(provider.rules)} rules of its own."
    )
    out.print(f"  {_HABITS[provider.oauth.habit.habit]}")


_HABITS = {
    AfterLost.RETRY: "After a lost answer a refresh token is sent again, at any time.",
    AfterLost.LAST_TRY: "After a lost answer a refresh token is sent once more, at its access token's end.",
    AfterLost.NEVER: "After a lost answer a refresh token is never sent again: it is lost at once.",
}
