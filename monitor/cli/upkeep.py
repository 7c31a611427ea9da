"""keys, db, backup, restore and doctor: keeping it well."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from monitor.cli.remedies import said
from monitor.cli.root import (
    ConfigOption,
    JsonOption,
    confirm_or_stop,
    err,
    loaded,
    out,
    parts,
    print_json,
    run_async,
)
from monitor.errors import ConfigurationError
from monitor.operations.actor import on_this_host

keys = typer.Typer(help="Encryption keys.", no_args_is_help=True)
db = typer.Typer(help="The database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(keys, name="keys")
    app.add_typer(db, name="db")
    app.command()(backup)
    app.command()(restore)
    app.command()(doctor)


@keys.command()
def rotate(config: ConfigOption = None) -> None:
    """Make a new key and re-encrypt everything with it, while the service runs."""

    async def work() -> None:
        from monitor.operations import keys as operate

        async with parts(config) as p:
            with err.status("Re-encrypting …") as shown:
                done = await operate.rotate(
                    p, on_this_host(), lambda n: shown.update(f"Re-encrypting … {n} secrets")
                )
            file = not p.loaded.keys_from_environment
        out.print(f"[green]✓[/] {done.resealed} stored secrets were sealed with key [bold]{done.current}[/].")
        if done.retired:
            gone = "taken out of the key file" if file else "no longer needed in TOKEN_HEALTH_KEYS"
            out.print(f"Retired, and {gone}: {', '.join(done.retired)}")
        for key, kept in done.kept.items():
            out.print(f"Kept: {key}: {escape(said(f'{kept.why}.', kept.remedies))}")
        for what in done.broken:
            out.print(f"[yellow]Left as it is:[/] {escape(what)}")
        again = " Back the key file up again." if file else ""
        out.print(f"[dim]The key before it stays for one more rotation.{again}[/]")

    run_async(work)


@keys.command()
def seal(app: Annotated[str, typer.Argument(help="The app's id.")], config: ConfigOption = None) -> None:
    """Seal an app's client secret, read from standard input, for client_secret in the configuration."""
    secret = (
        typer.prompt("Client secret", hide_input=True, err=True)
        if sys.stdin.isatty()
        else sys.stdin.readline()
    ).strip()
    if not secret:
        raise ConfigurationError("No secret was given on standard input.")
    from monitor.operations import keys as operate
    from monitor.secret import Secret

    print(f'client_secret = "{operate.seal(loaded(config), on_this_host(), app, Secret(secret))}"')


@keys.command()
def new() -> None:
    """Print a fresh encryption key, for TOKEN_HEALTH_KEYS where there is no key file."""
    from monitor.operations import keys as operate

    print(operate.new(on_this_host()))


@keys.command()
def forget(
    key: Annotated[str, typer.Argument(help="The name of a key that is gone for good.")],
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Give up a lost key and the tokens that it sealed; their clients are asked to authorize again."""
    found = loaded(config)

    async def work() -> None:
        from monitor.operations import keys as operate

        sealed = await operate.lost(found, on_this_host(), key)
        confirm_or_stop(f"The tokens of {sealed} are lost then, for good. Forget key {key}?", yes)
        count = await operate.forget(found, on_this_host(), key)
        out.print(f"[green]✓[/] Key [bold]{escape(key)}[/] is forgotten.")
        if count:
            out.print(
                f"{count} connections are [bold]refresh_lost[/] with their next probe. Many at once are one "
                "wave: look at [bold]token-health status[/] before their mails go out."
            )

    run_async(work)


@db.command()
def upgrade(config: ConfigOption = None) -> None:
    """Bring the database's schema to this version. Safe to repeat."""

    async def work() -> None:
        from monitor.operations import database

        done = await database.upgrade(loaded(config), on_this_host())
        same = "was current already"
        if done.before != done.after:
            same = f"is now at {done.after} (was {done.before or 'empty'})"
        out.print(f"[green]✓[/] {escape(done.database)} {same}.")

    run_async(work)


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write; a file that is there is left alone.")],
    config: ConfigOption = None,
) -> None:
    """Back everything up but the keys, while the service runs: one file, checked as a whole."""

    async def work() -> None:
        from monitor.operations import database

        with err.status("Backing up …"):
            done = await database.backup(loaded(config), on_this_host(), file)
        count = done.rows.get("connection", 0)
        out.print(
            f"[green]✓[/] {escape(str(file))}: {count} connections, {sum(done.rows.values())} rows in all."
        )
        keys_ = ", ".join(done.head.keys) or "none yet"
        out.print(f"Its tokens open with {keys_} only: back the key file up too, in another place than this.")

    run_async(work)


def restore(
    file: Annotated[Path, typer.Argument(help="What 'backup' wrote.")],
    replace: Annotated[bool, typer.Option(help="Lose what is in the database now.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup into the configured database: an empty one, while no service runs on it."""
    found = loaded(config)
    if replace:
        confirm_or_stop("What is in the database now will be lost. Restore?", yes)

    async def work() -> None:
        from monitor.operations import database

        with err.status("Restoring …"):
            done = await database.restore(found, on_this_host(), file, replace=replace)
        count, at = done.rows.get("connection", 0), done.head.made_at
        out.print(f"[green]✓[/] {count} connections as they were on {at:%Y-%m-%d %H:%M} UTC.")
        if done.in_doubt:
            out.print(
                f"{done.in_doubt} refresh tokens may have been used since: each is tried when its access "
                "token ends, and what was spent is [bold]refresh_lost[/], ours to answer for. Links mailed "
                "since do not open any more."
            )
        out.print("All are probed as soon as the service runs: [bold]token-health run[/]")

    run_async(work)


def doctor(
    doors: Annotated[
        bool, typer.Option("--doors", help="Ask each provider whether anybody could still connect.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Check configuration, keys, database, providers, mail server and clock. Exit code 1 on trouble."""
    from monitor.operations import documents
    from monitor.operations.checks import Check
    from monitor.operations.checkup import checkup
    from monitor.settings.file import find_file

    found: list[Check] = []

    async def work() -> None:
        with err.status("Checking …"):
            found.extend(await checkup(find_file(config), on_this_host(), ask_doors=doors))

    run_async(work)
    spoken = [replace(check, says=said(check.says, check.remedies)) for check in found]
    if json:
        print_json(documents.checks(spoken))
    else:
        width = max(len(check.name) for check in spoken)
        for check in spoken:
            sign = {True: "[green]✓[/]", False: "[bold red]✗[/]", None: "[yellow]![/]"}[check.ok]
            out.print(f"{sign} [bold]{check.name:<{width}}[/]  {escape(check.says)}")
    raise typer.Exit(1 if any(check.ok is False for check in found) else 0)
