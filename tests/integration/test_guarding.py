"""The fleet guard in the database, on SQLite and on PostgreSQL: what it counts, writes, and lets go."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from monitor.errors import NotFound
from monitor.health.breaks import ALONE, AUTHORIZED, CANARY, DROPPED, IN_TROUBLE, RELEASED
from monitor.health.cadence import Cadence
from monitor.health.causes import Cause, Subject
from monitor.health.classify import found
from monitor.health.guard import GuardPolicy
from monitor.health.incidents import About, Place
from monitor.health.surprise import SurprisePolicy
from monitor.store import (
    audit,
    connections,
    decisions,
    due,
    fleet,
    guarding,
    history,
    imports,
    incidents,
    schema,
    waves,
)
from monitor.store.engine import Database
from monitor.store.expected import NEEDED, Ordinary
from monitor.store.tables import connection, credential, incident, watch
from tests.conftest import START
from tests.integration.test_store import LEASE, _break, _healthy, new, settle, settlement

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = GuardPolicy()
NEVER = GuardPolicy(surprise=SurprisePolicy(None))
CLIO = About(Subject.PROVIDER, "clio")
NAMES = [f"c{i:02}" for i in range(30)]


async def _heal(database, names, now, guard=POLICY):
    async with database.write() as conn:
        await conn.execute(update(watch).where(watch.c.connection.in_(names)).values(next_probe_at=now))
    leases = await due.claim(database, "p1", ["app", "other"], 500, now, LEASE)
    well = [settlement(lease, found(Cause.OK, 1, "ok"), now) for lease in leases if lease.id in names]
    await settle(database, well, now, guard=guard)
    await due.release(database, "p1")


async def _row(database, name):
    async with database.read() as conn:
        mine = select(incident).where(incident.c.name == name, incident.c.kind == "connection")
        return (await conn.execute(mine.order_by(incident.c.id.desc()).limit(1))).one()


async def _waves(database):
    return {one.provider: one for one in await waves.open_now(database)}


async def _tell(database, names, now):
    async with database.write() as conn:
        numbers = select(incident.c.id).where(incident.c.name.in_(names), incident.c.closed_at.is_(None))
        await incidents.note_told(conn, (await conn.execute(numbers)).scalars().all(), now)


async def test_only_what_turned_bad_with_a_wave_belongs_to_it(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:1], Cause.REVOKED, START + MINUTE)
    await _break(database, NAMES[1:2], Cause.REVOKED, START + 2 * DAY)
    await _tell(database, NAMES[1:2], START + 2 * DAY + HOUR)
    now = START + 2 * DAY + 2 * HOUR
    await _break(database, NAMES[2:8], Cause.REVOKED, now)
    (wave,) = (await _waves(database)).values()
    held = {one.connection for one in wave.held.breaks}
    assert held == set(NAMES[2:8]), "neither the one of two days ago nor the one that was told"
    assert wave.guard


async def test_a_person_decides_about_what_is_held_and_nothing_else(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:8], Cause.REVOKED, START + MINUTE)
    await _tell(database, NAMES[:1], START + HOUR)
    now = START + 2 * HOUR
    assert await decisions.decide(database, "clio", DROPPED, now, "cli:ann") == 7
    assert [(await _row(database, name)).mails for name in NAMES[:3]] == ["", DROPPED, DROPPED]
    assert await _waves(database) == {}
    (entry, *_) = await audit.of_subject(database, "provider clio")
    assert (entry.actor, entry.action, entry.detail["connections"]) == ("cli:ann", "mails.dropped", 7)
    with pytest.raises(NotFound, match="No wave is held over"):
        await decisions.decide(database, "clio", RELEASED, now, "cli:ann")
    await guarding.judge_again(database, POLICY, now + MINUTE)
    assert await _waves(database) == {}, "what was decided about raises no guard"


async def test_a_few_are_asked_first_and_the_rest_stays_held(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:8], Cause.REVOKED, START + MINUTE)
    async with database.write() as conn:
        await conn.execute(update(connection).values(contacts=["it@firm.example"]))
    now = START + HOUR
    first = await decisions.ask_first(database, "clio", 3, now, "cli:ann")
    assert first == ("Firm c00", "Firm c01", "Firm c02")
    assert [(await _row(database, name)).mails for name in NAMES[2:4]] == [CANARY, ""]
    async with database.read() as conn:
        assert [row[4] for row in await conn.execute(incidents.held())] == [5]
    (wave,) = (await _waves(database)).values()
    assert (wave.held.wave.sent, wave.held.wave.total, wave.held.wave.spoken_at) == (3, 0, now)
    (entry, *_) = await audit.of_subject(database, "provider clio")
    assert (entry.action, entry.detail["clients"]) == ("mails.canary", list(first))


async def test_what_is_held_and_what_waits_is_counted_for_metrics(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:8], Cause.REVOKED, START + MINUTE)
    await _tell(database, NAMES[:2], START + HOUR)
    await _heal(database, NAMES[2:3], START + HOUR)
    await _break(database, ["c20"], Cause.REVOKED, START + 40 * HOUR)
    async with database.write() as conn:
        await conn.execute(update(incident).where(incident.c.name == "c20").values(waits=IN_TROUBLE))
    counted = {state: n for _, _, state, n in await fleet.wave_clients(database)}
    assert counted == {"held": 5, "asked": 2, "healed": 1}
    ((provider, since, *_), *_) = await fleet.wave_clients(database)
    assert provider == "clio" and abs(since - START.timestamp()) < 300
    assert await fleet.held(database) == [("provider", "clio", "revoked", "client", 5)]
    assert await fleet.waiting(database) == [("clio", IN_TROUBLE, 1)]


async def test_the_rule_asks_one_on_trial_after_a_day_and_says_so_in_the_audit(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:8], Cause.REVOKED, START + MINUTE)
    async with database.write() as conn:
        await conn.execute(
            update(connection).where(connection.c.id == "c05").values(contacts=["it@firm.example"])
        )
    await guarding.judge_again(database, POLICY, START + 23 * HOUR)
    assert (await _row(database, "c05")).mails == ""
    await guarding.judge_again(database, POLICY, START + 25 * HOUR)
    assert (await _row(database, "c05")).mails == CANARY
    (entry, *_) = await audit.of_subject(database, "provider clio")
    assert (entry.actor, entry.action, entry.detail["clients"]) == ("service", "mails.canary", ["Firm c05"])


async def test_how_a_break_ended_is_kept(database):
    await _healthy(database, NAMES[:5], START)
    await _break(database, NAMES[:5], Cause.REVOKED, START + MINUTE, guard=NEVER)
    now = START + 5 * HOUR
    authorized = {"c01": now - MINUTE, "c02": now - 3 * HOUR}
    async with database.write() as conn:
        for name, at in authorized.items():
            await conn.execute(
                update(credential).where(credential.c.connection == name).values(authorized_at=at)
            )
            await conn.execute(update(connection).where(connection.c.id == name).values(updated_at=at))
        await conn.execute(update(connection).where(connection.c.id == "c03").values(updated_at=now - MINUTE))
    await connections.pause(database, ["c04"], now, "test")
    await _heal(database, NAMES[:4], now, guard=NEVER)
    ended = [(await _row(database, name)).ended for name in NAMES[:5]]
    assert ended == [ALONE, AUTHORIZED, ALONE, "", ""], (
        "by itself; by authorizing; long after an authorization that did not help; "
        "after somebody changed it; paused"
    )


async def test_an_outage_that_turns_into_refusals_is_as_young_as_the_refusals(database):
    """Or a provider that is down for two days, and then confused for an hour, would have everybody mailed."""
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:8], Cause.PROVIDER_OUTAGE, START + MINUTE, times=6)
    now = START + 2 * DAY
    await _break(database, NAMES[:8], Cause.REVOKED, now, times=3)
    row = await _row(database, "c00")
    assert row.opened_at < START + HOUR and row.turned_at >= now
    (wave,) = (await _waves(database)).values()
    assert len(wave.held.breaks) == 8


async def test_a_break_stays_in_its_wave_whatever_else_is_found_out_about_it(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:8], Cause.REVOKED, START + MINUTE)
    before = await _row(database, "c00")
    await _break(database, NAMES[:8], Cause.REFRESH_EXPIRED, START + HOUR)
    after = await _row(database, "c00")
    assert (after.cause, after.parent_id, after.turned_at) == (
        "refresh_expired",
        before.parent_id,
        before.turned_at,
    )


async def test_what_breaks_in_the_midst_of_an_outage_waits_until_it_has_settled(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:2], Cause.PROVIDER_OUTAGE, START + MINUTE, times=6)
    now = START + HOUR
    await _break(database, ["c09"], Cause.REVOKED, now)
    assert (await _row(database, "c09")).waits == IN_TROUBLE
    await _heal(database, NAMES[:2], now + 2 * HOUR)
    await guarding.judge_again(database, POLICY, now + 5 * HOUR)
    assert (await _row(database, "c09")).waits == IN_TROUBLE
    await guarding.judge_again(database, POLICY, now + 6 * HOUR + MINUTE)
    assert (await _row(database, "c09")).waits == ""


async def test_a_guard_over_an_outage_takes_in_no_old_break_and_no_clients_own(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:1], Cause.REVOKED, START + MINUTE)
    await _break(database, NAMES[1:2], Cause.UNEXPECTED, START + MINUTE, times=6)
    now = START + 9 * DAY
    await _break(database, NAMES[2:20], Cause.PROVIDER_OUTAGE, now, times=6)
    (guard,) = [i for i in await incidents.open_now(database) if i.guard]
    assert (guard.cause, guard.wave) == (Cause.PROVIDER_OUTAGE, False)
    assert (await _row(database, "c00")).parent_id is None
    await guarding.judge_again(database, POLICY, now + HOUR)
    assert not [i for i in await incidents.open_now(database) if i.guard], "the window is over"
    (outage,) = [i for i in await incidents.open_now(database) if i.about == CLIO]
    assert outage.members >= 18, "and the outage is still one incident"


async def test_what_was_long_unexpected_does_not_become_part_of_todays_outage(database):
    await _healthy(database, NAMES[:20], START)
    await _healthy(database, NAMES[20:], START, app="other")
    await _break(database, NAMES[20:21], Cause.UNEXPECTED, START + MINUTE, times=6)
    before = (await _row(database, NAMES[20])).parent_id
    await _break(database, NAMES[21:], Cause.PROVIDER_OUTAGE, START + DAY, times=6)
    (guard,) = [i for i in await incidents.open_now(database) if i.guard]
    assert (str(guard.about), guard.members) == ("app other", 9)
    assert (await _row(database, NAMES[20])).parent_id == before != guard.id


async def test_before_mails_are_held_the_fleet_is_looked_at_once_more(database):
    """Right after an import of many: two of six are a surprise, two of a thousand are not."""
    await _healthy(database, NAMES[:6], START)
    known = Ordinary()
    async with database.read() as conn:
        assert (await known.usual(conn, START))[CLIO].clients == 6
    at = START + 20 * MINUTE
    await imports.put(database, [new(f"n{i}") for i in range(1000)], START, "test")
    async with database.write() as conn:
        await conn.execute(update(watch).values(state="healthy", next_probe_at=at + DAY))
    await _break(database, ["n1", "n2"], Cause.REVOKED, at, guard=NEVER)
    await guarding.judge_again(database, POLICY, at + 2 * MINUTE, known)
    assert await _waves(database) == {}


async def test_property_7_an_incident_never_teaches_the_guard_what_is_usual(database):
    """Neither a wave's members nor what healed by itself counts as ordinary; a client's own break does."""
    await _healthy(database, NAMES, START)
    await _break(database, NAMES[:8], Cause.REVOKED, START + MINUTE)  # a wave ...
    await decisions.decide(database, "clio", RELEASED, START + HOUR, "test")  # ... though released
    await _break(database, ["c20"], Cause.REVOKED, START + 3 * DAY, guard=NEVER)
    await _break(database, ["c21"], Cause.REVOKED, START + 4 * DAY, guard=NEVER)
    await _heal(database, ["c21"], START + 4 * DAY + HOUR, guard=NEVER)
    await _break(database, ["c22"], Cause.REVOKED, START + 8 * DAY - HOUR, guard=NEVER)  # under judgement yet
    async with database.read() as conn:
        usual = (await Ordinary().usual(conn, START + 8 * DAY))[CLIO]
    assert list(usual.who) == ["Firm c20"]
    assert (usual.clients, usual.weeks) == (30, 1)
    assert usual.level == pytest.approx((2 + 1) / (4 + 30 * 7 / 365), rel=0.01)


async def test_incidents_are_kept_for_as_long_as_the_guard_learns_from_them(database):
    await _healthy(database, ["a"], START)
    await _break(database, ["a"], Cause.REVOKED, START + MINUTE)
    await _heal(database, ["a"], START + HOUR)
    short = history.Kept(changes=DAY)
    await history.forget(database, short, START + NEEDED)
    assert (await _row(database, "a")).ended == ALONE
    await history.forget(database, short, START + NEEDED + DAY)
    async with database.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(incident))).scalar_one() == 0


async def test_some_of_a_wave_is_looked_at_as_often_as_the_healthy(database):
    await _healthy(database, NAMES, START)
    await _break(database, NAMES, Cause.REVOKED, START + MINUTE)
    now = START + HOUR
    async with database.write() as conn:
        await conn.execute(update(watch).values(last_probe_at=now, next_probe_at=now + HOUR))
        await conn.execute(update(watch).where(watch.c.connection == "c03").values(candidate="rate_limited"))
    closely = await waves.watched_closely(database)
    assert len(closely) == 20
    await due.keep_close(database, closely, {"app": Cadence()}, now)
    async with database.read() as conn:
        soon = select(watch.c.connection).where(watch.c.next_probe_at == now + Cadence().interval)
        names = set((await conn.execute(soon)).scalars())
    assert names == set(closely) - {"c03"}, "but not where the provider asked for time"


async def test_two_processes_that_see_the_same_wave_begin_one(database):
    await _healthy(database, NAMES, START)
    now = START + 5 * MINUTE
    await _break(database, NAMES[:20], Cause.REVOKED, now, times=1)
    now += MINUTE
    async with database.write() as conn:
        await conn.execute(update(watch).values(next_probe_at=now))
    bad = found(Cause.REVOKED, 1, "test")
    halves = [await due.claim(database, p, ["app"], 15, now, LEASE) for p in ("p1", "p2")]
    await asyncio.gather(
        *(
            settle(
                database, [settlement(one, bad, now) for one in half if one.id in NAMES[:20]], now, process
            )
            for half, process in zip(halves, ("p1", "p2"), strict=True)
        )
    )
    (wave,) = (await _waves(database)).values()
    assert len(wave.held.breaks) == 20


# -- whatever happens ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A SQLite file with the schema and a fleet, to be copied: half a second saved in each example."""
    path = tmp_path_factory.mktemp("guard") / "template.db"

    async def make():
        database = Database(f"sqlite:///{path}")
        await schema.ensure(database)
        fleet = [
            new(name, place=Place(app, provider, "us"), contacts=("it@firm.example",))
            for name, (app, provider) in zip(
                NAMES, (("app", "clio"), ("other", "second")) * len(NAMES), strict=False
            )
        ]
        await imports.put(database, fleet, START, "test")
        leases = await due.claim(database, "p1", ["app", "other"], 500, START, LEASE)
        await settle(database, [settlement(one, found(Cause.OK, 1, "ok"), START) for one in leases], START)
        await database.close()

    asyncio.run(make())
    return path


