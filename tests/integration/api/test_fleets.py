"""Fleets as files and plans, and work on many: all of it or nothing, and never on others than were seen."""

from __future__ import annotations

import json

from monitor.health.restriction import Restriction
from monitor.operations import api_keys, jobs
from monitor.operations.actor import Right
from tests.conftest import ME
from tests.integration.api.test_frame import wrong

NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(*names: str, **more) -> bytes:
    rows = [
        {"id": name, "app": "clio", "client": {"name": f"Firm {name}", "contacts": [f"it@{name}.example"]}}
        | more
        for name in names
    ]
    return "\n".join(map(json.dumps, rows)).encode()


async def put(api, path, content, **more):
    return await api.ask("POST", path, content=content, headers=NDJSON, **more)


async def ids(api) -> list[str]:
    return [row["id"] for row in (await api.get("/connections?sort=id")).json()["items"]]


async def test_a_file_is_taken_whole_or_not_at_all(api):
    dry = await put(api, "/imports?dry_run=true", lines("a", "b"))
    assert dry.json() == {"dry_run": True, "added": ["a", "b"], "changed": [], "same": 0}
    assert await ids(api) == []
    assert (await put(api, "/imports", lines("a", "b"))).json()["added"] == ["a", "b"]
    found = wrong(await put(api, "/imports", lines("c") + b'\n{"id": "d"}\nnonsense'), 422, "invalid")
    assert [one["said"].partition(":")[0] for one in found["errors"]] == ["line 2", "line 2", "line 3"]
    assert await ids(api) == ["a", "b"]
    wrong(await api.ask("POST", "/imports", content=b"\xff", headers=NDJSON), 400, "malformed")
    wrong(await api.post("/imports", {}), 415, "not_json")
    csv = b"id,app,client_name,label.tier\nc,clio,Firm c,gold\n"
    assert (
        await api.ask("POST", "/imports", content=csv, headers={"Content-Type": "text/csv"})
    ).status_code == 200
    taken = (await api.get("/export", headers={"Accept": "text/csv"})).text.splitlines()
    assert taken[0].endswith(",account_id,label.tier") and taken[3].startswith("c,clio,Firm c,")


async def test_what_is_taken_away_can_be_taken_in_again_and_holds_no_token(api):
    tokens = {"access_token": "canary-1", "refresh_token": "canary-2"}
    await put(api, "/imports", lines("a", tokens=tokens, labels={"tier": "gold"}))
    taken = await api.get("/export")
    assert taken.headers["content-type"].startswith("application/x-ndjson") and "canary" not in taken.text
    assert (await put(api, "/imports", taken.content)).json()["same"] == 1
    viewer = api.program("viewer", Right.CONNECTIONS_READ)
    assert "i…@a.example" in (await api.get("/export", as_=viewer)).text


async def test_a_plan_says_what_it_would_do_and_does_that(api):
    await put(api, "/imports", lines("a", "b", "c"))
    made = await put(api, "/plans", lines("a", "d") + b"\n" + lines("b", labels={"tier": "gold"}))
    plan = made.json()
    assert made.status_code == 201 and made.headers["location"] == f"/api/v1/plans/{plan['id']}"
    assert (plan["create"], plan["remove"], plan["same"]) == (["d"], ["c"], 1)
    assert plan["change"] == [{"id": "b", "at": "/labels", "was": {}, "will": {"tier": "gold"}}]
    path = f"/plans/{plan['id']}/apply"
    wrong(await api.post(path), 409, "wrong_state")
    assert await ids(api) == ["a", "b", "c"]
    assert (await api.post(path, {"remove": True})).json()["applied_at"]
    assert await ids(api) == ["a", "b", "d"]
    assert (await api.get("/connections/b")).json()["labels"] == {"tier": "gold"}
    wrong(await api.post(path, {"remove": True}), 412, "changed_meanwhile")


