"""silence, oncall, export: what engineers are told, and what Prometheus, Alertmanager and Grafana load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from monitor.cli.remedies import command
from monitor.cli.root import ConfigOption, JsonOption, loaded, out, parts, print_json, run_async
from monitor.cli.times import length_of, moment_of
from monitor.errors import ConfigurationError, Remedy, TokenHealthError
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from monitor.operations.oncall import Watch
    from monitor.operations.silences import Begun, Ended

silence = typer.Typer(
    help="What nobody is told about for a while: silences and maintenance windows.", no_args_is_help=True
)
oncall = typer.Typer(help="What engineers are told, and over which channels.", no_args_is_help=True)

EveryOption = Annotated[bool, typer.Option("--all", help="Everything.")]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="A provider, such as clio.")]
AppOption = Annotated[str | None, typer.Option("--app", help="An app, by id.")]
ClientOption = Annotated[str | None, typer.Option("--client", help="A client, by name.")]
ConnectionOption = Annotated[str | None, typer.Option("--connection", help="A connection, by id.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(silence, name="silence")
    app.add_typer(oncall, name="oncall")
    app.command()(export)


@silence.command()
def add(
    provider: ProviderOption = None,
    app: AppOption = None,
    client: ClientOption = None,
    connection: ConnectionOption = None,
    everything: EveryOption = False,
    span: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 3d.")] = "2h",
    start: Annotated[
        str, typer.Option("--from", help="When it begins: 2026-12-01T02:00Z. Without: now.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, for whoever wonders.")] = "",
    maintenance: Annotated[
        bool, typer.Option("--maintenance", help="And do not probe what is well: a maintenance window.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Tell nobody anything about something, for a while: no mail, no page, on no channel."""

    async def work() -> None:
        from monitor.operations import silences

        over, name = chosen(provider, app, client, connection, everything=everything)
        length, first = length_of(span), moment_of(start, "--from") if start else None
        async with parts(config) as p:
            done = await silences.begin(
                p,
                on_this_host(),
                over,
                name,
                length,
                start=first,
                reason=reason,
                maintenance=maintenance,
            )
        what = "Maintenance" if done.maintenance else "Silence"
        where = f"{done.over} {done.name}" if done.name else "everything"
        when = f"from {done.begin:%Y-%m-%d %H:%M} " if done.to_come else ""
        out.print(
            f"[green]✓[/] {what} over {escape(where)} {when}until {done.until:%Y-%m-%d %H:%M} UTC "
            f"(no. {done.number})."
        )
        _print_others(done, "Beside it over the same")
        out.print("[dim]What stands then is told then. A running service takes it up within seconds.[/]")

    run_async(work)


@silence.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List silences and maintenance windows: those that hold, and those to come."""

    async def work() -> None:
        from monitor.cli.show import plain_table
        from monitor.operations import documents, silences

        async with parts(config) as p:
            found = await silences.every(p, on_this_host())
        if json:
            print_json(documents.silences(found))
            return
        if not found.laid:
            out.print("Nothing is silent.")
        else:
            table = plain_table("no.", "over", "kind", "from", "until", "by", "why")
            for item in found.laid:
                table.add_row(
                    str(item.number or "–"),
                    escape(item.over_text),
                    "maintenance" if item.pauses else "silence",
                    f"{item.begun_at:%Y-%m-%d %H:%M}" + (" (to come)" if item.begun_at > found.at else ""),
                    f"{item.until:%Y-%m-%d %H:%M}" if item.until else "lifted",
                    escape(item.by),
                    escape(item.reason),
                )
            out.print(table)
        for window in found.not_now:
            out.print(f"[dim]Configured, not now: {escape(window.title)}.[/]")

    run_async(work)


def _print_others(done: Begun | Ended, where: str) -> None:
    for item in done.beside:
        until = f"until {item.until:%Y-%m-%d %H:%M} UTC" if item.until else "until it is lifted"
        out.print(f"[dim]{where}: no. {item.number}, from {item.begun_at:%Y-%m-%d %H:%M} {until}.[/]")


@silence.command()
def end(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Which, by the numbers that 'silence list' shows.")
    ] = None,
    provider: ProviderOption = None,
    app: AppOption = None,
    client: ClientOption = None,
    connection: ConnectionOption = None,
    everything: EveryOption = False,
    config: ConfigOption = None,
) -> None:
    """End silences and maintenance windows: by number, or all that hold now over something.

    Over something that is not silent now, the one that is to come is called off.
    """

    async def work() -> None:
        from monitor.operations import silences

        me = on_this_host()
        named = any((provider, app, client, connection, everything))
        if named and numbers:
            raise ConfigurationError("Give numbers, or what the silences lie over; not both.")
        async with parts(config) as p:
            if numbers:
                done = await silences.end_numbered(p, me, numbers)
            else:
                over, name = chosen(provider, app, client, connection, everything=everything)
                done = await silences.end(p, me, over, name)
        for verb, items in (("Ended", done.ended), ("Called off", done.called_off)):
            for item in items:
                out.print(f"[green]✓[/] {verb}: no. {item.number} over {escape(item.over_text)}.")
        _print_others(done, "Still over the same")
        for item in done.given:
            out.print(f"[dim]The configuration still silences it. {escape(item.sentence)}[/]")

    run_async(work)


@oncall.command("list")
def list_matters(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List what stands, what was told over which channel, and what is not told and why."""

    async def work() -> None:
        from monitor.operations import documents
        from monitor.operations import oncall as operate

        async with parts(config) as p:
            seen = await operate.watch(p, on_this_host())
        if json:
            print_json(documents.on_call(seen))
            return
        _print_matters(seen)

    run_async(work)


