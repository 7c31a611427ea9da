"""Acting on many: what would be done, what is left out and why, the doing, and its way back."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select, update

from alerts.outbox.tables import notice, notice_item
from monitor.health.acting import Action
from monitor.health.causes import Cause, Owner
from monitor.health.incidents import Place
from monitor.operations import acting, audit, jobs, notices, people
from monitor.store import imports
from monitor.store import jobs as stored_jobs
from monitor.store.door_tables import job as job_table
from monitor.store.tables import watch
from tests.conftest import ME, START
from tests.integration.console.conftest import ADMIN, words
from tests.integration.test_store import new

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def post(person, path: str, *fields: tuple[str, str], **more):
    """Send a form in which a field may stand several times."""
    headers = {**FORM, "sec-fetch-site": "same-origin", **more.pop("headers", {})}
    return await person.http.post(path, content=urlencode(fields), headers=headers, **more)


def fields_of(page) -> list[tuple[str, str]]:
    """The hidden fields of the question on a page."""
    return re.findall(r'<input type=hidden name="([^"]+)" value="([^"]*)">', page.text)


def picked(action: str, *ids: str, **more: str) -> list[tuple[str, str]]:
    return [("action", action), *(("id", one) for one in ids), *more.items()]


async def broken(console, name: str, cause: Cause, owner: Owner) -> None:
    await placed(console, [name], state="broken", cause=cause.value, owner=owner.value)


async def placed(console, names, **values) -> None:
    async with console.parts.database.write() as conn:
        await conn.execute(update(watch).where(watch.c.connection.in_(names)).values(**values))


async def state_of(console, name: str) -> str:
    return (await console.rig.state(name))[0]


async def asked_about(console) -> list[list[str]]:
    """The connections of each mail that a person asked for."""
    async with console.parts.database.read() as conn:
        rows = await conn.execute(
            select(notice_item.c.notice, notice_item.c.connection)
            .join(notice, notice.c.id == notice_item.c.notice)
            .where(notice.c.requested_by.is_not(None))
        )
        found: dict[int, list[str]] = {}
        for number, name in rows:
            found.setdefault(number, []).append(name)
    return sorted(sorted(one) for one in found.values())


async def test_the_question_says_how_many_and_which_are_left_out_and_why_and_does_nothing(console):
    await console.rig.add("a", "b", "c", "d")
    await console.rig.after(minutes=5)
    await broken(console, "a", Cause.REVOKED, Owner.CLIENT)
    await broken(console, "b", Cause.PROVIDER_OUTAGE, Owner.PROVIDER)
    await broken(console, "c", Cause.PROVIDER_OUTAGE, Owner.PROVIDER)
    person = await console.operator()
    page = await post(person, "/bulk", *picked("link", "a", "b", "c", "d", back="/?state=broken"))
    said = words(page)
    assert page.status_code == 200
    assert "Mail a reconnect link now?" in said
    assert "One mail goes to one address, about one connection." in said
    assert "2 are the provider's: a link would mend nothing. b, c" in said
    assert "1 works. d" in said
    assert "Send one mail" in said and "A mail cannot be called back" in said
    assert ("expect", "4") in fields_of(page) and ("back", "/?state=broken") in fields_of(page)
    assert await asked_about(console) == []


async def test_a_link_is_mailed_once_to_each_client_however_often_the_form_is_sent(console):
    one_firm = {"name": "Firm", "contacts": ["it@firm.example"]}
    await console.rig.add("a", "b", client=one_firm)
    await console.rig.add("c")
    await console.rig.after(minutes=5)
    for name in "abc":
        await broken(console, name, Cause.REVOKED, Owner.CLIENT)
    person = await console.operator()
    page = await post(person, "/bulk", *picked("link", "a", "b", "c"))
    assert "Send 2 mails with a reconnect link now?" in words(page)
    assert "2 mails go to 2 addresses, about 3 connections" in words(page)
    assert "To Firm, Firm c." in words(page)
    done = await person.follow(await post(person, "/bulk/do", *fields_of(page)))
    assert "The clients of 3 connections are mailed a link." in words(done)
    again = await post(person, "/bulk/do", *fields_of(page))
    assert again.status_code == 303, "the same form twice is the same job"
    assert await asked_about(console) == [["a", "b"], ["c"]]
    anew = await post(person, "/bulk", *picked("link", "a", "b", "c"))
    assert "Nothing would be done with any of these 3 connections." in words(anew)
    assert "3 were asked for within the hour" in words(anew)


async def test_a_job_that_was_cut_off_after_its_mails_writes_none_of_them_again(console):
    await console.rig.add("a", "b")
    await console.rig.after(minutes=5)
    for name in "ab":
        await broken(console, name, Cause.REVOKED, Owner.CLIENT)
    parts = console.parts
    made = await jobs.begin(parts, ME, "link", jobs.Selection(None, ("a", "b")))
    options = acting.Options(made.created_at)
    assert await acting.do(parts, ME, Action.LINK, ["a", "b"], options) == []
    await jobs.work(parts, "another")
    assert await asked_about(console) == [["a"], ["b"]]
    done = await jobs.show(parts, ME, made.id)
    assert (done.state, done.done, done.failed) == ("done", 2, [])


async def test_few_are_done_while_one_waits_and_taken_back(console):
    await console.rig.add("a", "b")
    await console.rig.after(minutes=5)
    person = await console.operator()
    page = await post(person, "/bulk", *picked("pause", "a", "b", back="/?state=any"))
    assert "Pause 2 connections?" in words(page)
    answer = await post(person, "/bulk/do", *fields_of(page))
    assert answer.headers["location"] == "/?state=any"
    done = await person.follow(answer)
    assert "2 connections are paused." in words(done) and "Undo" in words(done)
    assert [await state_of(console, name) for name in "ab"] == ["paused", "paused"]
    back = re.search(r'action="(/jobs/[^"]+/undo)"', done.text)[1]
    undone = await person.follow(await post(person, back, *fields_of(done)))
    assert "2 connections are resumed." in words(undone)
    assert [await state_of(console, name) for name in "ab"] == ["suspect", "suspect"]


async def test_a_choice_that_has_changed_since_is_asked_about_again(console):
    await console.rig.add("a", "b")
    await console.rig.after(minutes=5)
    person = await console.operator()
    chosen = [("action", "pause"), ("all", "1"), ("state", "healthy"), ("app", "clio")]
    page = await post(person, "/bulk", *chosen)
    assert "All 2 connections that match just now are meant (state: healthy; app: clio)" in words(page)
    await console.rig.add("c")
    await console.rig.after(minutes=5)
    again = await post(person, "/bulk/do", *fields_of(page))
    assert again.status_code == 409
    assert "The selection has 3 connections now; nothing was done." in words(again)
    assert "Pause 3 connections?" in words(again) and ("expect", "3") in fields_of(again)
    assert await state_of(console, "a") == "healthy"
    assert (await post(person, "/bulk/do", *fields_of(again))).status_code == 303
    assert await state_of(console, "c") == "paused"


async def test_muting_has_a_length_and_a_reason_and_its_way_back_lifts_no_other_silence(console):
    await console.rig.add("a", "b")
    person = await console.operator()
    await notices.hold(console.parts, ME, "connection", "a", timedelta(minutes=5), "moving")
    page = await post(person, "/bulk", *picked("hold", "a", "b"))
    assert "Mute 2 connections?" in words(page) and "For how long" in words(page)
    wrong = await post(person, "/bulk/do", *fields_of(page), ("for", "soon"))
    assert wrong.status_code == 422
    done = await person.follow(
        await post(person, "/bulk/do", *fields_of(page), ("for", "4h"), ("reason", "they move"))
    )
    assert "2 connections are muted." in words(done)
    held = [(one.name, one.reason, one.by) for one in await _silences(console)]
    assert held == [
        ("a", "moving", "me"), ("a", "they move", "user:operator-one"), ("b", "they move", "user:operator-one"),
    ]  # fmt: skip
    assert {one.until for one in (await _silences(console))[1:]} == {
        console.rig.clock.now() + timedelta(hours=4)
    }
    ever = await post(person, "/bulk", *picked("hold", "a", "b"), ("for", ""))
    assert '<option value="" selected>' in ever.text and "already" not in words(ever)
    anew = await post(person, "/bulk", *picked("hold", "a", "b"), ("for", "1h"))
    assert "2 are muted already, for as long or longer." in words(anew)
    back = re.search(r'action="(/jobs/[^"]+/undo)"', done.text)[1]
    undone = await person.follow(await post(person, back))
    assert "2 connections are unmuted." in words(undone)
    assert [(one.name, one.reason) for one in await _silences(console)] == [("a", "moving")]


async def _silences(console):
    found = await notices.every(console.parts, ME, 1)
    return sorted(found.holds, key=lambda one: (one.name, one.number or 0))


async def test_more_than_twenty_are_removed_by_their_number_alone(console):
    names = [f"c{number:02}" for number in range(21)]
    await console.rig.add(*names)
    person = await console.operator()
    page = await post(person, "/bulk", *picked("remove", *names))
    assert "Type the number 21 to go on" in words(page) and "This cannot be taken back" in words(page)
    for typed in ("", "20"):
        refused = await post(person, "/bulk/do", *fields_of(page), ("typed", typed))
        assert refused.status_code == 422 and "nothing was removed" in words(refused)
    done = await person.follow(await post(person, "/bulk/do", *fields_of(page), ("typed", "21")))
    assert "21 connections are removed." in words(done)
    async with console.parts.database.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(watch))).scalar_one() == 0


async def test_a_probe_is_begun_without_a_question(console):
    await console.rig.add("a")
    await console.rig.after(minutes=5)
    person = await console.operator()
    await placed(console, ["a"], next_probe_at=START + timedelta(hours=9))
    answer = await post(person, "/bulk", *picked("probe", "a"))
    assert "One connection is looked at next." in words(await person.follow(answer))
    assert (await console.rig.known("a")).next_probe_at == console.rig.clock.now()


async def test_what_was_left_out_is_on_the_page_of_the_job_each_with_its_reason(console):
    await console.rig.add("a", "b")
    await console.rig.after(minutes=5)
    await broken(console, "a", Cause.PROVIDER_OUTAGE, Owner.PROVIDER)
    await broken(console, "b", Cause.REVOKED, Owner.CLIENT)
    person = await console.operator()
    page = await post(person, "/bulk", *picked("link", "a", "b"))
    shown = await person.follow(await post(person, "/bulk/do", *fields_of(page)))
    assert "The client of one connection is mailed a link." in words(shown)
    assert "1 is the provider's: a link would mend nothing." in words(shown)
    assert '<a class=mono href="/connections/a">a</a>' in shown.text
    listed = await person.get("/jobs")
    assert "The client of one connection is mailed a link." in words(listed)


async def many(console, count: int) -> None:
    names = [f"c{number:05}" for number in range(count)]
    place = Place("clio", "clio", "us")
    await imports.put(console.parts.database, [new(name, place=place) for name in names], START, "test")


async def begun(console, person) -> str:
    """Begin to pause everything; return the job's number."""
    page = await post(person, "/bulk", ("action", "pause"), ("all", "1"), ("state", "any"))
    answer = await post(person, "/bulk/do", *fields_of(page))
    assert (await post(person, "/bulk/do", *fields_of(page))).headers["location"] == answer.headers[
        "location"
    ]
    return answer.headers["location"].removeprefix("/jobs/")


