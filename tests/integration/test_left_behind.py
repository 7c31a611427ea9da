"""Promise 2: an open refresh is judged only when its process is gone. A lease says nothing about that."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text, update

from monitor.health.rotation import Journal
from monitor.host.trust import trusted
from monitor.operations import accounts, exports, imports, intake
from monitor.operations import links as asking
from monitor.secret import Secret
from monitor.store import connections, due, journal, links, maintenance, processes
from monitor.store.processes import Role
from monitor.store.tables import process
from tests.conftest import ME, another, rigged

PLATFORM = {"plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}


@pytest.fixture
async def rotating(tmp_path, sandbox, database_url):
    """An app whose refresh tokens rotate, and acme, whose access token has just ended."""
    async with rigged(tmp_path, sandbox, database_url, apps=PLATFORM, timeout="10s") as rig:
        await rig.add("acme", app="plat")
        await rig.look()
        rig.sandbox.do(rig.grants["acme"], "expire_access")
        rig.clock.tick(minutes=8)
        yield rig


async def label(rig):
    known = await rig.known("acme")
    record = {
        "id": "acme", "app": "plat", "client": {"name": known.client_name, "contacts": list(known.contacts)},
        "account_id": known.account_id, "labels": {"tier": "gold"},
    }  # fmt: skip
    await imports.take_in(rig.parts, ME, [intake.Record.model_validate(record)])


async def accept(rig):
    await accounts.accept(rig.parts, ME, "acme", (await rig.known("acme")).account_id)


async def pause_and_resume(rig):
    await connections.pause(rig.parts.database, ["acme"], rig.clock.now(), "test")
    await connections.resume(rig.parts.database, ["acme"], rig.clock.now(), "test", apps=rig.parts.apps)


async def rest_and_wake(rig):
    window = {"provider plat": ("provider", "clio-platform")}
    assert await maintenance.keep(rig.parts.database, window, rig.clock.now()) == (1, 0)
    assert await maintenance.keep(rig.parts.database, {}, rig.clock.now()) == (0, 1)


async def outlive_the_lease(rig):
    async with rig.parts.database.write() as conn:
        await conn.execute(text("UPDATE watch SET lease_until = NULL"))


ACTS = [label, accept, pause_and_resume, rest_and_wake, outlive_the_lease]


async def _nothing_was_judged(rig):
    sealed = (await rig.known("acme")).sealed
    assert (sealed.lost, sealed.doubt) == (False, None)
    assert (await rig.state("acme"))[0] in ("healthy", "pending", "suspect")
    assert (await journal.unfinished(rig.parts.database, "acme")) is not None, "it is still running"


async def _it_was_stored(rig):
    assert (await rig.known("acme")).sealed.version == 1
    assert [entry.outcome for entry in await journal.last(rig.parts.database, "acme")] == [Journal.STORED]
    await rig.after(minutes=8)
    assert await rig.state("acme") == ("healthy", "ok")
    assert rig.sandbox.seen()["replays"] == 0


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_whatever_frees_a_lease_in_the_middle_of_a_refresh_makes_nobody_judge_it(act, rotating):
    async with another(rotating) as other:
        async with rotating.sandbox.holding() as waits:
            refreshing = asyncio.create_task(rotating.look())
            await waits()
            await act(rotating)
            await other.rounds.due()
            await _nothing_was_judged(rotating)
        await refreshing
        await _it_was_stored(rotating)


async def test_nor_does_the_process_itself_judge_what_it_runs(rotating):
    async with rotating.sandbox.holding() as waits:
        refreshing = asyncio.create_task(rotating.look())
        await waits()
        await label(rotating)
        await rotating.watching.rounds.one("acme")
        await _nothing_was_judged(rotating)
    await refreshing
    await _it_was_stored(rotating)


async def test_a_process_that_stops_drains_its_refreshes_before_it_gives_anything_back(rotating):
    async with another(rotating) as other:
        async with rotating.sandbox.holding() as waits:
            # As a page does after an authorization: no worker of the loop's waits for this one.
            refreshing = asyncio.create_task(rotating.watching.rounds.one("acme"))
            await waits()
            stopping = asyncio.create_task(rotating.watching.ticks.stop())
            for _ in range(3):
                await other.rounds.due()
            await _nothing_was_judged(rotating)
        await stopping
        await refreshing
        assert (await rotating.known("acme")).sealed.version == 1
        await other.rounds.due()
    rotating.clock.tick(minutes=8)
    async with another(rotating) as third:
        await third.rounds.due()
    assert await rotating.state("acme") == ("healthy", "ok")
    assert rotating.sandbox.seen()["replays"] == 0


async def test_a_commands_refresh_is_no_dead_processs(rotating):
    """`token-health probe` beside the service: it is on the list while it works, and no replica."""
    async with another(rotating, Role.COMMAND) as command:
        await command.ticks.attend()
        async with rotating.sandbox.holding() as waits:
            refreshing = asyncio.create_task(command.rounds.named(["acme"]))
            await waits()
            await label(rotating)
            await rotating.look()
            await _nothing_was_judged(rotating)
        await refreshing
        await _it_was_stored(rotating)
        assert rotating.watching.presence.alive == 1


async def test_a_command_at_work_is_not_buried_by_a_service_that_starts(rotating):
    async with another(rotating, Role.COMMAND) as command:
        await processes.bury_all(rotating.parts.database)
        assert await processes.lives(rotating.parts.database, command.presence.process, rotating.clock.now())
        assert not await processes.lives(
            rotating.parts.database, rotating.watching.presence.process, rotating.clock.now()
        )


async def _buried(rig, name):
    async with rig.parts.database.write() as conn:
        await conn.execute(
            update(process).where(process.c.id == name).values(beat_at=rig.clock.now() - timedelta(days=999))
        )


async def test_the_late_answer_of_a_process_that_was_only_asleep_is_kept(rotating):
    """Judged meanwhile, since nobody can know; but only as a doubt, which its answer ends."""
    async with another(rotating) as other:
        async with rotating.sandbox.holding() as waits:
            refreshing = asyncio.create_task(rotating.look())
            await waits()
            await _buried(rotating, rotating.watching.presence.process)
            rotating.clock.tick(seconds=6)
            await other.ticks.beat()
            await other.rounds.due()
            known = await rotating.known("acme")
            assert known.doubt is not None and not known.sealed.lost
            assert await rotating.state("acme") == ("healthy", "ok"), "nobody is told"
        await refreshing
        known = await rotating.known("acme")
        assert (known.sealed.version, known.doubt) == (1, None)
    await rotating.after(minutes=8)
    assert await rotating.state("acme") == ("healthy", "ok")
    assert rotating.sandbox.seen()["replays"] == 0


async def _left_open(rig):
    """A refresh whose process died between the intent and its end."""
    (lease,) = await due.claim_named(
        rig.parts.database, "dead", ["acme"], rig.clock.now(), timedelta(seconds=1), apps=rig.parts.apps
    )
    assert await journal.begin(rig.parts.database, "acme", "dead", lease.epoch, 0, rig.clock.now())
    rig.clock.tick(seconds=2)


async def _import_tokens(rig, *, refresh_token=None):
    """Other tokens come from a file: a new grant's, or with a refresh token that is given."""
    known = await rig.known("acme")
    made = rig.sandbox.call(f"/admin/grants/{rig.grants['acme']}/reissue", {})
    tokens = made["tokens"]
    record = {
        "id": "acme", "app": "plat", "client": {"name": known.client_name, "contacts": list(known.contacts)},
        "account_id": known.account_id,
        "tokens": {
            "access_token": tokens["access_token"], "refresh_token": refresh_token or tokens["refresh_token"],
            "expires_at": rig.clock.now() + timedelta(days=1),
        },
    }  # fmt: skip
    await imports.take_in(rig.parts, ME, [intake.Record.model_validate(record)])


