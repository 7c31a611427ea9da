"""How things look in a terminal: states, causes, times, and tables that fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.cli.remedies import command
from monitor.cli.root import out
from monitor.health.lifecycle import State
from monitor.health.listing import Listed
from monitor.health.question import Question
from monitor.text.names import one_line
from monitor.text.spans import span

WORST_FIRST = (State.BROKEN, State.SUSPECT, State.PENDING, State.PAUSED, State.HEALTHY)
STYLE = {
    State.BROKEN: "bold red",
    State.SUSPECT: "yellow",
    State.PENDING: "cyan",
    State.PAUSED: "dim",
    State.HEALTHY: "green",
}
SIGN = {State.BROKEN: "✗", State.SUSPECT: "?", State.PENDING: "○", State.PAUSED: "‖", State.HEALTHY: "✓"}


def state_text(state: State) -> Text:
    """A state with its sign, so that colour is never the only thing that tells it."""
    return Text(f"{SIGN[state]} {state.value}", style=STYLE[state])


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, or to come, in one short unit."""
    if moment is None:
        return "–"
    prefix = "in " if (now - moment).total_seconds() < -0.5 else ""
    return prefix + span(abs(now - moment), short=True)


def plain_table(*columns: str, **more: Any) -> Table:
    """A table with a header and no frame."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False, **more)
    for column in columns:
        table.add_column(column, overflow="ellipsis", no_wrap=True)
    return table


def fleet_table(fleet: Sequence[Listed], now: datetime, console: Console) -> Table:
    """The fleet: at 80 columns what one has to know, at 200 all of it."""
    wide = console.width >= 120
    columns = ["state", "connection"]
    columns += ["client", "app"] if wide else []
    columns += ["cause", "who acts", "since"]
    columns += ["last probe", "next probe"] if wide else ["next"]
    table = plain_table(*columns)
    for name in ("since", "last probe", "next probe", "next"):
        for column in table.columns:
            if column.header == name:
                column.justify = "right"
    for known in fleet:
        health = known.health
        cells: list[Text | str] = [state_text(health.state), escape(known.id)]
        if wide:
            cells += [escape(one_line(known.client_name)), known.place.app]
        bad = health.state in (State.BROKEN, State.SUSPECT)
        doubt = "refresh in doubt" if known.doubt is not None else ""
        cells += [
            health.cause.value if bad else doubt,
            health.owner.value if bad else "",
            ago(health.since, now),
        ]
        cells += [ago(known.last_probe_at, now)] if wide else []
        cells += [ago(known.next_probe_at, now)]
        table.add_row(*cells)
    return table


def summary(counts: Mapping[State, int]) -> Text:
    """How many are in which state, in one line."""
    total = sum(counts.values())
    line = Text(f"{total} connection{'s' if total != 1 else ''}: ", style="bold")
    for index, state in enumerate(s for s in WORST_FIRST if counts.get(s)):
        line.append(" · " if index else "")
        line.append(f"{counts[state]} {state.value}", style=STYLE[state])
    return line


def doubts(fleet: Sequence[Listed], now: datetime) -> str | None:
    """Say whose refresh is in doubt, and for how long; None for nobody's."""
    found = [(k.doubt.since, k.id) for k in fleet if k.doubt is not None]
    if not found:
        return None
    named = ", ".join(f"{name} for {ago(since, now)}" for since, name in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return (
        f"{len(found)} connection{'s' if len(found) != 1 else ''} ({named}{more}). Nothing is lost yet: "
        "'token-health explain ID' says what comes next."
    )


def print_question(one: Question, now: datetime) -> None:
    """Print a wave as the question it is: what is so, what comes next, and what one may say."""
    out.print(f"\n[bold yellow]Wave[/] for {ago(one.since, now)}: [bold]{escape(one.headline)}[/]")
    for title, text in (
        ("Why", " ".join(one.reasons)),
        ("Alike", ", ".join(one.alike)),
        ("Unlike", "; ".join(one.unlike)),
        ("So far", one.so_far),
        ("Next", one.next),
    ):
        if text:
            out.print(Padding(f"[bold]{title}[/]  {escape(text)}", (0, 0, 0, 2), expand=False))
    out.print("  [bold]You decide[/]: wait, or")
    for choice in one.choices:
        out.print(f"    [bold]{escape(command(choice))}[/] {escape(choice.does)}", soft_wrap=True)
