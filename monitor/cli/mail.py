"""email, notices, reauthorize: what clients are told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from monitor.cli.oncall import ClientOption, ConnectionOption, EveryOption, chosen
from monitor.cli.remedies import command
from monitor.cli.root import (
    ConfigOption,
    JsonOption,
    err,
    loaded,
    out,
    parts,
    print_json,
    run_async,
)
from monitor.cli.times import length_of
from monitor.errors import ConfigurationError, Remedy
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from monitor.operations.notices import Outbox

email = typer.Typer(help="Look at the mails, and prove that they go out.", no_args_is_help=True)
notices = typer.Typer(
    help="What clients were told, and what waits; hold it, release it.", no_args_is_help=True
)

GuardOption = Annotated[
    str | None, typer.Option("--guard", help="The wave that the fleet guard holds, by its provider: clio.")
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(email, name="email")
    app.add_typer(notices, name="notices")
    app.command()(reauthorize)


@email.command()
def preview(
    template: Annotated[
        str, typer.Argument(help="Which kind, such as revoked; all without.", show_default=False)
    ] = "",
    locale: Annotated[str, typer.Option(help="Which locale; all without.", show_default=False)] = "",
    folder: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("mail-preview"),
    config: ConfigOption = None,
) -> None:
    """Write mails as HTML, as text, and as a page that shows them as a phone and a desk do."""
    from monitor.cli.preview import gallery
    from monitor.host.files import make_folder
    from monitor.operations import mails

    found = mails.previews(loaded(config), on_this_host(), template, locale)
    make_folder(folder)
    for one in found:
        stem = folder / f"{one.kind}.{one.language}"
        Path(f"{stem}.html").write_text(one.html, encoding="utf-8")
        Path(f"{stem}.txt").write_text(f"Subject: {one.subject}\n\n{one.text}", encoding="utf-8")
    shown = gallery([(f"{one.kind}.{one.language}", one.subject) for one in found])
    (folder / "index.html").write_text(shown, encoding="utf-8")
    out.print(f"[green]✓[/] {len(found)} mail{'s' if len(found) != 1 else ''} in {escape(str(folder))}")
    out.print(f"Look: {escape(str((folder / 'index.html').resolve().as_uri()))}", soft_wrap=True)


@email.command()
def test(address: Annotated[str, typer.Argument(help="Who gets it.")], config: ConfigOption = None) -> None:
    """Send a sample mail, and say what the server answered at each step."""

    async def work() -> None:
        from monitor.operations import mails

        with err.status(f"Sending to {address} …"):
            tried = await mails.test(loaded(config), on_this_host(), address)
        if not tried.taken:
            raise ConfigurationError(f"{tried.server}: {tried.outcome}: {tried.answer}")
        out.print(f"[green]✓[/] {escape(tried.server)} took it: {escape(tried.answer)}")

    run_async(work)


def reauthorize(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    send: Annotated[
        bool, typer.Option("--send", help="Mail it to the client instead of printing it.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make a fresh re-authorize link: print it, or have it mailed to the client now."""

    async def work() -> None:
        from monitor.operations import links

        async with parts(config) as p:
            if send:
                number = await links.mail(p, on_this_host(), connection)
                out.print(f"[green]✓[/] Notice {number} waits; the running service sends it within seconds.")
                return
            print(await links.new(p, on_this_host(), connection))

    run_async(work)