async def test_imported_tokens_are_not_lost_by_a_line_that_was_left_open_before_them(rotating):
    await _left_open(rotating)
    await _import_tokens(rotating)
    await rotating.look()
    assert await rotating.state("acme") == ("healthy", "ok")
    await rotating.after(hours=23, minutes=52)
    assert await rotating.state("acme") == ("healthy", "ok")
    sealed = (await rotating.known("acme")).sealed
    assert (sealed.version, sealed.lost, sealed.doubt) == (2, False, None), "imported, then refreshed"
    outcomes = [entry.outcome for entry in await journal.last(rotating.parts.database, "acme")]
    assert outcomes == [Journal.STORED, Journal.SUPERSEDED]


async def test_what_a_refresh_under_way_brings_never_replaces_imported_tokens(rotating):
    async with rotating.sandbox.holding() as waits:
        refreshing = asyncio.create_task(rotating.look())
        await waits()
        await _import_tokens(rotating)
        imported = (await rotating.known("acme")).sealed
    await refreshing
    assert (await rotating.known("acme")).sealed == imported
    (line,) = await journal.last(rotating.parts.database, "acme")
    assert line.outcome is Journal.SUPERSEDED, "its pair was thrown away, and the journal says so"


async def test_a_pair_is_kept_where_an_import_meanwhile_brought_the_very_token_that_was_sent(rotating):
    """The imported refresh token is spent by the refresh under way: what came for it is its successor."""
    tokens = exports.tokens_of(rotating.parts, await rotating.known("acme"))
    async with rotating.sandbox.holding() as waits:
        refreshing = asyncio.create_task(rotating.look())
        await waits()
        await _import_tokens(rotating, refresh_token=tokens["refresh_token"])
    await refreshing
    assert (await rotating.known("acme")).sealed.version == 2
    for _ in range(2):
        await rotating.after(hours=23, minutes=52)
    assert await rotating.state("acme") == ("healthy", "ok")
    assert rotating.sandbox.seen()["used_twice"] == 0


