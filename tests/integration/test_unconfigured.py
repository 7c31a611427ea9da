"""An app that is taken out of the configuration, and its connections that are there anyway."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from alerts.pages import truth
from monitor.errors import ConfigurationError
from monitor.health.explain import explain
from monitor.metrics.exposition import Exposition, Extent
from monitor.operations import accounts
from monitor.operations import connections as operate
from monitor.operations import links as asking
from monitor.operations.checkup import watched
from monitor.operations.explain import story
from monitor.settings.builders import build_oncall
from monitor.store import connections, incidents
from tests.conftest import MAIL, ME, rigged

BOTH = {"clio": {}, "gone": {}}
REFUSED = (
    "acme: its app 'gone' is not configured, so nobody can look at it. Add it to .*apps.* again, or import"
)


@pytest.fixture
async def removed(tmp_path, sandbox, mailbox, database_url):
    """A rig whose configuration had an app `gone`: a paused connection, a broken, a healthy and an invited one."""
    more = MAIL.format(url=mailbox.url) + '[oncall]\nurls = ["json://127.0.0.1:9/nobody"]\n'
    async with rigged(tmp_path, sandbox, database_url, apps=BOTH, more=more) as rig:
        await rig.add("acme", "bolt", "lost", app="gone")
        await rig.add(*(f"firm{n:02}" for n in range(12)))
        await rig.look()
        rig.sandbox.do(rig.grants["bolt"], "revoke")
        for _ in range(3):
            await rig.after(minutes=5, seconds=31)
        assert await rig.state("bolt") == ("broken", "revoked")
        await connections.pause(rig.parts.database, ["acme"], rig.clock.now(), "me")
        await rig.add("nova", app="gone", tokens=False)
        await asking.mail(rig.parts, ME, "nova")
        await rig.pump.pump()
        grants, now = rig.grants, rig.clock.time
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig:
        rig.grants, rig.clock.time = grants, now
        yield rig


async def test_whatever_would_need_the_app_is_refused_in_words(removed):
    for asked in (
        operate.resume(removed.parts, ME, ["acme"]),
        accounts.accept(removed.parts, ME, "acme", "9"),
        asking.new(removed.parts, ME, "acme"),
        asking.mail(removed.parts, ME, "acme"),
    ):
        with pytest.raises(ConfigurationError, match=REFUSED):
            await asked
    assert await removed.state("acme") == ("paused", "ok")


async def test_a_service_is_ready_however_long_nobody_looks_at_what_it_does_not_know(removed):
    removed.clock.tick(days=30)
    await removed.look()
    await removed.watching.ticks.beat()
    removed.watching.ticks.ticked_at, removed.watching.presence.skew = (
        removed.clock.now(),
        timedelta(0),
    )  # the test's own clock
    assert (removed.watching.presence.lag, removed.watching.ticks.trouble(removed.clock.now())) == (0.0, None)
    assert (await removed.known("lost")).next_probe_at < removed.clock.now() - timedelta(days=29)


async def test_naming_it_to_probe_takes_nothing(removed):
    assert await removed.watching.rounds.named(["lost"]) == []
    failed = removed.meters.registry.get_sample_value("token_health_tick_errors_total", {"tick": "probe"})
    assert failed is None, "and nothing fails because of it"


async def test_no_client_is_told_anything_about_it(removed, mailbox):
    for _ in range(8):
        await removed.mails(days=1)
    assert mailbox.subjects() == ["Please connect Clio Manage for Firm nova"], "from before"


async def test_its_link_says_that_there_is_nothing_to_approve(removed):
    from monitor.secret import Secret
    from monitor.store import links
    from tests.integration.test_consent import browser_on, title

    now = removed.clock.now()
    secret: Secret = await links.issue(
        removed.parts.database, "bolt", locale="en", now=now, expires_at=now + timedelta(days=1)
    )
    async with browser_on(removed) as browser:
        assert title(await browser.get(f"/r/{secret.reveal()}")) == "This connection is paused"


async def test_on_call_is_not_kept_awake_by_what_nobody_can_see_the_end_of(removed):
    database, now = removed.parts.database, removed.clock.now()
    async with database.write() as conn:
        await conn.execute(text("UPDATE incident SET cause = 'refresh_lost' WHERE name = 'bolt'"))
        assert not (await truth.look(conn, build_oncall(removed.parts), now + timedelta(days=9))).told
    assert [i.about.name for i in await incidents.open_now(database)] == ["bolt"], "it is still open"


async def test_people_and_prometheus_see_that_nobody_looks(removed):
    check, *_ = await watched(removed.parts, ME)
    assert (check.ok, check.says) == (
        None,
        "2 connections of app 'gone', which is not in [[apps]], are not looked at: add the app again, or pause, "
        "remove or import them with another app.",
    )
    told = explain(await story(removed.parts, ME, "lost"), removed.clock.now())
    assert told.who == "The operator: add app gone to [[apps]] again, or remove the connection."
    assert told.next == ("Nobody looks at it, and nobody is told: its app gone is not configured.",)
    page = Exposition(
        removed.parts.database, removed.meters, removed.parts.apps, removed.clock,
        interval=timedelta(minutes=5), extent=Extent(),
    )  # fmt: skip
    pieces = page.write(leads=True, lag=0, alive=1, intervals={}, encoder=generate_latest)
    written = "".join([piece.decode() async for piece in pieces])
    assert 'token_health_connections_unwatched{app="gone"} 2' in written
    assert 'token_health_connection_up{connection="firm00"' in written
    for wrong in ('connection_up{connection="lost"', 'connection_problem{connection="bolt"'):
        assert wrong not in written, "nobody knows how it is"
