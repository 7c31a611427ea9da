"""webhooks, events: what programs are told of, where it is sent, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from monitor.cli.remedies import command
from monitor.cli.root import ConfigOption, JsonOption, confirm_or_stop, out, parts, print_json, run_async
from monitor.cli.times import moment_of
from monitor.errors import ConfigurationError, Remedy, TokenHealthError
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from monitor.health.restriction import Restriction
    from monitor.operations.webhooks import Made

webhooks = typer.Typer(
    help="Endpoints of your own programs that are told what comes about.", no_args_is_help=True
)
events = typer.Typer(help="What came about, as programs are told.", no_args_is_help=True)

IdArgument = Annotated[
    str, typer.Argument(help="Which, by the id that 'webhooks list' shows.", show_default=False)
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="A type such as connection.broken, or a group: 'connection.*'. Repeatable."),
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(webhooks, name="webhooks")
    app.add_typer(events, name="events")


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(help="Where events are posted.", show_default=False)],
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help="A type, a group such as 'connection.*', or '*'. Repeatable."),
    ] = None,
    app: Annotated[list[str] | None, typer.Option("--app", help="Only of this app. Repeatable.")] = None,
    connection: Annotated[
        list[str] | None, typer.Option("--connection", help="Only of these: an id, or 'acme-*'. Repeatable.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only of NAME=VALUE. Repeatable.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add an endpoint, and show the secret that signs for it: this once."""

    async def work() -> None:
        from monitor.operations import documents
        from monitor.operations import webhooks as operate

        async with parts(config) as p:
            made = await operate.add(p, on_this_host(), url, event or ["*"], _only(app, connection, label))
        if json:
            print_json(documents.webhook_made(made))
            return
        out.print(f"[green]✓[/] {made.endpoint.id} is told of {escape(', '.join(made.endpoint.events))}.")
        _print_secret(made)
        out.print(f"[dim]Try it: {command(Remedy('webhooks.test', subject=made.endpoint.id))}[/]")

    run_async(work)


def _only(app: list[str] | None, connection: list[str] | None, label: list[str] | None) -> Restriction | None:
    from monitor.operations.webhooks import part_of_fleet

    if not (app or connection or label):
        return None
    labels: dict[str, list[str]] = {}
    for one in label or []:
        name, equals, value = one.partition("=")
        if not equals:
            raise ConfigurationError(f"--label: {one!r}: write NAME=VALUE.")
        labels.setdefault(name, []).append(value)
    return part_of_fleet({"apps": app or [], "connections": connection or [], "labels": labels})


def _print_secret(made: Made) -> None:
    # Past the console, which would break the line: whoever pipes it gets it whole.
    print(f"Its secret, shown this once: {made.secret.reveal()}")


@webhooks.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the endpoints, and how they are."""

    async def work() -> None:
        from monitor.cli.show import ago, plain_table
        from monitor.operations import documents
        from monitor.operations import webhooks as operate

        async with parts(config) as p:
            found, now = await operate.every(p, on_this_host()), p.clock.now()
        if json:
            print_json([documents.webhook(one) for one in found])
            return
        if not found:
            out.print("No program is told anything.")
            return
        table = plain_table("id", "address", "events", "only", "state", "fails for")
        for one in found:
            document = documents.webhook(one)
            table.add_row(
                one.id,
                escape(one.url),
                escape(", ".join(one.events)),
                escape(_said(document["only"])),
                one.state.value,
                ago(one.failing_since, now) if one.failing_since else "",
            )
        out.print(table)

    run_async(work)


def _said(only: dict[str, object] | None) -> str:
    return "; ".join(f"{name}: {value}" for name, value in (only or {}).items())


@webhooks.command()
def show(
    webhook: IdArgument,
    state: Annotated[
        str, typer.Option("--state", help="Only deliveries that are waiting, sending, sent, failed.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", help="How many deliveries.")] = 20,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show an endpoint, and the newest of what it was sent."""

    async def work() -> None:
        from monitor.cli.show import plain_table
        from monitor.operations import documents
        from monitor.operations import webhooks as operate

        async with parts(config) as p:
            shown = await operate.find(p, on_this_host(), webhook)
            page = await operate.sent(p, on_this_host(), webhook, limit, state=state)
        document = documents.webhook(shown.endpoint) | documents.webhook_status(shown)
        some = [documents.delivery(one) for one in page.deliveries]
        if json:
            print_json(document | {"newest": some})
            return
        for name, value in document.items():
            out.print(f"{name:>20}  {escape(str(value if value is not None else '–'))}")
        table = plain_table("delivery", "event", "state", "attempts", "next", "answer")
        for one in some:
            table.add_row(
                one["id"], one["type"], one["state"], str(one["attempts"]), one["next_at"] or "",
                escape(one["answer"] or ""),
            )  # fmt: skip
        if some:
            out.print(table)

    run_async(work)


