"""The fleet as people look at it: lines that stand for many, its verdict, what changed, its list as a file."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import event, update

from monitor.errors import TokenHealthError
from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.health.listing import NOT_HEALTHY, Filter, Sort
from monitor.health.restriction import Restriction
from monitor.operations import overview, table, verdict
from monitor.operations.actor import Actor, Door, Right
from monitor.operations.overview import Asked, Line
from monitor.store import hours
from monitor.store.tables import incident
from tests.conftest import ME, START, SetClock
from tests.integration import fleets
from tests.integration.fleets import One

SICK = Filter(states=NOT_HEALTHY)


@pytest.fixture
def parts(database):
    settings = SimpleNamespace(windows=())
    return SimpleNamespace(
        database=database, clock=SetClock(), apps={"clio": None, "xero": None}, loaded=SimpleNamespace(settings=settings)
    )  # fmt: skip


def broken(name, owner, hours_ago=0.0, **more):
    cause = {
        Owner.CLIENT: Cause.REVOKED,
        Owner.OPERATOR: Cause.UNEXPECTED,
        Owner.PROVIDER: Cause.PROVIDER_OUTAGE,
    }
    return One(name, State.BROKEN, owner, cause[owner], START - timedelta(hours=hours_ago), **more)


async def bad_day(database):
    """One of ours, one of a client's, an outage of four, and a wave of three."""
    fleet = [One(f"well-{n}") for n in range(5)]
    fleet += [
        broken("ours", Owner.OPERATOR, 2, client="Harcourt"),
        broken("theirs", Owner.CLIENT, 9, client="Pine"),
    ]
    fleet += [broken(f"out-{n}", Owner.PROVIDER, 1, app="xero", client=f"Out {n // 2}") for n in range(4)]
    fleet += [broken(f"wave-{n}", Owner.CLIENT, 3, client=f"Wave {n}") for n in range(3)]
    fleet += [One("doubt", State.SUSPECT, since=START)]
    await fleets.write(database, fleet)
    outage = await fleets.share(
        database, [f"out-{n}" for n in range(4)], name="xero", since=START - timedelta(hours=1)
    )
    wave = await fleets.share(
        database, [f"wave-{n}" for n in range(3)], cause=Cause.REVOKED, owner=Owner.CLIENT,
        since=START - timedelta(hours=3), wave=True,
    )  # fmt: skip
    return outage, wave


def said(found):
    return [line.one.id if isinstance(line, Line) else line.shared.id for line in found.lines]


async def test_one_line_stands_for_what_a_shared_incident_broke_where_its_turn_is(parts, database):
    outage, wave = await bad_day(database)
    found = await overview.look(parts, ME, Asked(SICK))
    assert said(found) == [wave, "ours", "theirs", outage, "doubt"], "ours first: the wave waits for a person"
    assert (found.total, found.cut, found.stand_for) == (10, False, (2, 7))
    held = found.lines[0].shared
    assert (held.members, held.held, held.clients, held.turn) == (3, 3, 3, Owner.OPERATOR)
    out = found.lines[3].shared
    assert (out.members, out.clients, out.app, out.provider) == (4, 2, "xero", "xero")


async def test_an_incident_opens_in_place_and_its_members_are_a_list_of_their_own(parts, database):
    outage, wave = await bad_day(database)
    found = await overview.look(parts, ME, Asked(SICK, open=frozenset({outage, 999})))
    (opened,) = [line for line in found.lines if not isinstance(line, Line) and line.opened]
    assert [line.one.id for line in opened.inside] == ["out-0", "out-1", "out-2", "out-3"]
    assert {line.told.part_of for line in opened.inside} == {outage}
    alone = await overview.look(parts, ME, Asked(Filter(incidents=frozenset({wave}))))
    assert said(alone) == ["wave-0", "wave-1", "wave-2"]


@pytest.mark.parametrize(
    "asked",
    [
        Asked(Filter(text="out")),
        Asked(Filter(clients=frozenset({"Out 0"}))),
        Asked(SICK, Sort.CLIENT),
        Asked(SICK, Sort.ID),
    ],
)
async def test_who_is_looked_for_stands_in_no_line_of_many(parts, database, asked):
    await bad_day(database)
    found = await overview.look(parts, ME, asked)
    assert found.stand_for == (0, 0) and all(isinstance(line, Line) for line in found.lines)
    assert {"out-0", "out-1"} <= set(said(found))


async def test_a_line_stands_for_those_alone_that_a_filter_chooses(parts, database):
    outage, _ = await bad_day(database)
    which = Filter(states=NOT_HEALTHY, apps=frozenset({"xero"}))
    found = await overview.look(parts, ME, Asked(which))
    assert (said(found), found.total, found.stand_for) == ([outage], 4, (1, 4))
    async with database.write() as conn:  # of one that is left of it, its own line says more
        some = incident.c.name.in_(["out-1", "out-2", "out-3"])
        await conn.execute(update(incident).where(some).values(closed_at=START))
    assert "out-0" in said(await overview.look(parts, ME, Asked(which)))


