"""Somebody is on it: the client is not reminded meanwhile, everybody sees who, and it ends with the incident."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.errors import Conflict, Invalid, NotFound
from monitor.operations import audit, connections, documents, explain
from tests.conftest import ME
from tests.integration.test_mails import _break


def ahead(rig, **span):
    return rig.clock.now() + timedelta(**span)


async def claim_of(rig, name="acme"):
    return (await rig.known(name)).claim


async def test_a_claimed_break_is_mailed_as_ever_and_reminded_when_the_claim_ends(mailrig, mailbox):
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    until = ahead(mailrig, days=7)
    await connections.claim(mailrig.parts, ME, "acme", "Anna, Acme", until)
    for _ in range(13):
        await mailrig.mails(hours=12)
    assert [mail["Subject"].split(":")[0] for mail in mailbox.taken] == ["Action needed"]
    assert f"Anna, Acme is on it until {until:%Y-%m-%d %H:%M} UTC" in await told(mailrig)
    await mailrig.mails(hours=13)
    assert [mail["Subject"].split(":")[0] for mail in mailbox.taken] == ["Action needed", "Reminder"]
    assert "Anna, Acme was on it until" in await told(mailrig)


async def told(rig) -> str:
    return " ".join((await explain.explained(rig.parts, ME, "acme")).document()["told"])


async def test_a_reminder_that_waits_already_is_put_off_and_comes_back_with_the_claim(mailrig, mailbox):
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    for _ in range(3):
        await mailrig.mails(hours=12)
    await connections.claim(mailrig.parts, ME, "acme", "Anna, Acme", ahead(mailrig, days=30))
    for _ in range(6):
        await mailrig.mails(hours=12)
    assert len(mailbox.taken) == 1
    assert await connections.unclaim(mailrig.parts, ME, "acme")
    await mailrig.mails(minutes=1)
    assert [mail["Subject"].split(":")[0] for mail in mailbox.taken] == ["Action needed", "Reminder"]


async def test_it_ends_with_the_incident_and_the_next_one_is_reminded(mailrig, mailbox):
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    await connections.claim(mailrig.parts, ME, "acme", "Anna, Acme", ahead(mailrig, days=80))
    await mailrig.mails(hours=2)
    mailrig.sandbox.do(mailrig.grants["acme"], "restore")
    for _ in range(3):
        await mailrig.mails(hours=1)
    assert await mailrig.state("acme") == ("healthy", "ok") and await claim_of(mailrig) is None
    await _break(mailrig, "acme")
    assert await claim_of(mailrig) is None, "another break is not what Anna is on"
    assert not await connections.unclaim(mailrig.parts, ME, "acme")
    for _ in range(6):
        await mailrig.mails(hours=12)
    subjects = [mail["Subject"].split(":")[0] for mail in mailbox.taken]
    assert subjects[0] == "Action needed" and subjects[-2:] == ["Action needed", "Reminder"]


async def test_it_is_in_each_document_and_the_revision_stays(rig):
    await rig.add("acme", "bolt")
    await _break(rig, "acme")
    before = (await rig.known("acme")).revision
    until = ahead(rig, days=1)
    await connections.claim(rig.parts, ME, "acme", "  Anna, Acme ", until)
    shown = {"who": "Anna, Acme", "until": documents.iso(until)}
    known = await rig.known("acme")
    assert known.revision == before
    assert documents.connection(known)["claim"] == documents.status(known, [])["claim"] == shown
    assert (await explain.explained(rig.parts, ME, "acme")).document()["claim"] == shown
    assert documents.connection(await rig.known("bolt"))["claim"] is None
    (line,) = (await audit.page(rig.parts, ME, 5, action="connection.claim")).lines
    assert (line.actor, line.subject, line.detail["who"]) == (ME.name, "acme", "Anna, Acme")
    assert await connections.unclaim(rig.parts, ME, "acme") and not await connections.unclaim(
        rig.parts, ME, "acme"
    )
    (line,) = (await audit.page(rig.parts, ME, 5, action="connection.unclaim")).lines
    assert line.detail["who"] == "Anna, Acme"


async def test_a_newcomer_may_be_claimed_and_what_is_well_may_not(rig):
    await rig.add("acme", "bolt")
    await rig.add("novice", tokens=False)
    await rig.look()
    until = ahead(rig, days=1)
    await connections.claim(rig.parts, ME, "novice", "Anna", until)
    found = await claim_of(rig, "novice")
    assert found is not None and found.who == "Anna"
    with pytest.raises(Conflict, match="acme: nothing of it is open that anybody could be on"):
        await connections.claim(rig.parts, ME, "acme", "Anna", until)
    with pytest.raises(NotFound):
        await connections.claim(rig.parts, ME, "nobody", "Anna", until)


@pytest.mark.parametrize(
    ("who", "span", "at"),
    [
        ("", {"days": 1}, "who"),
        ("Anna\nAcme", {"days": 1}, "who"),
        ("\u200b\u202e", {"days": 1}, "who"),
        ("A" * 201, {"days": 1}, "who"),
        ("Anna", {"seconds": 0}, "until"),
        ("Anna", {"days": 90, "seconds": 1}, "until"),
    ],
)
async def test_a_claim_names_somebody_and_a_time_that_is_ahead_and_near(rig, who, span, at):
    await rig.add("novice", tokens=False)
    with pytest.raises(Invalid) as raised:
        await connections.claim(rig.parts, ME, "novice", who, ahead(rig, **span))
    assert raised.value.at == at and await claim_of(rig, "novice") is None
    await connections.claim(rig.parts, ME, "novice", "Anna", ahead(rig, days=90))
