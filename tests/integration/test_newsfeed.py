"""What open pages hear of the feed, on both databases: all of it, put together, from one look for all of them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from alerts.webhooks import fanout
from monitor.operations import connections, events, newsfeed
from monitor.operations.actor import Actor, Door, MayNot
from monitor.operations.newsfeed import Heard, Newsfeed
from monitor.operations.roles import MAY, Role
from monitor.store import events as stored
from tests.conftest import ME, Rig, SetClock, rigged

VIEWER = Actor("user:vera", Door.CONSOLE, MAY[Role.VIEWER])


class Turned(SetClock):
    """A clock on which nobody waits, and others have their turn meanwhile."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)  # noqa: TID251 - a turn, no time


@pytest.fixture
async def rig(tmp_path, sandbox, database_url):
    async with rigged(tmp_path, sandbox, database_url, clock=Turned()) as found:
        yield found


async def put_in_order(rig: Rig) -> None:
    await fanout.put_in_order(rig.parts.database, rig.clock.now())


async def said(coming) -> Heard:
    """The next thing that is said, after however many quiet whiles."""
    return await anext(aiter_of(coming))


async def aiter_of(coming):
    async for one in coming:
        if one is not None:
            yield one


async def test_a_page_hears_which_connections_something_came_about_and_how_they_are(rig):
    await rig.add("acme", "bolt")
    await put_in_order(rig)
    feed = Newsfeed(rig.parts)
    async with feed.listening(VIEWER) as coming:
        assert await anext(coming) is None, "what was before is no news"
        await connections.pause(rig.parts, ME, ["acme", "bolt"])
        await connections.resume(rig.parts, ME, ["bolt"])
        await put_in_order(rig)
        heard = await said(coming)
        assert (set(heard.states), heard.more) == ({"acme", "bolt"}, False)
        assert heard.states["acme"] == "paused" != heard.states["bolt"]
        (newest,) = (await events.page(rig.parts, ME, 50)).events[-1:]
        assert heard.last == newest.id


async def test_a_page_about_one_connection_hears_of_no_other(rig):
    await rig.add("acme", "bolt")
    feed = Newsfeed(rig.parts)
    async with feed.listening(VIEWER, connection="bolt") as coming:
        await connections.pause(rig.parts, ME, ["acme"])
        await connections.pause(rig.parts, ME, ["bolt"])
        await put_in_order(rig)
        assert dict((await said(coming)).states) == {"bolt": "paused"}


async def test_a_stream_goes_on_where_it_broke_off(rig):
    await rig.add("acme", "bolt", "coda")
    await put_in_order(rig)
    first, *rest = (await events.page(rig.parts, ME, 50)).events
    async with Newsfeed(rig.parts).listening(VIEWER, after=first.id) as coming:
        heard = await said(coming)
    assert set(heard.states) == {one.connection for one in rest}
    assert heard.last == rest[-1].id


async def test_where_the_feed_was_forgotten_or_too_much_was_missed_the_page_looks_anew(rig, monkeypatch):
    await rig.add("acme", "bolt", "coda")
    await put_in_order(rig)
    feed = Newsfeed(rig.parts)
    async with feed.listening(VIEWER, after="evt_long_gone") as coming:
        assert await said(coming) == Heard("", {}, more=True)
    first = (await events.page(rig.parts, ME, 1)).events[0]
    monkeypatch.setattr(newsfeed, "READ", 1)
    async with feed.listening(VIEWER, after=first.id) as coming:
        heard = await said(coming)
    assert (len(heard.states), heard.more) == (1, True)


async def test_a_page_that_does_not_listen_for_a_while_hears_of_some_and_that_there_are_more(
    rig, monkeypatch
):
    monkeypatch.setattr(newsfeed, "MOST", 2)
    async with Newsfeed(rig.parts).listening(VIEWER) as coming:
        await rig.add("acme", "bolt", "coda")
        await put_in_order(rig)
        heard = await said(coming)
    assert (len(heard.states), heard.more) == (2, True)


async def test_all_pages_share_one_look_and_nobody_looks_for_none(rig, monkeypatch):
    looks = []
    page = stored.page

    async def counted(database, limit, **which):
        looks.append(which["after"])
        return await page(database, limit, **which)

    monkeypatch.setattr(stored, "page", counted)
    feed = Newsfeed(rig.parts)
    async with contextlib.AsyncExitStack() as open_pages:
        pages = [await open_pages.enter_async_context(feed.listening(VIEWER)) for _ in range(20)]
        assert await asyncio.gather(*(anext(one) for one in pages)) == [None] * 20
        assert len(looks) < len(pages), "some looks for all of them, and not one a page"
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 - a turn, no time
    looks.clear()
    rig.clock.tick(minutes=1)
    await asyncio.sleep(0)  # noqa: TID251 - a turn, no time
    assert looks == []


async def test_what_listens_ends_where_the_database_does_not_answer_and_the_next_begins_again(
    rig, monkeypatch
):
    page, away = stored.page, True

    async def gone(*given, **which):
        if away:
            raise ConnectionRefusedError
        return await page(*given, **which)

    monkeypatch.setattr(stored, "page", gone)
    feed = Newsfeed(rig.parts)
    async with feed.listening(VIEWER) as coming:
        assert [one async for one in coming] == []
    away = False
    async with feed.listening(VIEWER) as coming:
        assert await anext(coming) is None


async def test_it_takes_the_right(rig):
    nobody = Actor("user:nobody", Door.CONSOLE, frozenset())
    with pytest.raises(MayNot):
        async with Newsfeed(rig.parts).listening(nobody):
            pass
