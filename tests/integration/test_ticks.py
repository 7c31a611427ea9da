"""The scheduler's own clock: libraries that ask the time get a frozen one."""

from __future__ import annotations

import asyncio

from freezegun import freeze_time

from monitor.clock import SystemClock
from monitor.metrics.meters import Meters
from monitor.settings.builders import build_watching, build_wire
from monitor.settings.parts import opened
from monitor.store.processes import Role
from monitor.watching.tasks import Tasks
from tests.conftest import START, rigged


async def _pass_until(true, frozen) -> None:
    """Let frozen time pass, second by second, until something has come about."""
    for _ in range(400):
        if true():
            return
        frozen.tick(1)
        await asyncio.sleep(0.02)  # noqa: TID251 - the loop's own tasks are at work
    raise AssertionError("it did not come about")


async def test_ticks_begin_at_once_and_go_on_without_a_job_for_each_connection(tmp_path, sqlite_url, sandbox):
    async with rigged(tmp_path, sandbox, sqlite_url) as rig:
        await rig.add("acme", "bolt", "coda")
        with freeze_time(START, real_asyncio=True) as frozen:
            async with opened(rig.parts.loaded, SystemClock()) as parts:
                wire = build_wire(parts)
                meters = Meters()
                watching = build_watching(parts, wire, meters, "ticker", Role.ALL)
                await watching.ticks.start()

                def looks():
                    return sum(len(v["times"]) for v in sandbox.seen()["looks"].values())

                def settled():
                    labels = {"provider": "clio", "app": "clio", "cause": "ok"}
                    return meters.registry.get_sample_value("token_health_probes_total", labels)

                await _pass_until(lambda: settled() == 3, frozen)
                frozen.tick(8 * 60)
                await _pass_until(lambda: settled() == 6, frozen)
                assert looks() == 6
                ran = {
                    sample.labels["tick"]
                    for family in meters.tick_seconds.collect()
                    for sample in family.samples
                }
                assert ran == {"claim", "compare", "settle", "beat", "guard", "sums", "retention"}
                await watching.ticks.stop()
                await wire.close()


async def test_an_error_of_our_own_in_a_tick_is_counted_and_the_others_go_on(rig):
    async def breaks():
        raise ValueError("ours")

    async def works():
        done.append("claim")

    done, tasks = [], Tasks(rig.meters)
    tasks.start(breaks(), "guard")
    tasks.start(works(), "claim")
    await asyncio.wait(tasks.running)
    failed = rig.meters.registry.get_sample_value("token_health_tick_errors_total", {"tick": "guard"})
    assert (failed, done) == (1, ["claim"])


async def test_the_last_request_that_a_limit_allows_ends_the_probe_without_a_fault(rig):
    rig.sandbox.limits(per_minute=2)
    await rig.add("acme", scopes=("contacts", "matters"))
    await rig.look()
    known = await rig.known("acme")
    assert known.health.state.value == "healthy"
    assert set(known.reads) == {"contacts"}, "whoami and one scope; nothing was refused"
    assert rig.sandbox.seen()["requests"]["us resource"] == 1


async def test_what_is_judged_while_others_are_written_is_written_with_the_next(rig):
    await rig.add("acme", "bolt")
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    async with rig.sandbox.holding() as waits:
        watching = rig.watching
        looking = asyncio.create_task(watching.rounds.named(["acme", "bolt"]))
        await waits()
        while await rig.state("bolt") != ("healthy", "ok"):
            await watching.loop.settle()
            await asyncio.sleep(0.005)  # noqa: TID251 - bolt's look is under way
    assert {one.lease.id for one in await looking} == {"acme", "bolt"}
    assert await rig.state("acme") == ("healthy", "ok")
