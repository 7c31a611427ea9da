"""Mails that go by a person's word: brought forward, or sent again though they may have arrived."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from alerts.outbox.tables import delivery, notice
from monitor.errors import ConfigurationError, Conflict, NotFound, Refused
from monitor.operations import notices, outbox
from monitor.operations.actor import Right
from monitor.operations.outbox import Is
from monitor.store.tables import incident
from tests.conftest import MAIL, ME, rigged
from tests.integration.test_operations import everything, lines, no_more_lines, without


async def broken(rig, *names):
    """Let connections break, and be seen ill often enough."""
    await rig.look()
    for name in names:
        rig.sandbox.do(rig.grants[name], "revoke")
    await rig.after(minutes=8)
    for name in names:
        assert (await rig.settle(name))[0] == "broken"


async def the_one(rig, state):
    """The number of the one notice in a state."""
    async with rig.parts.database.read() as conn:
        return (await conn.execute(select(notice.c.id).where(notice.c.state == state))).scalar_one()


async def put(rig, number, becomes, **delivered):
    """Have a notice be as if it had come to that."""
    async with rig.parts.database.write() as conn:
        await conn.execute(update(delivery).where(delivery.c.notice == number).values(**delivered))
        await conn.execute(
            update(notice).where(notice.c.id == number).values(state=becomes, settled_at=rig.clock.now())
        )


@pytest.fixture
async def late(tmp_path, sandbox, mailbox, database_url):
    """A first mail waits for eight hours, and then for the morning."""
    more = (
        MAIL.format(url=mailbox.url)
        .replace('"10m"', '"8h"')
        .replace('quiet_hours = ""', 'quiet_hours = "10:00-07:00"')
    )
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig:
        await rig.add("acme")
        await broken(rig, "acme")
        await rig.mails()
        assert mailbox.taken == []
        yield rig


async def test_a_mail_is_brought_forward_past_its_time_and_the_night(late, mailbox):
    number = await the_one(late, "waiting")
    shown = await outbox.show(late.parts, ME, number)
    assert (shown.is_, shown.does) == (Is.WAITING, ("notices.send_now", "notices.hold"))
    assert shown.why == "Quiet hours in UTC until 07:00 there."
    told = await notices.send_now(late.parts, ME, number)
    assert (told.requested_by, told.due_at) == (ME.name, late.clock.now())
    assert (
        await outbox.show(late.parts, ME, number)
    ).why == "me asked for it; it goes within seconds, after one more look."
    await late.mails(seconds=1)
    assert [message["To"] for message in mailbox.taken] == ["it@acme.example"]
    for _ in range(4):
        await late.mails(hours=6)
    assert len(mailbox.taken) == 1, "the plan does not say it again"


async def test_it_is_looked_at_once_more_and_what_healed_meanwhile_is_not_sent(late, mailbox):
    await late.after(minutes=40)
    number = await the_one(late, "waiting")
    late.sandbox.do(late.grants["acme"], "restore")
    late.clock.tick(hours=1)
    await notices.send_now(late.parts, ME, number)
    assert await late.pump.pump() == 0, "its probe is an hour old: another one comes first"
    await late.mails(seconds=6)
    await late.mails(minutes=1)
    assert (await late.state("acme"))[0] == "healthy"
    assert mailbox.taken == []
    assert (await notices.show(late.parts, ME, number)).state == "withdrawn"


@pytest.mark.parametrize("holds", ["guard", "silence", "drop"])
async def test_what_is_held_is_not_brought_forward(late, holds):
    number = await the_one(late, "waiting")
    if holds == "silence":
        await notices.hold(late.parts, ME, "client", "Firm acme", timedelta(days=1), "on the phone")
    else:
        values = {"mails": "dropped"} if holds == "drop" else {"waits": "trouble"}
        async with late.parts.database.write() as conn:
            await conn.execute(update(incident).where(incident.c.name == "acme").values(**values))
    with pytest.raises(Conflict, match=f"Notice {number} is not sent: it is no longer true, or it is held."):
        await notices.send_now(late.parts, ME, number)


async def test_what_is_held_between_the_word_and_the_mail_stays_in(late, mailbox):
    number = await the_one(late, "waiting")
    await notices.send_now(late.parts, ME, number)
    await notices.hold(late.parts, ME, "all", "", None, "wait")
    await late.mails(seconds=1)
    assert mailbox.taken == []
    assert (await notices.show(late.parts, ME, number)).state == "withdrawn"


async def test_twice_the_same_word_is_one_mail(late, mailbox):
    number = await the_one(late, "waiting")
    await notices.send_now(late.parts, ME, number)
    with pytest.raises(Conflict, match="goes out already"):
        await notices.send_now(late.parts, ME, number)
    await late.mails(seconds=1)
    with pytest.raises(Conflict, match="does not wait: it is sent"):
        await notices.send_now(late.parts, ME, number)
    with pytest.raises(NotFound):
        await notices.send_now(late.parts, ME, 999)
    assert len(mailbox.taken) == 1


@pytest.mark.on_both
async def test_it_is_written_down_or_not_done_and_only_for_who_may(late):
    number, database = await the_one(late, "waiting"), late.parts.database
    before = await everything(database)
    with pytest.raises(Refused):
        await notices.send_now(late.parts, without(Right.NOTICES_OPERATE), number)
    if database.is_sqlite:
        async with no_more_lines(database):
            with pytest.raises(DBAPIError, match="full"):
                await notices.send_now(late.parts, ME, number)
    assert await everything(database) == before
    await notices.send_now(late.parts, ME, number)
    assert (ME.name, "mail.send_now", f"notice {number}") in await lines(database)


async def test_where_nobody_is_mailed_the_setting_is_named(rig):
    with pytest.raises(ConfigurationError, match=r"set smtp\.from"):
        await notices.send_now(rig.parts, ME, 1)


# -- what may have arrived ----------------------------------------------------------------------------


@pytest.fixture
async def lost(mailrig, mailbox):
    """A mail of which nobody knows whether it arrived."""
    await mailrig.add("acme")
    await broken(mailrig, "acme")
    await mailrig.mails(minutes=11)
    assert len(mailbox.taken) == 1
    number = await the_one(mailrig, "sent")
    await put(mailrig, number, "sent", state="unconfirmed", answer="the sender stopped before the answer")
    return number


async def test_what_may_have_arrived_is_sent_again_by_a_persons_word_alone(mailrig, mailbox, lost):
    shown = await outbox.show(mailrig.parts, ME, lost)
    assert (shown.is_, shown.does) == (Is.UNCONFIRMED, ("notices.send_twice",))
    assert "it may have arrived, and is not sent twice. A reminder comes a day sooner." in shown.why
    assert await notices.retry(mailrig.parts, ME, []) == [], "with all that failed it is not"
    with pytest.raises(Conflict, match=r"Sent again, it may arrive twice") as refused:
        await notices.retry_one(mailrig.parts, ME, lost)
    assert [one.operation for one in refused.value.remedies] == ["notices.send_twice"]
    with pytest.raises(Refused):
        await notices.send_twice(mailrig.parts, without(Right.NOTICES_OPERATE), lost)
    told = await notices.retry_one(mailrig.parts, ME, lost, twice=True)
    assert told.state == "sending"
    await mailrig.mails(seconds=1)
    assert [message["Message-ID"] for message in mailbox.taken] == [mailbox.taken[0]["Message-ID"]] * 2
    assert (await notices.show(mailrig.parts, ME, lost)).state == "sent"
    with pytest.raises(Conflict, match="of which it is not known"):
        await notices.send_twice(mailrig.parts, ME, lost)
    assert (ME.name, "mail.send_twice", f"notice {lost}") in await lines(mailrig.parts.database)


async def test_what_healed_meanwhile_is_not_sent_again(mailrig, mailbox, lost):
    mailrig.sandbox.do(mailrig.grants["acme"], "restore")
    await mailrig.after(minutes=60)
    assert (await mailrig.state("acme"))[0] == "healthy"
    with pytest.raises(Conflict, match="it is no longer true, or it is held"):
        await notices.send_twice(mailrig.parts, ME, lost)


async def test_what_is_held_is_not_sent_again(mailrig, lost):
    await notices.hold(mailrig.parts, ME, "client", "Firm acme", timedelta(days=1), "on the phone")
    with pytest.raises(Conflict, match="it is no longer true, or it is held"):
        await notices.send_twice(mailrig.parts, ME, lost)


async def test_one_that_others_have_goes_to_those_in_doubt_alone(mailrig, mailbox):
    await mailrig.add("two", client={"name": "Two", "contacts": ["a@two.example", "b@two.example"]})
    await broken(mailrig, "two")
    await mailrig.mails(minutes=11)
    number = await the_one(mailrig, "sent")
    async with mailrig.parts.database.write() as conn:
        mine = (delivery.c.notice == number) & (delivery.c.address == "b@two.example")
        await conn.execute(update(delivery).where(mine).values(state="unconfirmed"))
    await notices.send_twice(mailrig.parts, ME, number)
    await mailrig.mails(seconds=1)
    assert [message["To"] for message in mailbox.taken][2:] == ["b@two.example"]
