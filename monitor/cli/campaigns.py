"""campaign: clients who work are asked ahead of time, in waves, to approve again by a day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding

from monitor.cli.root import (
    ConfigOption,
    JsonOption,
    confirm_or_stop,
    out,
    parts,
    print_json,
    run_async,
)
from monitor.errors import ConfigurationError
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.health.campaign import Forecast
    from monitor.operations.campaigns import Draft, Progress

campaign = typer.Typer(
    help="Planned re-consent: clients who work are asked, in waves, to approve again by a day.",
    no_args_is_help=True,
)
CampaignArgument = Annotated[str, typer.Argument(help="Its id.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why, for whoever wonders.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(campaign, name="campaign")


@campaign.command()
def new(
    filters: Annotated[
        list[str],
        typer.Option(
            "--filter",
            help="Which connections: provider=xero, app=…, client=…, label.team=a. Repeatable, ANDed.",
            show_default=False,
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why, as clients read it: one sentence.", show_default=False)],
    until: Annotated[str, typer.Option(help="The last day: 2027-06-30.", show_default=False)],
    wave: Annotated[str, typer.Option(help="So many clients a day at most.")] = "50/d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say whom, how long, in time; no more.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Begin a campaign; its first wave is a small one, and a wave that goes wrong stops it."""

    async def work() -> None:
        from monitor.operations import campaign_reports, campaigns

        async with parts(config) as p:
            wanted = _wanted(filters, reason, until, wave)
            drafted = await campaigns.draft(p, on_this_host(), wanted)
            if dry_run:
                print_json(campaign_reports.draft(drafted)) if json else _print_draft(drafted, until)
                return
            if not json:
                _print_draft(drafted, until)
            confirm_or_stop(f"Ask {_many(drafted.forecast.clients, 'client')} to approve again?", yes)
            made, _ = await campaigns.begin(p, on_this_host(), wanted)
        if json:
            print_json(campaign_reports.campaign(made))
        else:
            out.print(f"[green]✓[/] Campaign {made.id} runs: its first wave goes out as clients wake up.")

    run_async(work)


def _wanted(filters: list[str], reason: str, until: str, wave: str) -> Any:
    from monitor.health.campaign import pace_of
    from monitor.operations.campaigns import Wanted

    chosen: dict[str, list[str]] = {}
    for one in filters:
        name, equals, values = one.partition("=")
        if not equals:
            raise ConfigurationError(f"--filter: {one!r} is no NAME=VALUE, such as provider=xero.")
        chosen.setdefault(name.strip(), []).extend(part.strip() for part in values.split(","))
    try:
        pace = pace_of(wave)
    except ValueError as error:
        raise ConfigurationError(f"--wave: {error}.") from None
    try:
        last = date.fromisoformat(until)
    except ValueError:
        raise ConfigurationError(f"--until: {until!r} is no day; write 2027-06-30.") from None
    return Wanted(chosen, reason, pace, last)


def _print_draft(of: Draft, until: str) -> None:
    waits = of.forecast
    out.print(
        f"[bold]{_many(len(of.connections), 'connection')}[/] of {_many(waits.clients, 'client')}, in "
        f"{_many(waits.waves, 'wave')}: {waits.first_wave} first, the last on {waits.last_wave.isoformat()}."
    )
    _print_time(waits, until)
    for count, what in (
        (of.not_healthy, "do not work now; their turn comes when they do"),
        (of.without_contact, "have no contact on record: nobody can be invited"),
        (of.never_authorized, "were never authorized, and are no part of it"),
        (len(of.elsewhere), "are in another campaign, and no part of it"),
    ):
        if count:
            out.print(f"  {count} {what}.")


def _print_time(waits: Forecast, until: str) -> None:
    if waits.in_time or not waits.clients:
        out.print(f"[green]✓[/] In time for {until}, if no wave goes wrong.")
        return
    way = f"{waits.needed}/d would be in time" if waits.needed else "no pace is in time"
    out.print(f"[bold yellow]Too late for {until}[/]: {way}.")


