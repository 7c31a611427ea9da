"""Where programs wait: woken by what changed, by the time, and by the end of the process."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from monitor.errors import Unavailable
from monitor.tokens import desk
from monitor.tokens.desk import Desk
from tests.conftest import START, SetClock

LATER = START + timedelta(seconds=30)


class Turning(SetClock):
    """A clock whose waits let others have their turn."""

    async def sleep(self, seconds):
        await super().sleep(seconds)
        await asyncio.sleep(0)  # noqa: TID251


@pytest.fixture
def said():
    return {"acme": (1,), "bolt": (1,)}


@pytest.fixture
def clock():
    return Turning()


@pytest.fixture
def found(said, clock):
    async def marks(ids):
        return {name: said[name] for name in ids if name in said}

    return Desk(marks, clock)


async def test_who_waits_is_woken_by_what_changed(found, said, clock):
    waiting = asyncio.create_task(found.wait("acme", (1,), LATER))
    await asyncio.sleep(0)  # noqa: TID251
    said["acme"] = (2,)
    await waiting
    assert clock.now() < LATER


async def test_a_connection_that_is_gone_has_changed(found, said, clock):
    waiting = asyncio.create_task(found.wait("acme", (1,), LATER))
    await asyncio.sleep(0)  # noqa: TID251
    del said["acme"]
    await waiting
    assert clock.now() < LATER


async def test_what_this_process_wrote_wakes_at_once(found, clock):
    waiting = asyncio.create_task(found.wait("acme", (1,), LATER))
    await asyncio.sleep(0)  # noqa: TID251
    found.changed("acme")
    found.changed("bolt")
    await waiting


async def test_the_time_wakes(found, clock):
    await found.wait("acme", (1,), LATER)
    assert LATER <= clock.now() < LATER + timedelta(seconds=2)


async def test_only_so_many_wait_and_nobody_at_the_end(found, monkeypatch):
    monkeypatch.setattr(desk, "MOST", 1)
    waiting = asyncio.create_task(found.wait("acme", (1,), LATER))
    await asyncio.sleep(0)  # noqa: TID251
    with pytest.raises(Unavailable) as caught:
        await found.wait("bolt", (1,), LATER)
    assert caught.value.code == "too_many_waiters"
    found.close()
    with pytest.raises(Unavailable) as caught:
        await waiting
    assert caught.value.code == "stopping"


async def test_who_goes_away_leaves_room(found, monkeypatch, clock):
    monkeypatch.setattr(desk, "MOST", 1)
    waiting = asyncio.create_task(found.wait("acme", (1,), LATER))
    await asyncio.sleep(0)  # noqa: TID251
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await found.wait("bolt", (1,), clock.now() + timedelta(seconds=3))


async def test_a_database_that_is_away_is_told_to_all_who_wait(clock):
    async def marks(_ids):
        raise OSError

    with pytest.raises(Unavailable) as caught:
        await Desk(marks, clock).wait("acme", (1,), LATER)
    assert caught.value.code == "database_unavailable"
