"""Incidents in the console: what is open, the decision about a wave, and what is known of each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from alerts.outbox.tables import fuse
from monitor.health.causes import Cause
from monitor.store import incidents
from monitor.store.tables import connection, incident
from tests.conftest import START, rigged
from tests.integration.console.conftest import MORE, served, words
from tests.integration.test_store import _break, _healthy

FIRMS = [f"c{number:02}" for number in range(30)]
HOUR = timedelta(hours=1)


@pytest.fixture
async def held(tmp_path, sandbox, database_url):
    """A console over thirty firms of which eight broke together: a wave holds their mails."""
    async with rigged(tmp_path, sandbox, database_url, more=MORE) as rig, served(rig) as found:
        database = rig.parts.database
        await _healthy(database, FIRMS, START)
        async with database.write() as conn:
            for name in FIRMS:
                to = (
                    [f"it@{name}.example", f"office@{name}.example"]
                    if name < "c05"
                    else [f"it@{name}.example"]
                )
                await conn.execute(update(connection).where(connection.c.id == name).values(contacts=to))
        await _break(database, FIRMS[:8], Cause.REVOKED, START + timedelta(minutes=1))
        rig.clock.time = START + HOUR
        yield found


async def wave_of(console) -> int:
    async with console.parts.database.read() as conn:
        return int((await conn.execute(select(incident.c.id).where(incident.c.wave))).scalar_one())


async def test_none_open_teaches_what_would_be_here(console):
    page = await (await console.viewer()).get("/incidents")
    assert page.status_code == 200
    text = words(page)
    assert "No incident is open." in text
    assert "the fleet guard holds the mails to their clients, and asks you here" in text


async def test_a_held_wave_is_a_question(held):
    page = await (await held.operator()).get("/incidents")
    assert page.status_code == 200, words(page)
    text = words(page)
    assert "1 open incident. 1 thing needs you." in text
    assert "8 connections turned bad together" in text
    assert "8 mails to 13 addresses are held." in text
    assert "All: cause revoked" in text
    assert "8 of the 30 connections there are broken." in text
    assert 'role="img" aria-label="Broken connections: ' in page.text
    assert "Ask a few first" in text and "Decide…" in text


async def test_a_wave_is_released_and_taken_back(held):
    person, number = await held.operator(), await wave_of(held)
    ask = await person.get(f"/incidents/{number}/decide?mails=release")
    assert ask.status_code == 200, words(ask)
    assert "8 mails go to 13 addresses, each once its connection was looked at again" in words(ask)
    assert "quiet hours" in words(ask).lower()
    assert "Release 8 mails to 13 addresses" in words(ask)
    done = await person.post(f"/incidents/{number}/decide", {"mails": "release", "held": "8"})
    page = await person.follow(done)
    assert "Released: the clients of 8 connections are told, in 30 seconds at the earliest. Undo" in words(
        page
    )
    assert "A person released it: 0 of 8 were told." in words(page)
    page = await person.follow(await person.post(f"/incidents/{number}/hold-again"))
    assert "Taken back: the mails of 8 connections are held again." in words(page)
    assert "8 mails to 13 addresses are held." in words(page)


async def test_a_wave_that_changed_meanwhile_is_asked_about_again(held):
    person, number = await held.operator(), await wave_of(held)
    await _break(held.parts.database, FIRMS[8:10], Cause.REVOKED, START + HOUR)
    for mails in ("release", "drop", "first"):
        form = {"mails": mails, "held": "8", "count": "2"}
        answer = await person.post(f"/incidents/{number}/decide", form)
        assert answer.status_code == 409, words(answer)
        assert "the mails of 10 connections are held by now, not of 8" in words(answer)
        assert 'name="held" value="10"' in answer.text
    assert [one.members for one in await incidents.open_now(held.parts.database) if one.wave] == [10]


async def test_a_few_are_asked_first_and_shown_with_what_came_of_it(held):
    person, number = await held.operator(), await wave_of(held)
    ask = await person.get(f"/incidents/{number}/decide?mails=first&count=2")
    assert "Ask 2 clients first? Those who broke in the densest half hour" in words(ask)
    form = {"mails": "first", "held": "8", "count": "2"}
    page = await person.follow(await person.post(f"/incidents/{number}/decide", form))
    assert "Asked first: Firm c00, Firm c01." in words(page)
    assert "Firm c00 was asked, and has not authorized yet" in words(page)
    bad = await person.post(f"/incidents/{number}/decide", form | {"held": "6", "count": "0"})
    assert bad.status_code == 422
    assert "Say how many are asked first" in words(bad)


async def test_what_nobody_hears_of_has_its_number_typed_above_twenty(held):
    await _break(held.parts.database, FIRMS[8:25], Cause.REVOKED, START + HOUR)
    person, number = await held.operator(), await wave_of(held)
    ask = await person.get(f"/incidents/{number}/decide?mails=drop")
    assert "Drop the mails of 25 connections?" in words(ask) and "Type the number 25" in words(ask)
    form = {"mails": "drop", "held": "25"}
    for typed in ("", "24"):
        answer = await person.post(f"/incidents/{number}/decide", form | {"typed": typed})
        assert answer.status_code == 422, words(answer)
        assert "type the number of connections" in words(answer)
    page = await person.follow(await person.post(f"/incidents/{number}/decide", form | {"typed": "25"}))
    assert "Dropped: nobody is told about the breaks of 25 connections." in words(page)
    assert "A person dropped it: none of 25 was told." in words(page)


async def test_a_viewer_sees_the_question_and_may_not_answer(held):
    person, number = await held.viewer(), await wave_of(held)
    page = await person.get("/incidents")
    assert "Decide… needs the role operator" in words(page)
    assert "Acknowledge" not in words(page)
    for path in ("decide", "acknowledge", "hold-again"):
        assert (await person.get(f"/incidents/{number}/{path}")).status_code == 403
        assert (await person.post(f"/incidents/{number}/{path}", {"mails": "drop"})).status_code == 403
    whole = await person.get(f"/incidents/{number}")
    assert whole.status_code == 200, words(whole)


async def test_an_incident_whole(held):
    person, number = await held.operator(), await wave_of(held)
    page = await person.get(f"/incidents/{number}")
    text = words(page)
    assert page.status_code == 200, text
    assert f"Incident {number} waits for a decision, for" in text
    assert "8 connections" in text and "its mail is held" in text
    assert "The fleet guard began to hold its clients' mails" in text
    assert "Nobody was told anything, and nothing waits." in text
    own = int(page.text.partition('id="row-')[2].partition('"')[0])
    one = await person.get(f"/incidents/{own}")
    assert one.status_code == 200, words(one)
    assert f"part of incident {number}" in words(one)
    for path in ("/incidents/999999", "/incidents/99999999999999999999"):
        assert (await person.get(path)).status_code == 404


async def test_an_incident_is_taken_up_and_laid_down(held):
    person, number = await held.operator(), await wave_of(held)
    page = await person.follow(
        await person.post(f"/incidents/{number}/acknowledge", {"note": "calling Clio, it@c00.example"})
    )
    assert "You are on it. Undo" in words(page)
    assert "taken up by user:operator-one" in words(page) and "it@c00.example" in words(page)
    seen = await (await held.viewer()).get("/incidents")
    assert "it@c00.example" not in words(seen) and "calling Clio, i…@c00.example" in words(seen)
    page = await person.follow(await person.post(f"/incidents/{number}/unacknowledge"))
    assert "Nobody is on it any more. Undo" in words(page)
    assert "Took it up" in words(page) and "Laid it down" in words(page)
    assert (await person.post(f"/incidents/{number}/unacknowledge")).status_code == 409


async def test_an_outage_says_how_it_goes_and_is_held(held):
    await _break(held.parts.database, FIRMS[10:18], Cause.PROVIDER_OUTAGE, START + HOUR)
    person = await held.operator()
    page = await person.get("/incidents")
    text = words(page)
    assert "2 open incidents. 1 thing needs you." in text
    assert "Clio Manage: The provider answers with errors of its own" in text
    assert "8 of 30 connections" in text and "What comes next" in text and "Hold mails…" in text
    number = await outage_of(held)
    ask = await person.get(f"/incidents/{number}/hold")
    assert "Hold all mails about provider clio?" in words(ask)
    done = await person.post(f"/incidents/{number}/hold", {"for": "4h", "reason": "their outage"})
    assert "Mails about clio are held. Undo" in words(await person.follow(done))
    bad = await person.post(f"/incidents/{number}/hold", {"for": "soon"})
    assert bad.status_code == 422


async def outage_of(console) -> int:
    which = (incident.c.kind == "provider") & incident.c.wave.is_(False)
    async with console.parts.database.read() as conn:
        return int((await conn.execute(select(incident.c.id).where(which))).scalar_one())


async def test_what_is_over_is_paged(held):
    person = await held.viewer()
    async with held.parts.database.write() as conn:
        await conn.execute(update(incident).values(closed_at=START + HOUR, ended="alone", parent_id=None))
    page = await person.get("/incidents")
    assert "No incident is open." in words(page)
    assert "It healed by itself; nobody was told." in words(page)
    page = await person.get("/incidents?closed=1")
    assert "9 incidents" in words(page)
    for before in ("x", "nan-1", "1e400-1", f"{START.timestamp()}-3"):
        assert (await person.get(f"/incidents?closed=1&before={before}")).status_code == 200


async def test_an_account_that_waits_for_a_person_and_a_break_of_ours_need_somebody(console):
    rig = console.rig
    await rig.add("acme")
    await rig.add("rival", on_record=False, account_id=100)
    await rig.look()
    person = await console.operator()
    text = words(await person.get("/incidents"))
    assert "1 thing needs you." in text and "One authorization waits for a person" in text
    assert "that is the account of Firm acme (acme)" in text and "approved by alex@firm.example" in text
    assert "alex@firm.example" not in words(await (await console.viewer()).get("/incidents"))
    rig.sandbox.app("clio", suspended=True)
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    for _ in range(6):
        await rig.after(minutes=6)
    page = await person.get("/incidents")
    text = words(page)
    assert "2 things need you." in text
    assert "Clio Manage, app clio: The provider refuses our app" in text
    assert "What was answered asked POST http" in text and "400 unauthorized_client" in text
    assert "/TokenHealthAppMisconfigured.md" in page.text
    assert "The operator corrects the app's credentials or registration" in text


async def test_a_blown_fuse_leads_to_the_outbox(console):
    async with console.parts.database.write() as conn:
        await conn.execute(insert(fuse).values(name="first mails", blown_at=START, wanted=80))
    page = await (await console.viewer()).get("/incidents")
    assert "The fuse is blown. 80 first mails want out, and none goes." in words(page)
    assert '<a href="/outbox">' in page.text


async def test_members_are_paged(held):
    person, number = await held.viewer(), await wave_of(held)
    await _break(held.parts.database, FIRMS[8:29], Cause.REVOKED, START + HOUR)
    async with held.parts.database.write() as conn:
        rows = [
            {"kind": "connection", "name": name, "cause": "revoked", "owner": "client", "guard": False,
             "reasons": [], "opened_at": START, "updated_at": START, "turned_at": START, "closed_at": START + HOUR,
             "ended": "alone", "parent_id": number}
            for name in FIRMS
        ]  # fmt: skip
        await conn.execute(insert(incident), rows)
    first = await person.get(f"/incidents/{number}")
    assert "59 connections" in words(first) and "50 on this page" in words(first)
    path = first.text.partition('rel="next" href="')[2].partition('"')[0]
    rest = await person.get(path)
    assert "9 on this page" in words(rest) and "healed by itself" in words(rest)
    assert f'rel="prev" href="/incidents/{number}"' in rest.text
    assert (await person.get(f"/incidents/{number}?after=x")).status_code == 200
