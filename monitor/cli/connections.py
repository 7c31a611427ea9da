"""connections import, list, show, export, pause, resume, claim, unclaim, handout, remove."""

from __future__ import annotations

import json as jsonlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from monitor.cli import plans
from monitor.cli.remedies import command
from monitor.cli.root import (
    ConfigOption,
    JsonOption,
    confirm_or_stop,
    err,
    out,
    parts,
    print_json,
    run_async,
)
from monitor.cli.times import length_of, moment_of
from monitor.errors import Remedy
from monitor.operations.actor import on_this_host

IdsArgument = Annotated[list[str], typer.Argument(help="Connection ids.", show_default=False)]
commands = typer.Typer(help="Add, list, pause and remove connections.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    plans.register(commands)
    app.add_typer(commands, name="connections")


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or CSV by its .csv ending.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and compare only.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add or update connections: all of the file, or nothing of it."""

    async def work() -> None:
        from monitor.operations import imports, intake

        async with parts(config) as p:
            with err.status(f"Reading {file} …"):
                records = intake.read(file, p.apps)
                done = await imports.take_in(p, on_this_host(), records, dry_run=dry_run)
            ending = intake.ending(records, p.apps)
        utf8 = intake.needing_utf8(records)
        if json:
            print_json(
                {
                    "dry_run": dry_run,
                    "added": done.added,
                    "changed": done.changed,
                    "same": len(done.same),
                    "ending": ending,
                    "needing_smtputf8": [{"connection": name, "address": to} for name, to in utf8],
                }
            )
            return
        would = "would be " if dry_run else ""
        out.print(
            f"{len(records)} connections read: [green]{len(done.added)} {would}added[/], "
            f"[yellow]{len(done.changed)} {would}changed[/], {len(done.same)} as they were."
        )
        if utf8:
            who = f"{utf8[0][1]} ({utf8[0][0]})" + (f" and {len(utf8) - 1} more" if len(utf8) > 1 else "")
            out.print(
                f"[yellow]Note:[/] {escape(who)}: letters beyond ASCII before the @ reach only those whose "
                "mail server offers SMTPUTF8; 'token-health doctor' says whether yours does."
            )
        if ending:
            who = escape(ending[0]) + (f" and {len(ending) - 1} more" if len(ending) > 1 else "")
            out.print(
                f"[yellow]Note:[/] {who}: access tokens that end, and no refresh_token to renew them with. "
                "They work until then; after that their clients have to authorize again."
            )
        if dry_run:
            out.print("[dim]Nothing was written.[/]")

    run_async(work)


@commands.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List all connections by id."""

    async def work() -> None:
        from monitor.cli.show import plain_table, state_text
        from monitor.health.listing import Sort
        from monitor.operations import fleet as rows
        from monitor.operations.documents import row
        from monitor.text.names import one_line

        async with parts(config) as p:
            fleet = [one async for one in rows.every(p, on_this_host(), sort=Sort.ID)]
        if json:
            print_json([row(one) for one in fleet])
            return
        if not fleet:
            out.print(f"No connections yet. Add some: [bold]{command(Remedy('imports.take_in'))}[/]")
            return
        table = plain_table("connection", "client", "app", "state", "scopes")
        for one in fleet:
            table.add_row(
                escape(one.id),
                escape(one_line(one.client_name)),
                one.place.app,
                state_text(one.health.state),
                escape(" ".join(one.scopes)),
            )
        out.print(table)

    run_async(work)


@commands.command()
def show(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one connection: who it is, and what is known of its tokens, never the tokens themselves."""

    async def work() -> None:
        from monitor.cli.show import plain_table
        from monitor.operations import connections, documents

        async with parts(config) as p:
            document = documents.connection(await connections.show(p, on_this_host(), connection))
        if json:
            print_json(document)
            return
        table = plain_table("", "", show_header=False)
        for key, value in _flat(document):
            table.add_row(f"[bold]{escape(key)}[/]", escape(str(value)))
        out.print(table)

    run_async(work)


def _flat(document: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in document.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            rows.append((prefix + key, "–" if shown in (None, "") else shown))
    return rows


@commands.command()
def export(
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Include the tokens in clear.")
    ] = False,
    to: Annotated[Path | None, typer.Option(help="A new file, for its owner only.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print all connections as JSON Lines that `import` takes. Without tokens, unless asked for."""

    async def work() -> None:
        from monitor.operations import exports

        async with parts(config) as p:
            found = exports.records(p, on_this_host(), with_secrets=with_secrets)
            if to is not None:
                count = await exports.write(found, to)
                out.print(f"[green]✓[/] {escape(str(to))}: {count} connections.")
                return
            async for record in found:
                print(jsonlib.dumps(record, ensure_ascii=False))

    run_async(work)


@commands.command()
def pause(
    ids: IdsArgument,
    span: Annotated[
        str, typer.Option("--for", help="For how long: 30m, 2h, 3d. Without: until they are resumed.")
    ] = "",
    until: Annotated[str, typer.Option(help="Or until when: 2026-12-01, or 2026-12-01T08:00Z.")] = "",
    reason: Annotated[str, typer.Option(help="Why, for whoever wonders.")] = "",
    config: ConfigOption = None,
) -> None:
    """Stop looking at connections for a time, or until they are resumed."""

    async def work() -> None:
        from monitor.operations import connections

        length, moment = length_of(span) if span else None, moment_of(until, "--until") if until else None
        async with parts(config) as p:
            changed = await connections.pause(
                p, on_this_host(), ids, length=length, until=moment, reason=reason
            )
            end = moment or (p.clock.now() + length if length is not None else None)
        _report(changed, ids, "paused", f" until {end:%Y-%m-%d %H:%M} UTC" if end is not None else "")

    run_async(work)


@commands.command()
def resume(ids: IdsArgument, config: ConfigOption = None) -> None:
    """Look at paused connections again, starting now."""

    async def work() -> None:
        from monitor.operations import connections

        async with parts(config) as p:
            changed = await connections.resume(p, on_this_host(), ids)
        _report(changed, ids, "resumed")

    run_async(work)


@commands.command()
def claim(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    who: Annotated[str, typer.Option(help="Who is on it: 'Anna, Acme'.")],
    until: Annotated[str, typer.Option(help="Until when: 2026-12-01, or 2026-12-01T02:00Z.")],
    config: ConfigOption = None,
) -> None:
    """Say that somebody is on it: until then the client gets no reminder. All else is told as ever."""

    async def work() -> None:
        from monitor.operations import connections

        moment = moment_of(until, "--until")
        async with parts(config) as p:
            laid = await connections.claim(p, on_this_host(), connection, who, moment)
            said = laid.sentence(p.clock.now())
        out.print(f"{escape(connection)}: {escape(said)}")

    run_async(work)


@commands.command()
def unclaim(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    config: ConfigOption = None,
) -> None:
    """Say that nobody is on it any more: reminders go again when they are due."""

    async def work() -> None:
        from monitor.operations import connections

        async with parts(config) as p:
            was = await connections.unclaim(p, on_this_host(), connection)
        out.print(f"{escape(connection)}: nobody is on it{' any more' if was else ', as before'}.")

    run_async(work)


@commands.command("accept-account")
def accept_account(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    account: Annotated[str, typer.Argument(help="The account's id at the provider.")],
    config: ConfigOption = None,
) -> None:
    """Take an account as the right one from now on, after the client said so; also one that waits for you."""

    async def work() -> None:
        from monitor.operations import accounts

        async with parts(config) as p:
            before = await accounts.accept(p, on_this_host(), connection, account)
        out.print(
            f"{escape(connection)}: account {escape(account)} is the right one from now on"
            + (f"; it was {escape(before)}." if before else ".")
        )

    run_async(work)


@commands.command("refuse-account")
def refuse_account(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    config: ConfigOption = None,
) -> None:
    """Refuse an authorization that waits for you: the account is another's. The client's link works again."""

    async def work() -> None:
        from monitor.operations import accounts

        async with parts(config) as p:
            grant = await accounts.refuse(p, on_this_host(), connection)
        out.print(f"{escape(connection)}: account {escape(grant.named)} is refused; nothing of it is kept.")

    run_async(work)


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


@commands.command()
def handout(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    to: Annotated[Switch, typer.Argument(help="Whether programs get its access token.")],
    config: ConfigOption = None,
) -> None:
    """Let programs have a connection's access token through the API, or not. It is looked at all the same."""

    async def work() -> None:
        from monitor.operations import connections

        async with parts(config) as p:
            changed = await connections.set_handout(p, on_this_host(), connection, on=to is Switch.ON)
        now = "handed out" if to is Switch.ON else "not handed out"
        out.print(f"{escape(connection)}: its token is {now}{'' if changed else ', as before'}.")

    run_async(work)


@commands.command()
def remove(
    ids: IdsArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Forget connections with their tokens and history. The audit keeps that they were there."""
    confirm_or_stop(f"Remove {', '.join(ids)} with tokens and history?", yes)

    async def work() -> None:
        from monitor.operations import connections

        async with parts(config) as p:
            await connections.remove(p, on_this_host(), ids)
        _report(ids, ids, "removed")

    run_async(work)


def _report(changed: list[str], asked: list[str], verb: str, until: str = "") -> None:
    if changed:
        out.print(f"{verb.capitalize()}{until}: {escape(', '.join(sorted(changed)))}")
    rest = sorted(set(asked) - set(changed))
    if rest:
        state = "Already paused" if verb == "paused" else "Was not paused"
        out.print(f"[dim]{state}: {escape(', '.join(rest))}[/]")
