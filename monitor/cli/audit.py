"""audit: who did what, and when."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape

from monitor.cli.root import ConfigOption, JsonOption, out, parts, print_json, run_async
from monitor.cli.times import moment_of
from monitor.clock import SystemClock
from monitor.errors import ConfigurationError
from monitor.operations.actor import on_this_host


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(audit)


def audit(
    subject: Annotated[str, typer.Option(help="What it was done to: a connection's id.")] = "",
    actor: Annotated[str, typer.Option(help="Who did it: cli:anna, key:key_…, service.")] = "",
    action: Annotated[str, typer.Option(help="What was done: connection.pause.")] = "",
    since: Annotated[
        str, typer.Option(help="Not before: 2026-12-01T02:00Z, or for how long back: 3d.", show_default=False)
    ] = "",
    until: Annotated[
        str, typer.Option(help="Before: 2026-12-02T02:00Z, or for how long back: 1d.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option(help="How many lines, newest first.", min=1)] = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show who did what: every change, by whom, over which door; newest first."""

    async def work() -> None:
        from monitor.operations import audit as lines
        from monitor.operations import records

        async with parts(config) as p:
            found = await lines.page(
                p, on_this_host(), limit, subject=subject, by=actor, action=action,
                since=_moment(since, "--since"), until=_moment(until, "--until"),
            )  # fmt: skip
        entries = [records.entry(line) for line in found.lines]
        if json:
            print_json(entries)
        else:
            _print(entries, more=found.before is not None)

    run_async(work)


def _print(entries: list[dict[str, object]], *, more: bool) -> None:
    from monitor.cli.show import plain_table

    if not entries:
        out.print("No line of the audit is so.")
        return
    table = plain_table("at", "who", "what", "of", "more")
    for one in entries:
        names = {"from": one["from"], **dict(one["detail"])}  # type: ignore[call-overload]
        told = ", ".join(f"{name} {_plain(value)}" for name, value in names.items() if value)
        table.add_row(
            *(escape(str(one[name])) for name in ("at", "actor", "action", "subject")), escape(told)
        )
    out.print(table)
    if more:
        out.print("[dim]… and older ones; --limit shows more.[/]")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(given: str, option: str) -> datetime | None:
    from monitor.text.tomlfile import parse_duration

    if not given:
        return None
    try:
        datetime.fromisoformat(given)
    except ValueError:
        pass
    else:
        return moment_of(given, option)
    try:
        length = parse_duration(given)
        if isinstance(length, timedelta):
            return SystemClock().now() - length
    except (ValueError, OverflowError):
        pass
    raise ConfigurationError(f"{option}: {given!r} is no time; write 2026-12-01T02:00Z, or 3d.")
