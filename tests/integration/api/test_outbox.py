"""The outbox for programs: its sums and what holds something back, sending now and again, mails and a test of them."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from alerts.outbox.tables import delivery, fuse, notice
from monitor.operations.actor import Right
from tests.conftest import MAIL, rigged
from tests.integration.api.conftest import served
from tests.integration.api.test_frame import wrong
from tests.integration.console.outbox_scene import H, M, Scene
from tests.integration.test_sent_by_a_word import broken


@pytest.fixture
async def api(tmp_path, sandbox, database_url, mailbox):
    async with (
        rigged(tmp_path, sandbox, database_url, more=MAIL.format(url=mailbox.url)) as rig,
        served(rig) as found,
    ):
        yield found


@pytest.fixture
def scene(api):
    return Scene(api.rig.parts.database, api.rig.clock.now())


async def test_the_outbox_in_sums_and_what_holds_it(api, scene):
    number = await scene.wave("w1", "w2", "w3")
    for name in ("lost", "gone", "next", "well"):
        await scene.firm(name)
    await scene.say("lost", state="sent", due=-2 * H, to=[("email", "it@lost.example", "unconfirmed", "")])
    await scene.say("gone", state="failed", due=-H)
    await scene.say("next", due=3 * M)
    await scene.say("well", "resolved", "resolved", "sent", due=-M)
    async with api.rig.parts.database.write() as conn:
        await conn.execute(insert(fuse).values(name="first mails", blown_at=scene.at - M, wanted=40))
    found = (await api.get("/outbox")).json()
    assert {name: found[name] for name in ("waiting", "sending", "held", "looks", "unconfirmed", "failed", "sent_today")} == {
        "waiting": 1, "sending": 0, "held": 3, "looks": 3, "unconfirmed": 1, "failed": 1, "sent_today": 2,
    }  # fmt: skip
    guard, blown = found["holds"]
    assert (guard["by"], guard["count"], guard["over"], guard["name"], guard["incident"]) == (
        "guard",
        3,
        "provider",
        "clio",
        number,
    )
    assert guard["why"] == "The fleet guard: 3 broke together. It may not be the clients."
    assert (blown["by"], blown["count"]) == ("fuse", 0)
    assert found["mail_server"] == {"configured": True, "last_taken": "2026-11-23T08:59:00Z", "trouble": None}


async def test_a_mail_is_sent_now_once(api, mailbox):
    await api.rig.add("acme")
    await broken(api.rig, "acme")
    await api.rig.mails()
    async with api.rig.parts.database.read() as conn:
        number = (await conn.execute(select(notice.c.id))).scalar_one()
    told = await api.post(f"/notices/{number}/send-now")
    assert (told.status_code, told.json()["requested_by"]) == (200, "key:all")
    wrong(await api.post(f"/notices/{number}/send-now"), 409, "wrong_state")
    await api.rig.mails(seconds=1)
    assert len(mailbox.taken) == 1
    wrong(await api.post(f"/notices/{number}/send-now"), 409, "wrong_state")
    async with api.rig.parts.database.write() as conn:
        await conn.execute(update(delivery).values(state="unconfirmed"))
    problem = wrong(await api.post(f"/notices/{number}/retry"), 409, "wrong_state")
    assert problem is None or "twice" in str(problem)
    assert (await api.post(f"/notices/{number}/retry", {"twice": True})).json()["state"] == "sending"
    await api.rig.mails(seconds=1)
    assert len(mailbox.taken) == 2


async def test_mails_are_listed_shown_and_tried(api, mailbox):
    found = (await api.get("/mails")).json()
    assert found["languages"][0] == "en"
    first = found["items"][0]
    assert (first["kind"], first["to"], first["own"]) == ("revoked", "the client's contacts", [])
    shown = (await api.get("/mails/revoked/de")).json()
    assert shown["subject"].startswith("Bitte handeln")
    assert "<html" in shown["html"]
    wrong(await api.get("/mails/moon/de"), 404, "not_found")
    wrong(await api.get("/mails/revoked/xx"), 404, "not_found")
    tried = (await api.post("/mails/test", {"address": "me@agency.example"})).json()
    assert (tried["taken"], tried["outcome"]) == (True, "sent")
    assert len(mailbox.taken) == 1
    mailbox.recipients["no@agency.example"] = "550 not here"
    assert (await api.post("/mails/test", {"address": "no@agency.example"})).json()["taken"] is False
    reader = api.program("reader", Right.NOTICES_READ)
    assert (await api.get("/mails/revoked/de", as_=reader)).status_code == 200
    assert (await api.post("/mails/test", {"address": "me@agency.example"}, as_=reader)).status_code == 403
