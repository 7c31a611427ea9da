"""demo: the service beside a Clio sandbox, with connections of different fates, told as it happens."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.rule import Rule

from monitor.cli.demo import DEMO, middleware
from monitor.cli.demo.second_act import second_act
from monitor.cli.demo.stage import FIRMS, Firm, Reader, Stage, stage_set
from monitor.cli.root import out
from monitor.errors import TokenHealthError
from monitor.operations.actor import on_this_host

if TYPE_CHECKING:
    from monitor.settings.parts import Parts

# The story ends when everybody's fate is known, half a minute on most machines, or at the latest after so
# many seconds.
LONGEST = 240.0
# Who breaks in the midst of a provider's trouble is not written to before that has settled for hours: the
# provider's troubles begin when all of these were found out.
BEFORE_TROUBLES = ("wrong_account", "insufficient_scope", "revoked", "refresh_expired", "role_restricted")


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
    folder = Path(tempfile.mkdtemp(prefix="token-health-demo-"))
    try:
        async with stage_set(folder) as (stage, parts):
            out.print(f"The console: [bold]{stage.web}/[/]   Follow it there; no sign-in.\n")
            out.print(
                "A Clio sandbox, a mailbox, the service and a middleware start as processes of their own. "
                "The service knows nothing of what is about to happen; it only sees answers.\n"
            )
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
        f"4. See all of it in the console:                     [bold]{stage.web}/[/]",
        f"Metrics: {stage.web}/metrics   Fleet: token-health status --config {config}",
        f"What an engineer has to mend: token-health oncall list --config {config}",
        "Ctrl-C ends it.",
    ):
        out.print(text, soft_wrap=True)
    out.print()
    while True:
        told = await _report(stage, parts, told)
        await asyncio.sleep(0.25)


@dataclass(frozen=True, slots=True)
class Act:
    """What happens next in the story: not before so many seconds, nor before what it rests on was seen."""

    earliest: float
    play: Callable[[Stage, Parts], Awaitable[None]]
    ready: Callable[[Stage, Parts], Awaitable[bool]]


async def _story(stage: Stage, parts: Parts) -> int:
    """Play the acts, report each verdict as the service reaches it; return the newest one's number."""
    acts = [
        Act(0.5, _imported, _at_once),
        Act(0.5, middleware.begins, _as_imported),
        Act(6.0, _troubles, middleware.at_work),
        Act(6.0, _firewall, _found(*BEFORE_TROUBLES)),
        Act(13.0, _outage, _at_once),
        Act(20.0, _mend, _found("role_restricted")),
        Act(20.0, _client_reads, _asked_of_maple),
        Act(25.0, _outage_ends, _found("provider_outage")),
    ]
    told = 0
    while (elapsed := time.monotonic() - stage.began) < LONGEST:
        while acts and elapsed >= acts[0].earliest and await acts[0].ready(stage, parts):
            await acts.pop(0).play(stage, parts)
        told = await _report(stage, parts, told)
        if not acts and _complete(stage) and middleware.goes_on(stage):
            return await _report(stage, parts, told)
        await asyncio.sleep(0.25)
    return told


async def _at_once(_stage: Stage, _parts: Parts) -> bool:
    return True


async def _as_imported(_stage: Stage, parts: Parts) -> bool:
    """Whether the service saw everybody as they were imported; Oakwood's role, too, which it is to miss."""
    from monitor.health.lifecycle import State
    from monitor.operations import connections

    amiss = {firm.id for firm in FIRMS if firm.fate in ("insufficient_scope", "wrong_account")}
    for known in await connections.every(parts, on_this_host()):
        state, read = known.health.state, set(known.scopes) <= set(known.reads)
        if known.newcomer or (known.id in amiss and state in (State.SUSPECT, State.BROKEN)):
            continue
        if state is not State.HEALTHY or (known.id == "oakwood" and not read):
            return False
    return True


def _found(*fates: str) -> Callable[[Stage, Parts], Awaitable[bool]]:
    """Return whether all firms of these fates were found out, as something to wait for."""

    async def found(stage: Stage, _parts: Parts) -> bool:
        return all(firm.fate in stage.seen.get(firm.id, []) for firm in FIRMS if firm.fate in fates)

    return found


async def _asked_of_maple(stage: Stage, _parts: Parts) -> bool:
    return stage.newest_link("maple") is not None


async def _client_reads(stage: Stage, parts: Parts) -> None:
    """Maple's administrator follows the link: first with the wrong account, then with the right one."""
    from monitor.operations import links

    reader, link = Reader(), stage.newest_link("maple") or ""
    stage.say("Maple's administrator clicks, and approves with Harbor's account by mistake.")
    said = await asyncio.to_thread(reader.approve, link, "Harbor Legal")
    stage.line(f"  the page says: [yellow]{said}[/]", "[dim]Nothing was overwritten.[/]")
    stage.say("The same link once more, now with Maple's own account.")
    stage.approved["maple"] = time.monotonic()
    said = await asyncio.to_thread(reader.approve, link, "Maple & Partners")
    stage.line(f"  the page says: [green]{said}[/]")
    stage.say("The operator invites Newcomer: token-health reauthorize newcomer --send")
    await links.mail(parts, on_this_host(), "newcomer")


async def _imported(stage: Stage, _parts: Parts) -> None:
    stage.say(f"{len(FIRMS)} connections are imported; the service probes them all.")


async def _troubles(stage: Stage, _parts: Parts) -> None:
    stage.say("Maple removes the app. Northgate's refresh token runs out. Oakwood's user loses a role.")
    stage.to("maple", "revoke")
    stage.to("northgate", "expire_refresh")
    stage.to("oakwood", "restrict_role", resources=["matters"])
    stage.say("Somebody changes the Canadian app's secret at the provider.")
    stage.call("/admin/apps", {"client_id": "clio-ca", "secret": "changed"})
    stage.to("pinecrest", "expire_access")
    stage.say("The network drops one answer, just as Sterling's refresh token was replaced.")
    stage.say("Nobody is told of that while Sterling's access token works, and there is something to try.")
    stage.call("/admin/limits", {"lose_answers": 1})


async def _firewall(stage: Stage, _parts: Parts) -> None:
    stage.say("A firewall covers Australia.")
    stage.call("/admin/weather", {"region": "au", "mode": "waf"})


async def _outage(stage: Stage, _parts: Parts) -> None:
    stage.say("Clio's European region goes down.")
    stage.call("/admin/weather", {"region": "eu", "mode": "down"})


async def _outage_ends(stage: Stage, _parts: Parts) -> None:
    stage.say("Clio's European region is back.")
    stage.call("/admin/weather", {"region": "eu", "mode": "fine"})


async def _mend(stage: Stage, _parts: Parts) -> None:
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
    middleware.report(stage)
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
    from monitor.cli.show import fleet_table, plain_table, summary
    from monitor.operations import fleet
    from monitor.operations.explain import explained

    out.print()
    out.print(Rule("[bold]How it stands[/]  (token-health status)", align="left"))
    rows = [row async for row in fleet.every(parts, on_this_host())]
    out.print(fleet_table(rows, parts.clock.now(), out))
    out.print(summary(Counter(row.health.state for row in rows)))
    out.print()
    out.print(Rule("[bold]One of them[/]  (token-health explain maple)", align="left"))
    print_explanation(await explained(parts, on_this_host(), "maple"))
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
    if said := middleware.summary(stage):
        out.print(said)
    if wrong:
        raise TokenHealthError(f"{wrong} of the demo's connections were not found out; this is a defect.")
