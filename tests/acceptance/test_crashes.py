"""Promises 2 and 3 under SIGKILL: at no step of outbox or callback is anything lost or said twice."""

from __future__ import annotations

import asyncio
import re
import signal
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from alerts.outbox import listing
from monitor.host.trust import trusted
from monitor.operations import campaigns
from monitor.operations import links as asking
from monitor.operations.campaigns import Wanted
from monitor.secret import Secret
from monitor.store import links
from tests.acceptance import crash
from tests.acceptance.forked import PROCESSES
from tests.conftest import MAIL, ME, rigged


async def run(folder, now, step="", trip=()):
    """Run the driver in a process of its own; it dies where it is told to, and ends well where not."""
    here, there = PROCESSES.Pipe(duplex=False)
    with here:
        process = PROCESSES.Process(
            target=crash.work, args=(folder / "token-health.toml", now, step, list(trip), there)
        )
        process.start()
        there.close()
        await asyncio.to_thread(process.join)
        assert process.exitcode == (-signal.SIGKILL if step else 0)
        process.close()
        return "" if step else here.recv()


@pytest.fixture
async def scene(tmp_path, sandbox, mailbox):
    """A connection that was revoked, and confirmed so."""
    more = MAIL.format(url=mailbox.url).replace('"10m"', '"0s"')
    async with rigged(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", more=more) as rig:
        await rig.add("acme")
        await rig.look()
        rig.sandbox.do(rig.grants["acme"], "revoke")
        await rig.after(minutes=8)
        yield rig


def ask_of(told):
    return next(t for t in told if t.slot == "ask")


@pytest.mark.parametrize(
    "step", ["telling", "opened", "claimed", "connected", "before the dot", "acknowledged", "settled"]
)
async def test_a_kill_at_any_step_of_the_outbox_leaves_exactly_one_mail(step, scene, tmp_path, mailbox):
    at = scene.clock.now() + timedelta(seconds=31)
    await run(tmp_path, at, step)
    if step == "telling":
        assert await scene.state("acme") == ("suspect", "revoked"), "the verdict died with what it says"
        assert await listing.about_connection(scene.parts.database, "acme") == []
    for minutes in (1, 2, 10, 60):
        await run(tmp_path, at + timedelta(minutes=minutes))
    assert mailbox.subjects() == ["Action needed: reconnect Clio Manage for Firm acme"]
    told = ask_of(await listing.about_connection(scene.parts.database, "acme"))
    assert told.state == "sent"
    expected = "unconfirmed" if step == "acknowledged" else "sent"
    assert [sent.state for sent in told.envelopes] == [expected]


@pytest.mark.parametrize(
    "step", ["wave taken", "wave written", "opened", "claimed", "before the dot", "acknowledged", "settled"]
)
async def test_a_kill_between_a_campaigns_wave_and_its_mail_invites_once(step, tmp_path, sandbox, mailbox):
    more = MAIL.format(url=mailbox.url)
    async with rigged(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", more=more) as rig:
        await rig.add("acme")
        await rig.look()
        until = (rig.clock.now() + timedelta(days=90)).date()
        await campaigns.begin(rig.parts, ME, Wanted({"id": ["acme"]}, "Its permissions end.", 5, until))
        at = rig.clock.now() + timedelta(seconds=31)
        await run(tmp_path, at, step)
        (member,) = await campaigns.all_members(rig.parts, ME, (await campaigns.every(rig.parts, ME))[0].id)
        told = await listing.about_connection(rig.parts.database, "acme")
        assert (member.wave is not None) == bool(told), "a wave and its mail, or neither"
        for minutes in (1, 2, 10, 60):
            await run(tmp_path, at + timedelta(minutes=minutes))
        assert [m["To"] for m in mailbox.taken] == ["it@acme.example"]


async def test_a_kill_at_the_very_dot_is_said_honestly_and_followed_after_a_day(scene, tmp_path, mailbox):
    """Nobody can know whether the server took it. It is not said twice, and not forgotten either."""
    at = scene.clock.now() + timedelta(seconds=31)
    await run(tmp_path, at, "at the dot")
    await run(tmp_path, at + timedelta(hours=1))
    assert mailbox.taken == []
    told = ask_of(await listing.about_connection(scene.parts.database, "acme"))
    assert [sent.state for sent in told.envelopes] == ["unconfirmed"]
    scene.clock.time = at + timedelta(days=1, hours=1)
    await run(tmp_path, scene.clock.now())
    assert mailbox.subjects() == ["Reminder: Clio Manage for Firm acme still needs you"]


@pytest.fixture
async def rotating(tmp_path, sandbox, mailbox):
    """A connection whose refresh tokens rotate, just ahead of its access token's end."""
    more = MAIL.format(url=mailbox.url).replace('"10m"', '"0s"')
    apps = {"plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}
    async with rigged(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", more=more, apps=apps) as rig:
        await rig.add("acme", app="plat")
        await rig.look()
        rig.clock.tick(hours=23, minutes=52)
        yield rig


async def at_its_end(rig):
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    rig.clock.tick(minutes=9)


AFTER_A_KILL = [
    ("refresh begun", ("healthy", "ok"), 1),  # it had not been sent
    ("refresh answered", ("broken", "refresh_lost"), 0),  # the pair died with the process
    ("refresh stored", ("healthy", "ok"), 1),
]


@pytest.mark.parametrize(("step", "state", "version"), AFTER_A_KILL)
async def test_a_kill_at_any_step_of_a_refresh_loses_nothing_silently(
    step, state, version, rotating, tmp_path, mailbox
):
    await run(tmp_path, rotating.clock.now(), step)
    await rotating.after(seconds=30)
    assert await rotating.state("acme") == ("healthy", "ok"), "nobody is told while it works"
    await at_its_end(rotating)
    await rotating.look()
    known = await rotating.known("acme")
    assert await rotating.state("acme") == state and known.sealed.version >= version
    assert rotating.sandbox.seen()["early"] == 0
    await rotating.mails(minutes=11)
    assert len(mailbox.taken) == (state[0] == "broken")


@pytest.mark.parametrize(("step", "state", "version"), AFTER_A_KILL)
async def test_a_kill_at_any_step_of_a_last_try_is_as_honest(
    step, state, version, rotating, tmp_path, mailbox
):
    """What was sent without an answer is in doubt as before; only a refusal says that it is lost."""
    rotating.sandbox.befall(("502", "before"))
    await rotating.look()
    await at_its_end(rotating)
    await run(tmp_path, rotating.clock.now(), step)
    assert (await rotating.known("acme")).health.state.value == "healthy"
    await rotating.after(seconds=30)
    known = await rotating.known("acme")
    assert await rotating.state("acme") == state and known.sealed.version >= version
    seen = rotating.sandbox.seen()
    assert seen["early"] == 0 and seen["most_often"] <= 2
    await rotating.mails(minutes=11)
    assert len(mailbox.taken) == (state[0] == "broken")


async def _consent(rig):
    link = await asking.new(rig.parts, ME, "acme")
    found = await links.find(rig.parts.database, Secret(link.rsplit("/", 1)[1]))
    departure = await rig.granter.start(found)
    user = rig.sandbox.do(rig.grants["acme"], "look")["user"]
    async with httpx.AsyncClient(verify=trusted(None)) as browser:
        answer = await browser.post(departure.url, data={"user": user, "decision": "approve"})
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    assert re.fullmatch(r"[\w-]+", code)
    return departure.state.reveal(), departure.browser.reveal(), code


@pytest.mark.parametrize("step", ["spent", "exchanged", "compared", "stored"])
async def test_a_kill_at_any_step_of_the_callback_loses_and_repeats_nothing(step, scene, tmp_path, mailbox):
    await scene.settle("acme")
    before = (await scene.known("acme")).sealed
    trip = await _consent(scene)
    await run(tmp_path, scene.clock.now(), step, trip)
    assert await run(tmp_path, scene.clock.now(), "", trip) == "reused", "a code is exchanged once"
    if step == "stored":
        await scene.after(seconds=1)
    else:
        assert (await scene.known("acme")).sealed == before, "the old pair is untouched"
        assert await run(tmp_path, scene.clock.now(), "", await _consent(scene)) == "stored"
        await scene.after(seconds=1)
    assert await scene.state("acme") == ("healthy", "ok")
    assert (await scene.known("acme")).sealed.version == before.version + 1
