"""keys, db and doctor: keeping it well."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from monitor.cli.root import ConfigOption, JsonOption, err, loaded, out, parts, print_json, run_async
from monitor.errors import ConfigurationError

keys = typer.Typer(help="Encryption keys.", no_args_is_help=True)
db = typer.Typer(help="The database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(keys, name="keys")
    app.add_typer(db, name="db")
    app.command()(doctor)


@keys.command()
def rotate(config: ConfigOption = None) -> None:
    """Make a new key and re-encrypt everything with it, while the service runs."""

    async def work() -> None:
        from monitor.rekey import rotate_keys

        async with parts(config) as p:
            with err.status("Re-encrypting …") as shown:
                done = await rotate_keys(p, lambda n: shown.update(f"Re-encrypting … {n} secrets"))
            file = not p.loaded.keys_from_environment
        out.print(f"[green]✓[/] {done.resealed} stored secrets were sealed with key [bold]{done.current}[/].")
        if done.retired:
            gone = "taken out of the key file" if file else "no longer needed in TOKEN_HEALTH_KEYS"
            out.print(f"Retired, and {gone}: {', '.join(done.retired)}")
        for key, why in done.kept.items():
            out.print(f"Kept: {key}: {escape(why)}.")
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
    from monitor.secret import Secret
    from monitor.settings import secret_cell
    from monitor.tokens.vault import Vault

    print(f'client_secret = "{Vault(loaded(config).keys()).seal(Secret(secret), secret_cell(app))}"')


@keys.command()
def new() -> None:
    """Print a fresh encryption key, for TOKEN_HEALTH_KEYS where there is no key file."""
    from monitor.tokens.vault import new_key

    print(new_key().line())


@db.command()
def upgrade(config: ConfigOption = None) -> None:
    """Bring the database's schema to this version. Safe to repeat."""

    async def work() -> None:
        from monitor.store import schema
        from monitor.store.engine import Database

        database = Database(loaded(config).database_url())
        try:
            before, after = await schema.upgrade(database)
        finally:
            await database.close()
        same = "was current already" if before == after else f"is now at {after} (was {before or 'empty'})"
        out.print(f"[green]✓[/] {escape(database.name)} {same}.")

    run_async(work)


def doctor(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check configuration, keys, database, providers, mail server and clock. Exit code 1 on trouble."""
    from monitor.checkup import Check, checkup

    found: list[Check] = []

    async def work() -> None:
        with err.status("Checking …"):
            found.extend(await checkup(_file(config)))

    run_async(work)
    if json:
        print_json([{"check": c.name, "ok": c.ok, "says": c.says} for c in found])
    else:
        width = max(len(check.name) for check in found)
        for check in found:
            sign = {True: "[green]✓[/]", False: "[bold red]✗[/]", None: "[yellow]![/]"}[check.ok]
            out.print(f"{sign} [bold]{check.name:<{width}}[/]  {escape(check.says)}")
    raise typer.Exit(1 if any(check.ok is False for check in found) else 0)


def _file(config: Path | None) -> Path:
    from monitor import settings

    return settings.find_file(config)
