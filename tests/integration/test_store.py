"""What the store promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

import monitor.store.campaign_tables
import monitor.store.consent_tables
import monitor.store.door_tables  # noqa: F401
from monitor.errors import AlreadyRunning, NotFound, SchemaNotCurrent
from monitor.health.causes import Cause, Owner, Subject
from monitor.health.classify import found
from monitor.health.guard import GuardPolicy
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, Policy, State, step
from monitor.health.rotation import Doubt, Ending, Journal
from monitor.health.ruling import Ruling
from monitor.store import (
    audit,
    budgets,
    columns,
    connections,
    due,
    fleet,
    guarding,
    history,
    imports,
    incidents,
    journal,
    links,
    maintenance,
    processes,
    schema,
    verdicts,
)
from monitor.store.bindings import Account
from monitor.store.engine import Database
from monitor.store.imports import NewConnection
from monitor.store.metadata import METADATA
from monitor.store.tables import audit as audit_table
from monitor.store.tables import probe_count, watch
from monitor.store.verdicts import Settlement, Terms
from tests.conftest import START

LEASE = timedelta(seconds=60)
DAY = timedelta(days=1)


def new(name: str, **more) -> NewConnection:
    values = {
        "place": Place("app", "clio", "us"),
        "client_name": f"Firm {name}",
        "contacts": (),
        "locale": "en",
        "timezone": "UTC",
        "scopes": (),
        "account_id": None,
        "labels": {},
        "access": "v1.k.x.y",
        "refresh": "v1.k.x.z",
        "imported": "first",
        "first_probe_at": START,
    }
    return NewConnection(id=name, **(values | more))


def settlement(lease, finding, now, policy=None) -> Settlement:
    verdict = step(lease.health, finding, policy or Policy(), now)
    return Settlement(lease, Ruling(now, finding, verdict, now + timedelta(minutes=5)), 0.1)


async def settle(database, settlements, now, process="p1", guard=None):
    return await verdicts.settle(database, settlements, Terms(process, guard or GuardPolicy()), now)


async def test_the_schema_is_what_the_models_say(database):
    async with database.write() as conn:
        difference = await conn.run_sync(lambda c: compare_metadata(MigrationContext.configure(c), METADATA))
    assert difference == []


async def test_an_empty_database_is_set_up_and_a_foreign_one_refused(database_url):
    database = Database(database_url)
    async with database.write() as conn:
        await conn.execute(text("DROP TABLE IF EXISTS alembic_version"))
        await conn.execute(text("CREATE TABLE theirs (id INTEGER)"))
    with pytest.raises(SchemaNotCurrent, match="other tables"):
        await schema.ensure(database)
    await database.close()


async def test_an_old_schema_is_refused_with_the_command_that_mends_it(database):
    async with database.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(SchemaNotCurrent, match="this version needs") as caught:
        await schema.ensure(database)
    assert [remedy.operation for remedy in caught.value.remedies] == ["database.upgrade"]


async def test_importing_twice_changes_nothing(database):
    items = [new("a"), new("b")]
    assert (await imports.put(database, items, START, "test")).added == ("a", "b")
    again = await imports.put(database, items, START, "test")
    assert (again.added, again.changed, again.same) == ((), (), ("a", "b"))


async def test_importing_the_same_file_never_puts_a_spent_token_back(database):
    await imports.put(database, [new("a")], START, "test")
    async with database.write() as conn:
        await conn.execute(text("UPDATE credential SET refresh = 'v1.k.x.successor', version = 4"))
    await imports.put(database, [new("a", client_name="Acme LLP")], START, "test")
    known = await connections.show(database, "a")
    assert (known.client_name, known.sealed.refresh, known.sealed.version) == (
        "Acme LLP",
        "v1.k.x.successor",
        4,
    )
    await imports.put(database, [new("a", imported="second", refresh="v1.k.x.new")], START, "test")
    assert (await connections.show(database, "a")).sealed.refresh == "v1.k.x.new"


async def test_a_dry_run_writes_nothing(database):
    done = await imports.put(database, [new("a")], START, "test", dry_run=True)
    assert done.added == ("a",)
    assert await connections.every(database) == []


async def test_what_is_due_is_claimed_once_most_overdue_first(database):
    items = [new(f"c{i}", first_probe_at=START - timedelta(seconds=i)) for i in range(20)]
    await imports.put(database, items, START, "test")
    first, second = await asyncio.gather(
        due.claim(database, "p1", ["app"], 15, START, LEASE),
        due.claim(database, "p2", ["app"], 15, START, LEASE),
    )
    ids = [lease.id for lease in first + second]
    assert len(ids) == len(set(ids)) == 20, "each by one process only"
    assert await due.claim(database, "p3", ["app"], 5, START, LEASE) == []


async def test_the_lease_of_a_dead_process_runs_out_and_its_late_verdict_is_thrown_away(database):
    await imports.put(database, [new("a")], START, "test")
    (dead,) = await due.claim(database, "p1", ["app"], 1, START, LEASE)
    later = START + timedelta(seconds=61)
    (living,) = await due.claim(database, "p2", ["app"], 1, later, LEASE)
    bad = found(Cause.REVOKED, 1.0, "test")
    assert await settle(database, [settlement(dead, bad, later)], later, "p1") == []
    assert (await connections.show(database, "a")).health.state is State.PENDING
    assert len(await settle(database, [settlement(living, bad, later)], later, "p2")) == 1
    assert (await connections.show(database, "a")).health.state is State.SUSPECT


async def test_a_verdict_never_overwrites_a_pause_that_came_meanwhile(database):
    await imports.put(database, [new("a")], START, "test")
    (lease,) = await due.claim(database, "p1", ["app"], 1, START, LEASE)
    await connections.pause(database, ["a"], START, "test")
    assert await settle(database, [settlement(lease, found(Cause.OK, 1, "ok"), START)], START) == []
    assert (await connections.show(database, "a")).health.state is State.PAUSED
    assert await connections.resume(database, ["a"], START, "test", apps=["app"]) == ["a"]
    assert (await connections.show(database, "a")).next_probe_at == START


async def _break(database, names, cause, now, times=2, guard=None):
    """Let connections be seen ill often enough."""
    for index in range(times):
        at = now + timedelta(seconds=31 * index)
        async with database.write() as conn:
            await conn.execute(update(watch).where(watch.c.connection.in_(names)).values(next_probe_at=at))
        leases = await due.claim(database, "p1", ["app", "other"], 500, at, LEASE)
        ill = [lease for lease in leases if lease.id in names]
        await settle(
            database, [settlement(lease, found(cause, 1, "test"), at) for lease in ill], at, guard=guard
        )
        await due.release(database, "p1")


async def _healthy(database, names, now, app="app"):
    await imports.put(database, [new(n, place=Place(app, "clio", "us")) for n in names], now, "test")
    leases = await due.claim(database, "p1", [app], 500, now, LEASE)
    await settle(database, [settlement(lease, found(Cause.OK, 1, "ok"), now) for lease in leases], now)


async def test_a_break_opens_one_incident_and_recovery_closes_it(database):
    await _healthy(database, ["a"], START)
    await _break(database, ["a"], Cause.REVOKED, START + timedelta(minutes=5), times=4)
    (opened,) = await incidents.open_now(database)
    assert (opened.about.name, opened.cause, opened.owner) == ("a", Cause.REVOKED, Owner.CLIENT)
    now = START + timedelta(hours=2)
    async with database.write() as conn:
        await conn.execute(update(watch).values(next_probe_at=now))
    (lease,) = await due.claim(database, "p1", ["app"], 1, now, LEASE)
    await settle(database, [settlement(lease, found(Cause.OK, 1, "ok"), now)], now)
    assert await incidents.open_now(database) == []


async def test_many_breaks_of_clients_are_one_wave_and_the_guard_comes_down(database):
    names = [f"c{i}" for i in range(20)]
    await _healthy(database, names, START)
    now = START + timedelta(minutes=5)
    await _break(database, names[:8], Cause.REVOKED, now)
    (wave,) = [i for i in await incidents.open_now(database) if i.wave]
    assert (wave.about.kind, wave.about.name, wave.members, wave.guard) == (Subject.PROVIDER, "clio", 8, True)
    assert "8 clients of" in wave.reasons[0] and "hardly ever" in wave.reasons[0]
    (own, larger) = await incidents.of_connection(database, "c0")
    assert larger.wave and own.cause is Cause.REVOKED
    # A day later all are still broken: nothing new keeps the guard up, the wave still holds them.
    await guarding.judge_again(database, GuardPolicy(), now + DAY + timedelta(minutes=1))
    (wave,) = [i for i in await incidents.open_now(database) if i.wave]
    assert (wave.guard, wave.members) == (False, 8)


async def test_the_guard_leaves_a_single_break_alone(database):
    names = [f"c{i}" for i in range(20)]
    await _healthy(database, names, START)
    await _break(database, names[:1], Cause.REVOKED, START + timedelta(minutes=5))
    assert not any(i.guard or i.wave for i in await incidents.open_now(database))


async def test_an_app_whose_secret_is_wrong_is_that_apps_incident_not_the_providers(database):
    await _healthy(database, [f"a{i}" for i in range(10)], START)
    await _healthy(database, [f"b{i}" for i in range(10)], START, app="other")
    await _break(
        database, [f"b{i}" for i in range(10)], Cause.APP_MISCONFIGURED, START + timedelta(minutes=5)
    )
    larger = [i for i in await incidents.open_now(database) if i.about.kind is not Subject.CONNECTION]
    assert [(str(i.about), i.members, i.guard) for i in larger] == [("app other", 10, True)]


async def test_two_processes_that_see_the_same_outage_open_one_incident(database):
    names = [f"c{i}" for i in range(8)]
    await _healthy(database, names, START)
    await _break(database, names, Cause.PROVIDER_OUTAGE, START + timedelta(minutes=5), times=3)
    now = START + timedelta(minutes=10)
    async with database.write() as conn:
        await conn.execute(update(watch).values(next_probe_at=now))
    bad = found(Cause.PROVIDER_OUTAGE, 1, "test")
    halves = [await due.claim(database, p, ["app"], 4, now, LEASE) for p in ("p1", "p2")]
    await asyncio.gather(
        *(
            settle(database, [settlement(lease, bad, now) for lease in half], now, process)
            for half, process in zip(halves, ("p1", "p2"), strict=True)
        )
    )
    larger = [i for i in await incidents.open_now(database) if i.about.kind is Subject.PROVIDER]
    assert [(i.members, i.cause) for i in larger] == [(8, Cause.PROVIDER_OUTAGE)]


async def test_the_audit_takes_no_change_and_no_removal(database):
    async with database.write() as conn:
        await audit.record(conn, START, "cli:ann", "connection.pause", "a")
    for statement in (update(audit_table).values(actor="nobody"), delete(audit_table)):
        with pytest.raises(DBAPIError):
            async with database.write() as conn:
                await conn.execute(statement)
    (entry,) = await audit.of_subject(database, "a")
    assert entry.actor == "cli:ann"


async def test_quiet_probes_are_counted_and_changes_are_kept_with_their_evidence(database):
    await _healthy(database, ["a"], START)
    for minutes in range(5, 30, 5):
        now = START + timedelta(minutes=minutes)
        (lease,) = await due.claim(database, "p1", ["app"], 1, now, LEASE)
        await settle(database, [settlement(lease, found(Cause.OK, 1, "ok"), now)], now)
    (counted,) = await history.counts(database, "a", START - DAY)
    assert (counted.cause, counted.probes, counted.begun_at) == (Cause.OK, 6, START.replace(hour=0))
    assert len(await history.timeline(database, "a")) == 1
    async with database.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(probe_count))).scalar_one() == 1


async def test_good_probes_are_timed_by_the_hour(database):
    await _healthy(database, ["a"], START)
    for minutes, cause in ((20, Cause.OK), (70, Cause.PROVIDER_OUTAGE), (130, Cause.OK)):
        now = START + timedelta(minutes=minutes)
        (lease,) = await due.claim_named(database, "p1", ["a"], now, LEASE, apps=["app"])
        await settle(database, [settlement(lease, found(cause, 1, "ok"), now)], now)
    hour = timedelta(hours=1)
    assert await history.hours(database, "a") == [(START, 0.1), (START + 2 * hour, 0.1)]
    assert await history.hours(database, "nobody") == []


async def test_retention_keeps_the_newest_change_of_each_connection(database):
    await _healthy(database, ["a"], START)
    await _break(database, ["a"], Cause.REVOKED, START + timedelta(minutes=5))
    much_later = START + timedelta(days=1000)
    assert await history.forget(database, history.Kept(), much_later, batch=2) >= 2
    (newest,) = await history.timeline(database, "a")
    assert newest.state is State.BROKEN


async def test_a_shared_budget_never_passes_its_rate_whoever_takes(database):
    await budgets.ensure(database, "plat", START)
    await budgets.ensure(database, "plat", START)
    takes = await asyncio.gather(
        *(budgets.take(database, "plat", 4, 180, START, timedelta(seconds=3)) for _ in range(4))
    )
    turns = sorted(turn for take in takes for turn in take)
    assert len(turns) == 10, "three a second for three seconds, and the one at once"
    gaps = {round((b - a).total_seconds(), 3) for a, b in itertools.pairwise(turns)}
    assert gaps == {0.333}
    await budgets.hold(database, "plat", START + timedelta(seconds=60))
    assert await budgets.take(database, "plat", 1, 180, START, timedelta(seconds=30)) == []


async def test_one_process_holds_a_duty_and_another_takes_it_over(database):
    held = [await processes.hold_duty(database, "fleet", p, START, LEASE) for p in ("p1", "p2", "p1")]
    assert held == [True, False, True]
    later = START + timedelta(seconds=61)
    assert await processes.hold_duty(database, "fleet", "p2", later, LEASE)
    assert not await processes.hold_duty(database, "fleet", "p1", later, LEASE)
    assert (await processes.beat(database, "p2", "all", "1", later, LEASE)).alive == 1
    await processes.leave(database, "p2")
    assert await processes.hold_duty(database, "fleet", "p1", later, LEASE)


async def test_removing_what_is_not_there_names_it_and_changes_nothing(database):
    await imports.put(database, [new("a")], START, "test")
    with pytest.raises(NotFound, match="'nope'"):
        await connections.remove(database, ["a", "nope"], START, "test")
    assert [k.id for k in await connections.every(database)] == ["a"]
    await connections.remove(database, ["a"], START, "test")
    assert await connections.every(database) == []


async def test_sqlite_loses_no_update_of_concurrent_read_then_write(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    async with database.write() as conn:
        await conn.execute(text("CREATE TABLE n (v INTEGER)"))
        await conn.execute(text("INSERT INTO n VALUES (0)"))

    async def add():
        for _ in range(50):
            async with database.write() as conn:
                value = (await conn.execute(text("SELECT v FROM n"))).scalar_one()
                await conn.execute(text("UPDATE n SET v = :v"), {"v": value + 1})

    await asyncio.gather(*(add() for _ in range(4)))
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT v FROM n"))).scalar_one() == 200
    await database.close()


def test_a_second_service_on_one_sqlite_file_is_refused(tmp_path):
    first, second = (Database(f"sqlite:///{tmp_path / 'x.db'}") for _ in range(2))
    first.claim_file()
    with pytest.raises(AlreadyRunning, match="runs on this SQLite file"):
        second.claim_file()


async def test_a_whole_fleet_rests_and_wakes_a_part_at_a_time(database, monkeypatch):
    monkeypatch.setattr(maintenance, "PART", 2)
    names = [f"c{i}" for i in range(5)]
    await _healthy(database, names, START)
    assert await maintenance.keep(database, {"w": ("all", "")}, START) == (5, 0)
    assert {k.health.state for k in await connections.every(database)} == {State.PAUSED}
    assert await maintenance.keep(database, {}, START) == (0, 5)
    assert {k.next_probe_at for k in await connections.every(database)} == {START}


def test_health_round_trips_through_its_columns():
    row = columns.health_columns(Health(state=State.BROKEN, cause=Cause.REVOKED, streak=3))
    assert columns.health_of(type("Row", (), row)()) == Health(
        state=State.BROKEN, cause=Cause.REVOKED, streak=3
    )


async def test_what_a_silent_process_held_is_free_for_the_others(database):
    await imports.put(database, [new("a")], START, "test")
    await processes.beat(database, "p1", "all", "1", START, LEASE)
    await due.claim(database, "p1", ["app"], 1, START, LEASE * 100)
    async with database.write() as conn:
        await conn.execute(text("UPDATE process SET beat_at = '2020-01-01 00:00:00.000000+00:00'"))
    pulse = await processes.beat(database, "p2", "all", "1", START, timedelta(seconds=20))
    assert (pulse.alive, pulse.freed) == (1, 1)
    assert [lease.id for lease in await due.claim(database, "p2", ["app"], 1, START, LEASE)] == ["a"]


async def test_a_lease_from_before_a_removal_does_not_fit_the_connection_that_has_its_id_now(database):
    await imports.put(database, [new("a")], START, "test")
    (old,) = await due.claim(database, "p1", ["app"], 1, START, LEASE)
    await connections.remove(database, ["a"], START, "test")
    await imports.put(database, [new("a", client_name="Another")], START, "test")
    await due.claim(database, "p1", ["app"], 1, START, LEASE)
    bad = settlement(old, found(Cause.REVOKED, 1.0, "test"), START)
    assert await settle(database, [bad], START) == []
    assert await journal.begin(database, "a", "p1", old.epoch, 0, START) is None


async def _refreshing(database, name="a"):
    """A refresh that has begun."""
    await imports.put(database, [new(name)], START, "test")
    (lease,) = await due.claim(database, "p1", ["app"], 1, START, LEASE)
    return await journal.begin(database, name, "p1", lease.epoch, 0, START)


PAIR = journal.SealedPair("v1.k.n.a", "v1.k.n.r", START, START + DAY)


async def test_a_line_is_known_by_more_than_its_number(database):
    old = await _refreshing(database)
    await connections.remove(database, ["a"], START, "test")
    later = START + timedelta(seconds=1)
    await imports.put(database, [new("a")], later, "test")
    (lease,) = await due.claim(database, "p2", ["app"], 1, later, LEASE)
    assert await journal.begin(database, "a", "p2", lease.epoch, 0, later)
    assert not await journal.store_pair(database, old, PAIR, later)
    assert not await journal.close(database, old, Ending(Journal.LOST, Doubt(START), lost=True), later)
    known = await connections.show(database, "a")
    assert (known.sealed.version, known.sealed.lost, known.doubt) == (0, False, None)
    assert await journal.unfinished(database, "a") is not None


async def test_a_commit_whose_acknowledgement_was_lost_is_made_again_without_harm(database):
    entry = await _refreshing(database)
    assert await journal.store_pair(database, entry, PAIR, START)
    assert await journal.store_pair(database, entry, PAIR, START)
    known = await connections.show(database, "a")
    assert (known.sealed.version, known.sealed.access) == (1, "v1.k.n.a")
    assert [line.outcome for line in await journal.last(database, "a")] == [Journal.STORED]


async def test_a_doubt_is_kept_until_another_refresh_token_is_stored(database):
    entry = await _refreshing(database)
    doubt = Doubt(START, START + timedelta(hours=1))
    assert await journal.close(database, entry, Ending(Journal.UNCLEAR, doubt), START)
    assert (await connections.show(database, "a")).doubt == doubt
    # A consent that brings no refresh token keeps the old one, and so what is in doubt about it.
    trip = links.Trip(1, "", 1, "a", "app", "", None, START, START, None, "open", None, None)
    without = journal.SealedPair("v1.k.m.a", None, START, START + DAY)
    assert await links.replace_pair(database, trip, without, account=Account("7"), leftover=None, now=START)
    assert (await connections.show(database, "a")).doubt == doubt
    assert await links.replace_pair(database, trip, PAIR, account=Account("7"), leftover=None, now=START)
    assert (await connections.show(database, "a")).doubt is None


async def test_imported_tokens_end_a_doubt_and_the_fleets_count_of_them(database):
    entry = await _refreshing(database)
    assert await journal.close(database, entry, Ending(Journal.UNCLEAR, Doubt(START)), START)
    assert await fleet.in_doubt(database) == {"app": 1}
    await imports.put(database, [new("a", imported="second")], START, "test")
    assert (await connections.show(database, "a")).doubt is None
    assert await fleet.in_doubt(database) == {}


async def test_a_refresh_is_not_begun_over_a_doubt_that_one_does_not_know_of(database):
    entry = await _refreshing(database)
    epoch = (await connections.show(database, "a")).sealed.version  # nothing else changes with a doubt
    assert await journal.close(database, entry, Ending(Journal.UNCLEAR, Doubt(START)), START)
    async with database.read() as conn:
        lease_epoch = (await conn.execute(select(watch.c.lease_epoch))).scalar_one()
    begin = (database, "a", "p1", lease_epoch, epoch, START)
    assert await journal.begin(*begin) is None
    assert await journal.begin(*begin, Doubt(START)) is not None


async def test_a_connection_that_was_cut_without_a_word_is_not_waited_for_for_hours(postgres_server):
    for url, idle in ((postgres_server, "10"), (f"{postgres_server}&keepalives_idle=77", "77")):
        found = Database(url)
        async with found.read() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            said = driver.info.get_parameters()
        await found.close()
        assert (said["keepalives_idle"], said["tcp_user_timeout"]) == (idle, "25000")
        assert said["application_name"] == "token-health"


async def test_a_sign_of_life_that_is_under_way_leaves_no_connection_open(postgres_server):
    found = Database(postgres_server)
    asked = asyncio.create_task(found.gives_sign())
    await asyncio.sleep(0)  # noqa: TID251 - it has begun
    await found.close()
    assert asked.done() and await asked