async def test_a_plan_whose_ground_moved_does_nothing(api):
    for move in (
        lambda: api.ask("PATCH", "/connections/a", {"labels": {"x": "y"}}, headers={"If-Match": "*"}),
        lambda: api.post("/connections", json.loads(lines("e"))),
        lambda: api.ask("DELETE", "/connections/b", headers={"If-Match": "*"}),
        lambda: api.post("/connections/a/pause"),
    ):
        await put(api, "/imports", lines("a", "b"))
        plan = (await put(api, "/plans", lines("a", "b", "new"))).json()
        await move()
        before = await ids(api)
        refused = await api.post(f"/plans/{plan['id']}/apply", {"remove": True})
        wrong(refused, 412, "changed_meanwhile")
        assert await ids(api) == before


async def test_a_plan_for_a_part_leaves_the_rest_alone(api):
    await put(api, "/imports", lines("a", "b", labels={"team": "one"}) + b"\n" + lines("z"))
    wrong(await put(api, "/plans?within=label.team%3Done", lines("x")), 422, "invalid")
    wrong(await put(api, "/plans?within=team", lines("x")), 409, "wrong_state")
    plan = (await put(api, "/plans?within=label.team%3Done", lines("a", labels={"team": "one"}))).json()
    assert (plan["remove"], plan["create"], plan["change"], plan["same"]) == (["b"], [], [], 1)
    api.program("other")
    wrong(await api.get(f"/plans/{plan['id']}", as_="other"), 404, "not_found")
    assert (await api.post(f"/plans/{plan['id']}/apply", {"remove": True})).status_code == 200
    assert await ids(api) == ["a", "z"]


async def test_a_plan_of_those_it_names_leaves_the_rest_alone_and_rests_on_them(api):
    await put(api, "/imports", lines("a", "b"))
    await put(api, "/imports", lines("z"))
    path = "/plans?only_named=true"
    plan = (await put(api, path, lines("a", "new", labels={"team": "one"}))).json()
    assert (plan["create"], plan["remove"], plan["only_named"]) == (["new"], [], True)
    await put(api, "/imports", lines("b", labels={"team": "two"}))
    assert (await api.post(f"/plans/{plan['id']}/apply")).status_code == 200, "b is none of its"
    assert await ids(api) == ["a", "b", "new", "z"]
    meanwhile = (await put(api, path, lines("later"))).json()
    await put(api, "/imports", lines("later"))
    said = wrong(await api.post(f"/plans/{meanwhile['id']}/apply"), 412, "changed_meanwhile")
    assert "later was added since the plan was made" in said["detail"]
    gone = (await put(api, path, lines("a"))).json()
    await api.ask("DELETE", "/connections/a", headers={"If-Match": "*"})
    wrong(await api.post(f"/plans/{gone['id']}/apply"), 412, "changed_meanwhile")


async def test_tokens_of_a_plan_are_shown_by_nobody_and_taken_once(api):
    await put(api, "/imports", lines("a"))
    tokens = {"access_token": "canary-1", "refresh_token": "canary-2"}
    made = await put(api, "/plans", lines("a", tokens=tokens))
    assert made.json()["change"] == [{"id": "a", "at": "/tokens", "was": None, "will": "others"}]
    assert "canary" not in made.text
    assert (await api.post(f"/plans/{made.json()['id']}/apply")).status_code == 200
    assert (await api.get("/connections/a/status")).json()["tokens"]["refresh_token"] == "stored"
    assert (await put(api, "/plans", lines("a", tokens=tokens))).json()["same"] == 1


async def test_who_is_restricted_writes_nothing_outside(api):
    await put(api, "/imports", lines("a", labels={"tier": "gold"}) + b"\n" + lines("z"))
    api.program("part", only=Restriction(labels={"tier": ("gold",)}))
    for path in ("/imports", "/plans"):
        wrong(await put(api, path, lines("new"), as_="part"), 403, "beyond_own_rights")
        wrong(await put(api, path, lines("z", labels={"tier": "gold"}), as_="part"), 404, "not_found")
    out = await api.ask(
        "PATCH", "/connections/a", {"labels": {"tier": "tin"}}, headers={"If-Match": "*"}, as_="part"
    )
    wrong(out, 403, "beyond_own_rights")
    plan = (await put(api, "/plans", b"", as_="part")).json()
    assert plan["remove"] == ["a"], "what is outside is not even planned about"
    assert len((await api.get("/export", as_="part")).text.splitlines()) == 1
    every = await api.post("/bulk", {"action": "pause", "select": {"app": ["clio"]}}, as_="part")
    assert every.json()["total"] == 1
    named = {"action": "pause", "select": {"ids": ["a", "z"]}}
    wrong(await api.post("/bulk", named, as_="part"), 404, "not_found")