def _print_matters(seen: Watch) -> None:
    from monitor.cli.show import ago, plain_table

    if seen.matters:
        table = plain_table("", "what", "owner", "team", "since", "told over")
        for key, matter in sorted(seen.matters.items(), key=lambda item: item[1].alert.severity.value):
            loud = matter.alert.severity.value
            table.add_row(
                f"[bold red]{loud}[/]" if loud == "page" else f"[yellow]{loud}[/]",
                escape(matter.summary),
                matter.alert.owner,
                escape(matter.team),
                ago(matter.since, seen.at),
                escape(", ".join(seen.told.get(key, ())) or "nobody yet"),
            )
        out.print(table)
    else:
        out.print("[green]Nothing for an engineer to do.[/]")
    for key, why in seen.quiet.items():
        out.print(f"[dim]Not told: {escape(key)}. {escape(why)}[/]")
    for key in seen.over_soon:
        out.print(f"[dim]Over, told so in a moment: {escape(key)}.[/]")
    if not seen.channels:
        out.print(
            f"No channel: set {' or '.join(seen.ways)}, or let Prometheus page "
            f"('{command(Remedy('exporting.rules'))}')."
        )


@oncall.command("test")
def test_channels(config: ConfigOption = None) -> None:
    """Send a test message over each channel, say that it is over, and show the answers."""

    async def work() -> None:
        from monitor.operations import oncall as operate

        failed = 0
        async for tried in operate.test(loaded(config), on_this_host()):
            failed += not tried.taken
            mark = "[green]✓[/]" if tried.taken else "[bold red]✗[/]"
            out.print(f"{mark} {escape(tried.channel)}: {escape(tried.answer)}")
        if failed:
            raise TokenHealthError(f"{failed} channel{'s' if failed != 1 else ''} did not take the message.")

    run_async(work)


def export(
    what: Annotated[
        Literal["rules", "dashboards", "alertmanager"], typer.Argument(help="What.", show_default=False)
    ],
    folder: Annotated[Path, typer.Argument(help="Where to write.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Write what Prometheus, Grafana or Alertmanager load, with this configuration's teams and runbooks."""
    from monitor.operations.exporting import files
    from monitor.settings.file import find_file
    from monitor.settings.whole import Settings

    path = find_file(config)
    found = loaded(config).settings if config is not None or path.exists() else Settings()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(found, on_this_host(), what).items():
        (folder / name).write_text(text, encoding="utf-8")
        out.print(f"[green]✓[/] {escape(str(folder / name))}")


def chosen(
    provider: str | None = None,
    app: str | None = None,
    client: str | None = None,
    connection: str | None = None,
    *,
    everything: bool = False,
) -> tuple[str, str]:
    """Return the one thing that was named: its kind, and its name. Raises ConfigurationError."""
    given = {
        "provider": provider,
        "app": app,
        "client": client,
        "connection": connection,
        "all": "" if everything else None,
    }
    named = [(over, name) for over, name in given.items() if name is not None]
    if len(named) != 1:
        raise ConfigurationError(
            "Say which, one of: --client NAME, --connection ID, --all; a silence may also lie over "
            "--provider NAME or --app ID."
        )
    return named[0]