async def test_ten_thousand_are_chosen_at_once_and_can_be_let_go(console):
    await many(console, 10_000)
    person = await console.operator()
    page = await post(person, "/bulk", ("action", "pause"), ("all", "1"), ("state", "any"))
    assert "Pause 10,000 connections?" in words(page)
    assert len(page.content) < 40_000
    number = await begun(console, person)
    shown = await person.get(f"/jobs/{number}")
    assert "Pausing 10,000 connections, in the background." in words(shown)
    assert "Pausing 10,000 connections: 0 done." in words(shown) and 'id="job"' in shown.text
    assert "10,000 connections stay as they are" in words(await person.get(f"/jobs/{number}/stop"))
    stopped = await person.follow(await post(person, f"/jobs/{number}/stop"))
    assert "Stopped. 0 connections are paused." in words(stopped)
    assert "This cannot be taken back." in words(await person.get(f"/jobs/{number}/undo"))
    refused = await post(person, f"/jobs/{number}/undo")
    assert refused.status_code == 409 and "cannot be taken back" in words(refused)


async def test_many_are_worked_in_the_background_and_taken_back_there(console):
    await many(console, 230)
    person = await console.operator()
    number = await begun(console, person)
    assert await jobs.work(console.parts, "p1") == 230
    assert "230 connections are paused." in words(await person.get(f"/jobs/{number}"))
    assert "Resume 230 connections?" in words(await person.get(f"/jobs/{number}/undo"))
    back = await person.follow(await post(person, f"/jobs/{number}/undo"))
    assert "Resuming 230 connections: 0 done." in words(back)
    assert await jobs.work(console.parts, "p1") == 230
    assert await state_of(console, "c00229") == "suspect"