@pytest.mark.parametrize("sort", [Sort.WORST, Sort.SINCE])
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_of_lines_follow_one_another_there_and_back(parts, database, sort, size):
    await bad_day(database)
    async with database.write() as conn:  # a line that stands for many is of the same moment as others
        shared = incident.c.kind == "provider"
        await conn.execute(update(incident).where(shared).values(opened_at=START - timedelta(hours=2)))
    whole = said(await overview.look(parts, ME, Asked(SICK, sort)))
    pages, after = [], None
    while True:
        found = await overview.look(parts, ME, Asked(SICK, sort, after=after), size)
        pages.append(said(found))
        if (after := found.after) is None:
            break
    assert [one for page in pages for one in page] == whole
    back, before = [pages[-1]], found.before
    while before is not None:
        found = await overview.look(parts, ME, Asked(SICK, sort, before=before), size)
        assert found.after is not None
        back.insert(0, said(found))
        before = found.before
    assert [one for page in back for one in page] == whole


async def test_the_verdict_counts_an_incident_as_one_thing(parts, database):
    await bad_day(database)
    found = await verdict.verdict(parts, ME)
    assert (found.ours, found.down, found.waiting_clients, found.clients) == (2, ("xero",), 4, 8)
    assert found.counts.states == {"healthy": 5, "broken": 9, "suspect": 1}
    assert (found.turns["provider"].breaks, found.turns["provider"].alone) == (4, 0)
    assert found.before is None


async def test_what_changed_is_one_line_for_all_of_an_incident(parts, database):
    outage, wave = await bad_day(database)
    parts.clock.tick(minutes=5)
    async with database.write() as conn:
        some = incident.c.name.in_(["out-0", "out-1"])
        await conn.execute(update(incident).where(some).values(closed_at=parts.clock.now(), ended="alone"))
    changes = (await verdict.verdict(parts, ME)).changes
    assert [(one.began, one.incident in (outage, wave), one.count) for one in changes] == [
        (False, True, 2), (True, True, 4), (True, False, 1), (True, True, 3), (True, False, 1),
    ]  # fmt: skip
    assert (changes[0].ended, changes[2].client) == ("alone", "Harcourt")
    parts.clock.tick(days=2)
    assert list((await verdict.verdict(parts, ME)).changes) == []


async def test_the_verdict_is_read_once_in_two_seconds_and_each_time_for_who_sees_a_part(parts, database):
    await bad_day(database)
    part = Actor("key:k", Door.API, frozenset(Right), Restriction(apps=frozenset({"xero"})))
    first = await verdict.verdict(parts, ME)
    assert (await verdict.verdict(parts, part)).counts.total == 4
    await fleets.write(database, [One("one-more", app="xero")])
    assert (await verdict.verdict(parts, ME)) is first
    assert (await verdict.verdict(parts, part)).counts.total == 5
    parts.clock.tick(seconds=2)
    assert (await verdict.verdict(parts, ME)).counts.total == 16


async def test_sums_are_kept_once_an_hour_and_compared_a_day_later(parts, database):
    await fleets.write(database, [One("a"), One("b"), broken("c", Owner.CLIENT)])
    now = parts.clock.now()
    assert await hours.note(database, now) is True
    assert await hours.note(database, now + timedelta(minutes=59)) is False
    await fleets.write(database, [broken("d", Owner.CLIENT)])
    parts.clock.tick(hours=24, minutes=20)
    found = await verdict.verdict(parts, ME)
    assert (found.since_yesterday("broken"), found.since_yesterday("healthy")) == (1, 0)
    parts.clock.tick(hours=4)  # nobody wrote anything down since
    assert (await verdict.verdict(parts, ME)).since_yesterday("broken") is None
    assert await hours.note(database, now + timedelta(days=4)) is True
    assert await hours.at(database, now + timedelta(hours=1)) is None, "what is old is dropped"


async def test_a_page_takes_so_many_statements_however_many_lines_it_has(parts, database):
    counted = []
    engine = database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *given: counted.append(given[2]))
    await fleets.write(database, [broken("c-0", Owner.CLIENT)])
    await overview.look(parts, ME, Asked(SICK))  # a new connection asks a few things of its own
    counted.clear()
    await overview.look(parts, ME, Asked(SICK))
    few = len(counted)
    await fleets.write(database, [broken(f"d-{n}", Owner.CLIENT) for n in range(40)])
    counted.clear()
    assert len((await overview.look(parts, ME, Asked(SICK))).lines) == 41
    assert len(counted) == few


async def test_the_list_as_a_file_has_every_page_of_it_and_no_formula(parts, database):
    evil = '=HYPERLINK("http://x","y")'
    await fleets.write(
        database, [broken("a", Owner.CLIENT, client=evil, labels={"tier": "gold"}), One("b"), One("c")]
    )
    text = "".join([piece async for piece in await table.written(parts, ME, Filter(), Sort.WORST)])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert (rows[0]["client"], rows[0]["labels"], rows[0]["cause"]) == (f"'{evil}", "tier=gold", "revoked")
    for cell in ("+1", "-1", "@a", "\tx", "＝1"):
        assert str(table.harmless(cell)).startswith("'")
    split = {
        "Firm;=1": "Firm;'=1",
        "a\n@b": "a\n'@b",
        "a\t +b": "a\t' +b",
        " =1": "' =1",
    }  # at other separators
    assert {cell: table.harmless(cell) for cell in split} == split
    assert table.harmless(0.5) == 0.5 and table.harmless("a=b") == "a=b"


async def test_who_may_not_look_is_refused(parts):
    nobody = Actor("key:k", Door.API, frozenset())
    for work in (
        overview.look(parts, nobody, Asked()),
        verdict.verdict(parts, nobody),
        verdict.choices(parts, nobody),
        verdict.labels(parts, nobody),
        table.written(parts, nobody, Filter(), Sort.ID),
    ):
        with pytest.raises(TokenHealthError):
            await work
