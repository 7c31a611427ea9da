"""What an open page hears: over a real listener, since a stream has no end that a test could wait for."""

from __future__ import annotations

import asyncio
import contextlib
import json

import httpx
import pytest

from alerts.webhooks import fanout
from monitor.host.trust import trusted
from monitor.operations import api_keys, connections, people
from monitor.operations.people import IDLE
from monitor.web.app import server
from monitor.web.doorkeeper import BY_ITSELF
from tests.conftest import ME, GoingClock, rigged
from tests.integration.console.conftest import MORE, served

KEPT_OPEN = httpx.Timeout(20)


class Listening:
    """A console on a real listener."""

    def __init__(self, console) -> None:
        self.console = console
        self.server = server(console.app, "127.0.0.1", 0)

    async def __aenter__(self) -> Listening:
        self.task = asyncio.create_task(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.01)  # noqa: TID251 - a real server
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}/live"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.console.streams.stop()
        self.server.should_exit = True
        await self.task

    @contextlib.asynccontextmanager
    async def page(self, role: str = "viewer", query: str = "", **headers: str):
        """Listen as somebody; gives what comes, as (event, data, id)."""
        cookies = (await self.console.as_(role)).http.cookies
        async with httpx.AsyncClient(verify=trusted(None), cookies=dict(cookies), timeout=KEPT_OPEN) as http:
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            async with http.stream("GET", self.url + query, headers=headers) as answer:
                assert answer.status_code == 200
                assert answer.headers["content-type"].startswith("text/event-stream")
                yield events_of(answer)


async def events_of(answer):
    one: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            one[name] = value
        elif "event" in one:
            yield one["event"], json.loads(one["data"]), one.get("id", "")
            one = {}


async def news(coming):
    async for event, data, last in coming:
        if event == "news":
            return data, last
    return None


@pytest.fixture
async def going(tmp_path, sandbox, database_url):
    """A console on a clock that goes on by itself."""
    rig = rigged(tmp_path, sandbox, database_url, more=MORE, clock=GoingClock())
    async with rig as found, served(found) as console:
        yield console


async def put_in_order(console) -> None:
    await fanout.put_in_order(console.parts.database, console.rig.clock.now())


async def test_a_page_hears_ids_and_states_and_no_name_and_goes_on_where_it_broke_off(going):
    await going.rig.add("acme", "bolt")
    await put_in_order(going)
    async with Listening(going) as on:
        async with on.page() as coming:
            assert (await anext(coming))[0] == "beat"
            await connections.pause(going.parts, ME, ["acme"])
            await put_in_order(going)
            said, last = await news(coming)
            assert said["states"] == {"acme": "paused"}
            assert "Firm" not in json.dumps(said)
        await connections.pause(going.parts, ME, ["bolt"])
        await put_in_order(going)
        async with on.page(last_event_id=last) as coming:
            assert (await news(coming))[0]["states"] == {"bolt": "paused"}
        async with on.page(query="?connection=acme", last_event_id=last) as coming:
            assert (await anext(coming))[0] == "beat"
            await connections.resume(going.parts, ME, ["bolt"])
            await connections.resume(going.parts, ME, ["acme"])
            await put_in_order(going)
            assert set((await news(coming))[0]["states"]) == {"acme"}


async def test_it_says_that_it_is_there_ends_with_the_process_and_has_room_for_so_many(going):
    async with Listening(going) as on:
        async with on.page() as coming:
            assert (await anext(coming))[0] == "beat"
            going.rig.clock.tick(seconds=20)
            assert (await anext(coming))[0] == "beat"
            going.streams._most = 1
            full = await (await going.as_("viewer")).get("/live")
            assert (full.status_code, full.headers["retry-after"]) == (503, "30")
            going.streams.stop()
            assert [event async for event in coming] == []
        assert (await (await going.as_("viewer")).get("/live")).status_code == 503


async def test_a_session_that_ends_ends_its_stream(going):
    async with Listening(going) as on, on.page("operator") as coming:
        assert (await anext(coming))[0] == "beat"
        await people.change(going.parts, ME, "operator-one", role="viewer")
        going.rig.clock.tick(seconds=20)
        assert [event async for event, *_ in coming if event != "beat"] == ["over"]


async def test_a_page_that_is_left_open_keeps_no_session_alive(small):
    for by_itself, status in (({BY_ITSELF: "1"}, 303), ({}, 200)):
        away = await small.anybody(peer="203.0.113.9")
        role = "viewer" if by_itself else "admin"
        away.http.cookies.update((await small.as_(role)).http.cookies)
        for _ in range(4):
            small.rig.clock.tick(seconds=IDLE.total_seconds() / 3)
            await away.get("/", headers=by_itself)
        assert (await away.get("/")).status_code == status


async def test_a_sentence_for_a_person_is_not_spent_on_a_page_that_asks_by_itself(small):
    person = await small.anybody()
    person.http.cookies.set("th-said", "whatever", domain="127.0.0.1")
    assert "set-cookie" not in (await person.get("/", headers={BY_ITSELF: "1"})).headers


async def test_strangers_and_programs_hear_nothing(small):
    stranger = await small.anybody(peer="203.0.113.9")
    assert (await stranger.get("/live")).status_code == 403
    key = await api_keys.new(small.parts, ME, "middleware", ["events:read"])
    program = {"authorization": f"Bearer {key.secret.reveal()}"}
    assert (await stranger.get("/live", headers=program)).status_code == 403
    here = await small.anybody()
    assert (await here.get(f"/live?connection={'a' * 301}")).status_code == 400
