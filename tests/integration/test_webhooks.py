"""Events reach programs: signed, at least once, and an endpoint that does not answer keeps no other waiting."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook, WebhookVerificationError

from alerts.outbox.tables import delivery, notice
from alerts.webhooks import fanout
from alerts.webhooks.endpoints import State
from monitor.clock import SystemClock
from monitor.errors import ChangedMeanwhile, Conflict, Invalid, NotAdmitted, NotFound
from monitor.health.restriction import Restriction
from monitor.operations import notices, webhooks
from monitor.operations.actor import Actor, Door, Right
from monitor.store import connections
from tests.conftest import ME
from tests.integration.hooked import receiving, staged


@pytest.fixture
async def stage(database_url, tmp_path):
    async with staged(database_url, tmp_path) as found:
        yield found


async def deliveries_of(stage, made, state=""):
    return (await webhooks.sent(stage.parts, ME, made.endpoint.id, 100, state=state)).deliveries


async def test_a_break_is_told_signed_and_says_what_came_about(stage):
    async with receiving() as receiver:
        made = await stage.add(receiver, "connection.broken")
        await stage.broken("a")
        await stage.caller.pump()
        ((headers, body),) = receiver.taken
        event = Webhook(made.secret.reveal()).verify(body, headers)
        assert headers["user-agent"] == "token-health/1"
        assert headers["content-type"] == "application/json"
        assert headers["webhook-id"].startswith("evt_")
        assert event["type"] == "connection.broken"
        data = event["data"]
        assert (data["connection"], data["state"], data["cause"]) == ("a", "broken", "revoked")
        assert data["was"] == {"state": "suspect", "cause": "revoked"}
        assert data["sequence"] == 2  # it was created before
        assert data["url"] == "/api/v1/connections/a/status"
        assert data["gap"]["from"] < data["gap"]["to"]
        assert isinstance(data["incident"], int)
        with pytest.raises(WebhookVerificationError):
            Webhook(made.secret.reveal()).verify(body + b" ", headers)
        assert [one.state for one in await deliveries_of(stage, made)] == ["sent"]


async def test_both_secrets_sign_for_a_day_after_a_rotation(stage):
    async with receiving() as receiver:
        made = await stage.add(receiver, "webhook.*")
        other = await webhooks.rotate(stage.parts, ME, made.endpoint.id)
        stage.clock.time = SystemClock().now()
        await webhooks.test(stage.parts, ME, made.endpoint.id)
        headers, body = receiver.taken[-1]
        for secret in (made.secret, other.secret):
            assert Webhook(secret.reveal()).verify(body, headers)["type"] == "webhook.test"
        stage.clock.tick(hours=25)
        await webhooks.test(stage.parts, ME, made.endpoint.id)
        assert receiver.taken[-1][0]["webhook-signature"].count("v1,") == 1


async def test_who_was_away_gets_every_event_with_the_id_of_the_first_attempt(stage):
    async with receiving(status=503) as receiver:
        made = await stage.add(receiver)
        await stage.broken("a", "b")
        await stage.caller.pump()
        first = {one.event for one in await deliveries_of(stage, made)}
        assert len(first) == 4  # two were created, and two broke
        tried = set(receiver.ids)
        receiver.taken.clear()
        receiver.status = 204
        for _ in range(3):
            await stage.later(minutes=10)
        assert set(receiver.ids) == first >= tried
        assert {one.state for one in await deliveries_of(stage, made)} == {"sent"}


async def test_waits_grow_and_what_is_not_taken_in_three_days_has_failed_and_is_sent_again_by_hand(stage):
    async with receiving(status=500) as receiver:
        made = await stage.add(receiver, "connection.created")
        await stage.broken("a")
        waits = []
        while (one := (await _pumped(stage, made))).state == "waiting":
            waits.append(one.next_at - stage.clock.time)
            stage.clock.time = one.next_at
        assert one.attempts == 10
        for wait, usual in zip(waits, (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400), strict=True):
            assert usual * 0.8 <= wait.total_seconds() <= usual * 1.2
        assert one.state == "failed"
        receiver.status, ids = 200, set(receiver.ids)
        await webhooks.send_again(stage.parts, ME, made.endpoint.id, one.id)
        await stage.caller.pump()
        assert set(receiver.ids) == ids
        assert [one.state for one in await deliveries_of(stage, made)] == ["sent"]


async def _pumped(stage, made):
    await stage.caller.pump()
    (one,) = await deliveries_of(stage, made)
    return one


async def test_retry_after_is_obeyed(stage):
    async with receiving(status=429, headers="Retry-After: 3600\r\n") as receiver:
        made = await stage.add(receiver, "connection.created")
        await stage.broken("a")
        one = await _pumped(stage, made)
        assert one.next_at - stage.clock.time >= timedelta(minutes=59)


async def test_a_range_is_sent_again_with_what_was_never_sent(stage):
    async with receiving() as receiver:
        await stage.broken("a")
        await stage.caller.pump()
        made = await stage.add(receiver)
        began = stage.clock.time - timedelta(hours=1)
        assert await webhooks.replay(stage.parts, ME, made.endpoint.id, began) == 2
        await stage.caller.pump()
        first = sorted(receiver.ids)
        assert [one["type"] for one in sorted(receiver.events, key=lambda e: e["data"]["sequence"])] == [
            "connection.created",
            "connection.broken",
        ]
        only = await webhooks.replay(
            stage.parts, ME, made.endpoint.id, began, events=["connection.broken", "incident.*"]
        )
        assert only == 1  # the incident is not what it wants
        receiver.taken.clear()
        await stage.caller.pump()
        assert set(receiver.ids) < set(first)


async def test_410_disables_and_the_others_are_told(stage):
    async with receiving(status=410) as gone, receiving() as other:
        made = await stage.add(gone)
        await stage.add(other, "webhook.disabled")
        await stage.broken("a")
        await stage.caller.pump()
        await stage.caller.pump()
        shown = await webhooks.find(stage.parts, ME, made.endpoint.id)
        assert shown.endpoint.state is State.GONE
        assert {one.state for one in await deliveries_of(stage, made)} == {"failed"}
        assert [one["data"]["webhook"] for one in other.events] == [made.endpoint.id]
        attempts = len(gone.taken)
        await stage.breaks("a")
        await stage.later(days=1)
        assert len(gone.taken) == attempts
        with pytest.raises(Conflict, match="gone"):
            await webhooks.replay(stage.parts, ME, made.endpoint.id, stage.clock.time - timedelta(days=2))
        gone.status = 200
        await webhooks.enable(stage.parts, ME, made.endpoint.id)
        await webhooks.replay(stage.parts, ME, made.endpoint.id, stage.clock.time - timedelta(days=2))
        await stage.caller.pump()
        assert {one.state for one in await deliveries_of(stage, made)} == {"sent"}


async def test_five_days_of_only_failures_disable(stage):
    async with receiving(status=500) as receiver:
        made = await stage.add(receiver, "connection.created")
        await stage.broken("a")
        await stage.caller.pump()
        await stage.later(days=4, hours=23)
        assert (await webhooks.find(stage.parts, ME, made.endpoint.id)).endpoint.state is State.ACTIVE
        await stage.later(hours=23)
        found = (await webhooks.find(stage.parts, ME, made.endpoint.id)).endpoint
        assert found.state is State.FAILING


async def test_a_success_in_between_begins_anew(stage):
    async with receiving(status=500) as receiver:
        made = await stage.add(receiver, "connection.created")
        await stage.broken("a")
        await stage.caller.pump()
        receiver.status = 200
        await stage.later(days=4)
        assert (await webhooks.find(stage.parts, ME, made.endpoint.id)).endpoint.failing_since is None


async def test_a_redirect_is_a_failure_and_nobody_follows_it(stage):
    async with receiving() as target, receiving(status=307) as receiver:
        receiver.headers = f"Location: {target.url}\r\n"
        made = await stage.add(receiver, "connection.created")
        await stage.broken("a")
        one = await _pumped(stage, made)
        assert (one.state, one.answer) == ("waiting", "307")
        assert target.seen == []


async def test_an_endpoint_that_hangs_holds_its_own_slots_and_delays_no_other(stage):
    async with receiving(hangs=True) as stuck, receiving() as well:
        await stage.add(stuck, "connection.created")
        await stage.add(well, "connection.created")
        await stage.broken(*(f"c{number}" for number in range(10)))
        await stage.caller.plan()
        await stage.caller.begin()
        # What was taken is sent once that is written down; ended before, it would be sent again.
        while ("sent", 1, 10) not in await _tried(stage) or len(stuck.seen) < 4:
            await asyncio.sleep(0.01)  # noqa: TID251 - real servers
        await stage.caller.begin()
        assert len(stuck.seen) == 4
        await stage.caller.stop()
        assert await _tried(stage) == [("sent", 1, 10), ("waiting", 0, 10)]


async def _tried(stage) -> list[tuple]:
    states = delivery.c.state, delivery.c.attempts
    async with stage.parts.database.read() as conn:
        return sorted(map(tuple, await conn.execute(select(*states, func.count()).group_by(*states))))


async def test_what_came_about_before_a_process_died_is_told_by_the_next(database_url, tmp_path):
    async with receiving() as receiver:
        async with staged(database_url, tmp_path) as stage:
            await stage.add(receiver, "connection.broken")
            await stage.broken("a")  # and nobody gets to tell it
        async with staged(database_url, tmp_path) as stage:
            stage.clock.tick(minutes=8)
            await stage.caller.pump()
            assert [one["type"] for one in receiver.events] == ["connection.broken"]


async def test_a_delivery_whose_sender_died_is_made_again(stage):
    async with receiving(hangs=True) as receiver:
        made = await stage.add(receiver, "connection.created")
        await stage.broken("a")
        await stage.caller.plan()
        await stage.caller.begin()
        while not receiver.seen:
            await asyncio.sleep(0.01)  # noqa: TID251 - a real server
        for task in list(stage.caller._busy.values()):
            task.cancel()  # killed: nothing is given back
        await asyncio.sleep(0)  # noqa: TID251 - lets it end
        receiver.hangs = False
        await stage.later(minutes=2)
        assert [one.state for one in await deliveries_of(stage, made)] == ["sent"]
        assert len(receiver.taken) == 1


async def test_two_that_put_events_in_order_at_once_plan_nothing_twice(stage):
    async with receiving() as receiver:
        await stage.add(receiver)
        await stage.broken(*(f"c{number}" for number in range(20)))
        database, now = stage.parts.database, stage.clock.time
        await asyncio.gather(*(fanout.put_in_order(database, now) for _ in range(4)))
        async with database.read() as conn:
            planned = (await conn.execute(select(func.count()).select_from(delivery))).scalar()
            several = select(notice.c.audience).group_by(notice.c.audience).having(func.count() > 1)
            assert planned == 40
            assert (await conn.execute(several)).all() == []


async def test_only_what_an_endpoint_may_see_is_sent_to_it(stage):
    async with receiving() as receiver:
        await stage.add(receiver, "*", only=Restriction(connections=("acme-*",)))
        await stage.broken("acme-1", "bolt-1")
        await stage.caller.pump()
        assert {one["data"]["connection"] for one in receiver.events} == {"acme-1"}


async def test_somebody_restricted_makes_only_what_is_within(stage):
    mine = Restriction(apps=("app",), labels={"tier": ("gold",)})
    key = Actor("key:key_1", Door.API, frozenset(Right), mine)
    async with receiving() as receiver:
        whole = await stage.add(receiver)
        made = await webhooks.add(stage.parts, key, receiver.url, ["connection.*"])
        assert made.endpoint.only.within(mine)
        with pytest.raises(NotAdmitted) as refused:
            await webhooks.add(stage.parts, key, receiver.url, ["*"], Restriction(apps=("other",)))
        assert refused.value.code == "beyond_own_rights"
        assert [one.id for one in await webhooks.every(stage.parts, key)] == [made.endpoint.id]
        for work in (webhooks.find, webhooks.remove, webhooks.test, webhooks.rotate, webhooks.enable):
            with pytest.raises(NotFound):
                await work(stage.parts, key, whole.endpoint.id)


async def test_a_removed_endpoint_is_sent_nothing_more(stage):
    async with receiving(status=500) as receiver:
        made = await stage.add(receiver, "connection.created")
        await stage.broken("a")
        await stage.caller.pump()
        with pytest.raises(ChangedMeanwhile) as changed:
            await webhooks.remove(stage.parts, ME, made.endpoint.id, revision=7)
        assert changed.value.revision == 1
        await webhooks.remove(stage.parts, ME, made.endpoint.id, revision=1)
        attempts = len(receiver.taken)
        await stage.later(days=1)
        assert len(receiver.taken) == attempts


async def test_people_do_not_find_what_programs_are_told_among_what_clients_are(stage):
    async with receiving(status=500) as receiver:
        await stage.add(receiver)
        await stage.broken("a")
        await stage.caller.pump()
        assert (await notices.every(stage.parts, ME, 50, everything=True)).notices == ()


async def test_renewed_tokens_are_told_to_who_asks_by_name(stage):
    async with receiving() as receiver:
        await stage.add(receiver, "*", "token.*")
        made = await stage.add(receiver, "connection.created")
        await webhooks.change(stage.parts, ME, made.endpoint.id, events=["token.renewed"], revision=1)
        assert (await webhooks.find(stage.parts, ME, made.endpoint.id)).endpoint.revision == 2


async def test_what_is_no_event_is_named_with_the_nearest(stage):
    async with receiving() as receiver:
        with pytest.raises(Invalid, match=r"did you mean 'connection[.]broken'"):
            await stage.add(receiver, "connection.brokn")


async def test_removing_a_connection_tells_how_it_was_last(stage):
    async with receiving() as receiver:
        await stage.add(receiver, "connection.removed")
        await stage.broken("a")
        await connections.remove(stage.parts.database, ["a"], stage.clock.time, "test")
        await stage.caller.pump()
        (event,) = receiver.events
        assert (event["data"]["connection"], event["data"]["sequence"]) == ("a", 3)
