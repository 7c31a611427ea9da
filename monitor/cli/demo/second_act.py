"""The demo's second act: many of a fleet break together, the guard holds their mails, a person decides."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.rule import Rule

from monitor.cli.demo import DEMO
from monitor.cli.demo.stage import Reader, Stage, free_port, serving
from monitor.cli.root import out
from monitor.errors import TokenHealthError

if TYPE_CHECKING:
    from monitor.settings.parts import Parts

NAMES = (
    "Abbott", "Barlow", "Carver", "Dalton", "Ellison", "Fairfax", "Garrett", "Hadley", "Irving", "Jarvis",
    "Keating", "Langley", "Mercer", "Norwood", "Oakley", "Prescott", "Quincy", "Rowland", "Sheridan",
    "Thorne",
)  # fmt: skip
STRUCK = 6
PATIENCE = 90.0  # seconds that each step may take
APP = ("clio-second", "clio", "us", "us")


async def second_act(first: Stage) -> None:
    """Play it beside the first act's sandbox and mailbox; raise where it is not as it should be."""
    out.print()
    out.print(Rule("[bold]Second act[/]: a wave, held and decided", align="left"))
    out.print(
        f"Another fleet of {len(NAMES)} firms, and a service whose fleet guard judges as it does by default. "
        "Only the hour that a first mail waits takes two seconds.\n"
    )
    async with _staged(first) as (stage, parts):
        out.print(f"Its console: [bold]{stage.web}/incidents[/]\n")
        await _until(lambda: _healthy(parts))
        stage.say(f"All are healthy. Now Clio refuses {STRUCK} of them, as if each had removed the app.")
        struck = [name.lower() for name in NAMES[:STRUCK]]
        for firm in struck:
            stage.to(firm, "revoke")
        await _held(stage, parts)
        told = await _one_first(stage, parts)
        await _the_rest(stage, parts, struck, told)


async def _held(stage: Stage, parts: Parts) -> None:
    """All of them are confirmed broken, and none is mailed; this is what the operator sees."""
    from monitor.cli.show import print_question
    from monitor.operations import incidents

    async def all_held() -> bool:
        return any(one.held == STRUCK for one in await incidents.questions(parts, DEMO))

    await _until(all_held)
    await asyncio.sleep(3)  # longer than a first mail would wait
    if _mailed(stage):
        raise TokenHealthError("A mail went out of a wave that is held; this is a defect.")
    stage.line(
        "[yellow]held[/]: no mail goes out. This is what the operator sees (token-health notices list):"
    )
    for one in await incidents.questions(parts, DEMO):
        print_question(one, parts.clock.now())
    out.print()


async def _one_first(stage: Stage, parts: Parts) -> str:
    """The operator has one client asked first, whose administrator authorizes again; return which."""
    from monitor.operations import incidents, notices

    stage.say("Is it each firm's own doing? The operator asks one of them first: … --first 1")
    (client,) = await notices.ask_first(parts, DEMO, "clio", 1)
    firm = client.partition(" ")[0].lower()
    await _until(lambda: _is(bool(_mailed(stage))))
    _show_mails(stage)
    link = stage.newest_link(firm)
    said = await asyncio.to_thread(Reader().approve, link or "", client)
    stage.line(f"  {escape(client)} authorizes again; the page says: [green]{said}[/]")

    async def mended() -> bool:
        return any(one.mended == 1 for one in await incidents.questions(parts, DEMO))

    await _until(mended)
    return firm


async def _the_rest(stage: Stage, parts: Parts, struck: list[str], first: str) -> None:
    """It mended it, so the others have to be asked as well: the operator releases them."""
    from monitor.operations import incidents, notices

    stage.say("That mended it: the others have to act, too. The operator releases them.")
    await notices.release(parts, DEMO, "clio")
    await _until(lambda: _is(len(_asked(stage)) == STRUCK))
    _show_mails(stage)
    if _asked(stage) != sorted(struck) or await incidents.questions(parts, DEMO):
        raise TokenHealthError("The wave was not decided as it should be; this is a defect.")
    others = ", ".join(firm.capitalize() for firm in struck if firm != first)
    out.print(
        f"\nHeld while nobody knew, one asked first, and then {escape(others)}: each was asked once, "
        f"{time.monotonic() - stage.began:.0f} s after the demo began."
    )


@asynccontextmanager
async def _staged(first: Stage) -> AsyncIterator[tuple[Stage, Parts]]:
    folder = first.folder / "second"
    folder.mkdir()
    web = f"http://127.0.0.1:{free_port()}"
    stage = Stage(folder, first.sandbox, first.mailbox, first.smtp, web, first.began)
    _authorize(stage)
    async with serving(stage, "", [APP]) as parts:
        yield stage, parts


def _authorize(stage: Stage) -> None:
    app = {
        "client_id": APP[0], "secret": "demo-secret", "permissions": ["contacts", "matters"],
        "redirect_uris": [f"{stage.web}/oauth/callback"],
    }  # fmt: skip
    stage.call("/admin/apps", app)
    wishes = [
        {"client_id": APP[0], "account_id": 800 + n, "account_name": f"{name} Law", "email": _address(name)}
        for n, name in enumerate(NAMES)
    ]
    lines = []
    for wish, made, name in zip(
        wishes, stage.call("/admin/grants", {"grants": wishes})["grants"], NAMES, strict=True
    ):
        stage.grants[name.lower()] = made["grant"]
        record: dict[str, Any] = {
            "id": name.lower(), "app": APP[0], "account_id": str(wish["account_id"]),
            "client": {"name": wish["account_name"], "contacts": [wish["email"]]},
            "tokens": {key: made["tokens"][key] for key in ("access_token", "refresh_token")},
        }  # fmt: skip
        lines.append(json.dumps(record) + "\n")
    (stage.folder / "connections.jsonl").write_text("".join(lines))


def _address(name: str) -> str:
    return f"it@{name.lower()}.example"


def _mailed(stage: Stage) -> list[dict[str, str]]:
    """Return the mails to firms of this act."""
    mine = {_address(name) for name in NAMES}
    return [mail for mail in stage.arrived() if mail["to"] in mine]


def _asked(stage: Stage) -> list[str]:
    """Return the firms that were asked to act, each as often as it was."""
    return sorted(
        mail["to"].partition("@")[2].partition(".")[0]
        for mail in _mailed(stage)
        if not mail["subject"].startswith("Thank you")
    )


def _show_mails(stage: Stage) -> None:
    mails = _mailed(stage)
    for mail in mails[stage.mails :]:
        stage.line(f"[cyan]✉[/] {escape(mail['to'])}: [italic]{escape(mail['subject'])}[/]")
    stage.mails = len(mails)


async def _healthy(parts: Parts) -> bool:
    from monitor.health.lifecycle import State
    from monitor.operations import connections

    return all(k.health.state is State.HEALTHY for k in await connections.every(parts, DEMO))


async def _is(true: bool) -> bool:
    return true


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something has come about. Raises TokenHealthError where it does not."""
    end = time.monotonic() + PATIENCE
    while not await true():
        if time.monotonic() > end:
            raise TokenHealthError("The demo's wave did not go on; this is a defect.")
        await asyncio.sleep(0.25)
