"""Each type of event comes about where what it tells of does: in that transaction, once, and without secrets."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from alerts.mails import fuse, reconcile
from alerts.mails.fuse import Cap
from alerts.mails.plan import Wish
from alerts.mails.standing import Client, Kind, Slot
from alerts.mails.story import MAIL
from alerts.outbox import claims, settling
from alerts.outbox.envelope import Item, Outcome
from alerts.outbox.tables import delivery, notice, notice_item
from alerts.webhooks import fanout
from monitor.health.breaks import RELEASED
from monitor.health.causes import Cause
from monitor.health.classify import found
from monitor.health.events import Type
from monitor.health.guard import GuardPolicy
from monitor.store import connections, decisions, due, events, imports, journal, links, maintenance, verdicts
from monitor.store.bindings import Account
from monitor.store.door_tables import event, webhook
from monitor.store.tables import watch
from monitor.store.verdicts import Terms
from tests.conftest import START
from tests.integration.overlap import PAIR, VOICE
from tests.integration.test_store import LEASE, _break, _healthy, new, settle, settlement

CANARIES = ("v1.k.", "@firm.example", "s3cret-of-a-link")
NOW, MINUTE = START, timedelta(minutes=1)


async def written(database) -> list[dict]:
    """All events, in the order in which each connection counts them."""
    async with database.read() as conn:
        rows = await conn.execute(select(event).order_by(event.c.connection, event.c.sequence, event.c.at))
        return [dict(row._mapping) for row in rows]


async def types(database, about: str = "a") -> list[str]:
    return [one["type"] for one in await written(database) if one["connection"] == about and one["sequence"]]


async def seen(database, names, finding, now, guard=None):
    """Let connections be seen once."""
    async with database.write() as conn:
        await conn.execute(update(watch).where(watch.c.connection.in_(names)).values(next_probe_at=now))
    leases = await due.claim(database, "p1", ["app"], 500, now, LEASE)
    mine = [settlement(lease, finding, now) for lease in leases if lease.id in names]
    await settle(database, mine, now, guard=guard)
    await due.release(database, "p1")


async def a_trip(database, name, state):
    """A client's way to the provider's page."""
    secret = await links.issue(database, name, locale="en", now=NOW, expires_at=NOW + timedelta(days=9))
    link = await links.find(database, secret)
    assert await links.note_opened(database, link.id, NOW)
    assert not await links.note_opened(database, link.id, NOW)
    words = {"state": state, "browser": links.fresh_secret()}
    await links.begin_trip(
        database, link, app="app", redirect_uri="https://x", verifier=None, now=NOW,
        expires_at=NOW + timedelta(hours=1), **words,
    )  # fmt: skip
    return await links.trip(database, state)


async def a_mail(conn, name, *, state="sending", slot="ask"):
    made = insert(notice).values(
        slot=slot, kind="revoked", client=f"Firm {name}", audience=f"of {name} {state}", locale="en", timezone="UTC",
        recipients=["it@firm.example"], number=0, reason="", state=state, outcome="", planned_at=NOW, due_at=NOW,
        settled_at=NOW if state == "sending" else None,
    )  # fmt: skip
    number = (await conn.execute(made.returning(notice.c.id))).scalar_one()
    await conn.execute(
        insert(notice_item).values(notice=number, connection=name, incident=None, cause="revoked", since=NOW)
    )
    await conn.execute(
        insert(delivery).values(
            notice=number, address="it@firm.example", message_id=f"<{number}>", state="waiting", attempts=0,
            next_at=NOW, answer="", channel="email",
        )
    )  # fmt: skip


async def settled(database, outcome):
    async with database.write() as conn:
        await a_mail(conn, "a")
    for envelope in await claims.claim(database, MAIL, "p1", NOW):
        await settling.settle(database, MAIL, "p1", envelope, outcome, "250 it@firm.example", NOW)


async def test_the_life_of_a_connection(database):
    await _healthy(database, ["a"], NOW)
    await imports.put(database, [new("a", client_name="Another")], NOW, "test")
    await _break(database, ["a"], Cause.PROVIDER_OUTAGE, NOW + 5 * MINUTE, times=6)
    await _break(database, ["a"], Cause.REVOKED, NOW + 15 * MINUTE, times=3)
    await seen(database, ["a"], found(Cause.OK, 1, "ok"), NOW + 20 * MINUTE)
    await connections.pause(database, ["a"], NOW + 21 * MINUTE, "test")
    await connections.resume(database, ["a"], NOW + 22 * MINUTE, "test", apps=["app"])
    await maintenance.keep(database, {"window": ("app", "app")}, NOW + 23 * MINUTE)
    await maintenance.keep(database, {}, NOW + 24 * MINUTE)
    await connections.set_account(database, "a", "7", NOW + 25 * MINUTE, "test")
    await connections.remove(database, ["a"], NOW + 26 * MINUTE, "test")
    told = await written(database)
    mine = [one for one in told if one["sequence"] is not None]
    assert [one["sequence"] for one in mine] == list(range(1, len(mine) + 1))
    assert [one["type"].partition(".")[2] for one in mine] == [
        "created", "changed", "broken", "cause_changed", "recovered", "paused", "resumed", "paused", "resumed",
        "changed", "removed",
    ]  # fmt: skip
    broken, turned, back = mine[2]["data"], mine[3]["data"], mine[4]["data"]
    assert (broken["cause"], turned["cause"], back["state"]) == ("provider_outage", "revoked", "healthy")
    assert broken["incident"] == turned["incident"] == back["incident"]
    assert back["gap"] == {"from": "2026-11-23T09:00:00Z", "to": "2026-11-23T09:20:00Z"}
    assert back["was"] == {"state": "broken", "cause": "revoked"}
    assert [one["data"]["by"] for one in mine[5:9]] == ["person", "person", "maintenance", "maintenance"]
    about = {one["type"] for one in told if one["connection"] is None}  # what connections share
    assert about == {"incident.opened", "incident.closed"}
    own = [one["type"] for one in told if one["connection"] == "a" and one["type"].startswith("incident.")]
    assert sorted(own) == ["incident.closed", "incident.opened", "incident.updated"]


async def test_a_doubt_and_a_quiet_probe_are_told_to_nobody(database):
    await _healthy(database, ["a"], NOW)
    before = await written(database)
    for index in range(3):
        await seen(database, ["a"], found(Cause.OK, 1, "ok"), NOW + (5 + index) * MINUTE)
    await seen(database, ["a"], found(Cause.REVOKED, 1, "test"), NOW + 10 * MINUTE)
    await seen(database, ["a"], found(Cause.OK, 1, "ok"), NOW + 11 * MINUTE)
    assert await written(database) == before


async def test_what_the_guard_does_is_told(database):
    names = [f"c{number}" for number in range(20)]
    await _healthy(database, names, NOW)
    await _break(database, names[:8], Cause.REVOKED, NOW + 5 * MINUTE)
    await decisions.decide(database, "clio", RELEASED, NOW + 9 * MINUTE, "test")
    about = [one["type"] for one in await written(database) if one["connection"] is None]
    assert sorted(about) == ["guard.lowered", "guard.raised", "incident.closed", "incident.opened"]


async def test_a_guard_over_an_outage_is_told_as_it_goes_up_and_comes_down(database):
    names = [f"c{number}" for number in range(20)]
    await _healthy(database, names, NOW)
    await _break(database, names, Cause.PROVIDER_OUTAGE, NOW + 5 * MINUTE, times=6)
    await seen(database, names, found(Cause.OK, 1, "ok"), NOW + 40 * MINUTE, guard=GuardPolicy())
    about = [one["type"] for one in await written(database) if one["connection"] is None]
    assert about.count("guard.raised") == about.count("guard.lowered") == 1


async def test_what_becomes_of_mails_and_of_clients_on_their_way_is_told(database):
    await _healthy(database, ["a"], NOW)
    await settled(database, Outcome.SENT)
    await settled(database, Outcome.FAILED)
    trip = await a_trip(database, "a", links.fresh_secret())
    await links.replace_pair(database, trip, PAIR, account=Account("1"), leftover=None, now=NOW)
    trip = await a_trip(database, "a", links.fresh_secret())
    await links.spend(database, trip.id, "declined", NOW)
    await links.conclude(database, trip, "wrong_account", NOW, account=Account("2"))
    await links.conclude(database, trip, "born_dead", NOW, account=Account("1"))
    async with database.write() as conn:
        item = Item("a", None, "ok", NOW + timedelta(days=7))
        wish = Wish(Slot.EXPIRING, Kind.EXPIRING_SOON.value, (item,), NOW, "ends on a known day")
        client = Client("Firm a", ("it@firm.example",), "en", "UTC")
        await reconcile.write_new(conn, client, "of a", wish, VOICE, NOW)
    told = {one["type"]: one["data"] for one in await written(database)}
    assert {
        "notice.sent", "notice.failed", "notice.opened", "authorization.completed", "authorization.declined",
        "authorization.wrong_account", "authorization.not_kept", "grant.expiring",
    } <= set(told)  # fmt: skip
    assert told["grant.expiring"]["expires_at"] == "2026-11-30T09:00:00Z"
    assert told["notice.sent"]["kind"] == "revoked"
    assert told["authorization.not_kept"]["why"] == "born_dead"
    assert told["authorization.completed"]["generation"] == 1
    for canary in CANARIES:
        assert canary not in json.dumps(list(told.values()))


async def test_a_blown_fuse_is_told_once(database):
    names = [f"c{number}" for number in range(4)]
    await _healthy(database, names, NOW)
    async with database.write() as conn:
        for name in names:
            await a_mail(conn, name, state="waiting")
        await fuse.judge(conn, VOICE, Cap(1), NOW)
        await fuse.judge(conn, VOICE, Cap(1), NOW)
    (blown,) = [one for one in await written(database) if one["type"] == Type.FUSE_BLOWN.value]
    assert (blown["data"], blown["connection"]) == ({"wanted": 4, "cap": 1}, None)


@pytest.mark.parametrize(("asked", "told"), [(None, 0), ("token.*", 0), ("token.renewed", 1)])
async def test_a_renewed_token_is_written_where_somebody_asks_for_it(database, asked, told):
    await _healthy(database, ["a"], NOW)
    if asked is not None:
        async with database.write() as conn:
            await conn.execute(
                insert(webhook).values(id="wh", url="https://x", events=[asked], made_by="me", created_at=NOW)
            )
    (lease,) = await due.claim_named(database, "p1", ["a"], NOW, LEASE, apps=["app"])
    line = await journal.begin(database, "a", "p1", lease.epoch, 0, NOW)
    assert await journal.store_pair(database, line, PAIR, NOW)
    assert (await types(database)).count("token.renewed") == told


async def test_what_is_not_written_tells_nobody(database):
    """The event is in the transaction of what it tells of: one that fails leaves neither."""
    await _healthy(database, ["a"], NOW)
    before = await written(database)

    async def fails(conn, about, now):
        raise RuntimeError

    async with database.write() as conn:
        await conn.execute(update(watch).values(next_probe_at=NOW + 5 * MINUTE))
    ill = found(Cause.APP_MISCONFIGURED, 1, "test")
    for index in range(2):
        (lease,) = await due.claim(database, "p1", ["app"], 1, NOW + (5 + index) * MINUTE, LEASE)
        terms = Terms("p1", GuardPolicy(), tell=fails if index else None)
        one = settlement(lease, ill, NOW + (5 + index) * MINUTE)
        work = verdicts.settle(
            database, [one._replace(ruling=one.ruling._replace(next_probe_at=NOW))], terms, NOW
        )
        if index and one.ruling.verdict.incident is not None:
            with pytest.raises(RuntimeError):
                await work
        else:
            await work
    assert await written(database) == before


async def test_the_order_of_the_feed_is_that_of_commits_and_who_reads_on_misses_nothing(database):
    """An event with an older time that is committed later comes later."""
    for name, at in (("b", NOW + MINUTE), ("a", NOW), ("c", NOW + 2 * MINUTE)):
        await imports.put(database, [new(name)], at, "test")
        await fanout.put_in_order(database, at)
    feed = await events.page(database, 10)
    assert [one.connection for one in feed] == ["b", "a", "c"]
    assert [one.number for one in feed] == [1, 2, 3]
    assert await events.page(database, 10, after=feed[0].number) == feed[1:]
    await fanout.forget(database, NOW + timedelta(days=31))
    await imports.put(database, [new("d")], NOW + timedelta(days=31), "test")
    await fanout.put_in_order(database, NOW)
    assert [one.number for one in await events.page(database, 10)] == [3, 4]


async def test_many_that_number_at_once_give_each_number_once(database):
    await imports.put(database, [new(f"c{number}") for number in range(60)], NOW, "test")
    await asyncio.gather(*(fanout.put_in_order(database, NOW) for _ in range(5)))
    assert [one.number for one in await events.page(database, 100)] == list(range(1, 61))
