"""Promise 1 for those who are new, and for those who only look so: 'this still needs you' has to be true."""

from __future__ import annotations

import pytest

from monitor.errors import ConfigurationError
from monitor.operations import connections as operate
from monitor.operations import links as asking
from monitor.operations.explain import story
from monitor.store import connections, maintenance
from tests.conftest import ME

WINDOW = {"provider clio": ("provider", "clio")}
INVITED = "Please connect Clio Manage for Firm acme"


async def invited(rig, mailbox) -> None:
    """A client that was asked to connect for the first time."""
    await rig.add("acme", tokens=False, account_id=100)
    await asking.mail(rig.parts, ME, "acme")
    await rig.mails()
    assert mailbox.subjects() == [INVITED]


async def tokens_come(rig) -> None:
    """Somebody authorized elsewhere, and the tokens are imported."""
    await rig.add("acme", account_id=100)


async def paused_and_resumed(rig, **span) -> None:
    await connections.pause(rig.parts.database, ["acme"], rig.clock.now(), "me")
    rig.clock.tick(**span)
    await operate.resume(rig.parts, ME, ["acme"])


async def rested_and_woken(rig, **span) -> None:
    assert await maintenance.keep(rig.parts.database, WINDOW, rig.clock.now()) == (1, 0)
    rig.clock.tick(**span)
    assert await maintenance.keep(rig.parts.database, {}, rig.clock.now()) == (0, 1)


async def plan_and_send(rig) -> None:
    """One turn of the timers, before any probe has looked."""
    await rig.pump.plan()
    await rig.pump.pump()


@pytest.mark.parametrize("away", [paused_and_resumed, rested_and_woken])
async def test_promise_1_a_healthy_client_who_was_invited_once_is_not_told_this_still_needs_you(
    mailrig, mailbox, away
):
    await invited(mailrig, mailbox)
    await tokens_come(mailrig)
    await mailrig.look()
    assert await mailrig.state("acme") == ("healthy", "ok")
    await away(mailrig, days=3)
    await plan_and_send(mailrig)
    assert mailbox.subjects() == [INVITED]
    assert await mailrig.state("acme") == ("suspect", "ok"), "nobody has looked yet"
    await mailrig.mails(seconds=1)
    assert await mailrig.state("acme") == ("healthy", "ok")
    assert mailbox.subjects() == [INVITED]


async def test_promise_1_whose_tokens_were_imported_is_not_reminded_before_the_first_probe(mailrig, mailbox):
    await invited(mailrig, mailbox)
    mailrig.clock.tick(days=3)
    await tokens_come(mailrig)
    await plan_and_send(mailrig)
    assert mailbox.subjects() == [INVITED]


async def test_the_operator_is_not_told_of_a_client_who_connected_before_it_was_paused(mailrig, mailbox):
    await invited(mailrig, mailbox)
    for _ in range(3):
        await mailrig.mails(days=5)
    assert len(mailbox.taken) == 4, "all the reminders"
    await tokens_come(mailrig)
    await mailrig.look()
    await paused_and_resumed(mailrig, days=4)
    await plan_and_send(mailrig)
    assert len(mailbox.taken) == 4


async def test_a_newcomer_who_was_paused_is_a_newcomer_still(mailrig, mailbox):
    await invited(mailrig, mailbox)
    await paused_and_resumed(mailrig, days=3)
    assert (await mailrig.known("acme")).next_probe_at is None
    await plan_and_send(mailrig)
    assert mailbox.subjects()[1:] == ["Reminder: Clio Manage for Firm acme still needs you"]


async def test_a_client_whose_new_tokens_nobody_tried_yet_is_not_reminded(mailrig, mailbox):
    await mailrig.add("acme", account_id=100)
    await mailrig.look()
    mailrig.sandbox.do(mailrig.grants["acme"], "revoke")
    await mailrig.after(minutes=8)
    assert await mailrig.settle("acme") == ("broken", "revoked")
    await mailrig.mails(hours=2)
    await mailrig.after(days=1, hours=23, minutes=55)
    asked = mailbox.subjects()
    assert len(asked) == 1
    await tokens_come(mailrig)
    mailrig.clock.tick(minutes=10)
    await plan_and_send(mailrig)
    assert mailbox.subjects() == asked, "what it may have done just now is not asked for again"
    await mailrig.mails(minutes=10)
    assert mailbox.subjects()[1:] == ["Thank you: Clio Manage for Firm acme works"]


async def test_who_was_asked_before_a_pause_is_thanked_when_it_is_seen_to_work_and_not_before(
    mailrig, mailbox
):
    await mailrig.add("acme", account_id=100)
    await mailrig.look()
    mailrig.sandbox.do(mailrig.grants["acme"], "revoke")
    await mailrig.after(minutes=8)
    await mailrig.settle("acme")
    await mailrig.mails(hours=2)
    asked = mailbox.subjects()
    assert len(asked) == 1
    await connections.pause(mailrig.parts.database, ["acme"], mailrig.clock.now(), "me")
    await tokens_come(mailrig)
    await operate.resume(mailrig.parts, ME, ["acme"])
    await plan_and_send(mailrig)
    assert mailbox.subjects() == asked
    await mailrig.mails(minutes=1)
    await mailrig.mails(minutes=1)
    assert mailbox.subjects()[1:] == ["Thank you: Clio Manage for Firm acme works"]


async def test_a_person_cannot_have_a_resumed_client_asked_to_connect_for_the_first_time(mailrig, mailbox):
    await mailrig.add("acme")
    await mailrig.look()
    await paused_and_resumed(mailrig, days=1)
    with pytest.raises(ConfigurationError, match="the client is not mailed, since it is suspect"):
        await asking.mail(mailrig.parts, ME, "acme")
    assert (await mailrig.known("acme")).newcomer is False


async def test_what_was_never_authorized_is_not_probed_and_not_found_broken(mailrig, mailbox):
    await invited(mailrig, mailbox)
    assert await mailrig.watching.rounds.named(["acme"]) == []
    await mailrig.mails(hours=1)
    assert await mailrig.state("acme") == ("pending", "ok")
    assert mailbox.subjects() == [INVITED]


async def test_a_resumed_connection_is_explained_as_one_that_is_to_be_looked_at(mailrig):
    from monitor.health.explain import explain

    await mailrig.add("acme")
    await mailrig.look()
    await paused_and_resumed(mailrig, days=3)
    told = explain(await story(mailrig.parts, ME, "acme"), mailrig.clock.now())
    assert "is to be looked at" in told.headline
    assert told.next[0] == "Next probe now due."
