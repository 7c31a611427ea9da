"""Silences of people: several may lie over the same thing, and each ends by itself, or by its number."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from alerts.silences import silences
from alerts.silences.tables import silence
from alerts.silences.windows import Over, Scope, Silenced, first_over, longest
from monitor.errors import Conflict, NotFound
from monitor.store import schema
from monitor.store.engine import Database
from tests.conftest import START

HOUR = timedelta(hours=1)


async def _lay(database, begin: float, hours: float, over=Over.ALL, name="", now=START):
    return await silences.begin(
        database, over, name, "", now + (begin + hours) * HOUR, now, "me", start=now + begin * HOUR
    )


async def _numbers(database, now) -> list[int | None]:
    return [s.number for s in await silences.standing(database, (), now)]


async def test_a_silence_for_tomorrow_leaves_todays_alone(database):
    today = await _lay(database, 0, 8)
    tomorrow = await _lay(database, 24, 8)
    async with database.read() as conn:
        assert [s.number for s in await silences.holding(conn, (), START + HOUR)] == [today]
        assert await silences.holding(conn, (), START + 9 * HOUR) == []
        assert [s.number for s in await silences.holding(conn, (), START + 25 * HOUR)] == [tomorrow]


async def test_what_is_ended_by_its_subject_is_what_holds_now(database):
    first, second, later = [await _lay(database, *at) for at in ((0, 2), (0, 5), (24, 2))]
    ended = await silences.end(database, Over.ALL, "", START + HOUR, "me")
    assert [s.number for s in ended] == [first, second]
    assert await _numbers(database, START + HOUR) == [later]
    (called_off,) = await silences.end(database, Over.ALL, "", START + HOUR, "me")
    assert called_off.number == later, "the only one to come"
    with pytest.raises(NotFound, match="No silence lies over everything"):
        await silences.end(database, Over.ALL, "", START + HOUR, "me")


async def test_of_several_to_come_a_number_says_which(database):
    one, two = await _lay(database, 24, 2), await _lay(database, 48, 2)
    with pytest.raises(Conflict, match=f"several are to come: {one}, {two}."):
        await silences.end(database, Over.ALL, "", START, "me")
    assert [s.number for s in await silences.end_numbered(database, [two], START, "me")] == [two]
    assert await _numbers(database, START) == [one]
    with pytest.raises(NotFound, match=f"There is no silence {two}, or it is over"):
        await silences.end_numbered(database, [one, two], START, "me")
    assert await _numbers(database, START) == [one], "all or none"


async def test_of_those_alike_the_one_that_lasts_longest_speaks():
    short, long, open_ = [
        Silenced(Over.APP, "us", "", "me", START, until, number=n)
        for n, until in enumerate((START + HOUR, START + 2 * HOUR, None), 1)
    ]
    scope = Scope("clio", "us")
    assert first_over([short, long], scope) is long and first_over([long, open_, short], scope) is open_
    assert longest([long, short]) == [long] and longest([open_, short, long]) == [open_]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """One SQLite database for all examples, and the loop that it lives on."""
    with asyncio.Runner() as runner:
        found = Database(f"sqlite:///{tmp_path_factory.mktemp('silences') / 'th.db'}")
        runner.run(schema.ensure(found))
        yield found, runner
        runner.run(found.close())


SPANS = st.tuples(st.integers(0, 20), st.integers(1, 12))
STEPS = st.lists(st.one_of(SPANS, st.just("end"), st.integers(0, 9)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_silent_is_what_any_window_covers_that_was_not_ended(kept, steps):
    """Whatever is laid over the same thing, and ended by subject or by number, hour by hour."""
    database, runner = kept

    async def live():
        async with database.write() as conn:
            await conn.execute(delete(silence))
        now, laid = START, {}
        for step in steps:
            if isinstance(step, tuple):
                begin, hours = step
                number = await _lay(database, begin, hours, now=now)
                laid[number] = (now + begin * HOUR, now + (begin + hours) * HOUR)
            elif step == "end":
                mine = {n: s for n, s in laid.items() if s[1] > now}
                lifted = [n for n, (begin, _) in mine.items() if begin <= now] or list(mine)
                try:
                    await silences.end(database, Over.ALL, "", now, "me")
                except NotFound:
                    assert not mine
                except Conflict:
                    assert len(lifted) > 1 and all(laid[n][0] > now for n in lifted)
                else:
                    for n in lifted:
                        del laid[n]
            elif laid and (number := list(laid)[step % len(laid)]) and laid[number][1] > now:
                await silences.end_numbered(database, [number], now, "me")
                del laid[number]
            now += HOUR
        for hour in range(40):
            at = now + hour * HOUR
            async with database.read() as conn:
                silent = {s.number for s in await silences.holding(conn, (), at)}
            assert silent == {n for n, (begin, end) in laid.items() if begin <= at < end}

    runner.run(live())
