"""A connection looked into over the API: probed now, its past, its links, and what was said about it."""

from __future__ import annotations

import asyncio

from monitor.operations.actor import Right
from tests.conftest import MAIL, NO_GUARD, rigged
from tests.integration.api.conftest import served
from tests.integration.api.test_frame import wrong


async def test_a_probe_is_waited_for_and_those_close_by_are_one(api):
    await api.rig.add("acme")
    answer = await api.post("/connections/acme/probe?wait=20s")
    found = answer.json()
    assert (answer.status_code, found["verdict"], found["coalesced"]) == (200, True, False), answer.text
    assert (found["state"], found["found"]) == ("healthy", "ok")
    again = (await api.post("/connections/acme/probe?wait=20s")).json()
    assert (again["coalesced"], again["last_probe"]) == (True, found["last_probe"])
    api.rig.clock.tick(seconds=11)
    assert not (await api.post("/connections/acme/probe?wait=20s")).json()["coalesced"]


async def test_who_does_not_wait_has_it_looked_at_by_the_service(api):
    await api.rig.add("acme")
    await api.rig.look()
    api.rig.clock.tick(minutes=1)
    answer = await api.post("/connections/acme/probe")
    assert (answer.status_code, answer.json()["verdict"]) == (202, False)
    assert (await api.rig.known("acme")).next_probe_at == api.rig.clock.now()


async def test_several_who_ask_at_once_are_answered_by_one_probe(api):
    await api.rig.add("acme")
    answers = await asyncio.gather(*(api.post("/connections/acme/probe?wait=30s") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["last_probe"] for answer in answers}) == 1


async def test_what_cannot_be_probed_says_why(api):
    await api.rig.add("novice", tokens=False)
    wrong(await api.post("/connections/novice/probe"), 409, "wrong_state")
    await api.rig.add("acme")
    await api.post("/connections/acme/pause")
    assert "paused" in wrong(await api.post("/connections/acme/probe"), 409, "wrong_state")["detail"]
    wrong(await api.post("/connections/acme/probe?wait=61s"), 422, "invalid")
    wrong(await api.post("/connections/nobody/probe"), 404, "not_found")


async def test_the_past_of_a_connection_is_told_with_its_evidence(api):
    await api.rig.add("acme")
    await api.rig.look()
    for action in ("revoke", None):
        if action:
            api.rig.sandbox.do(api.rig.grants["acme"], action)
        await api.rig.after(minutes=8)
        await api.rig.settle("acme")
    found = (await api.get("/connections/acme/history?limit=1")).json()
    (newest,) = found["items"]
    assert (newest["state"], newest["cause"]) == ("broken", "revoked") and newest["evidence"]
    rest = (await api.get(f"/connections/acme/history?limit=50&cursor={found['next']}")).json()
    assert rest["items"][-1]["state"] == "healthy" and rest["next"] is None


async def test_a_link_is_told_once_and_opens_nothing_afterwards(api):
    await api.rig.add("acme")
    made = await api.post("/connections/acme/links", {"send": False})
    found = made.json()
    assert made.status_code == 201 and "/r/" in found["url"]
    listed = await api.get("/connections/acme/links")
    assert [one["id"] for one in listed.json()["items"]] == [found["id"]]
    assert found["url"].rpartition("/")[2] not in listed.text
    few = api.program("few", Right.CONNECTIONS_READ)
    assert wrong(await api.post("/connections/acme/links", as_=few), 403, "missing_scope")["needs"] == (
        "links:create"
    )
    wrong(await api.post("/connections/acme/links", {"send": True}), 409, "wrong_state")
    (line,) = (await api.get("/audit?action=link.made")).json()["items"]
    assert (line["actor"], line["subject"]) == ("key:all", "acme") and line["request_id"]


async def test_the_same_link_is_made_once_however_often_it_is_asked_for(api):
    await api.rig.add("acme")
    key = {"Idempotency-Key": "link-1"}
    first = await api.post("/connections/acme/links", headers=key)
    again = await api.post("/connections/acme/links", headers=key)
    assert first.json() == again.json() and again.headers["idempotency-replayed"] == "true"
    assert len((await api.get("/connections/acme/links")).json()["items"]) == 1


async def test_a_client_is_mailed_where_it_mends_something(tmp_path, sandbox, mailbox, database_url):
    more = MAIL.format(url=mailbox.url) + NO_GUARD
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig, served(rig) as api:
        await rig.add("acme")
        await rig.look()
        wrong(await api.post("/connections/acme/links", {"send": True}), 409, "wrong_state")
        rig.sandbox.do(rig.grants["acme"], "revoke")
        await rig.after(minutes=8)
        await rig.settle("acme")
        asked = await api.post("/connections/acme/links", {"send": True})
        assert asked.status_code == 202, asked.text
        number = asked.json()["notice"]
        listed = (await api.get("/connections/acme/notices")).json()["items"]
        (mine,) = [one for one in listed if one["id"] == number]
        assert (mine["requested_by"], mine["connections"]) == ("key:all", ["acme"])