@pytest.mark.parametrize("how", ["another role", "removed"])
async def test_what_somebody_began_ends_where_it_is_when_they_may_do_it_no_more(console, how):
    await many(console, 230)
    number = await begun(console, await console.operator())
    if how == "removed":
        await people.remove(console.parts, ME, "operator-one")
    else:
        await people.change(console.parts, ME, "operator-one", role="viewer")
    assert await jobs.work(console.parts, "p1") == 0
    assert await state_of(console, "c00229") == "pending", "nothing was done in their name"
    found = await stored_jobs.show(console.parts.database, number)
    assert (found.state, found.done) == ("stopped", 0)
    last = (await audit.page(console.parts, ADMIN, 1, action="job.stop")).lines[0]
    assert (last.actor, last.subject) == ("service", number) and "no more" in last.detail["why"]


async def test_who_may_only_look_may_do_none_of_it_and_sees_nobody_elses(console):
    await console.rig.add("a")
    viewer, operator = await console.viewer(), await console.operator()
    for path in ("/bulk", "/bulk/do"):
        refused = await post(viewer, path, *picked("pause", "a"))
        assert refused.status_code == 403 and "Not with your role" in words(refused)
    answer = await post(operator, "/bulk", *picked("probe", "a"))
    assert answer.status_code == 303
    async with console.parts.database.read() as conn:
        number = (await conn.execute(select(job_table.c.id))).scalar_one()
    for person in (viewer, await console.admin()):
        assert (await person.get(f"/jobs/{number}")).status_code == 404
        assert "You did nothing with many yet." in words(await person.get("/jobs"))