@webhooks.command("test")
def test_one(webhook: IdArgument, config: ConfigOption = None) -> None:
    """Send a test event to an endpoint, and show what it answered."""

    async def work() -> None:
        from monitor.operations import webhooks as operate

        async with parts(config) as p:
            tried = await operate.test(p, on_this_host(), webhook)
        if not tried.taken:
            raise TokenHealthError(f"{webhook} did not take it: {tried.answer}")
        out.print(f"[green]✓[/] {webhook} took it: {escape(tried.answer)}")

    run_async(work)


@webhooks.command()
def replay(
    webhook: IdArgument,
    delivery: Annotated[str | None, typer.Option("--delivery", help="One delivery, by its id.")] = None,
    since: Annotated[str, typer.Option("--since", help="From when on: 2026-12-01T02:00Z.")] = "",
    until: Annotated[str, typer.Option("--until", help="Until when. Without: now.")] = "",
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Only this type or group. Repeatable.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Send again: one delivery, or all that came about in a time. Ids are those of the first time."""

    async def work() -> None:
        from monitor.operations import webhooks as operate

        if bool(delivery) == bool(since):
            raise ConfigurationError("Say which: --delivery ID, or --since TIME.")
        async with parts(config) as p:
            if delivery:
                await operate.send_again(p, on_this_host(), webhook, delivery)
                count = 1
            else:
                last = moment_of(until, "--until") if until else None
                count = await operate.replay(
                    p, on_this_host(), webhook, moment_of(since, "--since"), last, event or ()
                )
        out.print(f"[green]✓[/] {count} event{'s' if count != 1 else ''} go to {webhook} again.")
        out.print("[dim]A running service sends them within seconds.[/]")

    run_async(work)


@webhooks.command()
def rotate(webhook: IdArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Give an endpoint another secret. Both sign for a day, so that the other side can change over."""

    async def work() -> None:
        from monitor.operations import documents
        from monitor.operations import webhooks as operate

        async with parts(config) as p:
            made = await operate.rotate(p, on_this_host(), webhook)
        if json:
            print_json(documents.webhook_made(made))
            return
        out.print(f"[green]✓[/] {webhook} has another secret; the old one signs, too, for a day.")
        _print_secret(made)

    run_async(work)


@webhooks.command()
def enable(webhook: IdArgument, config: ConfigOption = None) -> None:
    """Send an endpoint again what comes about from now on."""

    async def work() -> None:
        from monitor.operations import webhooks as operate

        async with parts(config) as p:
            await operate.enable(p, on_this_host(), webhook)
        out.print(f"[green]✓[/] {webhook} is told again.")
        missed = Remedy("webhooks.replay", subject=webhook, options=(("since", "TIME"),))
        out.print(f"[dim]What it missed: {command(missed)}[/]")

    run_async(work)


@webhooks.command()
def disable(webhook: IdArgument, config: ConfigOption = None) -> None:
    """Send an endpoint nothing any more, and give up what waits for it."""

    async def work() -> None:
        from monitor.operations import webhooks as operate

        async with parts(config) as p:
            await operate.disable(p, on_this_host(), webhook)
        out.print(f"[green]✓[/] {webhook} is told nothing any more.")

    run_async(work)


@webhooks.command()
def remove(
    webhook: IdArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Forget an endpoint, and what waits for it."""

    async def work() -> None:
        from monitor.operations import webhooks as operate

        confirm_or_stop(f"Forget {webhook}?", yes)
        async with parts(config) as p:
            await operate.remove(p, on_this_host(), webhook)
        out.print(f"[green]✓[/] {webhook} is forgotten.")

    run_async(work)


@events.command()
def tail(
    kind: TypeOption = None,
    connection: Annotated[str, typer.Option("--connection", help="Only about this connection.")] = "",
    after: Annotated[
        str | None, typer.Option("--after", help="After this event, by its id. Without: now.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show events as they come about, until it is stopped. With --json one document a line."""

    async def work() -> None:
        import json as lines

        from monitor.operations import documents
        from monitor.operations import events as operate

        wanted = operate.Wanted(tuple(kind or ()), connection)
        async with parts(config) as p:
            async for one in await operate.follow(p, on_this_host(), after=after, wanted=wanted):
                if one is None:
                    continue
                if json:
                    print(lines.dumps(documents.event(one), ensure_ascii=False), flush=True)
                else:
                    out.print(f"{one.at:%H:%M:%S} {one.type:<28} {escape(one.connection or '')}")

    run_async(work)
