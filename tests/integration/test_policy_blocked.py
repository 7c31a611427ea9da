"""A setting of the client's own administrator keeps us out: what is asked of whom, and that it heals by itself."""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from monitor.health.explain import explain
from monitor.health.handout import NeedsPerson, Wish, decided
from monitor.operations import links as asking
from monitor.operations.explain import story
from monitor.store import audit, custody
from tests.conftest import MAIL, ME, rigged
from tests.integration.test_consent import browser_on, start, title, user_of

MORE = """
[settings.trusted]
title = { en = "App access control", de = "App-Zugriffssteuerung" }
page = "https://admin.example.com/apps"
do = { en = "Set this app to “Trusted”.", de = "Stellen Sie diese App auf „Vertrauenswürdig“." }

[[rules]]
step = "refresh"
status = 400
description = "session policy"
cause = "policy_blocked"
setting = "trusted"

[[rules]]
step = "callback"
error = ["admin_policy_enforced", "invalid_client"]
description = "^(?!.*secret)"
cause = "policy_blocked"
setting = "trusted"
"""


@pytest.fixture
async def strict(tmp_path, sandbox, mailbox, database_url):
    """A provider whose administrators have such a setting; on SQLite and on PostgreSQL."""
    (tmp_path / "mine.toml").write_text((files("monitor.providers") / "clio.toml").read_text() + MORE)
    apps = {"clio": {"extra": 'provider_file = "mine.toml"'}}
    more = MAIL.format(url=mailbox.url)
    async with rigged(tmp_path, sandbox, database_url, more=more, apps=apps) as found:
        yield found


async def _blocked(rig, *names, **client):
    await rig.add(*names, client=client or None)
    await rig.look()
    for name in names:
        rig.sandbox.do(rig.grants[name], "expire_refresh", says="blocked by session policy")
    await rig.after(minutes=8)
    for name in names:
        assert await rig.settle(name) == ("broken", "policy_blocked")


async def test_the_mail_names_the_setting_and_its_page_and_what_is_for_it(strict, mailbox):
    await _blocked(strict, "acme")
    await strict.mails(minutes=11)
    (mail,) = mailbox.taken
    assert mail["Subject"] == "Action needed: a setting in Clio Manage keeps us out for Firm acme"
    said = " ".join(mail.get_body(("plain",)).get_content().split())
    for part in (
        "App access control", "Set this app to “Trusted”.", "https://admin.example.com/apps", "client ID clio",
        "Account: Firm acme", "HTTP 400 invalid_grant “The refresh token is blocked by session policy.”",
    ):  # fmt: skip
        assert part in said
    assert "two minutes" not in said, "it does not say that clicking mends it"
    assert said.index("https://admin.example.com/apps") < said.index("an hour after") < said.index("/r/")
    told = explain(await story(strict.parts, ME, "acme"), strict.clock.now()).why
    assert any("App access control. Set this app" in line for line in told)


async def test_it_speaks_the_clients_language_the_settings_too(strict, mailbox):
    await _blocked(strict, "acme", locale="de")
    await strict.mails(minutes=11)
    said = mailbox.taken[0].get_body(("plain",)).get_content()
    assert "App-Zugriffssteuerung" in said and "Stellen Sie diese App auf" in said


async def test_it_is_asked_again_by_itself_and_heals_without_the_client_authorizing(strict, mailbox):
    await _blocked(strict, "acme")
    await strict.mails(minutes=11)
    before = (await strict.known("acme")).last_probe_at
    await strict.after(hours=1)
    assert (await strict.known("acme")).last_probe_at > before
    strict.sandbox.do(strict.grants["acme"], "restore")
    strict.sandbox.do(strict.grants["acme"], "expire_access")  # so that only a refresh can tell
    for _ in range(8):
        await strict.after(minutes=10)
    assert await strict.state("acme") == ("healthy", "ok")
    await strict.mails()
    assert [subject.split(":")[0] for subject in mailbox.subjects()] == ["Action needed", "Thank you"]


async def test_the_client_is_reminded_once_and_then_a_person_calls(strict, mailbox):
    await _blocked(strict, "acme")
    for _ in range(40):
        await strict.mails(hours=12)
    assert [s.split(":")[0] for s in mailbox.subjects()] == ["Action needed", "Reminder", "Over to you"]
    said = " ".join(mailbox.taken[1].get_body(("plain",)).get_content().split())
    assert "First an administrator of Clio Manage has to change a setting." in said
    assert "https://admin.example.com/apps" in said and "waiting for your approval" not in said


async def test_many_at_once_are_held_as_others_are(strict, mailbox):
    """A provider that changes a default for all of them is no doing of each administrator."""
    await _blocked(strict, *(f"firm{n:02}" for n in range(12)))
    await strict.mails(hours=3)
    assert mailbox.taken == []


async def test_programs_are_told_that_an_administrator_has_to_act(strict):
    await _blocked(strict, "acme")
    held = await custody.held(strict.parts.database, "acme")
    answer = decided(held.books, Wish(), strict.clock.now())
    assert isinstance(answer, NeedsPerson)
    assert (answer.cause, answer.owner.value) == ("policy_blocked", "client")


async def test_the_links_page_says_what_comes_first(strict):
    await _blocked(strict, "acme")
    link = await asking.new(strict.parts, ME, "acme")
    async with browser_on(strict) as browser:
        page = await browser.get(urlsplit(link).path)
    assert title(page) == "First a setting has to be changed"
    assert 'href="https://admin.example.com/apps"' in page.text and "App access control" in page.text
    assert 'class="second"' in page.text and "an hour after the change" in page.text


@pytest.mark.parametrize(
    ("error", "said", "status"),
    [
        ("admin_policy_enforced", "", 403),
        ("invalid_client", "app must be installed into org", 403),
        ("invalid_client", "the client secret is wrong", 502),
        ("access_denied", "", 200),
    ],
)
async def test_what_an_administrator_forbids_at_the_consent_page_has_a_page_of_its_own(
    strict, error, said, status
):
    await _blocked(strict, "acme")
    link = await asking.new(strict.parts, ME, "acme")
    async with browser_on(strict) as browser:
        state = parse_qs(urlsplit(await start(browser, link)).query)["state"][0]
        back = urlencode({"state": state, "error": error} | ({"error_description": said} if said else {}))
        page = await browser.get(f"/oauth/callback?{back}")
        assert page.status_code == status
        lines = await audit.page(strict.parts.database, 20, subject="acme", action="consent.forbidden")
        forbidden = [entry for _, entry in lines]
        if status != 403:
            assert forbidden == []
            return
        assert title(page) == "An administrator has to allow this first"
        assert "App access control" in page.text and error in page.text
        (line,) = forbidden
        assert line.detail["rule"] == "clio.rules[2]"
        again = await browser.get(f"/oauth/callback?{back}")
        assert title(again) == title(page), "whoever reloads it sees the same"
        assert await start(browser, link), "the link stays valid"
        assert user_of(strict, "acme")
