"""What explain gathers of the road back and of what comes next, and a connection's timeline; on real mails."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from monitor.health.lifecycle import State
from monitor.health.timeline import Span
from monitor.operations import connections, explain, links, silences, timelines
from monitor.operations.actor import Actor, Door, Right
from monitor.operations.roles import MAY, Role
from tests.conftest import ME
from tests.integration.api.stage import staged
from tests.integration.test_consent import approve, browser_on, start, user_of

DAY = timedelta(days=1)


async def mailed(rig, mailbox, **more):
    """Break a connection and have its client mailed; return the link."""
    await rig.add("acme", **more)
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    await rig.settle("acme")
    await rig.mails(minutes=11)
    await rig.pump.plan()  # what follows the mail
    return mailbox.link()


async def told(rig):
    found = await explain.explained(rig.parts, ME, "acme")
    return [(step.fate.value, step.says) for step in found.asked.steps], found


async def test_the_road_is_told_step_by_step_and_advice_where_they_took_another_account(mailrig, mailbox):
    link = await mailed(mailrig, mailbox)
    steps, found = await told(mailrig)
    assert steps == [("done", "Mailed to 1 address"), ("ahead", "Approve as Firm acme, 100")]
    assert found.asked.advice is None
    other = mailrig.sandbox.grants([{"client_id": "clio", "account_id": 907, "account_name": "Other"}])[0]
    async with browser_on(mailrig) as browser:
        await browser.get(urlsplit(link).path)
        consent = await start(browser, link)
        steps, _ = await told(mailrig)
        assert steps[-1][1].endswith("; they are at Clio Manage just now")
        await browser.get(await approve(consent, mailrig.sandbox.do(other["grant"], "look")["user"]))
        steps, found = await told(mailrig)
        assert steps[1:] == [
            ("done", "Link opened"),
            ("done", "Started at Clio Manage"),
            ("failed", "Approved with another account: Other, 907. Refused; nothing was overwritten."),
            ("ahead", "Approve as Firm acme, 100"),
        ]
        assert found.asked.tried == ("907", "Other, 907")
        assert found.asked.advice.says == (
            "They tried and took the wrong account. A call is quicker than the next reminder."
        )
        await browser.get(await approve(await start(browser, link), user_of(mailrig, "acme")))
    assert await mailrig.state("acme") == ("healthy", "ok")
    steps, found = await told(mailrig)
    assert steps[-1] == ("done", "Approved as Firm acme, 100")
    assert found.asked.advice is None
    mailrig.clock.tick(days=8)
    assert (await told(mailrig))[0] == [], "how it came to be well is no news any more"


async def test_what_comes_next_has_its_times_and_reminders_end_with_the_operator(mailrig, mailbox):
    await mailed(mailrig, mailbox, labels={"tier": "gold"})
    now = mailrig.clock.now()
    _, found = await told(mailrig)
    coming = {one.says: one.at for one in found.coming}
    assert coming["Probe. It heals by itself as soon as one is answered well."] > now
    assert timedelta(days=1) < coming["The first reminder."] - now < timedelta(days=3)
    hand_over = coming["Handed to you, if the reminders bring nothing."] - now
    assert timedelta(days=12) < hand_over <= timedelta(days=13)
    assert coming["A ticket for on-call: longer broken than is usual."] > now
    assert [one.at for one in found.coming] == sorted(one.at for one in found.coming)
    for _ in range(3):
        await mailrig.mails(days=5)
    steps, found = await told(mailrig)
    assert ("done", "Reminded, for the third time") in steps
    assert found.asked.advice.tip.value == "another_contact"


async def test_who_may_not_know_who_did_what_is_not_told(mailrig):
    await mailrig.add("acme")
    await connections.pause(mailrig.parts, ME, ["acme"])
    viewer = Actor("user:v", Door.CONSOLE, MAY[Role.VIEWER])
    operator = Actor("user:o", Door.CONSOLE, MAY[Role.OPERATOR])
    reader = Actor("key:r", Door.API, frozenset({Right.CONNECTIONS_READ, Right.AUDIT_READ}))
    for who, sees in ((viewer, False), (operator, True), (reader, True)):
        found = await explain.explained(mailrig.parts, who, "acme")
        assert ("connection.pause" in [one.action for one in found.audit]) is sees, who


async def test_the_mail_is_previewed_in_the_clients_language_and_nothing_is_written(mailrig, mailbox):
    await mailed(mailrig, mailbox, client={"name": "Kanzlei", "contacts": ["it@a.example"], "locale": "de"})
    letter = await links.preview(mailrig.parts, ME, "acme")
    assert (letter.language, letter.to) == ("German", ("it@a.example",))
    assert "Kanzlei" in letter.subject
    assert "/r/…" in letter.text
    assert len((await links.of(mailrig.parts, ME, "acme", 10)).links) == 1, "that of the mail that was sent"


async def test_a_timeline_has_breaks_pauses_maintenance_and_what_was_said(mailrig, mailbox):
    await mailed(mailrig, mailbox)
    found = await timelines.of(mailrig.parts, ME, "acme")
    assert found.span is Span.DAY
    assert [one.state for one in found.stretches] == [None, State.HEALTHY, State.SUSPECT, State.BROKEN]
    assert [one.what for one in found.words] == ["Mailed: the request to authorize again (revoked)"]
    mailrig.clock.tick(days=2)
    await connections.pause(mailrig.parts, ME, ["acme"])
    mailrig.clock.tick(days=1)
    await connections.resume(mailrig.parts, ME, ["acme"])
    mailrig.clock.tick(days=1)
    found = await timelines.of(mailrig.parts, ME, "acme", Span.FORTNIGHT)
    assert [(one.state, one.length) for one in found.stretches[-2:]] == [
        (State.PAUSED, DAY), (State.SUSPECT, DAY),
    ]  # fmt: skip
    assert (await timelines.of(mailrig.parts, ME, "acme")).span is Span.FORTNIGHT, "the change is a day ago"


async def test_what_rests_in_a_window_is_drawn_as_paused(mailrig):
    await mailrig.add("acme")
    await mailrig.look()
    await silences.begin(mailrig.parts, ME, "connection", "acme", timedelta(hours=2), maintenance=True)
    found = await timelines.of(mailrig.parts, ME, "acme")
    assert found.stretches[-1].state in (State.HEALTHY, State.PAUSED)
    document = timelines.document(found)
    assert (document["span"], document["until"]) == ("24h", "2026-11-23T09:00:00Z")


async def test_a_mail_that_the_guard_holds_is_for_a_person_to_decide(tmp_path, sandbox, sqlite_url):
    async with staged(tmp_path, sandbox, sqlite_url) as stage:
        found = await explain.explained(stage.api.rig.parts, ME, "c00")
        assert found.asked.steps[0].says == "The fleet guard holds the mail"
        assert found.asked.advice.tip.value == "decide"
        assert [one.id for one in found.incidents] == [stage.own, stage.wave]
        muted = await explain.explained(stage.api.rig.parts, ME, "c20")
        assert [one.reason for one in muted.silences] == ["moving"]
