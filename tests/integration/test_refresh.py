"""Promise 2, 'no lost token': what a refresh leaves behind, whatever happens to it."""

from __future__ import annotations

from datetime import timedelta

from monitor.health.rotation import Journal
from monitor.store import due, journal
from monitor.store.connections import show


async def _leased(rig, name):
    leases = await due.claim_named(
        rig.parts.database,
        rig.watching.presence.process,
        [name],
        rig.clock.now(),
        timedelta(minutes=2),
        apps=rig.parts.apps,
    )
    return leases[0]


async def _no_turn():
    return None


async def _refresh(rig, lease, app):
    return await rig.watching.refresher.refresh(lease, rig.parts.apps[app], lease.sealed, _no_turn)


async def test_it_refreshes_ahead_of_expiry_and_only_then(rig):
    rig.sandbox.app("clio", lifetime=3600)
    await rig.add("acme")
    await rig.look()
    assert (await rig.known("acme")).sealed.version == 0
    for _ in range(11):
        await rig.after(minutes=5)
    assert (await rig.known("acme")).sealed.version == 1, "within the last ten to fifteen minutes of the hour"
    assert rig.sandbox.seen()["refreshes"] == 1


async def test_the_new_pair_of_a_rotating_provider_is_stored_before_it_is_used(platform):
    platform.sandbox.app("plat", lifetime=3600)
    await platform.add("acme", app="plat")
    await platform.look()
    before = (await platform.known("acme")).sealed
    for _ in range(40):
        await platform.after(minutes=5)
    seen = platform.sandbox.seen()
    after = (await platform.known("acme")).sealed
    assert await platform.state("acme") == ("healthy", "ok")
    assert seen["refreshes"] >= 3 and after.version == seen["refreshes"]
    assert seen["used_twice"] == 0 and seen["replays"] == 0
    assert after.refresh != before.refresh


async def test_a_lost_answer_of_a_reusing_provider_is_asked_again(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    rig.sandbox.limits(lose_answers=1)
    await rig.after(minutes=8)
    assert await rig.state("acme") == ("suspect", "provider_outage")
    await rig.after(seconds=31)
    assert await rig.state("acme") == ("healthy", "ok")
    outcomes = [entry.outcome for entry in await journal.last(rig.parts.database, "acme")]
    assert outcomes == [Journal.STORED, Journal.RETRIED]


async def _refresh_after_a_death(rig, app):
    """Write the intent of a refresh, let the process die there, and refresh again later."""
    await rig.add("acme", app=app)
    await rig.look()
    (lease,) = await due.claim_named(
        rig.parts.database, "dead", ["acme"], rig.clock.now(), timedelta(minutes=2), apps=rig.parts.apps
    )
    entry = await journal.begin(rig.parts.database, "acme", "dead", lease.epoch, 0, rig.clock.now())
    assert entry is not None
    rig.clock.tick(minutes=5)
    return await _refresh(rig, await _leased(rig, "acme"), app)


async def test_what_a_dead_process_left_open_is_asked_again_where_tokens_are_reused(rig):
    assert (await _refresh_after_a_death(rig, "clio")).results == ("ok",)


async def test_what_a_dead_process_left_open_is_in_doubt_where_tokens_rotate(platform):
    assert (await _refresh_after_a_death(platform, "plat")).results == ("in_doubt",)
    assert platform.sandbox.seen()["refreshes"] == 0, (
        "the perhaps spent token is not sent while it could harm"
    )


async def test_two_processes_never_refresh_one_connection_at_once(rig):
    await rig.add("acme")
    await rig.look()
    lease = await _leased(rig, "acme")
    begin = (rig.parts.database, "acme", rig.watching.presence.process, lease.epoch, 0, rig.clock.now())
    assert await journal.begin(*begin) is not None
    assert await journal.begin(*begin) is None, "one open line a connection"


async def test_a_refresh_is_not_begun_with_a_lost_lease_or_another_pair(rig):
    await rig.add("acme")
    await rig.look()
    lease = await _leased(rig, "acme")
    database, now = rig.parts.database, rig.clock.now()
    assert await journal.begin(database, "acme", "somebody-else", lease.epoch, 0, now) is None
    assert (
        await journal.begin(database, "acme", rig.watching.presence.process, lease.epoch - 1, 0, now) is None
    )
    assert await journal.begin(database, "acme", rig.watching.presence.process, lease.epoch, 7, now) is None


async def test_an_invalid_grant_after_a_lost_race_is_no_failure(rig):
    """Somebody else stored a newer pair while ours was refused: go on with theirs."""
    await rig.add("acme")
    await rig.look()
    stale = (await _leased(rig, "acme")).sealed
    await rig.after(minutes=3)
    lease = await _leased(rig, "acme")
    done = await _refresh(rig, lease, "clio")
    assert done.results == ("ok",)
    lost_race = await rig.watching.refresher.refresh(
        lease._replace(sealed=stale), rig.parts.apps["clio"], stale, _no_turn
    )
    assert lost_race.results == ("elsewhere",) and lost_race.sealed.version == 1


async def test_a_refusal_leaves_the_pair_as_it_was(rig):
    await rig.add("acme")
    await rig.look()
    before = (await rig.known("acme")).sealed
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    after = (await show(rig.parts.database, "acme")).sealed
    assert after == before._replace(refused=before.version), "and whoami refused its access token, too"
    assert (await journal.last(rig.parts.database, "acme"))[0].outcome is Journal.REFUSED


async def test_an_idle_refresh_token_is_used_before_its_deadline(tmp_path, sqlite_url, sandbox):
    from tests.conftest import rigged

    provider = tmp_path / "idle.toml"
    from monitor.providers import catalogue

    text = catalogue.built_in()["clio"].read_text()
    provider.write_text(text.replace('access_lifetime = "7d"', 'refresh_idle_lifetime = "2d"'))
    async with rigged(
        tmp_path,
        sandbox,
        sqlite_url,
        apps={"clio": {"extra": 'provider_file = "idle.toml"'}},
    ) as rig:
        await rig.add("acme")
        await rig.look()
        for _ in range(11):
            await rig.after(hours=4)
        assert (await rig.known("acme")).sealed.version == 1, "a day before the access token needed it"
