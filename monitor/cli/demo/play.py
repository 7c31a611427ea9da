"""demo: the service beside a Clio sandbox, with connections of different fates, told as it happens."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.rule import Rule

from monitor.cli.demo import DEMO
from monitor.cli.demo.second_act import second_act
from monitor.cli.demo.stage import FIRMS, Firm, Reader, Stage, stage_set
from monitor.cli.root import out
from monitor.errors import TokenHealthError

if TYPE_CHECKING:
    from monitor.settings.parts import Parts

# The story ends when everybody's fate is known, or at the latest after so many seconds.
LONGEST = 75.0


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    keep: Annotated[
        bool | None,
        typer.Option("--keep/--no-keep", help="Leave it running for you. On a terminal that is the default."),
    ] = None,
) -> None:
    """Show it all at work in a minute: a sandbox, a mailbox, connections of a dozen fates, and a wave."""
    stay = keep if keep is not None else sys.stdin.isatty() and sys.stdout.isatty()
    asyncio.run(_demo(stay))


async def _demo(keep: bool) -> None:
    out.print(Rule("[bold]Token Health[/]: a minute in the life of a fleet", align="left"))
    out.print(
        "A Clio sandbox, a mailbox and the service start as processes of their own. The service knows "
        "nothing of what is about to happen; it only sees answers.\n"
    )
    folder = Path(tempfile.mkdtemp(prefix="token-health-demo-"))
    try:
        async with stage_set(folder) as (stage, parts):
            told = await _story(stage, parts)
            await _summary(stage, parts)
            await second_act(stage)
            if keep:
                await _your_turn(stage, parts, told)
    except asyncio.CancelledError:
        out.print("Ended.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _your_turn(stage: Stage, parts: Parts, told: int) -> None:
    """Leave the stage to the visitor, and go on telling what happens."""
    out.print()
    out.print(Rule("[bold]Your turn[/]", align="left"))
    config = stage.folder / "token-health.toml"
    for text in (
        f"1. Remove the app of a firm, as its administrator:   [bold]{stage.sandbox}/[/]",
        f"2. Read the mail that comes of it:                   [bold]{stage.mailbox}/[/]",
        "3. Click its button. Approve with another firm's account, then with the right one.",
        f"Metrics: {stage.web}/metrics   Fleet: token-health status --config {config}",
        f"What an engineer has to mend: token-health oncall list --config {config}",
        "Ctrl-C ends it.",
    ):
        out.print(text, soft_wrap=True)
    out.print()
    while True:
        told = await _report(stage, parts, told)
        await asyncio.sleep(0.25)


async def _story(stage: Stage, parts: Parts) -> int:
    """Play the acts, report each verdict as the service reaches it; return the newest one's number."""
    acts = [
        (0.5, lambda: stage.say(f"{len(FIRMS)} connections are imported; the service probes them all.")),
        (6.0, lambda: _troubles(stage)),
        (13.0, lambda: _outage(stage)),
        (20.0, lambda: _mend(stage)),
    ]
    told, reading = 0, False
    while (elapsed := time.monotonic() - stage.began) < LONGEST:
        while acts and elapsed >= acts[0][0]:
            acts.pop(0)[1]()
        told = await _report(stage, parts, told)
        link = stage.newest_link("maple") if not acts and not reading else None
        if link is not None:
            reading = True
            await _client_reads(stage, parts, link)
        if not acts and reading and _complete(stage):
            return await _report(stage, parts, told)
        await asyncio.sleep(0.25)
    return told


async def _client_reads(stage: Stage, parts: Parts, link: str) -> None:
    """Maple's administrator follows the link: first with the wrong account, then with the right one."""
    from monitor.operations.desk import ask_client

    reader = Reader()
    stage.say("Maple's administrator clicks, and approves with Harbor's account by mistake.")
    said = await asyncio.to_thread(reader.approve, link, "Harbor Legal")
    stage.line(f"  the page says: [yellow]{said}[/]", "[dim]Nothing was overwritten.[/]")
    stage.say("The same link once more, now with Maple's own account.")
    said = await asyncio.to_thread(reader.approve, link, "Maple & Partners")
    stage.line(f"  the page says: [green]{said}[/]")
    stage.say("The operator invites Newcomer: token-health reauthorize newcomer --send")
    await ask_client(parts, "newcomer", DEMO.name)


def _troubles(stage: Stage) -> None:
    stage.say("Maple removes the app. Northgate's refresh token runs out. Oakwood's user loses a role.")
    stage.to("maple", "revoke")
    stage.to("northgate", "expire_refresh")
    stage.to("oakwood", "restrict_role", resources=["matters"])
    stage.say("Somebody changes the Canadian app's secret at the provider; a firewall covers Australia.")
    stage.call("/admin/apps", {"client_id": "clio-ca", "secret": "changed"})
    stage.to("pinecrest", "expire_access")
    stage.call("/admin/weather", {"region": "au", "mode": "waf"})
    stage.say("The network drops one answer, just as Sterling's refresh token was replaced.")
    stage.say("Nobody is told of that while Sterling's access token works, and there is something to try.")
    stage.call("/admin/limits", {"lose_answers": 1})


