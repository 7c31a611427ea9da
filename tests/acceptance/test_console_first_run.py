"""From an empty folder to the first healthy connection, by what the pages say, without a script and without help."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.browsers import chromium
from tests.acceptance.console import looking
from tests.acceptance.forked import command
from tests.acceptance.test_processes import RUNNING, free_port, get, until

soon = partial(until, seconds=90)  # on a machine that has much to do


@pytest.fixture
def page() -> Iterator[object]:
    """A browser's page, with a patience that suits a busy machine."""
    with chromium() as browser:
        context = browser.new_context(java_script_enabled=False)
        context.set_default_timeout(90_000)
        yield context.new_page()


class Begun:
    """The service, started by the words that `init` or a page says, in a folder."""

    def __init__(self, words: str, folder: Path, env: dict[str, str]) -> None:
        program, *rest = words.split()
        assert program == "token-health"
        self.log = (folder / "service.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "monitor", *rest],
            cwd=folder, env=os.environ | env, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        RUNNING.add(self)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)
        self.log.close()
        RUNNING.discard(self)


def said(page) -> str:
    return " ".join(page.locator("main").inner_text().split())


def looked_at(browser, url: str) -> None:
    """Look at a page as one with good eyes does, and axe: in both themes, from a phone to a desk."""
    for theme in ("light", "dark"):
        context = browser.new_context(color_scheme=theme)
        one = context.new_page()
        one.goto(url, timeout=90_000)
        assert looking.violations(one) == []
        assert looking.too_wide(one, [360, 800, 1280, 1600]) == []
        context.close()


def put_in(path: Path, what: str, by: str) -> None:
    text = path.read_text()
    assert what in text
    path.write_text(text.replace(what, by))


def test_a_newcomer_follows_the_pages_from_nothing_to_the_first_connection(tmp_path, sandbox, page):
    port = free_port()
    here, file = f"http://127.0.0.1:{port}", tmp_path / "token-health.toml"
    sandbox.app("my-key", secret="my-secret", redirect_uris=[f"{here}/oauth/callback"])
    sandbox.grants([{"client_id": "my-key", "account_id": 7, "account_name": "Acme LLP"}])

    begun = command("init", cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    start = re.search(r"Next: (token-health .*)", begun.stdout)[1]
    assert "Then open http://127.0.0.1:8080/" in begun.stdout
    put_in(file, 'listen = "127.0.0.1:8080"', f'listen = "127.0.0.1:{port}"')  # others have that one here

    service = Begun(start, tmp_path, {})
    soon(lambda: get(port, "/readyz")[0] == 200)
    page.goto(here)
    assert page.locator("h1").inner_text() == "Nothing is watched yet. Three steps, about ten minutes."
    page.get_by_label("At which provider?").select_option(label="Clio Manage")
    page.get_by_role("button", name="Show what it takes").click()
    page.get_by_label("Client id").fill("my-key")
    page.get_by_label("Region").select_option("us")
    page.get_by_role("button", name="Show the lines").click()

    there = re.search(r"its pages for clients are at (\S+)\. Set public_url to that in \[web\]", said(page))[
        1
    ]
    assert there == here
    put_in(file, "[web]\n", f'[web]\npublic_url = "{there}"\n')
    lines = page.locator("#first-lines").inner_text()
    # The sandbox stands where Clio is.
    file.write_text(f'{file.read_text()}\n{lines.replace("us", "mars", 2)}base_url = "{sandbox.url}/us"\n')
    page.reload()
    assert "cannot be used as it stands:" in said(page) and "Clio Manage has no region 'mars'" in said(page)
    looked_at(page.context.browser, page.url)
    put_in(file, "mars", "us")
    page.get_by_role("link", name="Look again").click()
    assert "was changed, and nothing is wrong with it. Start the service again" in said(page)
    assert "It was started without CLIO_SECRET: set that first." in said(page)
    export, start = page.locator("#first-start").inner_text().strip().splitlines()
    name = re.fullmatch(r"export (\w+)='the app's secret'", export)[1]
    left_open = page.context.browser.new_context().new_page()
    left_open.goto(here)
    service.end()

    service = Begun(start, tmp_path, {name: "my-secret"})
    soon(lambda: get(port, "/readyz")[0] == 200)
    left_open.get_by_text("clio-us is here").wait_for(timeout=90_000)  # by itself
    page.goto(here)
    assert "clio-us is here" in said(page)
    ask = page.get_by_role("button", name=re.compile("Ask Clio Manage"))
    if ask.count():  # the service asks by itself, too
        ask.click()
    assert "clio-us is here, and Clio Manage answers to it." in said(page)
    assert page.locator("h1").inner_text() == "Nothing is watched yet. Next: your connections."

    looked_at(page.context.browser, here)
    page.get_by_role("link", name="Add one by its link…").click()
    page.get_by_label("Client", exact=False).first.fill("Acme LLP")
    page.get_by_label(re.compile("^Id")).fill("acme")
    page.get_by_label("Show me the link; I hand it over").check()
    page.get_by_role("button", name="Add it").click()
    page.goto(page.get_by_label("Link").input_value())
    page.get_by_role("button", name="Continue to Clio Manage").click()
    page.get_by_label("Acme LLP").check()
    page.get_by_role("button", name="Approve").click()
    assert page.locator("h1").inner_text() == "Thank you, it works"

    def state() -> str:
        found = command("status", "--json", cwd=tmp_path, env={name: "my-secret"})
        return json.loads(found.stdout)[0]["state"]

    soon(lambda: state() == "healthy")
    page.goto(f"{here}/?state=any")
    assert "Nothing is watched yet" not in page.content()
    assert "Acme LLP" in said(page) and "no sender of mails is configured" in said(page)
    page.goto(f"{here}/connections/acme")
    assert "healthy" in page.locator("h1").inner_text()
    service.end()
    assert "Traceback" not in (tmp_path / "service.log").read_text()
