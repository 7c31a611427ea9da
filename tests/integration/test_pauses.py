"""A pause that people gave an end: it is over by itself, once, and what was paused is looked at again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from monitor.errors import Invalid
from monitor.health.classify import Cause, found
from monitor.health.lifecycle import State
from monitor.operations import connections, explain, jobs, pauses, silences, timelines
from monitor.operations.jobs import Selection
from monitor.service.chores import keep_windows
from monitor.store import audit, due, imports
from monitor.store import connections as stored
from monitor.store import pauses as over
from monitor.store.door_tables import event
from monitor.store.engine import Database
from monitor.store.tables import watch
from tests.conftest import ME, START
from tests.integration.test_store import LEASE, new, settle, settlement

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def _paused(database, *names, until=START + DAY, reason=""):
    await imports.put(database, [new(name) for name in names], START, "test")
    await stored.pause(database, names, START, "cli:ann", until=until, reason=reason)


async def _lines(database, name):
    return [(one.actor, one.action) for one in await audit.of_subject(database, name)]


async def _told(database):
    async with database.read() as conn:
        rows = await conn.execute(select(event.c.type, event.c.data).order_by(event.c.at, event.c.id))
        return [(kind, data) for kind, data in rows if kind in ("connection.paused", "connection.resumed")]


async def test_a_pause_is_over_when_its_time_is_and_not_before(database):
    await _paused(database, "a", "b")
    await stored.pause(database, ["b"], START, "cli:ann")  # for good, as it is said last
    assert (await stored.show(database, "a")).paused_until == START + DAY
    assert await over.end(database, START + DAY - timedelta(seconds=1)) == 0
    assert await over.end(database, START + DAY) == 1
    known = await stored.show(database, "a")
    assert (known.health.state, known.paused_until) == (State.SUSPECT, None)
    assert (known.next_probe_at, known.revision) == (START + DAY, 3), "a probe comes at once"
    assert (await stored.show(database, "b")).paused
    assert await _lines(database, "a") == [
        ("service", "connection.resume"), ("cli:ann", "connection.pause"),
    ]  # fmt: skip
    (*_, (kind, data)) = await _told(database)
    assert (kind, data["by"], data["was"]["state"]) == ("connection.resumed", "service", "paused")
    assert await over.end(database, START + 9 * DAY) == 0


async def test_programs_hear_until_when_and_of_another_end(database):
    await _paused(database, "a")
    await stored.pause(database, ["a"], START, "cli:ann", until=START + 2 * DAY)
    ends = {(data["until"], data["was"]["state"]) for _, data in await _told(database)}
    assert ends == {("2026-11-24T09:00:00Z", "pending"), ("2026-11-25T09:00:00Z", "paused")}


async def test_the_last_word_about_a_pause_counts_and_the_same_again_is_none(database):
    await _paused(database, "a", reason="they move")
    at = (await stored.show(database, "a")).health.since
    assert await stored.pause(database, ["a"], START + HOUR, "cli:bob", until=START + DAY) == []
    assert await stored.pause(database, ["a"], START + HOUR, "cli:bob", until=START + 2 * DAY) == ["a"]
    known = await stored.show(database, "a")
    assert (known.health.since, known.paused_until) == (at, START + 2 * DAY), "paused since it was first"
    assert await stored.resume(database, ["a"], START + HOUR, "cli:bob", apps=["app"]) == ["a"]
    assert (await stored.show(database, "a")).paused_until is None
    assert await over.end(database, START + 3 * DAY) == 0, "it was resumed before"


async def test_who_was_never_authorized_waits_for_the_client_again(database):
    await imports.put(database, [new("a", access=None, refresh=None, first_probe_at=None)], START, "test")
    await stored.pause(database, ["a"], START, "cli:ann", until=START + HOUR)
    assert await over.end(database, START + HOUR) == 1
    known = await stored.show(database, "a")
    assert (known.health.state, known.next_probe_at) == (State.PENDING, None)


async def test_many_end_a_part_at_a_time_and_are_claimed_as_fast_as_their_app_allows(database, monkeypatch):
    monkeypatch.setattr(over, "PART", 20)
    names = [f"c{i:03}" for i in range(50)]
    await _paused(database, *names)
    assert await over.end(database, START + DAY) == 50
    assert {one.next_probe_at for one in await stored.every(database)} == {START + DAY}
    first = await due.claim(database, "p1", ["app"], 10, START + DAY, LEASE)
    assert len(first) == 10, "no more than whoever looks asks for: what its limits admit"
    (lease, *_) = first
    good = settlement(lease, found(Cause.OK, 1, "ok"), START + DAY)
    assert await settle(database, [good], START + DAY) == [good]


async def test_of_several_processes_one_ends_each(database_url, database):
    names = [f"c{i}" for i in range(30)]
    await _paused(database, *names)
    other = Database(database_url)
    try:
        ended = await asyncio.gather(*(over.end(one, START + DAY) for one in (database, other, database)))
    finally:
        await other.close()
    assert sum(ended) == 30
    told = [data["connection"] for kind, data in await _told(database) if kind == "connection.resumed"]
    assert sorted(told) == sorted(names)
    for name in names:
        assert (await _lines(database, name)).count(("service", "connection.resume")) == 1


async def test_a_person_who_resumes_at_the_same_moment_has_it_resumed_once(database):
    await _paused(database, "a")
    ended, resumed = await asyncio.gather(
        over.end(database, START + DAY),
        stored.resume(database, ["a"], START + DAY, "cli:ann", apps=["app"]),
    )
    assert ended + len(resumed) == 1
    assert len([one for one in await _told(database) if one[0] == "connection.resumed"]) == 1


async def test_the_service_ends_pauses_itself_and_a_window_has_it_rest_at_once(mailrig):
    await mailrig.add("acme", "bolt")
    await mailrig.look()
    assert await connections.pause(mailrig.parts, ME, ["acme", "bolt"], length=HOUR) == ["acme", "bolt"]
    await silences.begin(mailrig.parts, ME, "connection", "bolt", 3 * HOUR, maintenance=True)
    mailrig.clock.tick(hours=1)
    await keep_windows(mailrig.parts, mailrig.meters, leads=False)
    assert (await mailrig.state("acme"))[0] == "paused", "the process that leads does it"
    await keep_windows(mailrig.parts, mailrig.meters, leads=True)
    assert (await mailrig.state("acme"))[0] == "suspect"
    assert (await mailrig.known("bolt")).rests is not None
    await mailrig.look()
    assert (await mailrig.state("acme"))[0] == "healthy"
    mailrig.clock.tick(hours=1)
    found = await timelines.of(mailrig.parts, ME, "acme")
    assert [(one.state, one.length) for one in found.stretches if one.state is State.PAUSED] == [
        (State.PAUSED, HOUR)
    ]


async def test_who_paused_until_when_and_why_is_explained(mailrig):
    await mailrig.add("acme")
    await mailrig.look()
    await connections.pause(mailrig.parts, ME, ["acme"], length=3 * DAY, reason="they move house")
    found = await explain.explained(mailrig.parts, ME, "acme")
    end = mailrig.clock.now() + 3 * DAY
    assert f"until {end:%Y-%m-%d %H:%M} UTC" in found.text.headline
    assert found.text.why[0].endswith("paused it: they move house")
    assert found.text.who.startswith("Nobody.")
    assert [(one.says, one.at) for one in found.coming] == [
        ("The pause is over, and it is looked at again.", end)
    ]
    document = found.document()["pause"]
    assert document == {"by": ME.name, "until": f"{end:%Y-%m-%dT%H:%M:%SZ}", "reason": "they move house"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"length": timedelta(0)}, "for: is no length of time"),
        ({"until": START - HOUR}, "until: is over already"),
        ({"until": START + 400 * DAY}, "until: is more than 366 days ahead; without an end it lasts"),
        ({"length": 400 * DAY}, "for: is more than 366 days ahead"),
        ({"length": timedelta.max}, "for: is longer than there is time"),
        ({"length": HOUR, "until": START + HOUR}, "until: is not given beside `for`"),
        ({"reason": "two\nlines"}, "reason: is one line of 300 characters at most"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(given, says):
    asked = {"length": None, "until": None, "reason": ""} | given
    with pytest.raises(Invalid, match="^" + says.replace("`", ".")) as refused:
        pauses.ending(START, asked["length"], asked["until"])
        pauses.reason_of(asked["reason"])
    assert "\n" not in str(refused.value)


async def test_a_verdict_that_was_on_its_way_when_the_pause_ended_counts_no_more(database):
    await imports.put(database, [new("a")], START, "test")
    (lease,) = await due.claim(database, "p1", ["app"], 1, START, 9 * DAY)
    await stored.pause(database, ["a"], START, "cli:ann", until=START + HOUR)
    await over.end(database, START + HOUR)
    late = settlement(lease, found(Cause.REVOKED, 1, "test"), START + HOUR)
    assert await settle(database, [late], START + HOUR) == []
    assert (await stored.show(database, "a")).health.unseen


async def test_an_end_without_a_pause_moves_nobody(database):
    """What a restored or edited row may hold: only what is paused is resumed."""
    await imports.put(database, [new("a")], START, "test")
    async with database.write() as conn:
        await conn.execute(update(watch).values(paused_until=START))
    assert await over.end(database, START + HOUR) == 0


async def test_a_resumption_of_many_that_is_taken_back_leaves_each_with_the_end_it_had(mailrig):
    await mailrig.add("acme", "bolt", "coda")
    parts, now = mailrig.parts, mailrig.clock.now()
    await connections.pause(parts, ME, ["acme"], length=DAY, reason="they move")
    await connections.pause(parts, ME, ["bolt"], length=timedelta(minutes=1))
    await connections.pause(parts, ME, ["coda"])
    made = await jobs.begin_few(parts, ME, "resume", Selection(None, ("acme", "bolt", "coda"), 3))
    assert {(await mailrig.state(name))[0] for name in ("acme", "bolt", "coda")} == {"suspect"}
    mailrig.clock.tick(minutes=2)
    await jobs.undo(parts, ME, made.id)
    known = [await mailrig.known(name) for name in ("acme", "bolt", "coda")]
    assert [one.paused for one in known] == [True, False, True], "one would be over by now"
    assert [one.paused_until for one in known] == [now + DAY, None, None]
    assert (await explain.explained(parts, ME, "acme")).story.pause.reason == "they move"