some = st.lists(st.sampled_from(NAMES), min_size=1, max_size=12, unique=True)
acts = st.one_of(
    st.tuples(
        st.sampled_from(["break", "heal", "tell"]),
        some,
        st.sampled_from([Cause.REVOKED, Cause.PROVIDER_OUTAGE]),
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 26]), st.none()),
    st.tuples(st.just("say"), st.sampled_from([RELEASED, DROPPED, "first"]), st.none()),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(acts, min_size=2, max_size=7))
def test_property_whatever_happens_the_guard_comes_down_and_a_wave_holds_its_providers_own(template, story):
    """Also property 9, and 4 in the database: with all healed, nothing is open any more."""

    async def live():
        path = template.with_name("now.db")
        for left in template.parent.glob("now.db*"):
            left.unlink()
        shutil.copy(template, path)
        database, now = Database(f"sqlite:///{path}"), START + HOUR
        try:
            for act, what, cause in story:
                now += 10 * MINUTE
                if act == "break":
                    await _break(database, what, cause, now, times=4)
                elif act == "heal":
                    await _heal(database, what, now)
                elif act == "tell":
                    await _tell(database, what, now)
                elif act == "wait":
                    now += what * HOUR
                elif what == "first":
                    for provider in await _waves(database):
                        await decisions.ask_first(database, provider, 2, now, "test")
                else:
                    for provider in await _waves(database):
                        await decisions.decide(database, provider, what, now, "test")
                await guarding.judge_again(database, POLICY, now)
                for provider, wave in (await _waves(database)).items():
                    assert {one.place.provider for one in wave.held.breaks} == {provider}
            now += DAY + MINUTE
            await guarding.judge_again(database, POLICY, now)
            assert not [i for i in await incidents.open_now(database) if i.guard]
            for _ in range(6):  # what flapped has to be good for longer
                now += MINUTE
                await _heal(database, NAMES, now)
            await guarding.judge_again(database, POLICY, now + POLICY.surprise.settle)
            assert await incidents.open_now(database) == []
        finally:
            await database.close()

    asyncio.run(live())
