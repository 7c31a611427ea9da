"""A first authorization takes no account that another client has: whoever a link was forwarded to."""

from __future__ import annotations

import json

import pytest

from alerts.outbox import listing
from alerts.pages import truth
from alerts.rules import own
from monitor.cli.remedies import sentence
from monitor.errors import ConfigurationError, ImportRefused, NotFound
from monitor.health.explain import explain
from monitor.operations import accounts, imports, intake
from monitor.operations import links as asking
from monitor.operations.checkup import watched
from monitor.operations.explain import story
from monitor.settings.builders import build_oncall
from monitor.store import audit, bindings, connections
from tests.conftest import MAIL, ME, by, rigged
from tests.integration.test_consent import approve, browser_on, start, title, user_of

ASK = '[connections]\nfirst_account = "ask"\n'


async def two_clients(rig, **newcomer):
    """Harbor, whose connection works, and Newcomer, who was never authorized; and a link for the latter."""
    await rig.add("harbor", scopes=("contacts",))
    await rig.look()
    assert await rig.state("harbor") == ("healthy", "ok")
    await rig.add("newcomer", tokens=False, on_record=False, scopes=("contacts",), **newcomer)
    return await asking.new(rig.parts, ME, "newcomer")


async def approved_by(rig, link, name):
    async with browser_on(rig) as browser:
        return await browser.get(await approve(await start(browser, link), user_of(rig, name)))


async def test_an_account_of_another_client_is_not_bound_and_the_page_says_that_a_person_looks_at_it(mailrig):
    link = await two_clients(mailrig)
    answer = await approved_by(mailrig, link, "harbor")
    assert (answer.status_code, title(answer)) == (200, "Thank you, we will look at it")
    assert "Firm harbor" in answer.text and "belongs to Firm newcomer" in answer.text
    known = await mailrig.known("newcomer")
    assert (known.account_id, known.sealed.access, known.sealed.refresh) == (None, None, None)
    assert known.next_probe_at is None and await mailrig.state("newcomer") == ("pending", "ok")
    await mailrig.after(minutes=30)
    assert await mailrig.state("newcomer") == ("pending", "ok"), "nothing probes with it"


async def test_what_waits_is_seen_by_the_operator_wherever_one_looks(mailrig):
    await approved_by(mailrig, await two_clients(mailrig), "harbor")
    told = explain(await story(mailrig.parts, ME, "newcomer"), mailrig.clock.now())
    assert "waits for you" in told.headline and "the account of Firm harbor (harbor)" in told.why[0]
    theirs, not_theirs = map(sentence, told.remedies)
    assert theirs.startswith("If it is theirs, 'token-health connections accept-account newcomer 1")
    assert not_theirs.startswith("If it is not, 'token-health connections refuse-account newcomer'")
    _, check = await watched(mailrig.parts, ME)
    assert check.ok is False and "Firm newcomer was authorized with Firm harbor" in check.says
    (line,) = [
        x for x in await audit.of_subject(mailrig.parts.database, "newcomer") if x.action == "consent.held"
    ]
    assert (
        line.actor == "client"
        and line.detail["why"] == "harbor"
        and line.detail["account_name"] == "Firm harbor"
    )
    assert {"link", "trip", "app", "account", "user"} <= line.detail.keys()


async def test_a_client_whose_approval_waits_is_not_asked_again(mailrig, mailbox):
    link = await two_clients(mailrig)
    await asking.mail(mailrig.parts, ME, "newcomer")
    await mailrig.mails()
    assert mailbox.subjects() == ["Please connect Clio Manage for Firm newcomer"]
    await approved_by(mailrig, link, "harbor")
    await mailrig.mails(days=3)
    assert mailbox.subjects() == ["Please connect Clio Manage for Firm newcomer"], "no reminder"
    with pytest.raises(ConfigurationError, match="its approval waits for you"):
        await asking.mail(mailrig.parts, ME, "newcomer")
    assert await listing.listing(mailrig.parts.database, 5) is not None


async def test_accepted_it_is_probed_at_once_and_the_mail_names_the_account(mailrig, mailbox):
    link = await two_clients(mailrig)
    await asking.mail(mailrig.parts, ME, "newcomer")
    await mailrig.mails()
    await approved_by(mailrig, link, "harbor")
    (grant,) = await bindings.waiting(mailrig.parts.database)
    await accounts.accept(mailrig.parts, by("ann"), "newcomer", grant.account.id)
    await mailrig.look()
    assert await mailrig.state("newcomer") == ("healthy", "ok")
    assert await bindings.waiting(mailrig.parts.database) == []
    assert (await mailrig.known("newcomer")).account_name == "Firm harbor"
    await mailrig.mails(minutes=10)
    assert "Thank you" in mailbox.subjects()[-1]
    assert "Account: Firm harbor." in mailbox.taken[-1].get_body(("plain",)).get_content()


async def test_refused_nothing_of_it_is_kept_and_the_link_leads_to_the_right_account(mailrig):
    link = await two_clients(mailrig)
    await approved_by(mailrig, link, "harbor")
    await accounts.refuse(mailrig.parts, by("ann"), "newcomer")
    assert await bindings.waiting(mailrig.parts.database) == []
    with pytest.raises(NotFound, match="no authorization waits"):
        await accounts.refuse(mailrig.parts, by("ann"), "newcomer")
    answer = await approved_by(mailrig, link, "newcomer")
    assert title(answer) == "Thank you, it works" and "Firm newcomer" in answer.text
    lines = [line.action for line in await audit.of_subject(mailrig.parts.database, "newcomer")]
    assert lines[:2] == ["consent.stored", "connection.refuse_account"]