async def test_a_form_of_somebody_elses_page_is_refused(console):
    await console.rig.add("a")
    person = await console.operator()
    for path in ("/bulk", "/bulk/do"):
        sent = await post(person, path, *picked("pause", "a"), headers={"sec-fetch-site": "cross-site"})
        assert sent.status_code == 403
    assert await state_of(console, "a") == "pending"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("action", "pause")], "choose at least one connection"),
        ([("action", "dance"), ("id", "a")], "choose what to do"),
        ([("action", "pause"), ("all", "1"), ("state", "sad")], "there is no 'sad'"),
        ([("action", "pause"), ("all", "1"), ("label", "gold")], "a label's name and its value"),
        ([("action", "pause"), ("id", "a"), ("job", "job_1")], "is no name of a job"),
        ([("action", "pause"), ("id", "nobody")], "There is no connection 'nobody'"),
    ],
)
async def test_a_form_that_means_nothing_is_answered_in_a_sentence(small, fields, said):
    await small.rig.add("a")
    answer = await post(await small.operator(), "/bulk/do", *fields)
    assert answer.status_code in (404, 422)
    assert said in words(answer)
    assert await state_of(small, "a") == "pending"


async def test_nothing_left_to_act_on_says_so(small):
    page = await post(await small.operator(), "/bulk", ("action", "pause"), ("all", "1"))
    assert "No connection matches any more." in words(page)
    assert '<button class="btn main"' not in page.text


async def test_a_way_back_is_a_page_of_ours(small):
    await small.rig.add("a")
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        page = await post(await small.operator(), "/bulk", *picked("pause", "a", back=back))
        assert ("back", "/") in fields_of(page)
