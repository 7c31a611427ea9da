"""The whole story in a real browser, in two languages: revoked, mailed, wrong account, right account, healed."""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.test_processes import Program, cli, free_port, get, until
from tests.conftest import missing, write_config

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Where the pictures go: kept when a folder is named, to be looked at.
PICTURES = os.environ.get("PICTURES")

MAIL = """
[smtp]
url = "{smtp}"
from = "Northwind Integrations <integrations@northwind.example>"
[email]
delay = "0s"
quiet_hours = ""
[brand]
support = "help@northwind.example"
footer = "Northwind Integrations Ltd"
"""
WORDS = {
    "en": ("Reconnect Clio Manage", "Continue to Clio Manage", "That was another account", "Try again", "Thank you, it works", "Thank you"),
    "de": ("Clio Manage neu verbinden", "Weiter zu Clio Manage", "Das war ein anderes Konto", "Noch einmal versuchen", "Danke, es funktioniert", "Danke"),
}  # fmt: skip


@pytest.fixture
def page():
    if CHROMIUM is None:
        missing("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        # As strict as a careful client: no JavaScript, and a phone's width.
        context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 780})
        yield context.new_page()
        browser.close()


def picture(page, name: str) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def accessibility_faults(browser, *urls: str) -> list[str]:
    """What axe finds against WCAG 2; it needs JavaScript of its own, which the pages do not."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(bypass_csp=True)
    found = []
    for url in urls:
        looked = context.new_page()
        looked.goto(url)
        found += [f"{url}: {v['id']}" for v in Axe().run(looked).response["violations"]]
    context.close()
    return found


def mails(web: str) -> list[dict[str, str]]:
    with urllib.request.urlopen(f"{web}/messages.json", timeout=5) as answer:
        return json.load(answer)


@pytest.mark.parametrize("locale", ["en", "de"])
def test_a_client_comes_back_in_a_real_browser(locale, tmp_path, sandbox, catcher, page):
    smtp, mailbox = catcher
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    sandbox.app("clio", redirect_uris=[f"{web}/oauth/callback"])
    firm, _other = sandbox.grants(
        [
            {"client_id": "clio", "account_id": 1, "account_name": "Whitfield & Moreau", "email": "it@whitfield.example"},
            {"client_id": "clio", "account_id": 2, "account_name": "Some Other Firm", "email": "it@other.example"},
        ]
    )  # fmt: skip
    config = write_config(
        tmp_path,
        sandbox.url,
        f"sqlite:///{tmp_path / 'th.db'}",
        schedule='scope_interval = "10s"',
        more=MAIL.format(smtp=smtp),
    )
    text = config.read_text().replace('interval = "5m"', 'interval = "2s"').replace('"30s"', '"1s"')
    config.write_text(text + f'\n[web]\npublic_url = "{web}"\n')
    record = {
        "id": "whitfield",
        "app": "clio",
        "scopes": ["contacts", "matters"],
        "account_id": "1",
        "client": {
            "name": "Whitfield & Moreau LLP",
            "contacts": ["it@whitfield.example"],
            "locale": locale,
            "timezone": "Europe/Berlin",
        },
        "tokens": {key: firm["tokens"][key] for key in ("access_token", "refresh_token")},
    }
    (tmp_path / "fleet.jsonl").write_text(json.dumps(record))
    cli(config, "connections", "import", str(tmp_path / "fleet.jsonl"))
    heading, go, wrong, again, done, thanks = WORDS[locale]

    def state() -> str:
        return json.loads(get(port, "/api/v1/connections/whitfield/status")[1] or "{}").get("state", "")

    program = Program(config, ("clio",), port)
    try:
        until(lambda: state() == "healthy")
        sandbox.do(firm["grant"], "revoke")
        until(lambda: len(mails(mailbox)) >= 1)

        page.goto(f"{mailbox}/mail/0")
        picture(page, f"{locale}-1-mail")
        link = page.frame_locator("iframe").locator("a[href*='/r/']").first.get_attribute("href")
        page.goto(link)
        assert page.locator("h1").inner_text() == heading
        assert page.locator("html").get_attribute("lang") == locale
        picture(page, f"{locale}-2-link")
        assert accessibility_faults(page.context.browser, link, f"{web}/r/made-up") == []
        page.get_by_role("button", name=go).click()
        assert urlsplit(page.url).path == "/us/oauth/authorize"
        picture(page, f"{locale}-3-consent")
        page.get_by_label("Some Other Firm").check()
        page.get_by_role("button", name="Approve").click()
        assert page.locator("h1").inner_text() == wrong
        assert "Some Other Firm" in page.locator("main").inner_text()
        picture(page, f"{locale}-4-wrong-account")
        page.get_by_role("link", name=again).click()
        page.get_by_role("button", name=go).click()
        page.get_by_label("Whitfield & Moreau").check()
        page.get_by_role("button", name="Approve").click()
        assert page.locator("h1").inner_text() == done
        picture(page, f"{locale}-5-done")
        assert state() == "healthy"
        until(lambda: len(mails(mailbox)) >= 2)
        page.goto(f"{mailbox}/mail/1")
        picture(page, f"{locale}-6-resolved")
        assert mails(mailbox)[1]["subject"].startswith(thanks)
    finally:
        program.end()
    assert link.rsplit("/", 1)[1] not in program.text, "the secret of a link is in no log"
