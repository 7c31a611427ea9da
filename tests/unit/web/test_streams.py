"""Nobody who listens takes the places of others, and all who listen leave half of a listener to requests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from monitor.web.api.problems import Problem
from monitor.web.api.streams import MOST, Streams


async def nothing() -> AsyncIterator[None]:
    yield None


def room(streams: Streams, who: str) -> bool:
    try:
        streams.must_have_room(who)
    except Problem as full:
        assert str(full).startswith("Too many wait") or "too_many_waiters"
        return False
    return True


async def test_whoever_listens_leaves_half_of_the_streams_to_others_and_all_of_them_half_of_the_places():
    streams = Streams(places=12)
    async with contextlib.AsyncExitStack() as open_:
        for _ in range(3):
            await open_.enter_async_context(streams.one(nothing(), "user:mallory"))
        assert not room(streams, "user:mallory") and room(streams, "user:anna")
        for who in ("user:anna", "user:bea", "key:key_1"):
            await open_.enter_async_context(streams.one(nothing(), who))
        assert streams.open == 6 and not room(streams, "user:new")
    assert streams.open == 0 and room(streams, "user:mallory")


async def test_who_was_told_that_there_is_room_and_comes_too_late_has_none():
    streams = Streams(places=2)
    streams.must_have_room("user:anna")
    async with streams.one(nothing(), "user:bea"):
        with pytest.raises(Problem):
            async with streams.one(nothing(), "user:anna"):
                pass
        assert streams.open == 1


def test_there_are_never_more_than_so_many():
    assert Streams(places=100_000)._most == MOST
