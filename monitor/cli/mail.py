"""email, notices, reauthorize: what clients are told."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from monitor.cli.oncall import ClientOption, ConnectionOption, EveryOption, chosen, length_of
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
from monitor.errors import ConfigurationError
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from monitor.health.question import Question

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
    from datetime import UTC

    from alerts.mails.language import languages
    from alerts.mails.samples import sample
    from alerts.mails.standing import KINDS
    from monitor.cli.preview import gallery, page
    from monitor.host.files import make_folder
    from monitor.settings.builders import build_composer

    if template and template not in KINDS:
        raise ConfigurationError(f"{template}: there is no such mail; there are {', '.join(KINDS)}.")
    composer, logo = build_composer(loaded(config))
    # Any day will do, and always the same one makes previews comparable.
    now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    make_folder(folder)
    written = []
    for name in [template] if template else KINDS:
        for language in [locale] if locale else languages():
            mail = sample(composer, name, language, now)
            stem = f"{name}.{language}"
            html = page(mail.html, logo)
            (folder / f"{stem}.html").write_text(html, encoding="utf-8")
            (folder / f"{stem}.txt").write_text(f"Subject: {mail.subject}\n\n{mail.text}", encoding="utf-8")
            written.append((stem, mail.subject))
    (folder / "index.html").write_text(gallery(written), encoding="utf-8")
    count = len(written)
    out.print(f"[green]✓[/] {count} mail{'s' if count != 1 else ''} in {escape(str(folder))}")
    out.print(f"Look: {escape(str((folder / 'index.html').resolve().as_uri()))}", soft_wrap=True)


@email.command()
def test(address: Annotated[str, typer.Argument(help="Who gets it.")], config: ConfigOption = None) -> None:
    """Send a sample mail, and say what the server answered at each step."""

    async def work() -> None:
        from alerts.outbox.envelope import Outcome
        from monitor.operations.desk import send_sample

        with err.status(f"Sending to {address} …"):
            outcome, answer, where = await send_sample(loaded(config), address)
        if outcome is not Outcome.SENT:
            raise ConfigurationError(f"{where}: {outcome.value}: {answer}")
        out.print(f"[green]✓[/] {escape(where)} took it: {escape(answer)}")

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
        from alerts.mails.refusals import undeliverable
        from alerts.mails.told import document
        from alerts.outbox import listing
        from alerts.silences import silences
        from monitor.cli.show import print_question
        from monitor.operations import incidents
        from monitor.operations.desk import mail_server_trouble

        async with parts(config) as p:
            now = p.clock.now()
            trouble = await mail_server_trouble(p)
            told = await listing.listing(p.database, limit, everything=everything)
            holds = await silences.standing(p.database, p.loaded.settings.windows, now)
            refused = await undeliverable(p.database)
            waves = await incidents.questions(p, on_this_host())
        if json:
            print_json(
                {
                    "notices": [document(item) for item in told],
                    "holds": [hold.document() for hold in holds],
                    "guards": [_document(one) for one in waves],
                    "undeliverable": [{"address": a, "since": at, "answer": why} for a, at, why in refused],
                    "mail_server": trouble or None,
                }
            )
            return
        _print_notices(told, holds, refused, now, everything)
        for one in waves:
            print_question(one, now)
        if trouble:
            out.print(f"[bold red]Mails wait.[/] {escape(trouble)}")

    run_async(work)


def _document(one: Question) -> dict[str, Any]:
    """Return a wave as `--json` gives it."""
    from dataclasses import asdict

    from monitor.operations.documents import iso

    found = asdict(one) | {
        "over": one.provider,
        "holds": one.held_connections,
        "mails": "",
        "since": iso(one.since),
        "next_at": iso(one.next_at),
        "choices": [{"does": choice.does, "command": command(choice)} for choice in one.choices],
    }
    return {name: value for name, value in found.items() if name != "provider"}


def _print_notices(
    told: list[Any], holds: list[Any], refused: list[Any], now: datetime, everything: bool
) -> None:
    from alerts.pages.story import SLOTS, Slot
    from monitor.cli.show import ago, plain_table

    if told:
        table = plain_table("no.", "state", "what", "client", "when", "to")
        style = {"waiting": "yellow", "sending": "cyan", "sent": "green", "failed": "bold red"}
        for item in told:
            when = item.settled_at or item.due_at
            to = ", ".join(f"{sent.address} {sent.state}" for sent in item.envelopes) or item.outcome
            table.add_row(
                str(item.id),
                f"[{style.get(item.state, 'dim')}]{item.state}[/]",
                ("over: " if item.slot == Slot.CLEAR else "")
                + item.kind
                + (f" {item.number}" if item.number else ""),
                escape(item.client or ("on-call" if item.slot in SLOTS else "operator")),
                ago(when, now),
                escape(to),
            )
        out.print(table)
    else:
        out.print("Nothing was said yet." if everything else "Nothing waits, and nothing failed.")
    _print_failures(told)
    for hold in holds:
        out.print(f"[bold]Hold[/] over {escape(hold.over_text)}. {escape(hold.sentence)}")
    for address, at, answer in refused:
        out.print(f"[bold red]Undeliverable[/] {escape(address)} since {ago(at, now)}: {escape(answer)}")


def _print_failures(told: list[Any]) -> None:
    """Say why mails failed, the same reason once, and how to send them again."""
    from alerts.pages.story import SLOTS

    why: dict[str, list[str]] = {}
    for item in told:
        if item.state == "failed" and item.envelopes and item.slot not in SLOTS:
            why.setdefault(item.outcome, []).append(str(item.id))
    for outcome, numbers in why.items():
        out.print(
            f"[bold red]Failed[/] {', '.join(numbers)}: {escape(outcome)}. Once that is put right: "
            f"[bold]token-health notices retry {' '.join(numbers)}[/]"
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
        from alerts.silences import silences
        from monitor.store.audit import person

        over, name = chosen(client=client, connection=connection, everything=everything)
        async with parts(config) as p:
            now = p.clock.now()
            until = now + length_of(span) if span else None
            await silences.begin(p.database, over, name, reason, until, now, person())
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
        from alerts.silences import silences
        from monitor.operations import desk
        from monitor.store import incidents
        from monitor.store.audit import person

        async with parts(config) as p:
            now = p.clock.now()
            if first and guard is None:
                raise ConfigurationError(
                    "--first goes with --guard NAME; 'token-health notices list' shows them."
                )
            if fuse:
                await desk.release_fuse(p, person())
                out.print("The fuse is whole for an hour; first mails go out.")
            elif guard is not None and first:
                asked = await desk.ask_first(p, guard, first, person())
                names = escape(", ".join(asked)) or "nobody, since none of them has an address"
                out.print(
                    f"Asked first, when confirmed again: {names}. 'token-health notices list' shows whether "
                    "it mends them."
                )
            elif guard is not None:
                count = await desk.decide_guard(p, guard, incidents.RELEASED, person())
                out.print(
                    f"Released: the clients of {count} connections are told, when each is confirmed again."
                )
            else:
                over, name = chosen(client=client, connection=connection, everything=everything)
                ended = await silences.end(p.database, over, name, now, person())
                which = f"{len(ended)} holds" if len(ended) > 1 else "the hold"
                out.print(f"Released: {which} over {escape(name or 'all clients')}.")

    run_async(work)


@notices.command()
def retry(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Numbers of failed mails, as 'notices list' shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every mail that failed.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send failed mails again, once a template or an address was put right; what is untrue by now is not."""
    if bool(numbers) == everything:
        raise ConfigurationError("Name the notices to try again, or give --all.")

    async def work() -> None:
        from monitor.operations.desk import retry_mails
        from monitor.store.audit import person

        async with parts(config) as p:
            done = await retry_mails(p, numbers or [], person())
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
def drop(guard: GuardOption = None, config: ConfigOption = None) -> None:
    """Never tell the clients of what a guard holds about this break."""

    async def work() -> None:
        from monitor.operations import desk
        from monitor.store import incidents
        from monitor.store.audit import person

        if guard is None:
            raise ConfigurationError("Say which: --guard NAME; 'token-health notices list' shows them.")
        async with parts(config) as p:
            count = await desk.decide_guard(p, guard, incidents.DROPPED, person())
        out.print(f"Dropped: the clients of {count} connections are not told about this break.")

    run_async(work)
