"""What stands open: sorted by who has to act, with what stands beside it, in few queries however much it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, insert, select, update

from monitor.errors import Refused
from monitor.health.causes import Cause
from monitor.health.restriction import Restriction
from monitor.operations import board, incident_story
from monitor.operations.actor import Actor, Door, Right
from monitor.store.tables import connection, incident, watch
from tests.conftest import ME, START, rigged
from tests.integration.test_store import _break, _healthy

FIRMS = [f"c{number:03}" for number in range(60)]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
async def busy(tmp_path, sandbox, database_url):
    """A wave, an outage and an app that is refused; a client's own break; all of one provider."""
    async with rigged(tmp_path, sandbox, database_url) as rig:
        database = rig.parts.database
        await _healthy(database, FIRMS, START)
        await _break(database, ["c059"], Cause.REFRESH_EXPIRED, START)
        rig.clock.time = START + 30 * HOUR
        await _break(database, FIRMS[:8], Cause.REVOKED, rig.clock.time)
        await _break(database, FIRMS[20:26], Cause.PROVIDER_OUTAGE, rig.clock.time + MINUTE, times=8)
        await _break(database, FIRMS[30:32], Cause.APP_MISCONFIGURED, rig.clock.time + 5 * MINUTE)
        rig.clock.time += HOUR
        yield rig


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are run meanwhile."""
    seen: list[str] = []

    def note(_conn, _cursor, statement, *_more):
        if statement != "BEGIN":
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def test_it_is_sorted_by_who_has_to_act(busy):
    found = await board.board(busy.parts, ME)
    assert (found.open.waves, found.open.shared, found.open.single) == (
        1, {"operator": 1, "provider": 1}, {"client": 1},
    )  # fmt: skip
    assert found.open.members == 8 + 6 + 2
    assert found.needs == await board.decisions(busy.parts, ME) == 2
    assert [one.shown.seen.cause for one in found.shared] == [Cause.APP_MISCONFIGURED, Cause.PROVIDER_OUTAGE]
    assert [one.shown.seen.about.name for one in found.theirs] == ["c059"]
    (wave,) = found.decisions
    assert (str(wave.where), wave.question.held_connections) == ("region clio/us", 8)
    assert (wave.beside.connections, wave.beside.broken, wave.beside.elsewhere) == (60, 17, 0)
    assert wave.block.growth.last[1] == wave.block.growth.most[1] == 8
    app, outage = found.shared
    assert (app.title, app.beside.connections) == ("Clio Manage", 60), "of an app that is not configured, too"
    assert (outage.tally.members, outage.tally.open, outage.growth.last[1]) == (6, 6, 6)
    assert app.call.alert == "TokenHealthAppMisconfigured"
    assert app.call.runbook.endswith("/TokenHealthAppMisconfigured.md")
    assert outage.sample.connection in FIRMS[20:26]


async def test_what_healed_is_counted_and_drawn(busy):
    half = START + 30 * HOUR + 30 * MINUTE
    async with busy.parts.database.write() as conn:
        some = incident.c.name.in_(FIRMS[20:24])
        await conn.execute(update(incident).where(some).values(closed_at=half, ended="alone"))
    outage = next(
        one
        for one in (await board.board(busy.parts, ME)).shared
        if one.shown.seen.cause is Cause.PROVIDER_OUTAGE
    )
    assert (outage.tally.alone, outage.tally.open) == (4, 2)
    assert (outage.growth.most[1], outage.growth.last[1]) == (6, 2)
    assert half <= outage.growth.level_since <= half + 3 * MINUTE


async def test_a_thousand_incidents_take_as_many_queries_as_a_few(busy):
    with counted() as few:
        await board.board(busy.parts, ME)
    rows = [
        {"kind": "app", "name": f"app{n}", "cause": "app_misconfigured", "owner": "operator", "guard": False,
         "reasons": [], "opened_at": START, "updated_at": START}
        for n in range(500)
    ]  # fmt: skip
    single = [
        {"kind": "connection", "name": f"gone{n}", "cause": "revoked", "owner": "client", "guard": False,
         "reasons": [], "opened_at": START, "updated_at": START, "turned_at": START}
        for n in range(500)
    ]  # fmt: skip
    async with busy.parts.database.write() as conn:
        for one in (rows, single):
            await conn.execute(insert(incident), one)
    with counted() as many:
        found = await board.board(busy.parts, ME)
    assert len(many) <= len(few) < 40
    assert [one.question.held for one in found.decisions] == [8], "who has to be asked comes first"
    assert found.left_out == 3 + 500 - 50
    assert found.open.total == 4 + 1000
    assert found.needs == 2 + 500
    assert len(found.shared) == 49


async def test_a_canary_is_shown_with_what_came_of_it(busy):
    async with busy.parts.database.write() as conn:
        await conn.execute(update(watch).where(watch.c.connection == "c001").values(state="healthy"))
        for name, values in (
            ("c000", {"told_at": START + 30 * HOUR, "mails": "canary"}),
            ("c001", {"told_at": START + 30 * HOUR, "mails": "canary", "closed_at": START + 31 * HOUR,
                      "ended": "authorized"}),
        ):  # fmt: skip
            await conn.execute(update(incident).where(incident.c.name == name).values(**values))
    (wave,) = (await board.board(busy.parts, ME)).decisions
    assert [(one.client, one.outcome.value) for one in wave.canaries] == [
        ("Firm c000", "asked"), ("Firm c001", "mended"),
    ]  # fmt: skip
    assert len(wave.clients) == 6


async def test_letters_are_counted_as_they_would_be_written(busy):
    async with busy.parts.database.write() as conn:
        values = {
            "c000": {"contacts": ["it@a.example", "it@a.example", "boss@a.example"]},
            "c001": {"contacts": ["it@b.example"], "client_name": "Two"},
            "c002": {"contacts": ["it@b.example"], "client_name": "Two"},
            "c003": {"contacts": ["it@d.example"], "timezone": "Pacific/Auckland"},
        }
        for name, changed in values.items():
            await conn.execute(update(connection).where(connection.c.id == name).values(**changed))
    (wave,) = (await board.board(busy.parts, ME)).decisions
    letters = wave.letters
    assert (letters.mails, letters.addresses, letters.nobody) == (3, 4, 4)
    assert letters.asleep == 1, "it is the night at Auckland"


async def test_who_sees_a_part_is_told_of_no_wave(busy):
    rights = frozenset(Right) - {Right.HOST}
    part = Actor("key:part", Door.API, rights, Restriction(connections=("c000",)))
    with pytest.raises(Refused, match="restricted to a part of the fleet"):
        await board.board(busy.parts, part)
    async with busy.parts.database.read() as conn:
        number = (await conn.execute(select(incident.c.id).where(incident.c.wave))).scalar_one()
    found = await incident_story.story(busy.parts, part, number, 50)
    assert (found.decision, found.block) == (None, None)
    assert [one.connection for one in found.members.rows] == ["c000"]