def _outage(stage: Stage) -> None:
    stage.say("Clio's European region goes down for twelve seconds.")
    stage.call("/admin/weather", {"region": "eu", "mode": "down", "for": 12})


def _mend(stage: Stage) -> None:
    stage.say("Oakwood's administrator gives the role back.")
    stage.to("oakwood", "restore", resources=["matters"])


async def _report(stage: Stage, parts: Parts, after: int) -> int:
    """Print the verdicts that are new since the last look; return the newest one's number."""
    from monitor.cli.show import SIGN, STYLE
    from monitor.health.causes import consequence
    from monitor.health.lifecycle import State
    from monitor.operations import changes

    for number, connection, change in await changes.since(parts, DEMO, after):
        after = number
        seen = stage.seen.setdefault(connection, [])
        broken = change.state is State.BROKEN
        seen.append(change.cause.value if broken else change.state.value)
        if change.state is State.SUSPECT:
            continue  # a doubt; nobody is told, so the demo does not tell either
        text = f"[{STYLE[change.state]}]{SIGN[change.state]} {connection} {change.state.value}[/]"
        if broken:
            advice = escape(consequence(change.cause).advice)
            stage.line(f"{text}: [bold]{change.cause.value}[/]", f"[dim]{change.owner.value}:[/] {advice}")
        elif seen[:-1].count("healthy"):
            stage.line(f"{text}: recovered; its incident is closed.")
        else:
            stage.line(text)
    for mail in (arrived := stage.arrived())[stage.mails :]:
        stage.line(f"[cyan]✉[/] {escape(mail['to'])}: [italic]{escape(mail['subject'])}[/]")
    stage.mails = len(arrived)
    return after


def _complete(stage: Stage) -> bool:
    """Whether every fate was found, and what was to recover has recovered."""
    for firm in FIRMS:
        seen = stage.seen.get(firm.id, [])
        if firm.fate not in ("", "pending") and firm.fate not in seen:
            return False
        heals = firm.fate in ("provider_outage", "role_restricted", "") or firm.id == "maple"
        if heals and (not seen or seen[-1] != "healthy"):
            return False
    # The last words: whoever is asked has the mail, and Maple the thanks, too.
    said = [(mail["to"], mail["subject"].split(":")[0]) for mail in stage.arrived()]
    asked = {f"it@{firm.id}.example" for firm in FIRMS if _asked(firm)}
    return ("it@maple.example", "Thank you") in said and asked <= {to for to, _ in said}


def _asked(firm: Firm) -> bool:
    """Whether this firm's fate is one that its client is asked to mend."""
    from monitor.health.causes import Cause, consequence

    return firm.fate == "pending" or (firm.fate != "" and consequence(Cause(firm.fate)).client_mail)


async def _summary(stage: Stage, parts: Parts) -> None:
    from monitor.cli.look import print_explanation
    from monitor.cli.show import fleet_table, plain_table, summary, worst_first
    from monitor.operations import connections

    out.print()
    out.print(Rule("[bold]How it stands[/]  (token-health status)", align="left"))
    fleet = worst_first(await connections.every(parts, DEMO))
    out.print(fleet_table(fleet, parts.clock.now(), out))
    out.print(summary(fleet))
    out.print()
    out.print(Rule("[bold]One of them[/]  (token-health explain maple)", align="left"))
    await print_explanation(parts, "maple")
    out.print()
    out.print(Rule("[bold]Summary[/]", align="left"))
    table = plain_table("connection", "found", "as it was?", "mails to the client", "recovered?")
    wrong, arrived = 0, [mail["to"] for mail in stage.arrived()]
    for firm in FIRMS:
        seen = stage.seen.get(firm.id, [])
        found = [s for s in seen if s not in ("healthy", "suspect")]
        right = (firm.fate in found) if firm.fate not in ("", "pending") else not found
        mails = arrived.count(f"it@{firm.id}.example")
        right = right and bool(mails) == _asked(firm)
        wrong += not right
        table.add_row(
            firm.id,
            ", ".join(dict.fromkeys(found)) or firm.fate or "healthy",
            "[green]✓[/]" if right else "[red]✗[/]",
            str(mails) if mails else "none",
            "yes" if found and seen[-1] == "healthy" else "",
        )
    out.print(table)
    known = len(FIRMS) - wrong
    out.print(
        f"{known} of {len(FIRMS)} fates found out in {time.monotonic() - stage.began:.0f} s. "
        f"{len(arrived)} mails; the outage came and went without one."
    )
    if wrong:
        raise TokenHealthError(f"{wrong} of the demo's connections were not found out; this is a defect.")
