"""Whoever waits for the database hears that it is away; that it is only slow to hand out connections is not that."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from monitor.errors import Unavailable
from monitor.operations import pulse
from monitor.operations.pulse import Pulse


@dataclass
class Away:
    """A database that gives a sign of life, gives none, or says nothing at all."""

    sign: bool | None
    is_sqlite: bool = False

    async def gives_sign(self) -> bool:
        if self.sign is None:
            await asyncio.Event().wait()
        return bool(self.sign)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(pulse, "EVERY", 0.001)
    monkeypatch.setattr(pulse, "TURN", 0.001)


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("sign", [False, None], ids=["refuses", "says nothing"])
async def test_all_who_wait_are_told(sign):
    told = Pulse(Away(sign))
    answers = await asyncio.gather(*(told.within(forever()) for _ in range(50)), return_exceptions=True)
    assert {(type(answer), answer.code) for answer in answers} == {(Unavailable, "database_unavailable")}


async def test_who_waits_for_something_else_goes_on_waiting():
    kept, go = Pulse(Away(True)), asyncio.Event()

    async def work() -> int:
        await go.wait()
        return 7

    waiting = asyncio.create_task(kept.within(work()))
    for _ in range(200):
        await asyncio.sleep(0)  # noqa: TID251 - turns of the loop
    assert not waiting.done()
    go.set()
    assert await waiting == 7


async def test_what_goes_wrong_is_told_as_it_is_and_who_goes_away_ends_their_own_work():
    kept, ended = Pulse(Away(True)), asyncio.Event()

    async def fails() -> None:
        raise KeyError("x")

    async def long() -> None:
        try:
            await forever()
        finally:
            ended.set()

    with pytest.raises(KeyError):
        await kept.within(fails())
    caller = asyncio.create_task(kept.within(long()))
    await asyncio.sleep(0)  # noqa: TID251 - it begins
    await asyncio.sleep(0)  # noqa: TID251
    caller.cancel()
    await ended.wait()


async def test_sqlite_is_a_file_here_and_is_not_asked():
    async def work() -> int:
        return 1

    assert await Pulse(Away(None, is_sqlite=True)).within(work()) == 1
