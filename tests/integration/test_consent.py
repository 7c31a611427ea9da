"""The client's road: every way it can go, and that none of them loses or overwrites anything."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import replace
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from monitor.host.trust import trusted
from monitor.operations import accounts
from monitor.operations import links as asking
from monitor.secret import Secret
from monitor.service.assembly import build_pages
from monitor.store import links
from monitor.web.app import application
from monitor.web.ops import Ops, Pulse
from tests.conftest import MAIL, ME, PUBLIC_URL, rigged


@contextlib.asynccontextmanager
async def browser_on(rig, **headers):
    """A browser without JavaScript on our pages; the sandbox is a server elsewhere."""
    ops = Ops(None, lambda: Pulse(True, 0.0, 1, {}), lambda: None)
    pages = build_pages(rig.parts, rig.granter, rig.watching.rounds, rig.meters)
    transport = httpx.ASGITransport(application(ops, pages))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, headers=headers) as client:
        yield client


async def start(browser, link):
    answer = await browser.post(urlsplit(link).path)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def approve(consent, user, decision="approve"):
    """Decide on the provider's page; return the callback's path and query."""
    async with httpx.AsyncClient(verify=trusted(None)) as elsewhere:
        page = await elsewhere.get(consent)
        assert page.status_code == 200, page.text
        answer = await elsewhere.post(consent, data={"user": user, "decision": decision})
    location = urlsplit(answer.headers["location"])
    return f"{location.path}?{location.query}"


def title(answer) -> str:
    return re.search(r"<h1>(.*?)</h1>", answer.text).group(1)


async def broken(rig, name="acme", how="revoke", **more):
    await rig.add(name, **more)
    await rig.look()
    rig.sandbox.do(rig.grants[name], how)
    await rig.after(minutes=8)
    assert (await rig.settle(name))[0] == "broken"
    return await asking.new(rig.parts, ME, name)


def user_of(rig, name):
    return rig.sandbox.do(rig.grants[name], "look")["user"]


async def test_the_whole_road_heals_and_thanks(mailrig, mailbox):
    await mailrig.add("acme", scopes=("contacts", "matters"))
    await mailrig.look()
    mailrig.sandbox.do(mailrig.grants["acme"], "revoke")
    await mailrig.after(minutes=8)
    await mailrig.settle("acme")
    await mailrig.mails(minutes=11)
    link = mailbox.link()
    async with browser_on(mailrig) as browser:
        page = await browser.get(urlsplit(link).path)
        assert title(page) == "Reconnect Clio Manage"
        assert "Firm acme" in page.text and "contacts and matters" in page.text
        consent = await start(browser, link)
        asked = parse_qs(urlsplit(consent).query)
        assert asked["redirect_uri"] == [f"{PUBLIC_URL}/oauth/callback"]
        assert "scope" not in asked and asked["redirect_on_decline"] == ["true"]
        answer = await browser.get(await approve(consent, user_of(mailrig, "acme")))
        assert title(answer) == "Thank you, it works"
        assert await mailrig.state("acme") == ("healthy", "ok")
        again = await browser.get(urlsplit(link).path)
        assert title(again) == "Nothing to do: it works"
    await mailrig.mails()
    assert mailbox.subjects()[-1] == "Thank you: Clio Manage for Firm acme works"
    assert mailrig.meters.steps.labels("clio", "completed")._value.get() == 1


async def test_a_loop_that_looks_already_is_waited_for_and_not_called_a_silent_provider(mailrig, monkeypatch):
    link, rounds = await broken(mailrig), mailrig.watching.rounds
    mailrig.clock.tick(seconds=1)  # since the look that found it broken
    looks = []

    async def taken(connection):
        looks.append(asyncio.create_task(one(connection)))  # the loop has its lease by now

    async def a_moment(seconds):
        mailrig.clock.tick(seconds=seconds)
        await asyncio.sleep(0.05)  # noqa: TID251 - a real look is under way

    one = rounds.one
    monkeypatch.setattr(rounds, "one", taken)
    monkeypatch.setattr(mailrig.parts.clock, "sleep", a_moment)
    async with browser_on(mailrig) as browser:
        answer = await browser.get(await approve(await start(browser, link), user_of(mailrig, "acme")))
    assert title(answer) == "Thank you, it works"


async def test_another_account_is_refused_with_its_name_and_nothing_is_overwritten(mailrig):
    link = await broken(mailrig)
    before = (await mailrig.known("acme")).sealed
    other = mailrig.sandbox.grants([{"client_id": "clio", "account_id": 907, "account_name": "Other Firm"}])[
        0
    ]
    async with browser_on(mailrig) as browser:
        answer = await browser.get(await approve(await start(browser, link), other["user_id"]))
        assert answer.status_code == 409 and title(answer) == "That was another account"
        assert "Other Firm" in answer.text and "Firm acme" in answer.text
        assert (await mailrig.known("acme")).sealed == before
        assert await mailrig.state("acme") == ("broken", "revoked")
        # The same link leads to the right account afterwards.
        answer = await browser.get(await approve(await start(browser, link), user_of(mailrig, "acme")))
        assert title(answer) == "Thank you, it works"


async def test_a_grant_of_a_wrong_account_is_given_back(mailrig):
    link = await broken(mailrig)
    mailrig.sandbox.grants([{"client_id": "clio", "account_id": 907, "account_name": "Other Firm"}])
    other = mailrig.sandbox.grants([{"client_id": "clio", "account_id": 908, "account_name": "Third Firm"}])[
        0
    ]
    revoked = mailrig.sandbox.seen()["revoked"]
    async with browser_on(mailrig) as browser:
        await browser.get(await approve(await start(browser, link), other["user_id"]))
    assert await mailrig.granter.revoke_leftovers() == 1
    assert mailrig.sandbox.seen()["revoked"] == revoked + 1
    assert await mailrig.granter.revoke_leftovers() == 0


async def test_an_operator_can_accept_the_new_account(mailrig):
    link = await broken(mailrig)
    other = mailrig.sandbox.grants([{"client_id": "clio", "account_id": 907, "account_name": "Other Firm"}])[
        0
    ]
    assert await accounts.accept(mailrig.parts, ME, "acme", "907") == "100"
    async with browser_on(mailrig) as browser:
        answer = await browser.get(await approve(await start(browser, link), other["user_id"]))
    assert title(answer) == "Thank you, it works"
    assert (await mailrig.known("acme")).account_name == "Other Firm"


async def test_declining_changes_nothing_and_leads_back(mailrig):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        back = await approve(await start(browser, link), user_of(mailrig, "acme"), "decline")
        answer = await browser.get(back)
        assert title(answer) == "You did not approve"
        assert "/again/" in answer.text, "a way to try again"
    assert mailrig.meters.steps.labels("clio", "declined")._value.get() == 1


async def test_an_answer_is_taken_once_and_only_in_the_browser_that_left(mailrig):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser, browser_on(mailrig) as stranger:
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        answer = await stranger.get(back)
        assert answer.status_code == 400 and title(answer) == "Please stay in one browser"
        answer = await browser.get(back)
        assert title(answer) == "Thank you, it works", "a stranger's visit did not spend it"
        answer = await browser.get(back)
        assert title(answer) == "Thank you, it works", "a reload shows the same, and exchanges nothing"
        assert (await mailrig.known("acme")).sealed.version == 1


async def test_tampered_late_and_mixed_up_answers_have_pages_of_their_own(mailrig):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        answer = await browser.get("/oauth/callback?code=x&state=made-up")
        assert answer.status_code == 400 and title(answer) == "This page cannot be opened like that"
        answer = await browser.get("/oauth/callback")
        assert answer.status_code == 400
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        answer = await browser.get(back + "&iss=https://evil.example")
        assert title(answer) == "The answer came from the wrong place"
        answer = await browser.get(back)
        assert title(answer) == "This step was done already", "it was spent by the mix-up"
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        mailrig.clock.tick(minutes=31)
        answer = await browser.get(back)
        assert answer.status_code == 410 and title(answer) == "That took too long"
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        answer = await browser.get(re.sub("code=[^&]+", "code=forged", back))
        assert title(answer) == "Clio Manage did not accept our request"
    assert await mailrig.state("acme") == ("broken", "revoked")


async def test_links_expire_are_spent_and_made_up(mailrig):
    link = await broken(mailrig)
    path = urlsplit(link).path
    async with browser_on(mailrig) as browser:
        answer = await browser.get("/r/made-up")
        assert answer.status_code == 404 and title(answer) == "This link is not valid"
        mailrig.clock.tick(days=15)
        for answer in (await browser.get(path), await browser.post(path)):
            assert answer.status_code == 410 and title(answer) == "This link has expired"
        assert mailrig.meters.steps.labels("clio", "expired")._value.get() == 1


async def test_opening_a_link_changes_nothing_however_often(mailrig):
    link = await broken(mailrig)
    before = await mailrig.known("acme")
    async with browser_on(mailrig) as browser:
        for _ in range(5):
            assert (await browser.get(urlsplit(link).path)).status_code == 200
            await browser.head(urlsplit(link).path)
    assert await mailrig.known("acme") == before
    assert mailrig.meters.steps.labels("clio", "opened")._value.get() == 1


async def test_a_form_of_another_site_starts_nothing(mailrig):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            assert (await browser.post(urlsplit(link).path, headers=headers)).status_code == 400


async def test_what_is_still_missing_is_said_at_once(mailrig):
    link = await broken(mailrig, scopes=("contacts", "matters", "tasks"))
    mailrig.sandbox.app("clio", permissions=["contacts"])
    async with browser_on(mailrig) as browser:
        answer = await browser.get(await approve(await start(browser, link), user_of(mailrig, "acme")))
        assert title(answer) == "Almost there" and "does not include: matters." in answer.text
        assert "tasks" not in answer.text, "there is no check for it, so nobody knows that it is missing"


async def test_a_provider_that_fails_after_the_exchange_leaves_the_link_valid(mailrig):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        mailrig.sandbox.weather("down")
        answer = await browser.get(back)
        assert answer.status_code == 503 and title(answer) == "Clio Manage does not answer just now"
        mailrig.sandbox.weather("fine")
        answer = await browser.get(await approve(await start(browser, link), user_of(mailrig, "acme")))
        assert title(answer) == "Thank you, it works"


async def test_a_first_authorization_takes_the_same_road(mailrig, mailbox):
    await mailrig.add("newcomer", tokens=False, scopes=("contacts",))
    assert await mailrig.state("newcomer") == ("pending", "ok")
    await asking.mail(mailrig.parts, ME, "newcomer")
    await mailrig.mails()
    assert mailbox.subjects() == ["Please connect Clio Manage for Firm newcomer"]
    await mailrig.mails(days=2, hours=1)
    assert mailbox.subjects()[-1] == "Reminder: Clio Manage for Firm newcomer still needs you"
    async with browser_on(mailrig) as browser:
        page = await browser.get(urlsplit(mailbox.link()).path)
        assert title(page) == "Connect Clio Manage"
        answer = await browser.get(
            await approve(await start(browser, mailbox.link()), user_of(mailrig, "newcomer"))
        )
        assert title(answer) == "Thank you, it works"
    await mailrig.mails()
    assert mailbox.subjects()[-1] == "Thank you: Clio Manage for Firm newcomer works"
    assert await mailrig.state("newcomer") == ("healthy", "ok")


async def test_the_rotating_system_uses_its_own_ways(tmp_path, sqlite_url, sandbox, mailbox):
    """Clio Platform: basic authentication, scopes in the request, a new rotating pair."""
    more = MAIL.format(url=mailbox.url)
    apps = {"plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}
    async with rigged(tmp_path, sandbox, sqlite_url, more=more, apps=apps) as rig:
        link = await broken(rig, app="plat")
        async with browser_on(rig) as browser:
            answer = await browser.get(await approve(await start(browser, link), user_of(rig, "acme")))
            assert title(answer) == "Thank you, it works"


async def test_pkce_is_sent_and_checked_unless_a_provider_file_says_no(
    tmp_path, sqlite_url, sandbox, mailbox
):
    text = (files("monitor.providers") / "clio.toml").read_text()
    (tmp_path / "plain.toml").write_text(text.replace("[oauth]", "[oauth]\npkce = false"))
    apps = {"clio": {}, "plain": {"extra": 'provider_file = "plain.toml"'}}
    async with rigged(tmp_path, sandbox, sqlite_url, more=MAIL.format(url=mailbox.url), apps=apps) as rig:
        link, without = await broken(rig), await broken(rig, "bolt", app="plain")
        async with browser_on(rig) as browser:
            consent = await start(browser, link)
            asked = parse_qs(urlsplit(consent).query)
            assert asked["code_challenge_method"] == ["S256"] and len(asked["code_challenge"][0]) == 43
            answer = await browser.get(await approve(consent, user_of(rig, "acme")))
            assert title(answer) == "Thank you, it works", "the sandbox checks the verifier it was promised"
            assert "code_challenge" not in await start(browser, without)


async def test_an_app_with_a_callback_of_its_own_takes_no_answer_that_came_in_on_another(
    tmp_path, sqlite_url, sandbox, mailbox
):
    apps = {"clio": {"extra": 'callback = "own"'}, "other": {"extra": 'callback = "own"'}, "shared": {}}
    async with rigged(tmp_path, sandbox, sqlite_url, more=MAIL.format(url=mailbox.url), apps=apps) as rig:
        link, shared = await broken(rig), await broken(rig, "bolt", app="shared")
        async with browser_on(rig) as browser:
            for path in ("/oauth/callback", "/oauth/callback/other"):
                back = await approve(await start(browser, link), user_of(rig, "acme"))
                assert back.startswith("/oauth/callback/clio?")
                answer = await browser.get(back.replace("/oauth/callback/clio", path))
                assert title(answer) == "The answer came from the wrong place"
            back = await approve(await start(browser, shared), user_of(rig, "bolt"))
            answer = await browser.get(back.replace("/oauth/callback", "/oauth/callback/shared"))
            assert title(answer) == "The answer came from the wrong place"
            answer = await browser.get(await approve(await start(browser, link), user_of(rig, "acme")))
            assert title(answer) == "Thank you, it works"


@pytest.mark.parametrize("said", ["&iss=", "&iss=https://evil.example"])
async def test_an_issuer_that_is_said_is_compared_also_when_it_is_empty(mailrig, said):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        assert title(await browser.get(back + said)) == "The answer came from the wrong place"


async def test_where_the_metadata_says_that_iss_is_sent_an_answer_without_it_is_refused(mailrig):
    link, app = await broken(mailrig), mailrig.parts.apps["clio"]
    mailrig.parts.apps["clio"] = replace(app, endpoints=replace(app.endpoints, iss_required=True))
    async with browser_on(mailrig) as browser:
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        assert title(await browser.get(back)) == "The answer came from the wrong place"
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        assert title(await browser.get(f"{back}&iss={app.issuer}")) == "Thank you, it works"


@pytest.mark.parametrize("more", ["&code=another", "&iss=a&iss=b", "&iss=" + "x" * 5000])
async def test_a_parameter_that_stands_there_twice_or_is_endless_is_not_guessed_about(mailrig, more):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        back = await approve(await start(browser, link), user_of(mailrig, "acme"))
        assert title(await browser.get(back + more)) == "This page cannot be opened like that"
        assert title(await browser.get(back)) == "Thank you, it works", "nothing was spent"


@pytest.mark.parametrize(
    ("locale", "heading"),
    [
        ("de", "Clio Manage neu verbinden"),
        ("fr-CA", "Reconnecter Clio Manage"),
        ("xx", "Reconnect Clio Manage"),
    ],
)
async def test_pages_speak_the_clients_language(mailrig, locale, heading):
    link = await broken(mailrig, client={"locale": locale})
    async with browser_on(mailrig, **{"accept-language": "es"}) as browser:
        assert title(await browser.get(urlsplit(link).path)) == heading
        assert title(await browser.get("/r/nothing")) == "Este enlace no es válido"


async def test_pages_are_safe_and_a_name_cannot_break_out(mailrig):
    link = await broken(mailrig, client={"name": '<script>alert(1)</script> "A" \u202etxt.exe'})
    async with browser_on(mailrig) as browser:
        answer = await browser.get(urlsplit(link).path)
    assert "<script" not in answer.text and "\u202e" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    # A page of the provider's stands there to be clicked; nothing of it is loaded.
    loaded = re.sub(r'<a href="https://[^"]*" rel="noreferrer[^>]*>[^<]*</a>', "", answer.text)
    assert "http" not in re.sub(r"https?://127\.0\.0\.1[^\"']*", "", loaded), "nothing from elsewhere"


async def test_whoever_asks_too_often_waits(mailrig):
    async with browser_on(mailrig) as browser:
        codes = [(await browser.get("/r/guess")).status_code for _ in range(70)]
    assert codes[0] == 404 and codes[-1] == 429


@pytest.mark.on_both
async def test_secrets_of_links_and_trips_are_kept_as_hashes_only(mailrig):
    link = await broken(mailrig)
    secret = link.rsplit("/", 1)[1]
    assert await links.find(mailrig.parts.database, Secret(secret)) is not None
    async with browser_on(mailrig) as browser:
        consent = await start(browser, link)
    state = parse_qs(urlsplit(consent).query)["state"][0]
    if not mailrig.parts.database.is_sqlite:
        return  # one file is read more easily than a cluster, and the rows are the same
    whole = mailrig.parts.database.path.read_bytes()
    wal = mailrig.parts.database.path.with_name(mailrig.parts.database.path.name + "-wal")
    whole += wal.read_bytes() if wal.exists() else b""
    assert secret.encode() not in whole and state.encode() not in whole
