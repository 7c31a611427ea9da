"""providers list, show, check, try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from monitor.cli.root import JsonOption, out, print_json
from monitor.health.rotation import AfterLost
from monitor.operations.actor import on_this_host
from monitor.text.spans import span

if TYPE_CHECKING:
    from rich.table import Table

    from monitor.operations.recorded import Tried

commands = typer.Typer(
    help="The providers that are known, and files that describe more.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="providers")


@commands.command("list")
def list_(json: JsonOption = False) -> None:
    """List the built-in providers."""
    from monitor.cli.show import plain_table
    from monitor.operations import documents, providers

    found = providers.every(on_this_host())
    if json:
        print_json([documents.provider(one) for one in found])
        return
    table = plain_table("name", "title", "regions", "scopes checked")
    for column in table.columns[2:]:
        column.no_wrap, column.overflow = False, "fold"
    for provider in found:
        table.add_row(
            provider.name, provider.title, " ".join(provider.regions), " ".join(provider.scopes) or "–"
        )
    out.print(table)


@commands.command()
def show(
    name: Annotated[str, typer.Argument(help="A built-in provider's name.")], json: JsonOption = False
) -> None:
    """Print a provider's file, or with --json what is understood of it."""
    from monitor.operations import documents, providers

    if json:
        print_json(documents.provider_whole(providers.show(on_this_host(), name)))
        return
    print(providers.text(on_this_host(), name), end="")


@commands.command()
def check(file: Annotated[Path, typer.Argument(help="A provider file.")]) -> None:
    """Check a provider file; every mistake is named with its line, and what stands in it in vain."""
    from monitor.operations import providers

    provider, in_vain = providers.check(on_this_host(), file)
    out.print(
        f"[green]✓[/] {escape(str(file))}: {escape(provider.title)}, {len(provider.regions)} "
        f"region{'s' if len(provider.regions) != 1 else ''}, {len(provider.scopes)} scope checks, "
        f"{len(provider.rules)} rules of its own."
    )
    out.print(f"  {_HABITS[provider.oauth.habit.habit]}")
    for said in in_vain:
        out.print(f"[yellow]![/] {escape(said)}.")


@commands.command("try")
def try_(
    file: Annotated[Path, typer.Argument(help="A provider file.")],
    answers: Annotated[Path, typer.Option("--answers", help="A directory of recorded answers, *.http.")],
    json: JsonOption = False,
) -> None:
    """Put recorded answers through a provider file; leaves with 1 where a verdict is not the wanted one."""
    from monitor.operations import providers, recorded

    provider, tried = providers.try_answers(on_this_host(), file, answers)
    right = sum(one.as_wanted for one in tried)
    unreached = recorded.not_reached(provider, tried)
    if json:
        documents = [recorded.document(one) for one in tried]
        print_json({"provider": provider.name, "answers": documents, "rules_not_reached": unreached})
    else:
        out.print(_verdicts(tried))
        for one in tried:
            for wrong in one.wrong:
                out.print(f"[red]✗[/] {escape(one.file)}: {escape(wrong)}. {escape(' '.join(one.reasons))}")
        out.print(f"{right} of {len(tried)} as wanted, {_proofs(tried)}.")
        if unreached:
            out.print(f"No answer came to {escape(', '.join(unreached))}.")
    if right != len(tried):
        raise typer.Exit(1)


def _verdicts(tried: Sequence[Tried]) -> Table:
    from monitor.cli.show import plain_table

    wide = out.width >= 120
    columns = ["", "file", "answers", "verdict", "rule", "sure", "who acts"]
    table = plain_table(*(columns if wide else [*columns[:2], *columns[3:5], columns[6]]))
    for column in table.columns[1:]:
        if column.header in ("file", "rule"):
            column.no_wrap, column.overflow = False, "fold"
    for one in tried:
        answers = zip(one.steps, one.statuses, strict=True)
        row = [
            "[green]✓[/]" if one.as_wanted else "[red]✗[/]",
            escape(one.file.removesuffix(".http")),
            "\n".join(f"{step} {status}" for step, status in answers),
            "\n".join((one.verdict, *_besides(one))),
            escape(one.rule),
            f"{one.confidence:.0%}",
            one.owner,
        ]
        table.add_row(*(row if wide else [*row[:2], *row[3:5], row[6]]))
    return table


def _besides(one: Tried) -> list[str]:
    waits = [f"waits {span(timedelta(seconds=one.wait), short=True)}"] if one.wait is not None else []
    return [f"setting {one.setting}", *waits] if one.setting else waits


def _proofs(tried: Sequence[Tried]) -> str:
    counted = Counter(one.proved for one in tried)
    return ", ".join(f"{count} {proof}" for proof, count in counted.most_common())


_HABITS = {
    AfterLost.RETRY: "After a lost answer a refresh token is sent again, at any time.",
    AfterLost.LAST_TRY: "After a lost answer a refresh token is sent once more, at its access token's end.",
    AfterLost.NEVER: "After a lost answer a refresh token is never sent again: it is lost at once.",
}
