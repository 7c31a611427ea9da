"""Promise 1, 'no wrong e-mail': what one process sees alone may be its own network. Another one looks first."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from monitor.metrics.meters import Meters
from monitor.settings.builders import build_watching, build_wire, tell_both
from monitor.store import connections, processes
from monitor.store.due import OTHERS_FIRST
from monitor.store.processes import Role
from monitor.store.tables import watch


async def _beat(rig, *names, role=Role.ALL):
    for name in names:
        await processes.beat(
            rig.parts.database, name, role.value, "1", rig.clock.now(), gone=processes.GONE * 10_000
        )


@asynccontextmanager
async def _another(rig, name="other"):
    """A second process on the same database."""
    wire = build_wire(rig.parts)
    watching = build_watching(rig.parts, wire, Meters(), name, Role.ALL, tell_both(rig.pump, rig.pager))
    try:
        yield watching
    finally:
        await watching.ticks.stop()
        await wire.close()


async def _broken(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "revoked")


async def _due(rig, *others):
    """Let the mail's time come; then the others say that they live."""
    await rig.after(minutes=12)
    await _beat(rig, await _judge(rig), *others)
    await rig.mails()


async def _judge(rig):
    async with rig.parts.database.read() as conn:
        return (await conn.execute(watch.select())).one().judged_by


async def test_the_probe_before_a_mail_comes_from_another_process_than_the_one_that_saw_the_break(
    mailrig, mailbox
):
    await _broken(mailrig)
    await _due(mailrig, "other")
    assert mailbox.taken == [], "the one that saw it break looks no more by itself"
    before = await connections.show(mailrig.parts.database, "acme")
    async with _another(mailrig) as other:
        await other.rounds.due()
    after = await connections.show(mailrig.parts.database, "acme")
    assert after.last_probe_at > before.last_probe_at, "the other one took it at once"
    await mailrig.mails()
    assert len(mailbox.taken) == 1


async def test_what_only_one_process_could_not_reach_is_seen_to_work_and_nobody_is_mailed(mailrig, mailbox):
    await _broken(mailrig)
    await _due(mailrig, "other")
    mailrig.sandbox.do(mailrig.grants["acme"], "restore")
    async with _another(mailrig) as other:
        for _ in range(4):
            await other.rounds.due()
            mailrig.clock.tick(seconds=31)
    await mailrig.mails(minutes=30)
    assert mailbox.taken == [] and (await mailrig.state("acme"))[0] == "healthy"


@pytest.mark.parametrize("others", [(), (Role.COMMAND,), (Role.WEB,)])
async def test_without_another_process_that_probes_nothing_is_waited_for(mailrig, mailbox, others):
    await _broken(mailrig)
    for role in others:
        await _beat(mailrig, "other", role=role)
    await _due(mailrig)
    assert len(mailbox.taken) == 1


async def test_another_process_that_does_not_come_is_not_waited_for_long(mailrig, mailbox):
    """It may not have this app in its configuration, or be on its way out."""
    await _broken(mailrig)
    await _due(mailrig, "other")
    assert mailbox.taken == []
    await mailrig.mails(seconds=OTHERS_FIRST.total_seconds())
    assert len(mailbox.taken) == 1
