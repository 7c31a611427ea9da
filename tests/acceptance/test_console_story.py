"""The console as it is used, in Chromium over a real service: one break among ten thousand, and a held wave."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import update

from monitor.health.incidents import Place
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store import imports
from monitor.store.imports import NewConnection
from monitor.store.tables import watch
from tests.acceptance.browsers import chromium
from tests.acceptance.forked import command
from tests.acceptance.test_processes import Program, cli, free_port, until
from tests.acceptance.test_story import mails
from tests.conftest import environ, write_config

PICTURES = os.environ.get("PICTURES")
PASSWORD = "correct horse battery"
soon = partial(until, seconds=60)  # on a machine that has much to do
MORE = """
[smtp]
url = "{smtp}"
from = "Integrations <integrations@agency.example>"
[email]
delay = "1s"
release_delay = "1s"
quiet_hours = ""
operator = "ops@agency.example"
[people]
argon2 = "small"
[web]
public_url = "{web}"
"""


@pytest.fixture
def browser() -> Iterator[object]:
    with chromium() as found:
        yield found


def configured(folder: Path, sandbox, smtp: str, web: str, guard: str = "") -> Path:
    sandbox.app("clio", redirect_uris=[f"{web}/oauth/callback"])
    path = write_config(
        folder, sandbox.url, f"sqlite:///{folder / 'th.db'}",
        schedule='scope_interval = "10s"', more=MORE.format(smtp=smtp, web=web) + guard,
    )  # fmt: skip
    path.write_text(path.read_text().replace('interval = "5m"', 'interval = "2s"').replace('"30s"', '"1s"'))
    return path


def record(name: str, number: int, tokens: dict[str, str], client: str) -> str:
    return json.dumps(
        {
            "id": name, "app": "clio", "scopes": ["contacts", "matters"], "account_id": str(number),
            "client": {"name": client, "contacts": [f"it@{name}.example"]},
            "tokens": {key: tokens[key] for key in ("access_token", "refresh_token")},
        }
    )  # fmt: skip


async def fill(path: Path, size: int) -> None:
    """Others, which nobody looks at while the story lasts: most are healthy, some paused, some in doubt."""
    now = datetime.now(UTC)  # noqa: TID251 - beside a service of its own process
    async with opened(load(path, environ("clio"))) as parts:
        for start in range(0, size, 5000):
            rows = [
                NewConnection(
                    id=f"other-{n:05}", place=Place("clio", "clio", "us"), client_name=f"Firm {n:05}",
                    contacts=(), locale="en", timezone="UTC", scopes=(), account_id=None, labels={},
                    access=None, refresh=None, access_expires_at=None, imported=f"other-{n}",
                    first_probe_at=now + timedelta(days=1),
                )
                for n in range(start, min(size, start + 5000))
            ]  # fmt: skip
            await imports.put(parts.database, rows, now, "story")
        async with parts.database.write() as conn:
            later = {"next_probe_at": now + timedelta(days=1), "since": now - timedelta(days=9)}
            await conn.execute(update(watch).values(state="healthy", **later))
            some = watch.c.connection.like("other-%77")
            await conn.execute(update(watch).where(some).values(state="paused", next_probe_at=None))


def add(path: Path, name: str, role: str) -> None:
    words = ("users", "add", name, "--role", role, "--password-stdin", "--config", str(path))
    done = command(*words, env=environ("clio"), stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr


def sign_in(page, web: str, name: str, to: str = "/") -> None:
    page.goto(f"{web}/sign-in?next={quote(to)}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{web}{to}")


def picture(page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def approve(page, link: str, firm: str) -> None:
    """What the client does with the mail."""
    page.goto(link)
    page.locator("main button").click()
    page.get_by_label(firm).check()
    page.get_by_role("button", name="Approve").click()
    assert page.locator("h1").inner_text() == "Thank you, it works"


def link_of(mailbox: str, address: str) -> str:
    (text,) = [one["text"] for one in mails(mailbox)[-1:] if address in str(one["to"])]
    return re.search(r"http://\S+/r/\S+", text)[0]


def test_one_break_among_ten_thousand_is_found_understood_mended_and_seen_to_heal(
    tmp_path, sandbox, catcher, browser
):
    smtp, mailbox = catcher
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    path = configured(tmp_path, sandbox, smtp, web, '[guard]\nonce_in = "never"\n')
    (firm,) = sandbox.grants(
        [{"client_id": "clio", "account_id": 1, "account_name": "Whitfield & Moreau", "email": "it@whitfield.example"}]
    )  # fmt: skip
    cli(path, "db", "upgrade")
    with ThreadPoolExecutor(1) as beside:  # Playwright's own loop runs in this one
        beside.submit(asyncio.run, fill(path, 9_999)).result()
    (tmp_path / "fleet.jsonl").write_text(record("whitfield", 1, firm["tokens"], "Whitfield & Moreau LLP"))
    cli(path, "connections", "import", str(tmp_path / "fleet.jsonl"))
    add(path, "ada", "admin")
    add(path, "vic", "viewer")
    program = Program(path, ("clio",), port)
    try:
        until(
            lambda: json.loads(cli(path, "connections", "show", "whitfield", "--json"))["state"] == "healthy"
        )
        sandbox.do(firm["grant"], "revoke")
        soon(lambda: len(mails(mailbox)) == 1)

        page = browser.new_context().new_page()
        faults: list[str] = []
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        sign_in(page, web, "ada")

        # The worst of ten thousand stands first, with its cause, and whose turn it is.
        assert "1 client has to reconnect" in page.locator("h1").inner_text()
        row = page.locator("tbody tr").first
        assert "Whitfield & Moreau LLP" in row.inner_text() and "revoked" in row.inner_text()
        assert "Client" in row.inner_text()
        picture(page, "story-fleet")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{web}/connections/whitfield")

        # Why it is so: what was asked and answered, and what comes next.
        assert "Whitfield & Moreau LLP on Clio Manage has been broken for" in page.locator("h1").inner_text()
        how = page.get_by_role("region", name="How we know").inner_text()
        assert "/oauth/token" in how and "invalid_grant" in how and "Once more, to be sure" in how

        # The link is sent: the question says to whom, and what they get.
        page.get_by_role("link", name="Send link").click()
        ask = page.locator("#ask")
        ask.wait_for()
        assert page.url == f"{web}/connections/whitfield", "a panel in the page, beside what it is about"
        assert "it@whitfield.example" in ask.inner_text()
        picture(page, "story-send")
        ask.get_by_role("button", name="Send to 1 address").click()
        page.locator("#said").wait_for()
        soon(lambda: len(mails(mailbox)) == 2)

        # The client approves at the provider, and the page that stands open sees it heal.
        page.evaluate("window.sameOne = true")
        client = browser.new_context(java_script_enabled=False).new_page()
        approve(client, link_of(mailbox, "it@whitfield.example"), "Whitfield & Moreau")
        page.get_by_role("heading", level=1, name=re.compile("has been healthy")).wait_for(timeout=60_000)
        assert page.evaluate("window.sameOne"), "without a reload"
        picture(page, "story-healed")
        assert faults == []

        # Without JavaScript the same is there, and does the same.
        plain = browser.new_context(java_script_enabled=False).new_page()
        sign_in(plain, web, "ada", "/?state=any&q=whitfield")
        plain.locator("tbody").get_by_role("link", name="Whitfield & Moreau LLP").click()
        plain.get_by_text("More", exact=True).click()
        plain.get_by_role("link", name="Pause").click()
        plain.locator("#ask").get_by_role("button").first.click()
        assert "paused" in plain.locator("h1").inner_text()
        plain.locator("#said").get_by_role("button", name="Undo").click()
        assert "paused" not in plain.locator("h1").inner_text()

        # Who may only look sees why, nobody's address, and no way to act.
        looks = browser.new_context().new_page()
        sign_in(looks, web, "vic", "/connections/whitfield")
        assert looks.get_by_text("needs the role operator").is_visible()
        assert "it@whitfield.example" not in looks.content()
        assert looks.get_by_role("button", name="Probe now").count() == 0
        answer = looks.request.post(
            f"{web}/connections/whitfield/pause", headers={"sec-fetch-site": "same-origin"}
        )
        assert answer.status == 403
        assert len(mails(mailbox)) == 3, "the client was thanked, and nobody told of anything else"
    finally:
        program.end()


def test_a_held_wave_its_canary_and_its_release(tmp_path, sandbox, catcher, browser):
    smtp, mailbox = catcher
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    path = configured(tmp_path, sandbox, smtp, web)
    # Longer than all of them take to be confirmed: before, each looks like one client's break.
    path.write_text(path.read_text().replace('\ndelay = "1s"', '\ndelay = "10s"'))
    names = [f"firm-{n:02}" for n in range(20)]
    grants = sandbox.grants(
        [
            {"client_id": "clio", "account_id": 100 + n, "account_name": f"Firm {n:02}", "email": f"it@{name}.example"}
            for n, name in enumerate(names)
        ]
    )  # fmt: skip
    lines = [
        record(name, 100 + n, grant["tokens"], f"Firm {n:02}")
        for n, (name, grant) in enumerate(zip(names, grants, strict=True))
    ]
    (tmp_path / "fleet.jsonl").write_text("\n".join(lines))
    cli(path, "connections", "import", str(tmp_path / "fleet.jsonl"))
    add(path, "oda", "operator")
    program = Program(path, ("clio",), port)
    try:
        soon(lambda: {one["state"] for one in json.loads(cli(path, "status", "--json"))} == {"healthy"})
        page = browser.new_context().new_page()
        sign_in(page, web, "oda", "/incidents")
        assert "Nothing is broken together" in page.locator("main").inner_text()
        for grant in grants[:6]:
            sandbox.do(grant["grant"], "revoke")

        # A wave is a question; nobody was written to.
        page.locator("#nav .count.mine").wait_for(timeout=60_000)
        wave = page.locator(".incident.operator").first

        def whole() -> bool:
            """All six are in it: whoever decides of fewer is asked again when more have joined."""
            page.goto(f"{web}/incidents")
            return "6 clients" in wave.inner_text()

        soon(whole)
        wave.get_by_text("Mail their clients?").wait_for()
        assert mails(mailbox) == []
        picture(page, "story-wave")

        # One is asked first, and it helps.
        wave.get_by_role("radio", name=re.compile("first", re.IGNORECASE)).check()
        wave.get_by_role("button", name="Decide").click()
        ask = page.locator("#ask")
        ask.get_by_label("How many").fill("1")
        ask.get_by_role("button").first.click()
        soon(lambda: len(mails(mailbox)) == 1)
        asked = str(mails(mailbox)[0]["to"])
        number = int(re.search(r"firm-(\d\d)", asked)[1])
        client = browser.new_context(java_script_enabled=False).new_page()
        approve(client, link_of(mailbox, asked), f"Firm {number:02}")

        # So the others are told, too.
        page.goto(f"{web}/incidents")
        wave = page.locator(".incident.operator").first
        wave.get_by_role("radio", name=re.compile("release", re.IGNORECASE)).check()
        wave.get_by_role("button", name="Decide").click()
        ask = page.locator("#ask")
        ask.wait_for()
        picture(page, "story-release")
        ask.get_by_role("button").first.click()
        page.locator("#said").wait_for()
        soon(lambda: sum("Action needed" in one["subject"] for one in mails(mailbox)) == 6)
    finally:
        program.end()
