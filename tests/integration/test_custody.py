"""Promises 2 and 9: programs get good tokens, and however many ask, a refresh token is sent once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from monitor.errors import Unavailable
from monitor.health.causes import Cause
from monitor.health.handout import Give, Later, NeedsPerson, Renew, Trouble, Wish, decided
from monitor.store import due, journal
from monitor.store.engine import Database
from monitor.store.processes import Role
from monitor.store.tables import credential, watch
from tests.conftest import GoingClock, another, rigged

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WAIT = timedelta(seconds=15)
PLATFORM = {"plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}


@pytest.fixture(params=["reusing", "rotating"])
async def going(request, tmp_path, sandbox, database_url):
    """A connection, acme, whose token lives an hour, on a clock that goes on; of each kind of provider."""
    apps = PLATFORM if request.param == "rotating" else {"clio": {}}
    async with rigged(tmp_path, sandbox, database_url, apps=apps, clock=GoingClock()) as rig:
        (app,) = apps
        system = "platform" if app == "plat" else "manage"
        rig.sandbox.app(app, lifetime=3600, system=system)
        await rig.add("acme", app=app)
        await rig.look()
        rig.watching.presence.skew = timedelta(0)  # PostgreSQL has the machine's clock, and this is another
        yield rig


USUAL = Wish()


async def ask(watching, wish=USUAL, wait=WAIT, name="acme"):
    watching.presence.skew = timedelta(0)  # each look measures it anew
    held = await watching.custody.read(name)
    assert held is not None
    return await watching.custody.have(held, wish, wait)


async def test_200_callers_in_two_processes_are_one_refresh(going):
    async with another(going, Role.WEB) as web:
        going.clock.tick(minutes=56)
        callers = [ask(watching) for watching in (going.watching, web) for _ in range(100)]
        answers = await asyncio.gather(*callers)
    assert going.sandbox.seen()["refreshes"] == 1
    assert {answer.decision for answer in answers} == {Give()}
    assert len({answer.access for answer in answers}) == 1
    assert {answer.held.books.generation for answer in answers} == {1}
    assert (await due.reread(going.parts.database, "acme")).version == 1


async def test_nor_do_they_refresh_beside_a_due_probe(going):
    async with another(going, Role.WEB) as web:
        going.clock.tick(minutes=56)
        callers = [ask(watching) for watching in (going.watching, web) for _ in range(25)]
        answers, _ = await asyncio.gather(asyncio.gather(*callers), going.look())
        # What the probe passed over, as a demand was at it, it looks at when it is claimed again.
        await going.look()
    assert going.sandbox.seen()["refreshes"] == 1
    assert {answer.decision for answer in answers} == {Give()}
    assert {answer.held.books.generation for answer in answers} == {1}
    assert (await going.state("acme"))[0] == "healthy"


async def test_the_lease_is_given_back_and_the_next_probe_looks(going):
    going.clock.tick(minutes=56)
    answer = await ask(going.watching)
    assert answer.refreshed and answer.held.books.expires_at - going.clock.now() > 59 * MINUTE
    await going.watching.custody.drain()
    assert (
        len(await due.claim(going.parts.database, "other", ["clio", "plat"], 9, going.clock.now(), HOUR)) == 1
    )


async def test_a_day_is_asked_for_a_thousand_times_and_nothing_is_refreshed_in_half_a_life(going):
    greedy = Wish(min_ttl=timedelta(hours=24))
    going.clock.tick(minutes=56)
    await ask(going.watching)  # an import does not say since when its token lives
    for _ in range(1000):
        assert (await ask(going.watching, greedy)).decision == Give()
    assert going.sandbox.seen()["refreshes"] == 1
    going.clock.tick(minutes=31)
    assert {(await ask(going.watching, greedy)).decision for _ in range(10)} == {Give()}
    assert going.sandbox.seen()["refreshes"] == 2


async def test_a_paused_connection_is_still_renewed(going):
    from monitor.store import connections

    await connections.pause(going.parts.database, ["acme"], going.clock.now(), "me")
    going.clock.tick(minutes=56)
    assert (await ask(going.watching)).decision == Give()
    assert (await going.known("acme")).next_probe_at is None, "and nobody looks at it"


async def test_a_caller_who_goes_away_cancels_nothing(going):
    going.clock.tick(minutes=56)
    async with going.sandbox.holding() as waits:
        first = asyncio.create_task(ask(going.watching))
        await waits()
        second = asyncio.create_task(ask(going.watching))
        first.cancel()
        late = await ask(going.watching, wait=timedelta(0))
        assert late.decision.shortfall.trouble is Trouble.UNDER_WAY and not late.refreshed
    assert (await second).decision == Give() and going.sandbox.seen()["refreshes"] == 1


async def test_the_life_of_a_token_counts_from_sending(going):
    going.clock.tick(minutes=56)
    sent = going.clock.now()
    async with going.sandbox.holding() as waits:
        asked = asyncio.create_task(ask(going.watching, wait=HOUR))
        await waits()
        going.clock.tick(minutes=1)
    answer = await asked
    assert answer.held.books.expires_at - sent < HOUR + MINUTE / 2


# -- what cannot be renewed -------------------------------------------------------------------------------


async def test_during_an_outage_what_is_left_is_given_with_a_shortfall(going):
    going.clock.tick(minutes=56)
    going.sandbox.weather("down", region="platform-us" if "plat" in going.parts.apps else "us")
    answer = await ask(going.watching)
    assert isinstance(answer.decision, Give) and answer.decision.shortfall.cause is Cause.PROVIDER_OUTAGE
    began = going.sandbox.seen()
    again = await ask(going.watching)
    assert again.decision.shortfall.retry_at == answer.decision.shortfall.retry_at
    assert going.sandbox.seen() == began, "within thirty seconds the provider is not asked again"
    going.clock.tick(minutes=3, seconds=31)
    none = await ask(going.watching)
    assert isinstance(none.decision, Later) and none.decision.why.retry_at > going.clock.now()


async def test_one_refusal_is_a_doubt_and_confirmed_it_needs_a_person(going):
    going.clock.tick(minutes=60)
    going.sandbox.do(going.grants["acme"], "revoke")
    first = await ask(going.watching)
    assert isinstance(first.decision, Later) and first.decision.why.trouble is Trouble.REFUSED_ONCE
    assert (await going.known("acme")).next_probe_at <= going.clock.now(), "the loop looks at once"
    assert (await going.settle("acme"))[0] == "broken"
    before = going.sandbox.seen()
    answers = [await ask(going.watching) for _ in range(50)]
    assert {type(answer.decision) for answer in answers} == {NeedsPerson}
    assert {answer.decision.cause for answer in answers} == {"revoked"}
    assert going.sandbox.seen() == before, "nothing is asked for what only a person can mend"


async def test_the_loop_does_not_look_before_the_provider_takes_requests_again(going):
    going.clock.tick(minutes=56)
    async with going.parts.database.write() as conn:
        await conn.execute(update(watch).values(next_probe_at=going.clock.now() + HOUR))
    going.sandbox.weather("limited", region="platform-us" if "plat" in going.parts.apps else "us")
    began = going.clock.now()
    answer = await ask(going.watching)
    assert answer.decision.shortfall.cause is Cause.RATE_LIMITED
    known = await going.known("acme")
    assert began + timedelta(seconds=2) <= known.next_probe_at < began + MINUTE, "Retry-After: 2"


async def test_a_token_of_another_account_is_never_handed_out(going):
    app = next(iter(going.parts.apps))
    await going.add("bolt", app=app, account_id=4711)
    await going.look()
    from monitor.store import connections

    await connections.set_account(going.parts.database, "bolt", "1", going.clock.now(), "me")
    await going.look()
    first = await ask(going.watching, name="bolt")
    assert isinstance(first.decision, Later) and first.access is None
    assert (await going.settle("bolt"))[0] == "broken"
    settled = await ask(going.watching, name="bolt")
    assert settled.decision.cause == "wrong_account" and settled.access is None


async def test_a_leader_that_died_in_the_middle(going):
    """Its open line is judged: asked again where tokens are reused; where they rotate, not before it may."""
    going.clock.tick(minutes=60)
    (app,) = going.parts.apps
    (lease,) = await due.claim_named(
        going.parts.database, "dead", ["acme"], going.clock.now(), timedelta(seconds=2), apps=[app]
    )
    assert await journal.begin(going.parts.database, "acme", "dead", lease.epoch, 0, going.clock.now())
    waiting = await ask(going.watching, wait=timedelta(seconds=0.3))
    assert waiting.decision.why.trouble is Trouble.UNDER_WAY
    going.clock.tick(seconds=4)  # its lease runs out; a gateway may still hold what it sent
    answer = await ask(going.watching)
    if app == "clio":
        assert answer.decision == Give() and answer.refreshed
    else:
        assert isinstance(answer.decision, Later), "the perhaps spent token is not sent while it could harm"
        assert going.sandbox.seen()["refreshes"] == 0


async def test_a_process_whose_clock_is_wrong_hands_nothing_out(going):
    going.watching.presence.skew = timedelta(seconds=6)
    with pytest.raises(Unavailable) as caught:
        await going.watching.custody.read("acme")
    assert caught.value.code == "clock_skewed"


async def test_a_database_that_is_away_is_said_to_be(going):
    custody = going.watching.custody
    gone = Database("postgresql://nobody@127.0.0.1:1/nothing")
    custody._database, kept = gone, custody._database
    with pytest.raises(Unavailable) as caught:
        await custody.read("acme")
    assert caught.value.code == "database_unavailable"
    custody._database = kept
    await gone.close()


async def test_what_the_api_refuses_is_not_handed_out_until_it_takes_it_again(going):
    async def refuse(version):
        async with going.parts.database.write() as conn:
            await conn.execute(update(credential).values(refused_version=version))

    await refuse(0)
    held = await going.watching.custody.read("acme")
    assert decided(held.books, Wish(), going.clock.now()) == Renew()
    await going.after(minutes=8)
    assert (await going.known("acme")).sealed.refused is None, "whoami answered well"
    assert (await going.known("acme")).sealed.version == 0


async def test_no_demand_begins_while_the_process_ends(going):
    going.clock.tick(minutes=60)
    async with going.sandbox.holding() as waits:
        flying = asyncio.create_task(ask(going.watching))
        await waits()
        going.watching.custody.stop()
        ending = asyncio.create_task(going.watching.custody.drain())
    assert (await flying).decision == Give()
    await ending
    going.clock.tick(minutes=60)
    assert (await ask(going.watching)).decision.why.trouble is Trouble.STOPPING
