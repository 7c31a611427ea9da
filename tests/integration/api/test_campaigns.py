"""Campaigns over the API: previewed, begun, paged, paused, resumed, stopped, reported; and who may."""

from __future__ import annotations

import pytest

from monitor.health.restriction import Restriction
from monitor.operations.actor import Right
from tests.conftest import MAIL, rigged
from tests.integration.api.conftest import served
from tests.integration.api.test_frame import wrong
from tests.integration.api.test_resources import good

NAMES = [f"firm{number}" for number in range(5)]
ASKED = {
    "filter": {"provider": ["clio"]}, "reason": "Its <b>permissions</b> end.", "wave": "2/d", "until": "2027-06-30",
}  # fmt: skip


@pytest.fixture
async def api(tmp_path, sandbox, mailbox, database_url):
    more = MAIL.format(url=mailbox.url)
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig, served(rig) as found:
        await rig.add(*NAMES)
        for _ in range(3):
            await rig.after(minutes=3)
        yield found


async def test_a_campaign_from_its_preview_to_its_report(api):
    rig = api.rig
    seen = await good(await api.post("/campaigns/preview", ASKED))
    assert (seen["connections"], seen["first"]) == (5, NAMES)
    assert seen["forecast"] == {
        "clients": 5, "next_wave": 2, "waves": 3, "last_wave": "2026-11-25", "in_time": True, "needs": "1/d",
    }  # fmt: skip
    assert (await good(await api.get("/campaigns")))["items"] == []
    answer = await api.post("/campaigns", ASKED, headers={"Idempotency-Key": "once"})
    made = await good(answer, 201)
    again = await api.post("/campaigns", ASKED, headers={"Idempotency-Key": "once"})
    assert (await good(again, 201))["id"] == made["id"]
    where = answer.headers["Location"].removeprefix("/api/v1")
    assert (made["state"], made["wave"], made["filter"]) == ("running", "2/d", {"provider": ["clio"]})
    await rig.pump.campaigns()
    await rig.pump.pump()
    await rig.pump.campaigns()
    shown = await good(await api.get(where))
    assert (shown["progress"]["invited"], shown["progress"]["to_come"]) == (2, 3)
    assert [one["written_to"] for one in shown["waves"]] == [2] and shown["to_come"]["waves"] == 2
    first = await good(await api.get(f"{where}/members?limit=3"))
    rest = await good(await api.get(f"{where}/members?limit=3&cursor={first['next']}"))
    assert [one["connection"] for one in first["items"] + rest["items"]] == NAMES and rest["next"] is None
    report = await good(await api.get(f"{where}/report"))
    assert (report["left_in_all"], report["wrong"], report["median_seconds_to_approve"]) == (5, [], None)
    paused = await good(await api.post(f"{where}/pause", {"why": "holidays"}))
    assert (paused["state"], paused["why"], paused["stopped_by_itself"]) == ("paused", "holidays", False)
    wrong(await api.post(f"{where}/pause"), 409, "wrong_state")
    assert (await good(await api.post(f"{where}/resume")))["state"] == "running"
    assert (await good(await api.post(f"{where}/stop")))["state"] == "stopped"
    wrong(await api.post(f"{where}/resume"), 409, "wrong_state")
    wrong(await api.get("/campaigns/cmp_none"), 404, "not_found")


async def test_who_only_looks_sees_no_address_whole_and_who_sees_a_part_no_campaign(api):
    made = await good(await api.post("/campaigns", ASKED), 201)
    viewer = api.program("viewer", Right.CONNECTIONS_READ)
    members = (await good(await api.get(f"/campaigns/{made['id']}/members", as_=viewer)))["items"]
    assert members[0]["contacts"] == ["i…@firm0.example"]
    assert "it@" not in (await api.get(f"/campaigns/{made['id']}/report", as_=viewer)).text
    part = api.program("part", only=Restriction(connections=("firm0",)))
    assert (await good(await api.get("/campaigns", as_=part)))["items"] == []
    wrong(await api.get(f"/campaigns/{made['id']}", as_=part), 404, "not_found")
    wrong(await api.post(f"/campaigns/{made['id']}/stop", as_=part), 404, "not_found")
    wrong(await api.post("/campaigns", ASKED, as_=part), 403, "beyond_own_rights")


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"wave": "fast"}, "/wave"),
        ({"until": "2020-01-01"}, "/until"),
        ({"until": "soon"}, "/until"),
        ({"reason": "   "}, "/reason"),
        ({"reason": "two\nlines"}, "/reason"),
        ({"filter": {}}, "/filter"),
        ({"filter": {"colour": ["red"]}}, "/filter/colour"),
    ],
)
async def test_what_is_no_campaign_is_refused_by_its_place(api, change, at):
    found = wrong(await api.post("/campaigns", ASKED | change), 422, "invalid")
    assert [one["at"] for one in found["errors"]] == [at]
