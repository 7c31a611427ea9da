"""probe, status, explain: what one looks at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

from monitor.cli.root import ConfigOption, JsonOption, err, out, parts, print_json, run_async

if TYPE_CHECKING:
    from monitor.settings.parts import Parts
    from monitor.store.connections import Known


WAITS = 5  # seconds that `probe` waits for connections that the service is looking at


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
    from monitor.cli.show import fleet_table, status_row, summary, worst_first
    from monitor.errors import TokenHealthError
    from monitor.metrics.meters import Meters
    from monitor.settings.builders import build_loop, build_pump, build_wire
    from monitor.store import connections
    from monitor.store.processes import Role, new_name

    async with parts(config) as p:
        known = {k.id: k for k in await connections.every(p.database)}
        for name in ids:
            if name not in known:
                await connections.show(p.database, name)
        chosen = ids or [k.id for k in known.values() if not _why_not(k, p)]
        wire = build_wire(p)
        name, meters = new_name(), Meters()
        pump = build_pump(p, meters, name)
        loop, _ = build_loop(p, wire, meters, name, Role.COMMAND, pump.tell if pump else None)
        try:
            await loop.attend()
            with err.status(f"Probing {len(chosen)} connection{'s' if len(chosen) != 1 else ''} …"):
                settled = []
                for start in range(0, len(chosen), 500):
                    settled += await loop.run_named(chosen[start : start + 500])
                for _ in range(WAITS):
                    # The service may be at some of them just now; it holds them for a moment only.
                    done = {o.lease.id for o in settled}
                    busy = [n for n in chosen if n not in done and not _why_not(known[n], p)]
                    if not busy:
                        break
                    await p.clock.sleep(1)
                    settled += await loop.run_named(busy[:500])
        finally:
            try:
                await loop.stop()
            finally:
                await wire.close()
        after = [k for k in await connections.every(p.database) if k.id in set(chosen)]
        findings = {o.lease.id: o.finding for o in settled}
        if json:
            print_json(
                [
                    status_row(k) | {"finding": findings[k.id].cause.value if k.id in findings else None}
                    for k in worst_first(after)
                ]
            )
        else:
            out.print(fleet_table(worst_first(after), p.clock.now(), out))
            out.print(summary(after))
        missed = [name for name in chosen if name not in findings]
        if missed:
            busy_now = "being probed by the service just now"
            said = "; ".join(f"{name}: {_why_not(known[name], p) or busy_now}" for name in missed[:5])
            raise TokenHealthError(f"Not probed: {said}.")
        return 0 if all(f.ok for f in findings.values()) else 1


def _why_not(known: Known, p: Parts) -> str:
    """Say why a connection cannot be probed at all, nothing where it can."""
    from monitor.health.lifecycle import State

    if known.health.state is State.PAUSED:
        return "paused"
    if known.place.app not in p.apps:
        return f"its app {known.place.app!r} is not in [[apps]]"
    return "never authorized, or waiting for you, so there is nothing to look at" if known.newcomer else ""


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
    from alerts.silences import silences
    from monitor.cli.show import ago, doubts, fleet_table, print_question, status_row, summary, worst_first
    from monitor.health.causes import Subject
    from monitor.operations import desk
    from monitor.store import connections, incidents

    async with parts(config) as p:
        fleet = worst_first(await connections.every(p.database))
        if json:
            print_json([status_row(known) for known in fleet])
            return
        if not fleet:
            out.print("No connections yet. Add some: [bold]token-health connections import FILE[/]")
            return
        now = p.clock.now()
        shown = fleet[:limit] if limit else fleet
        out.print(fleet_table(shown, now, out))
        if len(shown) < len(fleet):
            out.print(f"[dim]… and {len(fleet) - len(shown)} more; --limit 0 shows all.[/]")
        out.print(summary(fleet))
        if (doubted := doubts(fleet, now)) is not None:
            out.print(f"[yellow]Refresh in doubt:[/] {escape(doubted)}")
        for item in await incidents.open_now(p.database):
            if item.about.kind is not Subject.CONNECTION and not item.wave:
                what = f"{item.cause.value} of {item.about}, {item.members} connections broken"
                if item.guard and item.reasons:
                    what = f"{item.cause.value}: {item.reasons[0].rstrip('.')}"
                out.print(f"[bold]Incident:[/] {escape(what)}, since {ago(item.opened_at, now)}.")
        for one in await desk.questions(p):
            print_question(one, now)
        for silence in await silences.standing(p.database, p.loaded.settings.windows, now):
            if silence.begun_at <= now:
                out.print(f"[bold blue]Silent:[/] {escape(silence.over_text)}. {escape(silence.sentence)}")
        await _say_waiting(p)
        await _say_unwatched(p)
        await _say_stretched(p)


async def _say_waiting(p: Parts) -> None:
    from monitor.store import bindings

    for grant in await bindings.waiting(p.database):
        out.print(
            f"[bold yellow]You decide:[/] {escape(grant.sentence)}.\n"
            f"  It is theirs: [bold]token-health connections accept-account {escape(grant.connection)} "
            f"{escape(grant.account.id)}[/]\n"
            f"  It is not:    [bold]token-health connections refuse-account {escape(grant.connection)}[/]",
            soft_wrap=True,
        )


async def _say_unwatched(p: Parts) -> None:
    from monitor.operations.desk import not_watched
    from monitor.store import connections

    for app, count in (await connections.unwatched(p.database, p.apps)).items():
        out.print(f"[yellow]Note:[/] {escape(not_watched(app, count))}")


async def _say_stretched(p: Parts) -> None:
    from monitor.operations.desk import stretched_apps
    from monitor.text.spans import span

    for app, interval, wanted in await stretched_apps(p):
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
    from alerts.mails.told import document
    from alerts.outbox.listing import about_connection
    from monitor.cli.show import iso, status_row
    from monitor.health import explain as explaining
    from monitor.operations.desk import story
    from monitor.store import connections

    async with parts(config) as p:
        if json:
            tale = await story(p, connection)
            text = explaining.explain(tale, p.clock.now())
            known = await connections.show(p.database, connection)
            print_json(
                status_row(known)
                | {
                    "headline": text.headline,
                    "why": text.why,
                    "who_acts": text.who,
                    "told": text.told,
                    "next": text.next,
                    "rule": tale.rule,
                    "evidence": list(tale.evidence),
                    "evidence_at": iso(tale.evidence_at),
                    "probes": [
                        {
                            "since": iso(period.since),
                            "probes": period.probes,
                            "good": period.good,
                            "mean_seconds": period.seconds,
                            "others": {cause.value: number for cause, number in period.others.items()},
                        }
                        for period in tale.probed
                    ],
                    "notifications": [
                        document(told) for told in await about_connection(p.database, connection)
                    ],
                }
            )
            return
        await print_explanation(p, connection)


async def print_explanation(p: Parts, connection: str) -> None:
    """Print the whole chain for people."""
    from monitor.cli.show import STYLE, iso
    from monitor.health import explain as explaining
    from monitor.operations.desk import story
    from monitor.store import audit, history

    told = await story(p, connection)
    text = explaining.explain(told, p.clock.now())
    style = STYLE[told.health.state]
    out.print(f"[{style}]{escape(text.headline)}[/]")
    for title, lines in (
        ("Why", text.why),
        ("Evidence", text.evidence),
        ("Who acts", (text.who,)),
        ("Who was told", text.told),
        ("What comes next", text.next),
        ("Its probes", text.probed),
    ):
        if lines:
            at = f" [dim]of {iso(told.evidence_at)}[/]" if title == "Evidence" else ""
            out.print(f"\n[bold]{title}[/]{at}")
            for line in lines:
                out.print(Padding(escape(line), (0, 0, 0, 2), expand=False))
    changes = await history.timeline(p.database, connection, 6)
    if len(changes) > 1:
        out.print("\n[bold]Before that[/]")
        for change in changes[1:]:
            cause = f" {change.cause.value}" if change.cause.value != "ok" else ""
            out.print(Padding(f"{iso(change.at)}  {change.state.value}{cause}", (0, 0, 0, 2), expand=False))
    for entry in await audit.of_subject(p.database, connection, 3):
        out.print(
            Padding(
                f"[dim]{iso(entry.at)}  {entry.action} by {escape(entry.actor)}[/]",
                (0, 0, 0, 2),
                expand=False,
            )
        )
