"""What people do with one connection: what they are told before, what it does, and how it is taken back."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from monitor.operations import connections, silences
from monitor.store.tables import audit, connection
from tests.conftest import ME
from tests.integration.console.conftest import words
from tests.integration.console.test_connection import broken


async def done(person, path, form=None):
    """Do something; return the answer, the sentence on the next page, and the page."""
    answer = await person.post(path, form)
    shown = await person.follow(answer)
    assert shown.status_code == 200, words(shown)
    said = re.search(r'id="said"><span>(.*?)</span>', shown.text)
    assert said is not None, words(shown)
    return html.unescape(said[1]), shown


def undo_of(shown):
    """The form that takes it back: its path and fields."""
    form = re.search(r'id="said">.*?<form method="post" action="([^"]+)">(.*?)</form>', shown.text, re.S)
    assert form is not None, words(shown)
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form[2]))
    return form[1], fields


async def actions(console):
    """The actions of the audit, newest last."""
    async with console.parts.database.read() as conn:
        return [row.action for row in await conn.execute(select(audit.c.action).order_by(audit.c.id))]


async def test_a_probe_is_waited_for_and_its_verdict_said(console):
    await console.rig.add("acme")
    operator = await console.operator()
    said, shown = await done(operator, "/connections/acme/probe")
    assert said == "Probed: healthy."
    assert "has been healthy" in words(shown)
    said, _ = await done(operator, "/connections/acme/probe")
    assert said == "It was probed a moment ago: healthy."


async def test_what_cannot_be_probed_is_a_page_that_says_why(console):
    await console.rig.add("acme", tokens=False)
    answer = await (await console.operator()).post("/connections/acme/probe")
    assert answer.status_code == 409
    assert "never authorized" in words(answer)


async def test_a_pause_says_what_it_ends_and_is_taken_back(console):
    await console.rig.add("acme")
    await console.rig.look()
    operator = await console.operator()
    asked = words(await operator.get("/connections/acme/pause"))
    assert "Pause Firm acme?" in asked
    assert "its tokens are not refreshed" in asked
    assert (await console.rig.state("acme"))[0] == "healthy"
    said, shown = await done(operator, "/connections/acme/pause")
    assert said == "Paused."
    assert (await console.rig.state("acme"))[0] == "paused"
    said, _ = await done(operator, *undo_of(shown))
    assert said == "Resumed; a probe looks at it next."
    said, _ = await done(operator, "/connections/acme/resume")
    assert said == "It was not paused."


async def test_a_pause_may_have_an_end_and_its_page_says_whose_and_until_when(console):
    await console.rig.add("acme")
    await console.rig.look()
    operator = await console.operator()
    asked = words(await operator.get("/connections/acme/pause"))
    assert "until I resume it" in asked and "3 days" in asked
    said, shown = await done(
        operator, "/connections/acme/pause", {"for": "3d", "until": "", "reason": "they move"}
    )
    end = console.rig.clock.now() + timedelta(days=3)
    assert said == f"Paused until {end:%a %-d %b %H:%M} UTC."
    says = words(shown)
    assert f"is paused by operator-one until {end:%a %H:%M}; it is not looked at." in says
    assert "The pause is over, and it is looked at again." in says and "they move" in says
    row = words(await operator.get("/?state=paused"))
    assert "By operator-one: they move" in row and f"resumes {end:%a %H:%M}" in row
    said, shown = await done(operator, "/connections/acme/resume")
    said, shown = await done(operator, *undo_of(shown))
    assert said == f"Paused until {end:%a %-d %b %H:%M} UTC.", "as it was"
    said, shown = await done(operator, "/connections/acme/pause", {"for": "1h"})
    await done(operator, *undo_of(shown))
    assert (await console.rig.known("acme")).paused_until == end, "the end before"


async def test_an_end_of_a_pause_that_is_over_is_asked_for_again(console):
    await console.rig.add("acme")
    operator = await console.operator()
    answer = await operator.post("/connections/acme/pause", {"for": "", "until": "2026-01-01T08:00"})
    assert answer.status_code == 422
    assert "is over already" in words(answer)
    assert (await console.rig.state("acme"))[0] != "paused"


@pytest.mark.parametrize("what", ["pause", "mute"])
@pytest.mark.parametrize("length", ["soon", "3600", "99999999h", "-1h"])
async def test_a_length_that_is_none_is_asked_for_again_and_is_not_for_ever(console, what, length):
    await console.rig.add("acme")
    answer = await (await console.operator()).post(f"/connections/acme/{what}", {"for": length})
    assert answer.status_code == 422
    assert "For how long:" in words(answer)
    assert (await console.rig.state("acme"))[0] != "paused"
    assert (await silences.every(console.parts, ME)).laid == ()


async def test_who_is_on_it_is_said_and_taken_back(console):
    await broken(console)
    operator = await console.operator()
    said, shown = await done(operator, "/connections/acme/claim")
    assert said.startswith("operator-one is on it until Wed 25 Nov")
    assert "operator-one is on it until" in words(shown)
    said, _ = await done(operator, *undo_of(shown))
    assert said == "Nobody is on it; reminders go when they are due."


async def test_nothing_is_open_of_a_healthy_one_that_anybody_could_be_on(console):
    await console.rig.add("acme")
    await console.rig.look()
    answer = await (await console.operator()).post("/connections/acme/claim")
    assert answer.status_code == 409
    assert "nothing of it is open" in words(answer)


async def test_muting_takes_how_long_and_why_and_is_taken_back(console):
    await console.rig.add("acme")
    await console.rig.look()
    operator = await console.operator()
    asked = words(await operator.get("/connections/acme/mute"))
    assert "Nobody is told anything about it meanwhile" in asked
    said, shown = await done(operator, "/connections/acme/mute", {"for": "4h", "reason": "they are moving"})
    assert said == "Muted for 4 hours."
    (laid,) = (await silences.every(console.parts, ME)).laid
    assert (laid.name, laid.reason, laid.pauses) == ("acme", "they are moving", False)
    said, _ = await done(operator, *undo_of(shown))
    assert said == "No longer muted; what is still true is told when it is due."
    assert (await silences.every(console.parts, ME)).laid == ()


async def test_muting_may_rest_it_too_and_last_until_it_is_lifted(console):
    await console.rig.add("acme")
    said, _ = await done(await console.operator(), "/connections/acme/mute", {"for": "", "maintenance": "1"})
    assert said == "Muted until somebody unmutes it."
    (laid,) = (await silences.every(console.parts, ME)).laid
    assert (laid.until, laid.pauses) == (None, True)


async def test_the_mail_is_shown_before_it_is_sent(console):
    await broken(console, client={"name": "Kanzlei Acme", "contacts": ["it@acme.example"], "locale": "de"})
    operator = await console.operator()
    asked = await operator.get("/connections/acme/send-link")
    said = words(asked)
    assert asked.status_code == 200
    assert "To it@acme.example, within seconds." in said
    assert "What they get, in German" in said
    assert "Kanzlei Acme" in said
    assert "Send to 1 address" in said
    assert "/r/…" in said
    assert "link.made" not in await actions(console)
    sentence, shown = await done(operator, "/connections/acme/send-link")
    assert sentence == "The mail is on its way."
    assert 'id="said"><span>The mail is on its way.</span></div>' in shown.text  # and no way back
    assert "mail.request" in await actions(console)


async def test_a_mail_that_would_mend_nothing_is_not_even_shown(console):
    await console.rig.add("acme")
    await console.rig.look()
    operator = await console.operator()
    for answer in (
        await operator.get("/connections/acme/send-link"),
        await operator.post("/connections/acme/send-link"),
    ):
        assert answer.status_code == 422
        assert "the client is not mailed, since it is healthy" in words(answer)


async def test_a_link_is_shown_once_and_stands_in_the_audit(console):
    await console.rig.add("acme")
    operator = await console.operator()
    shown = await operator.post("/connections/acme/copy-link")
    assert shown.status_code == 200
    assert re.search(r'readonly value="http://127.0.0.1:8080/r/[\w-]{40,}"', shown.text)
    assert "Whoever has it may authorize this connection" in words(shown)
    assert "no-store" in shown.headers["cache-control"]
    assert (await actions(console))[-1] == "link.made"
    assert "/r/" not in (await operator.get("/connections/acme")).text


async def test_another_account_is_taken_and_the_old_one_again(console):
    await console.rig.add("acme")
    await console.rig.look()
    operator = await console.operator()
    assert "On record is Firm acme (100)." in words(await operator.get("/connections/acme/accept-account"))
    missing = await operator.post("/connections/acme/accept-account")
    assert (missing.status_code, "Name an account." in words(missing)) == (422, True)
    said, shown = await done(operator, "/connections/acme/accept-account", {"account": "777"})
    assert said == "Account 777 is the right one from now on."
    assert (await console.rig.known("acme")).account_id == "777"
    await done(operator, *undo_of(shown))
    assert (await console.rig.known("acme")).account_id == "100"


async def test_an_approval_that_waits_is_accepted_or_refused(console):
    await console.rig.add("bolt")
    await console.rig.add("acme", on_record=False, account_id=100)
    await console.rig.look()
    operator = await console.operator()
    said = words(await operator.get("/connections/acme"))
    assert "waits for you: is it the right account?" in said
    assert "Accept account…" in said
    assert "Who acts Operator" in said
    asked = words(await operator.get("/connections/acme/accept-account"))
    assert "Is this the account of Firm acme?" in asked
    assert "that is the account of Firm bolt" in asked
    sentence, _ = await done(operator, "/connections/acme/refuse-account")
    assert sentence == "Refused, and given back."
    nothing = await operator.post("/connections/acme/refuse-account")
    assert nothing.status_code == 404


async def test_tokens_are_handed_out_no_more_and_again(console):
    await console.rig.add("acme")
    operator = await console.operator()
    assert "Hand no tokens of Firm acme out?" in words(await operator.get("/connections/acme/handout"))
    said, shown = await done(operator, "/connections/acme/handout", {"on": ""})
    assert said == "Its tokens are not handed out."
    assert not (await console.rig.known("acme")).handout
    await done(operator, *undo_of(shown))
    assert (await console.rig.known("acme")).handout


async def edit_form(person, **more):
    """The form of the edit page as a browser would send it back."""
    page = await person.get("/connections/acme/edit")
    form = {
        name: html.unescape(value)
        for name, value in re.findall(r'<input[^>]* name="(\w+)"[^>]*? value="([^"]*)"', page.text)
    }
    form |= {
        name: html.unescape(text)
        for name, text in re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>([^<]*)</textarea>', page.text)
    }
    return form | more


async def test_contacts_language_and_labels_are_edited_and_the_rest_stays(console):
    await console.rig.add("acme", scopes=("contacts",), labels={"tier": "gold", "team": "legal"})
    await console.rig.look()
    operator = await console.operator()
    before = await console.rig.known("acme")
    form = await edit_form(
        operator, contacts="new@acme.example\nsecond@acme.example", locale="de", timezone="Europe/Berlin",
        labels="tier = silver",
    )  # fmt: skip
    said, _ = await done(operator, "/connections/acme/edit", form)
    assert said == "Saved."
    known = await console.rig.known("acme")
    assert known.contacts == ("new@acme.example", "second@acme.example")
    assert (known.locale, known.timezone, dict(known.labels)) == ("de", "Europe/Berlin", {"tier": "silver"})
    assert (known.client_name, known.scopes, known.account_id) == (
        before.client_name,
        before.scopes,
        before.account_id,
    )
    assert known.sealed.access == before.sealed.access
    assert known.health.state is before.health.state


async def test_what_is_wrong_is_said_beside_what_was_typed(console):
    await console.rig.add("acme")
    operator = await console.operator()
    for wrong, says in (
        ({"contacts": "nobody"}, "client.contacts"),
        ({"timezone": "Mars/Base"}, "is no time zone"),
        ({"labels": "tier"}, "tier is not written as name = value"),
        ({"scopes": "nonsense"}, "Clio Manage has no 'nonsense'"),
        ({"name": ""}, "is empty"),
    ):
        form = await edit_form(operator, **wrong)
        answer = await operator.post("/connections/acme/edit", form)
        assert answer.status_code == 422, words(answer)
        assert says in words(answer)
    assert (await console.rig.known("acme")).revision == 1


async def test_what_was_changed_meanwhile_is_not_written_over(console):
    await console.rig.add("acme")
    operator = await console.operator()
    form = await edit_form(operator, contacts="mine@acme.example")
    other = await edit_form(await console.admin(), contacts="theirs@acme.example")
    await done(await console.admin(), "/connections/acme/edit", other)
    answer = await operator.post("/connections/acme/edit", form)
    assert answer.status_code == 409
    assert "Somebody changed it since you opened this. Nothing was saved" in words(answer)
    assert "theirs@acme.example" in answer.text
    assert "mine@acme.example" not in answer.text


async def test_a_removal_has_its_name_typed_and_is_for_good(console):
    await console.rig.add("acme")
    operator = await console.operator()
    asked = await operator.get("/connections/acme/remove")
    assert "Type acme to go on" in words(asked)
    revision = re.search(r'name="revision" value="(\d+)"', asked.text)[1]
    wrong = await operator.post("/connections/acme/remove", {"id": "acm", "revision": revision})
    assert wrong.status_code == 422
    assert "That is not its id." in words(wrong)
    answer = await operator.post("/connections/acme/remove", {"id": "acme", "revision": revision})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await operator.get("/connections/acme")).status_code == 404
    assert (await actions(console))[-1] == "connection.remove"


async def test_what_changed_meanwhile_is_not_removed_unseen(console):
    await console.rig.add("acme")
    operator = await console.operator()
    await connections.pause(console.parts, ME, ["acme"])
    answer = await operator.post("/connections/acme/remove", {"id": "acme", "revision": "1"})
    assert answer.status_code == 409
    assert "Somebody changed this since you opened it." in words(answer)


PATHS = (
    "probe", "pause", "resume", "claim", "unclaim", "mute", "unmute", "send-link", "copy-link", "accept-account",
    "refuse-account", "handout", "edit", "remove",
)  # fmt: skip


@pytest.mark.parametrize("what", PATHS)
async def test_who_only_looks_does_nothing(small, what):
    await small.rig.add("acme")
    answer = await (await small.viewer()).post(f"/connections/acme/{what}", {"id": "acme"})
    assert answer.status_code == 403
    assert "needs" in words(answer)
    assert (await small.rig.known("acme")).revision == 1


@pytest.mark.parametrize("what", PATHS)
async def test_of_a_connection_that_is_not_there_nothing_is_asked_or_done(small, what):
    operator = await small.operator()
    answer = await operator.post(f"/connections/nobody/{what}", {"id": "nobody", "account": "1"})
    assert answer.status_code == 404, words(answer)


async def test_one_whose_app_is_gone_gets_no_link(small):
    await small.rig.add("acme", tokens=False)
    async with small.parts.database.write() as conn:
        await conn.execute(update(connection).values(app="gone"))
    operator = await small.operator()
    for what in ("copy-link", "send-link"):
        answer = await operator.post(f"/connections/acme/{what}")
        assert answer.status_code == 422
        assert "is not configured" in words(answer)
