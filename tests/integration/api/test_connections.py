"""Connections as resources: listed by cursor, changed with If-Match, and never two changes lost in one."""

from __future__ import annotations

import asyncio

from monitor.operations.actor import Right
from tests.integration.api.test_frame import wrong

ACME = {
    "id": "acme", "app": "clio", "client": {"name": "Acme LLP", "contacts": ["it@acme.example"]},
    "scopes": ["contacts"], "labels": {"tier": "gold"},
}  # fmt: skip


async def test_a_connection_is_made_read_changed_and_removed(api):
    made = await api.post("/connections", ACME)
    assert made.status_code == 201 and made.headers["location"] == "/api/v1/connections/acme"
    assert made.headers["etag"] == '"r1"'
    found = made.json()
    assert found["client"] == {
        "name": "Acme LLP", "contacts": ["it@acme.example"], "locale": "en", "timezone": "UTC",
    }  # fmt: skip
    wrong(await api.post("/connections", ACME), 409, "exists")
    changed = await api.ask(
        "PATCH", "/connections/acme", {"labels": {"tier": None, "team": "a"}, "handout": False},
        headers={"If-Match": '"r1"'},
    )  # fmt: skip
    assert changed.status_code == 200, changed.text
    assert (changed.json()["labels"], changed.json()["handout"]) == ({"team": "a"}, False)
    assert changed.headers["etag"] == '"r2"'
    shown = await api.get("/connections/acme")
    put = await api.ask("PUT", "/connections/acme", shown.json(), headers={"If-Match": '"r2"'})
    assert put.status_code == 200 and put.json()["revision"] == 2, "the same again is no change"
    stale = await api.ask("DELETE", "/connections/acme", headers={"If-Match": '"r1"'})
    assert wrong(stale, 412, "changed_meanwhile")["revision"] == 2
    assert (await api.ask("DELETE", "/connections/acme", headers={"If-Match": '"r2"'})).status_code == 204
    wrong(await api.get("/connections/acme"), 404, "not_found")


async def test_what_is_changed_has_to_say_what_it_was_read_as(api):
    await api.post("/connections", ACME)
    for method, body in (("PUT", ACME), ("PATCH", {"labels": {}}), ("DELETE", None)):
        wrong(await api.ask(method, "/connections/acme", body), 428, "precondition_required")
        odd = await api.ask(method, "/connections/acme", body, headers={"If-Match": 'W/"r1"'})
        wrong(odd, 412, "changed_meanwhile")
    new = {"If-None-Match": "*"}
    wrong(await api.ask("PUT", "/connections/acme", ACME, headers=new), 409, "exists")
    assert (await api.ask("PUT", "/connections/bolt", ACME | {"id": None}, headers=new)).status_code == 201


