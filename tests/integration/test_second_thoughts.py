"""A decision about a wave is taken back: of whom nobody was told, the mail is held again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from monitor.errors import Conflict
from monitor.health.breaks import DROPPED, RELEASED
from monitor.health.causes import Cause
from monitor.operations import notices
from monitor.store import decisions, incidents, waves
from monitor.store.tables import incident
from tests.conftest import ME, START
from tests.integration.test_events import written
from tests.integration.test_store import _break, _healthy

FIRMS = [f"firm{n:02}" for n in range(8)]
HOUR = timedelta(hours=1)


async def held(rig) -> int:
    """Have all of a fleet break together, so that a wave holds their mails."""
    await rig.add(*FIRMS)
    await rig.look()
    for name in FIRMS:
        rig.sandbox.do(rig.grants[name], "revoke")
    for _ in range(6):
        await rig.mails(minutes=10)
    (wave,) = [one for one in await incidents.open_now(rig.parts.database) if one.wave]
    return wave.id


async def test_nobody_is_told_within_half_a_minute_of_a_release(mailrig, mailbox):
    number = await held(mailrig)
    assert await notices.release_incident(mailrig.parts, ME, number, seen=8) == 8
    await mailrig.mails(seconds=10)
    assert mailbox.taken == []
    assert await notices.hold_again(mailrig.parts, ME, number) == 8
    for _ in range(4):
        await mailrig.mails(minutes=10)
    assert mailbox.taken == [], "it is held again"
    await notices.release_incident(mailrig.parts, ME, number)
    await mailrig.mails(seconds=31)
    await mailrig.mails(minutes=1)
    assert len(mailbox.taken) == 8
    with pytest.raises(Conflict, match="its clients were told"):
        await notices.hold_again(mailrig.parts, ME, number)


async def test_whoever_was_told_meanwhile_stays_told(mailrig, mailbox):
    number = await held(mailrig)
    await notices.release_incident(mailrig.parts, ME, number)
    async with mailrig.parts.database.write() as conn:
        told = update(incident).where(incident.c.name == "firm00")
        await conn.execute(told.values(told_at=mailrig.clock.now()))
    mailrig.sandbox.do(mailrig.grants["firm01"], "restore")
    for _ in range(3):
        await mailrig.after(seconds=8)
    assert await notices.hold_again(mailrig.parts, ME, number) == 8 - 1
    (wave,) = await waves.open_now(mailrig.parts.database)
    assert {one.connection for one in wave.held.breaks if one.untold} == set(FIRMS[1:])


async def test_what_was_dropped_is_held_and_can_be_released(mailrig, mailbox):
    number = await held(mailrig)
    await notices.drop_incident(mailrig.parts, ME, number)
    await mailrig.mails(hours=2)
    assert await notices.hold_again(mailrig.parts, ME, number) == 8
    await notices.release_incident(mailrig.parts, ME, number)
    for _ in range(2):
        await mailrig.mails(minutes=1)
    assert len(mailbox.taken) == 8


async def test_programs_hear_that_it_is_open_again(database):
    await _healthy(database, FIRMS, START)
    await _break(database, FIRMS, Cause.REVOKED, START + timedelta(minutes=1))
    number = (await waves.open_now(database))[0].id
    await decisions.decide(database, "clio", DROPPED, START + HOUR, "me")
    await decisions.hold_again(database, number, START + HOUR, "me")
    of_wave = [one["type"] for one in await written(database) if one["data"].get("incident") == number]
    assert sorted(of_wave) == [
        "guard.lowered", "guard.raised", "incident.closed", "incident.opened", "incident.opened",
    ]  # fmt: skip


async def test_one_wave_of_a_provider_is_open_at_a_time(database):
    await _healthy(database, [*FIRMS, *(f"later{n}" for n in range(8))], START)
    await _break(database, FIRMS, Cause.REVOKED, START + timedelta(minutes=1))
    first = (await waves.open_now(database))[0].id
    await decisions.decide(database, "clio", RELEASED, START + HOUR, "me")
    await _break(database, [f"later{n}" for n in range(8)], Cause.REVOKED, START + 2 * HOUR)
    with pytest.raises(Conflict, match="Another wave over clio is open by now"):
        await decisions.hold_again(database, first, START + 3 * HOUR, "me")
    (second,) = await waves.open_now(database)
    with pytest.raises(Conflict, match="holds what it held already"):
        await decisions.hold_again(database, second.id, START + 3 * HOUR, "me")
    async with database.read() as conn:
        rows = await conn.execute(select(incident.c.mails).where(incident.c.parent_id == first))
        assert set(rows.scalars()) == {RELEASED}
