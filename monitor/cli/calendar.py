"""calendar: what ends, and when."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from monitor.cli.root import ConfigOption, JsonOption, out, parts, print_json, run_async
from monitor.errors import ConfigurationError
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from monitor.health.calendar import Entry
    from monitor.operations.calendar import Asked

Several = list[str] | None


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(calendar)


def calendar(
    within: Annotated[str, typer.Option(help="How far ahead.")] = "90d",
    app: Annotated[Several, typer.Option(help="Of these apps only.", show_default=False)] = None,
    provider: Annotated[Several, typer.Option(help="Of these providers only.", show_default=False)] = None,
    kind: Annotated[
        Several, typer.Option(help="What ends: grant, refresh_token, client_secret, …", show_default=False)
    ] = None,
    needs: Annotated[
        Several, typer.Option(help="Who has to act: nobody, client or operator.", show_default=False)
    ] = None,
    client: Annotated[
        Several, typer.Option(help="Of these clients only, by their names.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="How many, soonest first; 0 for all.", min=0)] = 50,
    ics: Annotated[
        Path | None,
        typer.Option(help="Write what somebody has to act on as iCalendar; - is standard output."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what ends, soonest first: authorizations, unused tokens, secrets, keys, and announced ends."""
    asked = _asked(within, app, provider, kind, needs, client)

    async def work() -> None:
        from monitor.operations import calendar as ends
        from monitor.operations import ical, records

        async with parts(config) as p:
            me, now = on_this_host(), p.clock.now()
            if ics is not None:
                _write(ics, await ical.written(p, me, asked))
                return
            found = [one async for one in ends.every(p, me, asked, limit + 1 if limit and not json else None)]
        if json:
            print_json([records.ending(one, now) for one in found])
        else:
            _print(found[: limit or None], now, more=bool(limit) and len(found) > limit)

    run_async(work)


def _asked(
    within: str, app: Several, provider: Several, kind: Several, needs: Several, client: Several
) -> Asked:
    from monitor.health.calendar import Kind, Needs
    from monitor.operations.calendar import LONGEST, Asked

    for option, given, known in (("kind", kind, Kind), ("needs", needs, Needs)):
        for word in given or ():
            if word not in set(known):
                raise ConfigurationError(f"--{option}: {word!r} is none of {', '.join(known)}.")
    return Asked(
        min(_span(within), LONGEST), frozenset(kind or ()), frozenset(app or ()), frozenset(provider or ()),
        frozenset(needs or ()), frozenset(client or ()),
    )  # fmt: skip


def _span(given: str) -> timedelta:
    from monitor.text.tomlfile import parse_duration

    try:
        length = parse_duration(given)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"--within: {error}.") from None
    assert isinstance(length, timedelta)  # noqa: S101 - of a text it is nothing else
    return length


def _write(file: Path, text: bytes) -> None:
    if str(file) == "-":
        sys.stdout.buffer.write(text)
        return
    try:
        file.write_bytes(text)
    except OSError as error:
        raise ConfigurationError(f"--ics: cannot write {file}: {error.strerror}.") from None


def _print(found: list[Entry], now: datetime, *, more: bool) -> None:
    from monitor.cli.show import ago, plain_table
    from monitor.health.calendar import Urgency

    if not found:
        out.print("Nothing of this ends in that time.")
        return
    style = {
        Urgency.NONE: "dim",
        Urgency.SOON: "yellow",
        Urgency.URGENT: "bold red",
        Urgency.OVER: "bold red",
    }
    table = plain_table("at", "in", "who acts", "what", "prevented by")
    for one in found:
        kept = one.prevented_by
        table.add_row(
            f"{one.at:%Y-%m-%d %H:%M}",
            "over" if one.at <= now else ago(one.at, now).removeprefix("in "),
            one.needs.value,
            escape(one.title),
            f"use {ago(kept.at, now)}" if kept is not None else "",
            style=style.get(one.urgency(now)),
        )
    out.print(table)
    for said in dict.fromkeys(one.what for one in found if one.about in ("app", "provider")):
        out.print(f"  {escape(said)}", soft_wrap=True)
    if more:
        out.print("[dim]… and later ones; --limit 0 shows all.[/]")