async def test_one_thing_is_done_with_many_in_the_background(api):
    names = [f"c{n:03}" for n in range(230)]
    await put(api, "/imports", lines(*names))
    await api.keep()
    pause = {"action": "pause", "select": {"state": ["pending"]}}
    changed = wrong(await api.post("/bulk", pause | {"expect": 9}), 409, "selection_changed")
    assert changed["found"] == 230
    begun = await api.post("/bulk", pause | {"expect": 230})
    job = begun.json()
    assert begun.status_code == 202 and begun.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["state"], job["total"], job["done"]) == ("running", 230, 0)
    await api.ask("DELETE", "/connections/c007", headers={"If-Match": "*"})
    assert await jobs.work(api.rig.parts, "p1") == 230
    done = (await api.get(f"/jobs/{job['id']}")).json()
    assert (done["state"], done["done"]) == ("done", 230)
    assert [(one["id"], one["code"]) for one in done["failed"]] == [("c007", "not_found")]
    assert (await api.get("/connections?state=paused&limit=500")).json()["next"] is None
    assert await jobs.work(api.rig.parts, "p1") == 0
    api.program("other")
    wrong(await api.get(f"/jobs/{job['id']}", as_="other"), 404, "not_found")
    assert [one["id"] for one in (await api.get("/jobs")).json()["items"]] == [job["id"]]


async def test_a_job_that_is_stopped_or_whose_process_ended_is_not_done_twice_nor_forgotten(api):
    await api.keep()
    await put(api, "/imports", lines("a", "b"))
    stopped = (await api.post("/bulk", {"action": "remove", "select": {"ids": ["a"]}})).json()
    assert (await api.post(f"/jobs/{stopped['id']}/stop")).json()["state"] == "stopped"
    assert await jobs.work(api.rig.parts, "p1") == 0 and await ids(api) == ["a", "b"]
    await api.post("/bulk", {"action": "remove", "select": {"ids": ["a"]}})
    from monitor.store import jobs as kept

    assert await kept.claim(api.rig.parts.database, "gone", api.rig.clock.now(), jobs.LEASE)
    assert await jobs.work(api.rig.parts, "p1") == 0
    api.rig.clock.tick(seconds=61)
    assert await jobs.work(api.rig.parts, "p1") == 1 and await ids(api) == ["b"]


async def test_a_job_does_nothing_more_once_its_key_is_revoked_and_only_what_it_may_by_now(api):
    await put(api, "/imports", lines("a", "b"))
    await api.keep()
    pause = {"action": "pause", "select": {"ids": ["a", "b"]}}
    first = (await api.post("/bulk", pause)).json()
    await api_keys.change(api.rig.parts, ME, "all", only=Restriction(connections=("a",)))
    assert await jobs.work(api.rig.parts, "p1") == 2
    told = (await api.get(f"/jobs/{first['id']}")).json()
    assert [(one["id"], one["code"]) for one in told["failed"]] == [("b", "not_found")]
    second = (await api.post("/bulk", {"action": "remove", "select": {"ids": ["a", "b"]}})).json()
    await api_keys.revoke(api.rig.parts, ME, "all")
    assert await jobs.work(api.rig.parts, "p1") == 0
    assert (await api.get(f"/jobs/{second['id']}")).json()["state"] == "stopped"
    assert await ids(api) == ["a", "b"]


async def test_bulk_work_says_what_it_is_about(api):
    for select in ({}, {"ids": ["a"], "app": ["clio"]}):
        wrong(await api.post("/bulk", {"action": "pause", "select": select}), 422, "invalid")
    wrong(await api.post("/bulk", {"action": "dance", "select": {"app": ["clio"]}}), 422, "invalid")
    api.program("op", Right.CONNECTIONS_OPERATE, Right.CONNECTIONS_READ)
    refused = await api.post("/bulk", {"action": "remove", "select": {"app": ["clio"]}}, as_="op")
    assert wrong(refused, 403, "missing_scope")["needs"] == "connections:write"