async def test_whoever_meant_another_account_approves_again_from_the_same_page(mailrig):
    link = await two_clients(mailrig)
    await approved_by(mailrig, link, "harbor")
    async with browser_on(mailrig) as browser:
        page = await browser.get("/r/" + link.rsplit("/", 1)[1])
        assert title(page) == "Thank you, we will look at it" and "Approve with another account" in page.text
    answer = await approved_by(mailrig, link, "newcomer")
    assert title(answer) == "Thank you, it works"
    assert await bindings.waiting(mailrig.parts.database) == []


async def test_connections_of_one_client_may_share_an_account(mailrig):
    link = await two_clients(mailrig, client={"name": "Firm harbor"})
    answer = await approved_by(mailrig, link, "harbor")
    assert title(answer) == "Thank you, it works"
    assert await mailrig.state("newcomer") == ("healthy", "ok")


async def test_another_account_on_record_is_refused_as_ever_and_has_its_line_in_the_audit(mailrig):
    await two_clients(mailrig)
    await accounts.accept(mailrig.parts, by("ann"), "newcomer", "4711")
    link = await asking.new(mailrig.parts, ME, "newcomer")
    answer = await approved_by(mailrig, link, "harbor")
    assert title(answer) == "That was another account"
    (newest, *_) = await audit.of_subject(mailrig.parts.database, "newcomer")
    assert newest.action == "consent.wrong_account" and newest.detail["account_name"] == "Firm harbor"


SAME = {"account_id": 100, "account_name": "Firm harbor", "on_record": False}


async def test_imported_tokens_of_another_clients_account_are_taken_out_before_anything_is_read(mailrig):
    await mailrig.add("harbor", scopes=("contacts",))
    await mailrig.look()
    await mailrig.add("newcomer", scopes=("contacts",), **SAME)
    await mailrig.look()
    known = await mailrig.known("newcomer")
    assert (known.sealed.access, known.account_id, known.reads) == (None, None, {})
    assert await mailrig.state("newcomer") == ("pending", "ok")
    (grant,) = await bindings.waiting(mailrig.parts.database)
    assert (grant.connection, grant.owner, grant.consent) == ("newcomer", "Firm harbor", None)
    await accounts.accept(mailrig.parts, by("ann"), "newcomer", grant.account.id)
    await mailrig.look()
    assert await mailrig.state("newcomer") == ("healthy", "ok")


async def test_of_two_clients_whose_first_probes_find_one_account_only_the_first_is_bound(mailrig):
    await mailrig.add("harbor", "newcomer", scopes=("contacts",), **SAME)
    await mailrig.after(minutes=1)
    bound = [name for name in ("harbor", "newcomer") if (await mailrig.known(name)).account_id == "100"]
    waiting = [grant.connection for grant in await bindings.waiting(mailrig.parts.database)]
    assert sorted(bound + waiting) == ["harbor", "newcomer"] and len(waiting) == 1


async def test_new_tokens_for_what_waits_take_its_place(mailrig):
    await approved_by(mailrig, await two_clients(mailrig), "harbor")
    await mailrig.add("newcomer", scopes=("contacts",), account_id=333, on_record=False)
    assert await bindings.waiting(mailrig.parts.database) == []
    await mailrig.look()
    assert (await mailrig.known("newcomer")).account_id == "333"


async def test_on_call_has_a_ticket_while_something_waits(tmp_path, sqlite_url, sandbox):
    more = '[oncall]\nurls = ["json://127.0.0.1:9/x"]\n'
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        link = await two_clients(rig)
        await approved_by(rig, link, "harbor")
        async with rig.parts.database.read() as conn:
            seen = await truth.look(conn, build_oncall(rig.parts), rig.clock.now())
        (matter,) = seen.told.values()
        assert matter.alert is own.ACCOUNT_WAITS and "Firm harbor (harbor)" in matter.description


async def test_a_setting_has_every_first_account_wait_for_a_person(tmp_path, sqlite_url, sandbox, mailbox):
    more = MAIL.format(url=mailbox.url) + ASK
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        await rig.add("newcomer", tokens=False, on_record=False, scopes=("contacts",))
        link = await asking.new(rig.parts, ME, "newcomer")
        answer = await approved_by(rig, link, "newcomer")
        assert title(answer) == "Thank you, we will look at it"
        (grant,) = await bindings.waiting(rig.parts.database)
        assert (grant.owner, "first accounts are asked for" in grant.sentence) == (None, True)
        await accounts.accept(rig.parts, by("ann"), "newcomer", grant.account.id)
        await rig.look()
        assert await rig.state("newcomer") == ("healthy", "ok")


async def test_a_setting_wants_the_account_of_every_import(tmp_path, sqlite_url, sandbox):
    more = "[connections]\nrequire_account = true\n"
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        path = tmp_path / "in.jsonl"
        path.write_text(json.dumps({"id": "a", "app": "clio", "client": {"name": "A"}}))
        with pytest.raises(ImportRefused) as caught:
            await imports.take_in(rig.parts, ME, intake.read(path, rig.parts.apps))
        assert caught.value.problems == ["a: account_id is missing, and connections.require_account is set"]
        assert await connections.every(rig.parts.database) == []
