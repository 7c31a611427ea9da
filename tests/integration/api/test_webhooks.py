"""Webhooks and events over HTTP: what programs send, what they are answered, and what they may not see."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import httpx
import pytest

from alerts.webhooks import fanout
from monitor.health.restriction import Restriction
from monitor.host.trust import trusted
from monitor.operations.actor import Right
from monitor.service.api import build_around
from monitor.web.api.app import build
from monitor.web.api.streams import Streams
from monitor.web.app import server
from tests.conftest import START
from tests.integration.api.conftest import Known
from tests.integration.api.test_frame import wrong
from tests.integration.hooked import receiving

HOOK = {"url": "https://hooks.example.com/th", "events": ["connection.*"]}


async def put_in_order(api) -> None:
    await fanout.put_in_order(api.rig.parts.database, api.rig.clock.now())


async def test_an_endpoint_from_its_making_to_its_end(api):
    made = await api.post("/webhooks", HOOK)
    assert made.status_code == 201
    hook = made.json()
    assert hook["secret"].startswith("whsec_")
    path = f"/webhooks/{hook['id']}"
    assert made.headers["location"] == f"/api/v1{path}"
    shown = await api.get(path)
    assert "secret" not in shown.json()
    assert shown.headers["etag"] == '"r1"'
    assert (await api.get("/webhooks")).json()["items"] == [shown.json()]

    wrong(await api.ask("PATCH", path, {"events": ["*"]}), 428, "precondition_required")
    changed = await api.ask("PATCH", path, {"events": ["*"]}, headers={"If-Match": '"r1"'})
    assert (changed.json()["events"], changed.headers["etag"]) == (["*"], '"r2"')
    late = await api.ask("PATCH", path, {"events": ["*"]}, headers={"If-Match": '"r1"'})
    assert wrong(late, 412, "changed_meanwhile")["revision"] == 2
    put = await api.ask(
        "PUT", path, HOOK | {"only": {"labels": {"tier": "gold"}}}, headers={"If-Match": '"r2"'}
    )
    assert put.json()["only"] == {"apps": [], "labels": {"tier": ["gold"]}, "connections": []}
    whole = await api.ask("PATCH", path, {"only": None}, headers={"If-Match": "*"})
    assert whole.json()["only"] is None

    rotated = await api.post(f"{path}/rotate")
    assert rotated.json()["secret"] != hook["secret"]
    assert (await api.post(f"{path}/disable")).json()["state"] == "disabled"
    wrong(await api.post(f"{path}/replay", {"since": START.isoformat()}), 409, "wrong_state")
    assert (await api.post(f"{path}/enable")).json()["state"] == "active"
    status = (await api.get(f"{path}/status")).json()
    assert (status["waiting"], status["failed"], status["failing_since"]) == (0, 0, None)
    assert (await api.ask("DELETE", path, headers={"If-Match": "*"})).status_code == 204
    wrong(await api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (HOOK | {"url": "http://hooks.example.com"}, "/url"),
        (HOOK | {"url": "https://169.254.169.254/latest"}, "/url"),
        (HOOK | {"url": "https://user:pw@hooks.example.com"}, "/url"),
        (HOOK | {"url": "https://10.1.2.3/x"}, "/url"),
        (HOOK | {"events": []}, "/events"),
        (HOOK | {"events": ["connection.brokn"]}, "/events"),
        (HOOK | {"only": {"networks": ["10.0.0.0/8"]}}, "/only/networks"),
        (HOOK | {"secret": "mine"}, "/secret"),
    ],
)
async def test_what_is_wrong_with_an_endpoint_is_said_with_its_place(api, body, at):
    found = wrong(await api.post("/webhooks", body), 422, "invalid")
    assert found["errors"][0]["at"] == at


async def test_what_a_test_is_answered_and_what_became_of_deliveries(api):
    async with receiving(status=503) as receiver:
        made = (await api.post("/webhooks", {"url": receiver.url, "events": ["connection.created"]})).json()
        path = f"/webhooks/{made['id']}"
        tried = (await api.post(f"{path}/test")).json()
        assert (tried["taken"], tried["status"]) == (False, 503)
        receiver.status = 200
        assert (await api.post(f"{path}/test")).json()["taken"]
        await api.rig.add("acme", "bolt")
        await put_in_order(api)
        first = (await api.get(f"{path}/deliveries?limit=1")).json()
        second = (await api.get(f"{path}/deliveries?limit=1&cursor={first['next']}")).json()
        assert {p["items"][0]["event"] for p in (first, second)} == await ids_of(api)
        assert second["next"] is None
        assert (await api.get(f"{path}/deliveries?state=failed")).json()["items"] == []
        assert (
            wrong(await api.get(f"{path}/deliveries?state=lost"), 422, "invalid")["errors"][0]["at"]
            == "?state"
        )
        one = first["items"][0]
        again = await api.post(f"{path}/deliveries/{one['id']}/replay")
        assert (again.status_code, again.json()["state"]) == (202, "waiting")
        wrong(await api.post(f"{path}/deliveries/dlv_0/replay"), 404, "not_found")
        sent = await api.post(f"{path}/replay", {"since": (START - timedelta(hours=1)).isoformat()})
        assert (sent.status_code, sent.json()) == (202, {"events": 2})


async def ids_of(api, query: str = "") -> set[str]:
    return {one["id"] for one in (await api.get(f"/events{query}")).json()["items"]}


async def test_the_feed_goes_on_after_an_event_and_by_cursor(api):
    await api.rig.add("acme", "bolt", "coda")
    await api.post("/connections/acme/pause")
    assert (await api.get("/events")).json()["items"] == []  # not in order yet
    await put_in_order(api)
    whole = (await api.get("/events")).json()["items"]
    assert [one["type"] for one in whole] == ["connection.created"] * 3 + ["connection.paused"]
    assert whole[-1]["data"]["was"]["state"] == "pending"
    rest = (await api.get(f"/events?after={whole[1]['id']}")).json()["items"]
    assert rest == whole[2:]
    first = (await api.get("/events?limit=3&type=connection.*")).json()
    second = (await api.get(f"/events?limit=3&type=connection.*&cursor={first['next']}")).json()
    assert first["items"] + second["items"] == whole
    assert await ids_of(api, "?type=connection.paused&connection=acme") == {whole[-1]["id"]}
    wrong(await api.get(f"/events?cursor={first['next']}"), 400, "bad_cursor")
    wrong(await api.get("/events?after=evt_none"), 404, "not_found")
    found = wrong(await api.get("/events?type=connection.pausd"), 422, "invalid")
    assert "connection.paused" in found["errors"][0]["said"]


async def test_who_is_restricted_reads_and_makes_only_what_is_within(api):
    await api.rig.add("acme", "bolt")
    await put_in_order(api)
    mine = api.program("mine", only=Restriction(connections=("acme",)))
    found = (await api.get("/events", as_=mine)).json()["items"]
    assert [one["data"]["connection"] for one in found] == ["acme"]
    assert (await api.get("/events?connection=bolt", as_=mine)).json()["items"] == []
    other = (await api.post("/webhooks", HOOK)).json()
    wrong(await api.get(f"/webhooks/{other['id']}", as_=mine), 404, "not_found")
    wide = HOOK | {"only": {"connections": ["bolt"]}}
    wrong(await api.post("/webhooks", wide, as_=mine), 403, "beyond_own_rights")
    assert (await api.post("/webhooks", HOOK, as_=mine)).json()["only"]["connections"] == ["acme"]
    reader = api.program("reader", Right.WEBHOOKS_READ)
    assert (
        wrong(await api.post("/webhooks", HOOK, as_=reader), 403, "missing_scope")["needs"]
        == "webhooks:write"
    )
    wrong(await api.get("/events", as_=reader), 403, "missing_scope")


class Listening:
    """The API on a real listener, since a stream has no end that a test could wait for."""

    def __init__(self, api) -> None:
        self.keeper, rig = Known(dict(api.keeper.actors)), api.rig
        around = build_around(rig.parts, self.keeper, rig.meters, rig.watching.rounds)
        self.streams = around.works[Streams]
        self.server = server(build(around), "127.0.0.1", 0)

    async def __aenter__(self) -> Listening:
        self.task = asyncio.create_task(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.01)  # noqa: TID251 - a real server
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/events/stream"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.streams.stop()
        self.server.should_exit = True
        await self.task


async def some(lines, count: int) -> list[dict[str, str]]:
    """Read so many events of a stream."""
    found: list[dict[str, str]] = []
    event: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(": ")
        if line:
            event[name] = value
        elif "id" in event:
            found.append(event)
            event = {}
            if len(found) == count:
                return found
        else:
            event = {}
    return found


async def test_a_stream_goes_on_where_it_stopped_and_ends_with_the_process(api):
    await api.rig.add("acme", "bolt", "coda")
    await put_in_order(api)
    whole = (await api.get("/events")).json()["items"]
    async with (
        Listening(api) as on,
        httpx.AsyncClient(verify=trusted(None), headers={"Authorization": "Bearer all"}) as http,
    ):
        async with http.stream("GET", on.url, headers={"Last-Event-ID": whole[0]["id"]}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            found = await some(lines, 2)
            assert [one["id"] for one in found] == [one["id"] for one in whole[1:]]
            assert json.loads(found[0]["data"]) == whole[1]
            assert found[0]["event"] == "connection.created"
            await api.post("/connections/acme/pause")
            await put_in_order(api)
            assert [one["event"] for one in await some(lines, 1)] == ["connection.paused"]
            assert on.streams.open == 1
            on.streams.stop()
            assert await some(lines, 1) == []
        refused = await http.get(on.url)
        wrong(refused, 503, "stopping")


async def test_a_stream_is_commented_while_nothing_is_new_and_ends_when_its_key_does(api):
    async with (
        Listening(api) as on,
        httpx.AsyncClient(verify=trusted(None), headers={"Authorization": "Bearer all"}) as http,
        http.stream("GET", on.url) as answer,
    ):
        lines = answer.aiter_lines()
        async for line in lines:
            if line == ": nothing new":
                break
        del on.keeper.actors["all"]
        assert [line async for line in lines if line.startswith("id")] == []


async def test_a_question_that_is_wrong_is_refused_before_the_stream_begins_and_head_has_no_end(api):
    wrong(await api.get("/events/stream?after=evt_none"), 404, "not_found")
    wrong(await api.get("/events/stream?type=nothing"), 422, "invalid")
    head = await api.ask("HEAD", "/events/stream")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
