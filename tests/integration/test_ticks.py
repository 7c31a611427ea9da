"""The scheduler's own clock: libraries that ask the time get a frozen one."""

from __future__ import annotations

import asyncio

from freezegun import freeze_time

from monitor.clock import SystemClock
from monitor.metrics.meters import Meters
from monitor.settings.builders import build_loop, build_wire
from monitor.settings.parts import opened
from monitor.store.processes import Role
from tests.conftest import START, rigged


async def _pass_until(true, frozen, loop) -> None:
    """Let frozen time pass, second by second, until something has come about."""
    for _ in range(400):
        if true():
            return
        frozen.tick(1)
        loop._scheduler.wakeup()
        await asyncio.sleep(0.01)  # noqa: TID251 - the loop's own tasks are at work
    raise AssertionError("it did not come about")


async def test_ticks_begin_at_once_and_go_on_without_a_job_for_each_connection(tmp_path, sandbox):
    async with rigged(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}") as rig:
        await rig.add("acme", "bolt", "coda")
        with freeze_time(START, real_asyncio=True) as frozen:
            async with opened(rig.parts.loaded, SystemClock()) as parts:
                wire = build_wire(parts)
                loop, _ = build_loop(parts, wire, Meters(), "ticker", Role.ALL)
                await loop.start()
                jobs = {job.id for job in loop._scheduler.get_jobs()}
                assert jobs == {"claim", "settle", "beat", "guard", "retention"}

                def looks():
                    return sum(len(v["times"]) for v in sandbox.seen()["looks"].values())

                settled = loop._meters.probes.labels("clio", "clio", "ok")._value.get
                await _pass_until(lambda: settled() == 3, frozen, loop)
                frozen.tick(8 * 60)
                await _pass_until(lambda: settled() == 6, frozen, loop)
                assert looks() == 6
                await loop.stop()
                await wire.close()


async def test_an_error_of_our_own_in_a_tick_is_counted_and_the_others_go_on(rig):
    async def breaks():
        raise ValueError("ours")

    rig.loop._start(breaks(), "guard")
    await rig.loop._idle()
    counter = rig.loop._meters.tick_errors.labels("guard")
    assert counter._value.get() == 1


async def test_the_last_request_that_a_limit_allows_ends_the_probe_without_a_fault(rig):
    rig.sandbox.limits(per_minute=2)
    await rig.add("acme", scopes=("contacts", "matters"))
    await rig.look()
    known = await rig.known("acme")
    assert known.health.state.value == "healthy"
    assert set(known.reads) == {"contacts"}, "whoami and one scope; nothing was refused"
    assert rig.sandbox.seen()["requests"]["us resource"] == 1
