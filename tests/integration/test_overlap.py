"""One order of locks: whoever writes at the same time waits for the other, and never in a circle."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
from contextlib import contextmanager

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from monitor.clock import SystemClock
from monitor.metrics.meters import Meters
from monitor.store import gates
from monitor.store.engine import Database
from monitor.store.retry import TRIES, retried
from monitor.store.tables import watch
from tests.conftest import SetClock, postgres_url
from tests.integration import overlap_door as door
from tests.integration.overlap import NAMES, WRITERS, Stage, set_up
from tests.locks import Order

PARTS = 4
# Each writer's order is looked at alone, below; the pairs are the proof of it, and a third of these is enough of one.
LONG = os.environ.get("ATTACK") == "long"
EVERY = WRITERS | door.WRITERS


@pytest.fixture
async def stage(postgres_server):
    url = postgres_url(postgres_server)
    first, second, onlooker = (Database(url, pool_size=2, clock=SetClock()) for _ in range(3))
    yield Stage(first, second, onlooker, await set_up(onlooker))
    for database in (first, second, onlooker):
        await database.close()


@pytest.mark.parametrize("part", range(PARTS))
async def test_two_that_write_at_once_wait_for_each_other_and_never_in_a_circle(stage, part):
    """Each pair once; the first is stopped as soon as it holds a lock."""
    await _no_circles(stage, itertools.combinations_with_replacement(WRITERS, 2), part)


@pytest.mark.parametrize("part", range(PARTS))
async def test_the_same_holds_at_the_door_and_with_those_whose_locks_it_takes(stage, part):
    among = itertools.combinations_with_replacement(door.WRITERS, 2)
    pairs = itertools.chain(among, itertools.product(door.WRITERS, door.MEETS))
    await _no_circles(stage, pairs if LONG else itertools.islice(pairs, 0, None, 3), part)


async def _no_circles(stage, pairs, part):
    circles = []
    for one, other in itertools.islice(pairs, part, None, PARTS):
        await stage.overlap(EVERY[one], EVERY[other])
        if stage.taken_back:
            circles.append((one, other))
    assert circles == []


@pytest.mark.parametrize("name", EVERY)
async def test_every_writer_takes_its_locks_in_the_one_order_and_the_gates_first(stage, name):
    await stage.restore()
    order = Order(gates=True)
    for _ in order.watching(stage.first._writer.sync_engine):
        await EVERY[name](stage.first, stage.of)
    assert order.broken == []


async def test_gates_are_taken_by_id_however_they_are_asked_for(stage):
    async def all_of_them():
        async with stage.first.write() as conn:
            await gates.lock(conn, NAMES)

    async with stage.second.write() as holder:
        await gates.lock(holder, ["c"])
        waiting = asyncio.ensure_future(all_of_them())
        await stage.until_one_waits()
        async with stage.onlooker.write() as conn:
            free = select(watch.c.connection).with_for_update(skip_locked=True)
            assert set((await conn.execute(free)).scalars()) == {"d", "e"}, (
                "a and b are taken, c is waited for"
            )
    await waiting


# -- what the database takes back all the same ----------------------------------------------------------


@retried
async def _both(database: Database, one: str, other: str) -> str:
    """Two locks in an order of its own: what nobody may do."""
    async with database.write() as conn:
        for name in (one, other):
            await conn.execute(
                text("UPDATE watch SET rule = :rule WHERE connection = :name"), {"rule": one, "name": name}
            )
    return one


async def test_a_deadlock_is_run_again_and_counted(stage):
    done = []
    # Two that run again at the same moment would meet again: here they really wait, for milliseconds.
    stage.first.clock = stage.second.clock = SystemClock()

    async def note(database, one, other):
        done.append(await _both(database, one, other))

    await stage.overlap(lambda db, _: note(db, "a", "b"), lambda db, _: note(db, "b", "a"))
    assert sorted(done) == ["a", "b"], "both got what they wanted"
    assert set(stage.taken_back) == {"deadlock"}


def _raises(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'told so' USING ERRCODE = '{code}'; END $$"


@retried
async def _fails(database: Database, tries: list[str], code: str, times: int) -> int:
    tries.append(code)
    async with database.write() as conn:
        await conn.execute(text("UPDATE watch SET streak = streak + 1 WHERE connection = 'a'"))
        if len(tries) <= times:
            await conn.execute(text(_raises(code)))
        return (await conn.execute(text("SELECT streak FROM watch WHERE connection = 'a'"))).scalar_one()


async def test_a_failed_serialization_is_run_again_and_leaves_nothing_of_the_first_try(stage):
    tries: list[str] = []
    assert await _fails(stage.first, tries, "40001", 2) == 1
    assert (len(tries), stage.taken_back) == (3, ["serialization"] * 2)


async def test_what_is_taken_back_again_and_again_is_an_error_in_the_end_and_waits_in_between(stage):
    clock, tries = stage.first.clock, []
    before = clock.now()
    with pytest.raises(DBAPIError):
        await _fails(stage.first, tries, "40P01", 100)
    assert len(tries) == TRIES
    assert 0 < (clock.now() - before).total_seconds() < 1


async def test_another_error_is_not_tried_again(stage):
    tries: list[str] = []
    with pytest.raises(DBAPIError):
        await _fails(stage.first, tries, "23505", 1)
    assert (len(tries), stage.taken_back) == (1, [])


@contextmanager
def _somebody_writes(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


async def test_a_busy_sqlite_file_is_tried_again(tmp_path):
    path = tmp_path / "x.db"
    database, tries = Database(f"sqlite:///{path}"), []

    @event.listens_for(database._writer.sync_engine, "connect")
    def _impatient(connection, _record):
        connection.execute("PRAGMA busy_timeout=1")

    class Ends(SetClock):
        async def sleep(self, seconds):
            if other.in_transaction:
                other.execute("COMMIT")

    @retried
    async def make(of):
        tries.append(1)
        async with of.write() as conn:
            await conn.execute(text("CREATE TABLE n (v INTEGER)"))

    database.clock, meters = Ends(), Meters()
    database.on_taken_back = lambda why: meters.taken_back.labels(why).inc()
    with _somebody_writes(path) as other:
        await make(database)
    assert len(tries) == 2
    assert meters.registry.get_sample_value("token_health_database_retries_total", {"why": "busy"}) == 1
    await database.close()