@campaign.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List campaigns, newest first."""

    async def work() -> None:
        from monitor.cli.show import plain_table
        from monitor.operations import campaign_reports, campaigns

        async with parts(config) as p:
            found = await campaigns.every(p, on_this_host())
        if json:
            print_json([campaign_reports.campaign(one) for one in found])
            return
        if not found:
            out.print("There is no campaign.")
            return
        table = plain_table("campaign", "state", "until", "wave", "why")
        for one in found:
            table.add_row(
                one.id,
                one.phase.value,
                one.until.isoformat(),
                f"{one.pace}/d",
                escape(one.why or one.reason),
            )
        out.print(table)

    run_async(work)


@campaign.command()
def show(name: CampaignArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show how far a campaign is: invited, approved, what went wrong, and what is to come."""

    async def work() -> None:
        from monitor.operations import campaign_reports, campaigns

        async with parts(config) as p:
            found = await campaigns.show(p, on_this_host(), name)
        if json:
            print_json(campaign_reports.progress(found))
        else:
            _print_progress(found)

    run_async(work)


def _print_progress(found: Progress) -> None:
    from monitor.cli.show import plain_table

    of = found.campaign
    style = "bold red" if of.waits_for_person else "bold"
    why = f": {of.why}" if of.why else ""
    out.print(f"[{style}]{of.phase.value.capitalize()}{escape(why)}[/]")
    out.print(Padding(escape(of.reason), (0, 0, 0, 2), expand=False))
    begun = f"Begun by {escape(of.created_by)}."
    out.print(f"At most {of.pace} clients a day, until {of.until.isoformat()}. {begun}")
    far = [f"{count} {word.replace('_', ' ')}" for word, count in found.far.items() if count]
    total = f"{_many(found.connections, 'connection')} of {_many(found.clients, 'client')}"
    out.print(f"\n[bold]{total}[/]: {' · '.join(far)}")
    for count, what in (
        (found.not_healthy, "do not work now: what broke is asked for by a mail of its own"),
        (found.without_contact, "have no contact on record"),
        (found.approved_unasked, "approved before it was their turn"),
    ):
        if count:
            out.print(f"  {count} {what}.")
    if found.waves:
        table = plain_table("wave", "began", "clients", "approved", "went wrong")
        for one in found.waves:
            wrong = f"[red]{one.mishaps}[/]" if one.mishaps else "0"
            table.add_row(
                str(one.number), one.began.isoformat(), str(one.written_to), str(one.approved), wrong
            )
        out.print(table)
    if not of.phase.ended and found.left.clients:
        left = found.left
        out.print(
            f"To come: {_many(left.clients, 'client')} in {_many(left.waves, 'wave')}, the last on "
            f"{left.last_wave.isoformat()} at the earliest."
        )
        _print_time(left, of.until.isoformat())
    if of.waits_for_person:
        out.print(f"[bold]You decide[/]: token-health campaign resume {of.id}, or campaign stop {of.id}.")


@campaign.command()
def pause(name: CampaignArgument, why: WhyOption = "", config: ConfigOption = None) -> None:
    """Invite and remind nobody until it is resumed."""
    from monitor.operations import campaigns

    _move(config, lambda p: campaigns.pause(p, on_this_host(), name, why), "pauses")


@campaign.command()
def resume(name: CampaignArgument, config: ConfigOption = None) -> None:
    """Go on; what went wrong until now is taken as answered."""
    from monitor.operations import campaigns

    _move(config, lambda p: campaigns.resume(p, on_this_host(), name), "goes on")


@campaign.command()
def stop(
    name: CampaignArgument,
    why: WhyOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """End a campaign for good; links that are out go on working until they expire."""
    from monitor.operations import campaigns

    confirm_or_stop(f"End campaign {name} for good?", yes)
    _move(config, lambda p: campaigns.stop(p, on_this_host(), name, why), "is over")


def _move(config: Path | None, move: Callable[[Any], Awaitable[Any]], said: str) -> None:
    async def work() -> None:
        async with parts(config) as p:
            moved = await move(p)
        out.print(f"[green]✓[/] Campaign {moved.id} {said}.")

    run_async(work)


@campaign.command()
def report(name: CampaignArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Print what came of a campaign, as Markdown: sums, days, who is left, and what went wrong."""

    async def work() -> None:
        from monitor.operations import campaign_reports

        async with parts(config) as p:
            found = await campaign_reports.report(p, on_this_host(), name)
        print_json(found.document()) if json else print(found.markdown(), end="")

    run_async(work)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
