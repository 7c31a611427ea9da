"""Whoever holds the number that is the row's may write, once; nothing else is asked of a verdict."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from monitor.health.causes import Cause
from monitor.health.classify import found
from monitor.health.lifecycle import State
from monitor.store import connections, due, history, imports, processes, schema
from monitor.store.engine import Database
from monitor.store.tables import watch
from tests.conftest import START
from tests.integration.test_store import DAY, LEASE, new, settle, settlement

OK, BAD = found(Cause.OK, 1, "ok"), found(Cause.REVOKED, 1, "test")


async def _leased(database, name="a"):
    await imports.put(database, [new(name)], START, "test")
    (lease,) = await due.claim(database, "p1", ["app"], 1, START, LEASE)
    return lease


async def _state(database, name="a"):
    return (await connections.show(database, name)).health.state


async def _probes(database):
    return [counted.probes for counted in await history.counts(database, "a", START - DAY)]


async def test_a_verdict_that_no_lease_stands_behind_is_written_once(database):
    lease = await _leased(database)
    await due.release(database, "p1")
    verdict = settlement(lease, BAD, START)
    assert await settle(database, [verdict], START) == [verdict]
    assert await settle(database, [verdict], START) == [], "its number is used up"
    assert await _state(database) is State.SUSPECT
    assert (await _probes(database), len(await history.timeline(database, "a"))) == ([1], 1)


async def test_of_two_with_the_same_number_the_first_is_written(database):
    lease = await _leased(database)
    await due.release(database, "p1")
    good, bad = settlement(lease, OK, START), settlement(lease, BAD, START)
    assert await settle(database, [good, bad], START) == [good]
    assert await _state(database) is State.HEALTHY
    assert await settle(database, [bad], START, "p2") == []


async def test_of_two_at_once_one_is_written_whoever_brings_them(database):
    lease = await _leased(database)
    done = await asyncio.gather(
        *(settle(database, [settlement(lease, what, START)], START, who)
          for who, what in (("p1", OK), ("p2", BAD), ("p3", OK), ("p4", BAD)))
    )  # fmt: skip
    assert sorted(map(len, done)) == [0, 0, 0, 1]
    assert await _probes(database) == [1]


async def test_a_quiet_verdict_uses_its_number_up_too(database):
    await settle(database, [settlement(await _leased(database), OK, START)], START)
    later = START + timedelta(minutes=5)
    (lease,) = await due.claim(database, "p1", ["app"], 1, later, LEASE)
    quiet = settlement(lease, OK, later)
    assert await settle(database, [quiet], later) == [quiet]
    assert await settle(database, [quiet], later) == [], "a commit whose acknowledgement was lost"
    assert await _probes(database) == [2]


async def test_what_was_judged_without_a_lease_ends_the_lease_of_who_is_looking(database):
    """Its verdict would rest on what is no longer so; and it may begin no refresh any more."""
    looking = await _leased(database)
    told = settlement(looking, BAD, START)  # by who read the row, and holds nothing
    assert await settle(database, [told], START, "p2") == [told]
    assert await settle(database, [settlement(looking, OK, START)], START) == []
    async with database.read() as conn:
        assert (await conn.execute(select(watch.c.lease_by))).scalar_one() is None


async def test_a_process_that_was_buried_while_it_slept_writes_nothing_more(database):
    await processes.beat(database, "p1", "all", "1", START, LEASE)
    lease = await _leased(database)
    later = START + timedelta(hours=1)
    await processes.beat(database, "p2", "all", "1", later, timedelta(0))
    assert await settle(database, [settlement(lease, BAD, later)], later) == []
    assert await _state(database) is State.PENDING


ACTS = (
    "claim",
    "look",
    "settle newest",
    "settle oldest",
    "settle twice",
    "release",
    "pause",
    "resume",
    "import",
    "bury",
)


class Play:
    """One connection through many acts; `number` is what the row's has to be, by the rules."""

    def __init__(self, database: Database, name: str) -> None:
        self.database, self.name, self.at = database, name, START
        self.seen: list = []  # leases, the newest last
        self.used: set[int] = set()

    async def number(self) -> int:
        async with self.database.read() as conn:
            row = select(watch.c.lease_epoch).where(watch.c.connection == self.name)
            return int((await conn.execute(row)).scalar_one())

    async def act(self, what: str) -> None:
        self.at += timedelta(seconds=1)
        database, name, before = self.database, self.name, await self.number()
        match what:
            case "claim":
                self.seen += await due.claim_named(database, "p", [name], self.at, LEASE, apps=["app"])
            case "release":
                await due.release(database, "p")
                assert await self.number() == before, "the row is as it was"
            case "pause":
                await connections.pause(database, [name], self.at, "test")
            case "resume":
                await connections.resume(database, [name], self.at, "test", apps=["app"])
            case "import":
                await imports.put(database, [new(name, imported=str(self.at))], self.at, "test")
                assert await self.number() > before
            case "bury":
                await processes.beat(database, "p", "all", "1", self.at, DAY)
                await processes.beat(database, "q", "all", "1", self.at, timedelta(seconds=-1))
            case _ if self.seen:
                await self.settle(self.seen[0 if "oldest" in what else -1], 2 if "twice" in what else 1)
        assert await self.number() >= before, "a number never comes back"

    async def settle(self, lease, times) -> None:
        current, who = await self.number(), "anybody"
        written = await settle(self.database, [settlement(lease, BAD, self.at)] * times, self.at, who)
        assert len(written) == (1 if lease.epoch == current else 0)
        for one in written:
            assert one.lease.epoch not in self.used, "each number is good for one verdict"
            self.used.add(one.lease.epoch)


def test_whatever_happens_a_verdict_is_written_while_its_number_is_the_rows_and_once(tmp_path):
    database, names = Database(f"sqlite:///{tmp_path / 'th.db'}"), iter(range(10**6))

    async def play(acts) -> None:
        name = f"c{next(names)}"
        await imports.put(database, [new(name)], START, "test")
        one = Play(database, name)
        for what in acts:
            await one.act(what)

    with asyncio.Runner() as runner:

        @settings(max_examples=40)
        @given(st.lists(st.sampled_from(ACTS), min_size=3, max_size=12))
        def any_order(acts):
            runner.run(play(["claim", *acts]))

        runner.run(schema.ensure(database))
        any_order()
        runner.run(database.close())