async def test_of_two_changes_at_once_one_is_told_that_it_came_too_late(api):
    await api.post("/connections", ACME)
    answers = await asyncio.gather(
        *(
            api.ask("PATCH", "/connections/acme", {"labels": {"n": str(n)}}, headers={"If-Match": '"r1"'})
            for n in range(4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    # Looking at it is no change of what people configured.
    await api.rig.add("bolt")
    before = (await api.get("/connections/bolt")).headers["etag"]
    await api.rig.look()
    assert (await api.get("/connections/bolt")).headers["etag"] == before


async def test_what_is_only_shown_is_not_written(api):
    await api.post("/connections", ACME)
    body = (await api.get("/connections/acme")).json() | {"custody": "observed", "paused": True}
    found = wrong(await api.ask("PUT", "/connections/acme", body, headers={"If-Match": "*"}), 422, "invalid")
    assert found["errors"] == [
        {"at": "/custody", "said": "is read only"}, {"at": "/paused", "said": "is read only"},
    ]  # fmt: skip


async def test_tokens_come_in_and_never_go_out(api):
    tokens = {"access_token": "canary-access", "refresh_token": "canary-refresh"}
    made = await api.post("/connections", ACME | {"tokens": tokens})
    assert made.status_code == 201
    for path in ("", "/status", "/explain"):
        answer = await api.get(f"/connections/acme{path}")
        assert answer.status_code == 200, answer.text
        assert "canary" not in answer.text
    assert (await api.get("/connections/acme/status")).json()["tokens"]["access_token"] == "stored"
    odd = await api.post("/connections", ACME | {"id": "x", "tokens": {"access_token": "canary\nx"}})
    wrong(odd, 422, "invalid")
    assert "canary" not in odd.text


async def test_a_walk_by_cursor_sees_each_that_stood_once_whatever_moves(api):
    names = [f"c{n:03}" for n in range(60)]
    await api.rig.add(*names)
    seen: list[str] = []
    path = "/connections?limit=7&app=clio"
    for step in range(100):
        answer = await api.get(path)
        found = answer.json()
        seen += [row["id"] for row in found["items"]]
        if found["next"] is None:
            break
        assert answer.headers["link"] == f'</connections?limit=7&app=clio&cursor={found["next"]}>; rel="next"'
        path = f"/connections?limit=7&app=clio&cursor={found['next']}"
        await api.rig.add(f"a-new-{step}", f"z-new-{step}")
        if step == 2:
            await api.post("/connections/c059/pause")
            await api.ask("DELETE", "/connections/c058", headers={"If-Match": "*"})
    stood = [name for name in names if name not in ("c058", "c059")]
    assert [name for name in seen if name in stood] == stood


async def test_a_cursor_is_good_for_its_own_list_only(api):
    await api.rig.add(*(f"c{n}" for n in range(5)))
    cursor = (await api.get("/connections?limit=2&app=clio")).json()["next"]
    assert (await api.get(f"/connections?limit=3&app=clio&cursor={cursor}")).status_code == 200
    api.program("other")
    for path, as_ in (
        (f"/connections?limit=2&cursor={cursor}", "all"),
        (f"/connections?limit=2&app=clio&sort=id&cursor={cursor}", "all"),
        (f"/connections?limit=2&app=clio&cursor={cursor}", "other"),
        (f"/connections?limit=2&app=clio&cursor={cursor[:-4]}AAAA", "all"),
        ("/connections?cursor=", "all"),
        ("/connections?cursor=%C3%A4", "all"),
    ):
        wrong(await api.get(path, as_=as_), 400, "bad_cursor")


async def test_who_only_looks_sees_no_address_whole(api):
    await api.post("/connections", ACME)
    viewer = api.program("viewer", Right.CONNECTIONS_READ)
    shown = (await api.get("/connections/acme", as_=viewer)).json()
    assert shown["client"]["contacts"] == ["i…@acme.example"]


async def test_the_same_post_twice_is_done_once_and_answered_twice(api):
    key = {"Idempotency-Key": "made-1"}
    first = await api.post("/connections", ACME, headers=key)
    again = await api.post("/connections", ACME, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content and again.headers["idempotency-replayed"] == "true"
    assert again.headers["etag"] == first.headers["etag"]
    other = await api.post("/connections", ACME | {"id": "bolt"}, headers=key)
    wrong(other, 422, "idempotency_reused")
    api.program("other")
    wrong(await api.post("/connections", ACME, headers=key, as_="other"), 409, "exists")
    api.rig.clock.tick(hours=25)
    wrong(await api.post("/connections", ACME, headers=key), 409, "exists")


async def test_the_same_key_with_other_tokens_is_another_request(api):
    """Secrets hide themselves where a body is written down; what was sent is compared as it was sent."""
    key = {"Idempotency-Key": "made-1"}
    tokens = {"access_token": "one", "refresh_token": "two"}
    await api.post("/connections", ACME | {"tokens": tokens}, headers=key)
    other = ACME | {"tokens": tokens | {"access_token": "three"}}
    wrong(await api.post("/connections", other, headers=key), 422, "idempotency_reused")


async def test_a_number_is_no_text(api):
    wrong(await api.post("/connections", ACME | {"account_id": 7}), 422, "invalid")
    wrong(await api.post("/connections", ACME | {"labels": {"tier": 1}}), 422, "invalid")


async def test_who_writes_addresses_reads_them_whole(api):
    """Else what was hidden would be written back."""
    await api.post("/connections", ACME)
    writer = api.program("writer", Right.CONNECTIONS_READ, Right.CONNECTIONS_WRITE)
    shown = await api.get("/connections/acme", as_=writer)
    again = await api.ask("PUT", "/connections/acme", shown.json(), headers={"If-Match": "*"}, as_=writer)
    assert again.json()["client"]["contacts"] == ["it@acme.example"]


async def test_the_same_post_at_the_same_moment_has_one_effect(api):
    key = {"Idempotency-Key": "at-once"}
    answers = await asyncio.gather(*(api.post("/connections", ACME, headers=key) for _ in range(5)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes.count(201) >= 1 and set(codes) <= {201, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "idempotency_in_progress"
            assert answer.headers["retry-after"] == "1"
    assert (await api.post("/connections", ACME, headers=key)).headers["idempotency-replayed"] == "true"


async def test_what_took_effect_is_never_done_again_though_its_answer_was_lost(api):
    """The process ends between the effect and the answer: the row says so, and the lease runs out."""
    from monitor.operations import idempotency

    parts, asked = api.rig.parts, b"POST /connections"
    once = await idempotency.begin(parts, "key:all", "lost", asked)
    with idempotency.running(once):
        await api.rig.add("acme", tokens=False)
    assert (await idempotency.begin(parts, "key:all", "lost", asked)).before == idempotency.RUNNING
    await idempotency.give_up(parts, once)
    api.rig.clock.tick(seconds=61)
    assert (await idempotency.begin(parts, "key:all", "lost", asked)).before == idempotency.LOST
    never = await idempotency.begin(parts, "key:all", "no effect", asked)
    await idempotency.give_up(parts, never)
    assert (await idempotency.begin(parts, "key:all", "no effect", asked)).before is None


async def test_a_pause_has_an_end_for_so_long_or_until_then(api):
    await api.post("/connections", ACME)
    paused = await api.post("/connections/acme/pause", {"for": "3d", "reason": "they move"})
    assert (paused.status_code, paused.json()["paused_until"]) == (200, "2026-11-26T09:00:00Z")
    assert (await api.get("/connections")).json()["items"][0]["paused_until"] == "2026-11-26T09:00:00Z"
    asked = {"until": "2026-12-01T09:00:00+01:00"}
    moved = await api.post("/connections/acme/pause", asked)
    assert moved.json()["paused_until"] == "2026-12-01T08:00:00Z", "the last word counts"
    back = await api.ask(
        "PUT", "/connections/acme", moved.json(), headers={"If-Match": moved.headers["etag"]}
    )
    assert back.status_code == 200, "what is shown may be sent back"
    told = (await api.get("/connections?expand=telling")).json()["items"][0]["telling"]
    assert (told["follows"]["what"], told["follows"]["at"]) == ("resumes", "2026-12-01T08:00:00Z")
    forever = await api.post("/connections/acme/pause", {})
    assert (forever.json()["paused"], forever.json()["paused_until"]) == (True, None)


async def test_an_end_of_a_pause_that_cannot_be_is_said_where_it_stands(api):
    await api.post("/connections", ACME)
    for given, at, says in (
        ({"until": "2026-11-23T09:00:00Z"}, "/until", "is over already"),
        ({"until": "2031-01-01T00:00:00Z"}, "/until", "is more than 366 days ahead"),
        ({"for": "400d"}, "/for", "is more than 366 days ahead"),
        ({"for": "1h", "until": "2026-12-01T00:00:00Z"}, "/until", "is not given beside `for`"),
    ):
        (error,) = wrong(await api.post("/connections/acme/pause", given), 422, "invalid")["errors"]
        assert error["at"] == at and says in error["said"], error
    assert (await api.get("/connections/acme")).json()["paused"] is False