async def _authorize(rig):
    """Go the client's road."""
    link = await asking.new(rig.parts, ME, "acme")
    found = await links.find(rig.parts.database, Secret(link.rsplit("/", 1)[1]))
    departure = await rig.granter.start(found)
    user = rig.sandbox.do(rig.grants["acme"], "look")["user"]
    async with httpx.AsyncClient(verify=trusted(None)) as browser:
        answer = await browser.post(departure.url, data={"user": user, "decision": "approve"})
    params = dict(httpx.URL(answer.headers["location"]).params)
    state = Secret(params.pop("state"))
    return await rig.granter.finish(state, departure.browser, params, "/oauth/callback")


async def test_what_a_refresh_under_way_brings_never_replaces_a_new_authorization(rotating):
    async with rotating.sandbox.holding() as waits:
        refreshing = asyncio.create_task(rotating.look())
        await waits()
        assert (await _authorize(rotating)).arrival.value == "stored"
        authorized = (await rotating.known("acme")).sealed
        async with another(rotating) as other:
            await other.rounds.due()
    await refreshing
    assert (await rotating.known("acme")).sealed == authorized
    await rotating.after(hours=23, minutes=52)
    assert await rotating.state("acme") == ("healthy", "ok")
    assert (await rotating.known("acme")).sealed.version == 2


async def test_an_answer_for_a_removed_connection_never_reaches_the_one_that_has_its_id_now(rotating):
    """SQLite gives the removed journal line's number out again."""
    account = (await rotating.known("acme")).account_id
    async with another(rotating) as other:
        async with rotating.sandbox.holding() as waits:
            old = asyncio.create_task(rotating.look())
            await waits()
            await connections.remove(rotating.parts.database, ["acme"], rotating.clock.now(), "test")
            await rotating.add("acme", app="plat", account_id=907, account_name="Another Firm")
            rotating.sandbox.do(rotating.grants["acme"], "expire_access")
            new = asyncio.create_task(other.rounds.due())
            while rotating.sandbox.seen()["waiting"] < 2:
                await asyncio.sleep(0.005)  # noqa: TID251 - for the second request
            rotating.sandbox.limits(let_go=1)
            await old
        await new
    known = await rotating.known("acme")
    assert (known.sealed.version, known.account_id) == (1, "907") and account != "907"
    await rotating.after(minutes=8)
    assert await rotating.state("acme") == ("healthy", "ok"), "its tokens are its own"