@notices.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also what was sent or taken back.")] = False,
    limit: Annotated[int, typer.Option(help="How many, newest first.")] = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what waits, what could not be sent, and what is held."""

    async def work() -> None:
        from monitor.cli.show import print_question
        from monitor.operations import documents
        from monitor.operations import notices as operate

        async with parts(config) as p:
            found = await operate.every(p, on_this_host(), limit, everything=everything)
        if json:
            document = documents.outbox(found)
            for wave, one in zip(document["guards"], found.waves, strict=True):
                said = [{"does": choice.does, "command": command(choice)} for choice in one.choices]
                wave["choices"] = [{"does": "waits", "command": None}, *said]
            print_json(document)
            return
        print_outbox(found, everything)
        for one in found.waves:
            print_question(one, found.at)
        if found.trouble:
            out.print(f"[bold red]Mails wait.[/] {escape(found.trouble)}")

    run_async(work)


def print_outbox(found: Outbox, everything: bool) -> None:
    """Print notices as a table, and what failed, what is held and who cannot be reached."""
    from monitor.cli.show import ago, plain_table

    if found.notices:
        table = plain_table("no.", "state", "what", "client", "when", "to")
        style = {"waiting": "yellow", "sending": "cyan", "sent": "green", "failed": "bold red"}
        for item in found.notices:
            when = item.settled_at or item.due_at
            to = ", ".join(f"{sent.address} {sent.state}" for sent in item.envelopes) or item.outcome
            table.add_row(
                str(item.id),
                f"[{style.get(item.state, 'dim')}]{item.state}[/]",
                ("over: " if item.slot == "clear" else "")
                + item.kind
                + (f" {item.number}" if item.number else ""),
                escape(item.client or ("on-call" if item.slot in ("page", "clear") else "operator")),
                ago(when, found.at),
                escape(to),
            )
        out.print(table)
    else:
        out.print("Nothing was said yet." if everything else "Nothing waits, and nothing failed.")
    _print_failures(found)
    for hold in found.holds:
        out.print(f"[bold]Hold[/] over {escape(hold.over_text)}. {escape(hold.sentence)}")
    for one in found.undeliverable:
        since = ago(one.since, found.at)
        out.print(f"[bold red]Undeliverable[/] {escape(one.address)} since {since}: {escape(one.answer)}")


def _print_failures(found: Outbox) -> None:
    """Say why mails failed, the same reason once, and how to send them again."""
    for outcome, numbers in found.failed.items():
        which = [str(number) for number in numbers]
        again = command(Remedy("notices.retry", subject=" ".join(which)))
        out.print(
            f"[bold red]Failed[/] {', '.join(which)}: {escape(outcome)}. Once that is put right: "
            f"[bold]{again}[/]"
        )


@notices.command()
def hold(
    client: ClientOption = None,
    connection: ConnectionOption = None,
    everything: EveryOption = False,
    span: Annotated[str, typer.Option("--for", help="For how long: 12h, 3d. Without: until released.")] = "",
    reason: Annotated[str, typer.Option(help="Why, for whoever wonders.")] = "",
    config: ConfigOption = None,
) -> None:
    """Tell nothing to a client, about a connection, or to anybody, until released."""

    async def work() -> None:
        from monitor.operations import notices as operate

        over, name = chosen(client=client, connection=connection, everything=everything)
        length = length_of(span) if span else None
        async with parts(config) as p:
            await operate.hold(p, on_this_host(), over, name, length, reason)
        out.print(
            f"Held: {escape(name or 'all clients')}. What is due waits, and is looked at anew afterwards."
        )

    run_async(work)


@notices.command()
def release(
    client: ClientOption = None,
    connection: ConnectionOption = None,
    everything: EveryOption = False,
    guard: GuardOption = None,
    first: Annotated[
        int, typer.Option(help="With --guard: ask so many clients first, and hold the rest.", min=0)
    ] = 0,
    fuse: Annotated[
        bool, typer.Option("--fuse", help="Let first mails out for an hour, however many.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Lift a hold, let out what the guard holds (or a few of it first), or mend the fuse."""

    async def work() -> None:
        from monitor.operations import notices as operate

        me = on_this_host()
        if first and guard is None:
            raise ConfigurationError(
                "--first goes with --guard NAME; 'token-health notices list' shows them."
            )
        async with parts(config) as p:
            if fuse:
                await operate.release_fuse(p, me)
                out.print("The fuse is whole for an hour; first mails go out.")
            elif guard is not None and first:
                asked = await operate.ask_first(p, me, guard, first)
                names = escape(", ".join(asked)) or "nobody, since none of them has an address"
                out.print(
                    f"Asked first, when confirmed again: {names}. 'token-health notices list' shows whether "
                    "it mends them."
                )
            elif guard is not None:
                count = await operate.release(p, me, guard)
                out.print(
                    f"Released: the clients of {count} connections are told, when each is confirmed again."
                )
            else:
                over, name = chosen(client=client, connection=connection, everything=everything)
                count = await operate.unhold(p, me, over, name)
                which = f"{count} holds" if count > 1 else "the hold"
                out.print(f"Released: {which} over {escape(name or 'all clients')}.")

    run_async(work)


@notices.command()
def retry(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Numbers of failed mails, as 'notices list' shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every mail that failed.")] = False,
    twice: Annotated[
        bool,
        typer.Option("--twice", help="Also one that may have arrived already; it may then arrive twice."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Send failed mails again, once a template or an address was put right; what is untrue by now is not."""
    if bool(numbers) == everything:
        raise ConfigurationError("Name the notices to try again, or give --all.")
    if twice and everything:
        raise ConfigurationError("What may have arrived already is sent again one by one; name its number.")

    async def work() -> None:
        from monitor.operations import notices as operate

        async with parts(config) as p:
            for number in numbers or [] if twice else []:
                await operate.send_twice(p, on_this_host(), number)
            done = (numbers or []) if twice else await operate.retry(p, on_this_host(), numbers or [])
        if not done:
            out.print("No mail failed.")
            return
        named = ", ".join(map(str, done[:10])) + (f" and {len(done) - 10} more" if len(done) > 10 else "")
        out.print(
            f"[green]✓[/] Notice{'s' if len(done) != 1 else ''} {named}: looked at anew, and sent if still "
            "true. A running service does it within seconds."
        )

    run_async(work)


@notices.command()
def send(
    number: Annotated[int, typer.Argument(help="Of a mail that waits, as 'notices list' shows it.")],
    config: ConfigOption = None,
) -> None:
    """Bring a mail that waits forward to now; what is held, or no longer true, is not sent."""

    async def work() -> None:
        from monitor.operations import notices as operate

        async with parts(config) as p:
            await operate.send_now(p, on_this_host(), number)
        out.print(
            f"[green]✓[/] Notice {number} goes out, after one more look. A running service does it within "
            "seconds."
        )

    run_async(work)


@notices.command()
def drop(guard: GuardOption = None, config: ConfigOption = None) -> None:
    """Never tell the clients of what a guard holds about this break."""

    async def work() -> None:
        from monitor.operations import notices as operate

        if guard is None:
            raise ConfigurationError("Say which: --guard NAME; 'token-health notices list' shows them.")
        async with parts(config) as p:
            count = await operate.drop(p, on_this_host(), guard)
        out.print(f"Dropped: the clients of {count} connections are not told about this break.")

    run_async(work)
