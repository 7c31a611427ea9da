"""probe, status, explain: what one looks at."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

from monitor.cli.remedies import command, sentence
from monitor.cli.root import ConfigOption, JsonOption, err, out, parts, print_json, run_async
from monitor.errors import Remedy, TokenHealthError
from monitor.health.explain import account_remedies
from monitor.health.lifecycle import State
from monitor.operations.actor import on_this_host
from monitor.text.spans import span

if TYPE_CHECKING:
    from monitor.operations.explain import Explained
    from monitor.operations.fleet import Matters


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(probe)
    app.command()(status)
    app.command()(explain)


def probe(
    ids: Annotated[list[str] | None, typer.Argument(help="Connections to probe.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Probe every connection that is not paused.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Probe now. Exit code 0: all healthy, 1: some are not, 2: could not probe."""
    if bool(ids) == every:
        err.print("[bold red]error:[/] Name the connections to probe, or give --all.")
        raise typer.Exit(2)
    codes: list[int] = []

    async def work() -> None:
        codes.append(await _probe(config, ids or [], json))

    run_async(work)
    raise typer.Exit(codes[0])


async def _probe(config: Path | None, ids: list[str], json: bool) -> int:
    from monitor.cli.show import fleet_table, summary
    from monitor.operations import documents, probes

    async with parts(config) as p:
        many = f"{len(ids)} connection{'s' if len(ids) != 1 else ''}" if ids else "every connection"
        with err.status(f"Probing {many} …"):
            done = await probes.probe(p, on_this_host(), ids)
        found = {name: finding.cause.value for name, finding in done.findings.items()}
        if json:
            print_json([documents.row(row) | {"finding": found.get(row.id)} for row in done.rows])
        else:
            out.print(fleet_table(done.rows, p.clock.now(), out))
            out.print(summary(Counter(row.health.state for row in done.rows)))
        if done.missed:
            said = "; ".join(f"{name}: {why}" for name, why in list(done.missed.items())[:5])
            raise TokenHealthError(f"Not probed: {said}.")
        return 0 if done.all_well else 1


def status(
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="How many rows to show, worst first; 0 for all.")] = 50,
    config: ConfigOption = None,
) -> None:
    """Show the fleet, worst first."""

    async def work() -> None:
        await _status(config, json, limit)

    run_async(work)


async def _status(config: Path | None, json: bool, limit: int) -> None:
    from monitor.cli.show import doubts, fleet_table, summary
    from monitor.operations import documents, fleet

    async with parts(config) as p:
        me, now = on_this_host(), p.clock.now()
        if json:
            print_json([documents.row(row) async for row in fleet.every(p, me)])
            return
        counted = await fleet.counts(p, me)
        if not counted.total and not p.apps:
            out.print("No connections yet, and no app: the console's first page leads to both.")
            return
        if not counted.total:
            out.print(f"No connections yet. Add some: [bold]{command(Remedy('imports.take_in'))}[/]")
            return
        shown = []
        async for row in fleet.every(p, me):
            shown.append(row)
            if len(shown) == limit:
                break
        out.print(fleet_table(shown, now, out))
        if len(shown) < counted.total:
            out.print(f"[dim]… and {counted.total - len(shown)} more; --limit 0 shows all.[/]")
        out.print(summary({State(state): count for state, count in counted.states.items()}))
        if (doubted := doubts(await fleet.doubted(p, me), now)) is not None:
            out.print(f"[yellow]Refresh in doubt:[/] {escape(doubted)}")
        _print_matters(await fleet.matters(p, me), now)


def _print_matters(matters: Matters, now: datetime) -> None:
    from monitor.cli.show import ago, print_question

    for item in matters.shared:
        what = f"{item.cause.value} of {item.about}, {item.members} connections broken"
        if item.guard and item.reasons:
            what = f"{item.cause.value}: {item.reasons[0].rstrip('.')}"
        out.print(f"[bold]Incident:[/] {escape(what)}, since {ago(item.opened_at, now)}.")
    for one in matters.waves:
        print_question(one, now)
    for silence in matters.silent:
        out.print(f"[bold blue]Silent:[/] {escape(silence.over_text)}. {escape(silence.sentence)}")
    for grant in matters.waiting:
        *theirs, not_theirs = account_remedies(grant.connection, grant.account.ids)
        it = "It is theirs:" if len(theirs) == 1 else "This one is: "
        out.print(
            f"[bold yellow]You decide:[/] {escape(grant.sentence)}.\n"
            + "".join(f"  {it} [bold]{escape(command(one))}[/]\n" for one in theirs)
            + f"  It is not:    [bold]{escape(command(not_theirs))}[/]",
            soft_wrap=True,
        )
    for said in matters.unwatched:
        out.print(f"[yellow]Note:[/] {escape(said)}")
    for app, interval, wanted in matters.stretched:
        out.print(
            f"[yellow]Note:[/] {app} is probed every {span(interval, units=2)} instead of "
            f"{span(wanted, units=2)}: its app-wide rate limit allows no more."
        )


def explain(
    connection: Annotated[str, typer.Argument(help="Its id.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say why a connection is as it is: cause, evidence, rule, who must act, what comes next."""

    async def work() -> None:
        await _explain(config, connection, json)

    run_async(work)


async def _explain(config: Path | None, connection: str, json: bool) -> None:
    from monitor.operations.explain import explained

    async with parts(config) as p:
        found = await explained(p, on_this_host(), connection)
    if json:
        print_json(found.document())
    else:
        print_explanation(found)


def print_explanation(found: Explained) -> None:
    """Print the whole chain for people."""
    from monitor.cli.show import STYLE
    from monitor.operations.documents import iso

    told, text, advice = found.story, found.text, found.asked.advice
    out.print(f"[{STYLE[told.health.state]}]{escape(text.headline)}[/]")
    for title, lines in (
        ("Why", text.why),
        ("Evidence", text.evidence),
        ("The middleware says", text.middleware),
        ("Who acts", (text.who, *((advice.says,) if advice is not None else ()))),
        ("Who was told", text.told),
        ("What comes next", (*text.next, *map(sentence, text.remedies))),
        ("Its probes", text.probed),
    ):
        if lines:
            at = f" [dim]of {iso(told.evidence_at)}[/]" if title == "Evidence" else ""
            out.print(f"\n[bold]{title}[/]{at}")
            for line in lines:
                out.print(Padding(escape(line), (0, 0, 0, 2), expand=False))
    if len(found.before) > 1:
        out.print("\n[bold]Before that[/]")
        for change in found.before[1:]:
            cause = f" {change.cause.value}" if change.cause.value != "ok" else ""
            out.print(Padding(f"{iso(change.at)}  {change.state.value}{cause}", (0, 0, 0, 2), expand=False))
    for entry in found.audit[:3]:
        line = f"[dim]{iso(entry.at)}  {entry.action} by {escape(entry.actor)}[/]"
        out.print(Padding(line, (0, 0, 0, 2), expand=False))
