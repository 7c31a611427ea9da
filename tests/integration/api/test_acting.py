"""Acting on many over the API: what is left out has its reason, and what was done can be taken back."""

from __future__ import annotations

from monitor.operations import jobs
from tests.integration.api.test_fleets import lines, put
from tests.integration.api.test_frame import wrong


async def begun(api, action: str, *names: str, **more):
    answer = await api.post("/bulk", {"action": action, "select": {"ids": list(names)}} | more)
    assert answer.status_code == 202, answer.text
    await jobs.work(api.rig.parts, "p1")
    return (await api.get(f"/jobs/{answer.json()['id']}")).json()


async def silences(api) -> list[tuple[str, str]]:
    found = (await api.get("/silences")).json()["items"]
    return sorted((one["name"], one["reason"]) for one in found)


async def test_what_is_left_out_is_counted_by_its_reason_and_what_is_as_wanted_is_no_failure(api):
    await put(api, "/imports", lines("a", "b"))
    await api.keep()
    asked = await begun(api, "link", "a", "b")
    assert asked["left_out"] == {"mails_not_configured": 2} and asked["taken_back_by"] is None
    assert [one["code"] for one in asked["failed"]] == ["mails_not_configured"] * 2
    await begun(api, "pause", "a")
    again = await begun(api, "pause", "a", "b")
    assert (again["left_out"], again["failed"], again["done"]) == ({"paused_already": 1}, [], 2)


async def test_a_hold_and_a_pause_have_a_length_and_a_reason_which_nothing_else_has(api):
    await put(api, "/imports", lines("a", "b"))
    await api.keep()
    held = await begun(api, "hold", "a", "b", **{"for": "2h", "reason": "they move"})
    assert held["taken_back_by"] == "unhold"
    assert await silences(api) == [("a", "they move"), ("b", "they move")]
    await begun(api, "pause", "b", **{"for": "2h", "reason": "they move"})
    shown = (await api.get("/connections/b")).json()
    assert (shown["paused"], shown["paused_until"]) == (True, "2026-11-23T11:00:00Z")
    assert (await api.get("/connections/b/explain")).json()["pause"]["reason"] == "they move"
    over = {"action": "pause", "select": {"ids": ["a"]}, "until": "2026-11-01T00:00:00Z"}
    assert wrong(await api.post("/bulk", over), 422, "invalid")["errors"][0]["at"] == "/until"
    given = {"action": "resume", "select": {"ids": ["a"]}, "for": "2h"}
    assert wrong(await api.post("/bulk", given), 422, "invalid")["errors"][0]["at"] == "/for"
    assert (await begun(api, "unhold", "a"))["taken_back_by"] is None
    assert await silences(api) == [("b", "they move")]


async def test_what_a_job_did_is_taken_back_with_those_that_are_still_there(api):
    await put(api, "/imports", lines("a", "b", "c"))
    await api.keep()
    await begun(api, "pause", "c")
    paused = await begun(api, "pause", "a", "b", "c")
    await api.ask("DELETE", "/connections/b", headers={"If-Match": "*"})
    undone = await api.post(f"/jobs/{paused['id']}/undo")
    assert undone.status_code == 202 and undone.headers["location"].endswith(undone.json()["id"])
    assert (undone.json()["action"], undone.json()["total"], undone.json()["state"]) == ("resume", 1, "done")
    assert (await api.get("/connections/c/status")).json()["state"] == "paused", "that was another's doing"
    removed = await begun(api, "remove", "a")
    wrong(await api.post(f"/jobs/{removed['id']}/undo"), 409, "wrong_state")
