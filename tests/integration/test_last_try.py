"""Promise 2, 'the last try': a lost answer costs nobody anything as long as something is left to try."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from prometheus_client import generate_latest

from alerts.outbox import listing
from monitor.health.explain import explain
from monitor.health.rotation import Journal
from monitor.operations.explain import story
from monitor.providers import catalogue
from monitor.store import due, fleet, history, journal
from tests.conftest import MAIL, ME, NO_GUARD, rigged


@contextlib.asynccontextmanager
async def rotating_rig(folder, sandbox, database, mailbox, *, provider="", **app):
    """A rotating provider and a real mail server; `provider` are lines for its [oauth]."""
    extra = "requests_per_minute = 60000\n"
    if provider:
        text = catalogue.built_in()["clio-platform"].read_text()
        rest = [line for line in text.splitlines() if line.partition(" ")[0] not in _keys(provider)]
        text = "\n".join(rest).replace("[oauth]", f"[oauth]\n{provider}")
        (folder / "mine.toml").write_text(text.replace('access_lifetime = "24h"\n', ""))
        extra += 'provider_file = "mine.toml"\n'
    apps = {"plat": {"provider": "clio-platform", "extra": extra}}
    more = MAIL.format(url=mailbox.url).replace('"10m"', '"0s"') + NO_GUARD
    async with rigged(folder, sandbox, database, more=more, apps=apps) as rig:
        sandbox.app("plat", **app)
        await rig.add("acme", app="plat")
        await rig.look()
        yield rig


def _keys(lines):
    return {line.partition(" ")[0] for line in lines.splitlines()}


@pytest.fixture
async def rotating(tmp_path, sandbox, database_url, mailbox):
    """On SQLite and on PostgreSQL."""
    async with rotating_rig(tmp_path, sandbox, database_url, mailbox) as rig:
        yield rig


@pytest.fixture
async def plain(tmp_path, sqlite_url, sandbox, mailbox):
    """On SQLite, where the database is not what is asked about."""
    async with rotating_rig(tmp_path, sandbox, sqlite_url, mailbox) as rig:
        yield rig


async def ahead(rig):
    """Go to where the refresh is due and the access token still good, and look."""
    await rig.after(hours=23, minutes=52)


async def at_its_end(rig):
    """Let the access token end, here and there, and look."""
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    await rig.after(minutes=9)


async def nobody_was_told(rig, mailbox):
    await rig.mails(seconds=1)
    assert mailbox.taken == []
    assert await listing.about_connection(rig.parts.database, "acme") == []
    async with rig.parts.database.read() as conn:
        from alerts.pages import told

        assert await told.standing_pages(conn) == []


def refreshes(rig):
    """What the metric counts, by result."""
    found = {}
    for metric in rig.meters.refreshes.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                found[sample.labels["result"]] = int(sample.value)
    return found


FATES = ["reset", "502", "500", "html", "truncated", "silent"]


@pytest.mark.parametrize("how", FATES)
async def test_a_request_that_never_arrived_costs_nothing(how, plain, mailbox):
    plain.sandbox.befall((how, "before"))
    await ahead(plain)
    known = await plain.known("acme")
    assert known.doubt is not None and not known.sealed.lost
    assert await plain.state("acme") == ("healthy", "ok"), "it works with the access token in hand"
    await plain.after(minutes=5)
    assert plain.sandbox.seen()["refreshes"] == 0, "while something is left to lose, it is not sent"
    await at_its_end(plain)
    assert await plain.state("acme") == ("healthy", "ok")
    known = await plain.known("acme")
    assert (known.sealed.version, known.doubt) == (1, None), "nothing was lost"
    assert plain.sandbox.seen()["replays"] == 0
    assert refreshes(plain) == {"in_doubt": 1, "recovered": 1}
    await nobody_was_told(plain, mailbox)


@pytest.mark.parametrize("how", FATES)
async def test_a_pair_that_was_lost_on_its_way_is_said_when_the_last_try_is_refused(how, plain, mailbox):
    plain.sandbox.befall((how, "after"))
    await ahead(plain)
    assert await plain.state("acme") == ("healthy", "ok")
    await nobody_was_told(plain, mailbox)
    await at_its_end(plain)
    assert await plain.state("acme") == ("broken", "refresh_lost"), "not 'revoked'"
    seen = plain.sandbox.seen()
    assert (seen["most_often"], seen["early"]) == (2, 0), "once more, and not while it could do harm"
    assert refreshes(plain) == {"in_doubt": 1, "lost": 1}
    for _ in range(10):
        await plain.after(hours=1)
    assert plain.sandbox.seen()["most_often"] == 2, "what was refused is never sent again"
    assert (await journal.last(plain.parts.database, "acme"))[0].outcome is Journal.LOST


async def test_both_answers_are_the_evidence_of_a_loss(rotating, mailbox):
    rotating.sandbox.befall(("502", "after"))
    await ahead(rotating)
    await at_its_end(rotating)
    assert await rotating.state("acme") == ("broken", "refresh_lost")
    change = (await history.timeline(rotating.parts.database, "acme"))[0]
    assert change.rule == "journal.last_try_refused"
    assert "its answer was lost: 502, html" in change.reasons[0]
    assert "refresh answered 400 invalid_grant" in change.reasons[1]
    asked = [(item["step"], item.get("status")) for item in change.evidence]
    assert asked == [("refresh", 502), ("whoami", 401), ("refresh", 400)]
    await rotating.mails(minutes=11)
    assert [s.partition(":")[0] for s in mailbox.subjects()] == ["Action needed"]


async def test_the_operator_sees_a_doubt_from_its_first_second(rotating, mailbox):
    rotating.sandbox.befall(("reset", "after"))
    await ahead(rotating)
    since = rotating.clock.now()
    text = explain(await story(rotating.parts, ME, "acme"), rotating.clock.now())
    assert text.headline.startswith("Firm acme on Clio Platform is healthy")
    assert f"Refresh in doubt since {since:%Y-%m-%d %H:%M:%S} UTC" in text.why[-1]
    assert "its answer was lost (reset" in text.why[-1]
    assert text.who.startswith("Nobody has to act")
    assert "sent once more when the access token ends (in 8 minutes) or is refused" in text.next[-1]
    assert await fleet.in_doubt(rotating.parts.database) == {"plat": 1}

    from monitor.cli.show import doubts
    from monitor.operations import documents

    known = await rotating.known("acme")
    iso = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    assert documents.row(known)["refresh_in_doubt_since"] == iso
    assert documents.row(known)["cause"] == "ok"
    assert documents.connection(known)["tokens"]["refresh_in_doubt_since"] == iso
    assert doubts([known], rotating.clock.now() + timedelta(minutes=3)).startswith(
        "1 connection (acme for 3m)"
    )
    await nobody_was_told(rotating, mailbox)


async def test_a_doubt_is_counted_and_shown_to_prometheus(plain):
    from monitor.metrics.exposition import Exposition

    async def page():
        exposition = Exposition(
            plain.parts.database, plain.meters, plain.parts.apps, plain.clock,
            interval=timedelta(minutes=5), extent=plain.parts.loaded.settings.extent,
        )  # fmt: skip
        pieces = exposition.write(leads=True, lag=0.0, alive=1, intervals={}, encoder=generate_latest)
        return b"".join([piece async for piece in pieces]).decode()

    gauge = 'token_health_refresh_in_doubt{provider="clio-platform",app="plat"}'
    assert f"{gauge} 0" in await page()
    plain.sandbox.befall(("500", "before"))
    await ahead(plain)
    assert f"{gauge} 1" in await page()
    await at_its_end(plain)
    assert f"{gauge} 0" in await page()
    counted = 'token_health_refreshes_total{app="plat",provider="clio-platform",result='
    assert f'{counted}"in_doubt"}} 1.0' in await page() and f'{counted}"recovered"}} 1.0' in await page()


async def test_a_last_try_whose_answer_is_lost_again_is_the_weathers_and_nobody_is_asked(rotating, mailbox):
    """Only a refusal says that the pair is lost; there is nothing left to lose by asking again."""
    rotating.sandbox.befall(("502", "before"), ("502", "before"), ("reset", "before"))
    await ahead(rotating)
    await at_its_end(rotating)
    assert await rotating.state("acme") == ("suspect", "provider_outage")
    assert (await rotating.known("acme")).doubt.tried_at is not None
    text = explain(await story(rotating.parts, ME, "acme"), rotating.clock.now())
    assert any("was sent again" in line and "was lost, too (502, html)" in line for line in text.why)
    await rotating.settle("acme", seconds=31, tries=3)
    await rotating.after(minutes=11)
    assert await rotating.state("acme") == ("healthy", "ok")
    assert rotating.sandbox.seen()["replays"] == 0
    assert refreshes(rotating) == {"in_doubt": 1, "unclear": 2, "recovered": 1}
    await nobody_was_told(rotating, mailbox)


async def test_a_last_try_waits_for_the_provider_to_be_there(plain, mailbox):
    """An outage at the access token's end would only lose the next answer, too."""
    plain.sandbox.befall(("reset", "before"))
    await ahead(plain)
    plain.sandbox.do(plain.grants["acme"], "expire_access")
    plain.sandbox.weather("down", region="platform-us")
    asked = plain.sandbox.seen()["requests"]["platform-us token"]
    await plain.after(minutes=9)
    assert await plain.state("acme") == ("suspect", "provider_outage")
    for _ in range(5):
        await plain.after(minutes=2)
    assert plain.sandbox.seen()["requests"]["platform-us token"] == asked
    plain.sandbox.weather("fine", region="platform-us")
    await plain.after(minutes=20)
    assert await plain.state("acme") == ("healthy", "ok")
    await nobody_was_told(plain, mailbox)


async def test_a_last_try_that_our_own_app_is_refused_for_is_made_again(plain, mailbox):
    plain.sandbox.befall(("reset", "before"))
    await ahead(plain)
    plain.sandbox.app("plat", secret="another")
    await at_its_end(plain)
    assert await plain.settle("acme") == ("broken", "app_misconfigured")
    assert (await plain.known("acme")).doubt is not None, "nobody looked at the token"
    plain.sandbox.app("plat", secret="s3cret")
    for _ in range(5):
        await plain.after(hours=1)
    assert await plain.state("acme") == ("healthy", "ok")
    assert mailbox.taken == []


@pytest.mark.parametrize(
    ("when", "state"), [("before", ("healthy", "ok")), ("after", ("broken", "refresh_lost"))]
)
async def test_an_access_token_that_had_ended_already_waits_a_moment_for_its_last_try(
    when, state, plain, mailbox
):
    """A gateway may still hold the lost request; ours must not come before it."""
    plain.sandbox.do(plain.grants["acme"], "expire_access")
    plain.sandbox.befall(("502", when))
    await plain.after(minutes=8)
    assert await plain.state("acme") == ("suspect", "provider_outage")
    before = await plain.known("acme")
    await plain.watching.rounds.one("acme")
    assert (await plain.known("acme")).health == before.health, "nothing follows from waiting"
    assert plain.sandbox.seen()["requests"]["platform-us token"] == 1
    await nobody_was_told(plain, mailbox)
    await plain.after(minutes=1)
    assert await plain.state("acme") == state
    assert plain.sandbox.seen()["most_often"] <= 2


async def test_an_access_token_of_a_very_short_life_goes_the_same_way(tmp_path, sqlite_url, sandbox, mailbox):
    async with rotating_rig(tmp_path, sandbox, sqlite_url, mailbox, lifetime=60) as rig:
        rig.sandbox.befall(("502", "before"))
        await rig.after(seconds=50)
        assert await rig.state("acme") == ("healthy", "ok") and (await rig.known("acme")).doubt is not None
        rig.sandbox.do(rig.grants["acme"], "expire_access")
        await rig.after(seconds=11)
        assert await rig.state("acme") == ("healthy", "ok"), "waiting, and nothing follows from that"
        assert rig.sandbox.seen()["requests"]["platform-us token"] == 2, "the first look's, and the lost one"
        await rig.after(seconds=31)
        assert await rig.state("acme") == ("healthy", "ok")
        assert (await rig.known("acme")).sealed.version == 2
        await nobody_was_told(rig, mailbox)


async def test_an_access_token_without_a_known_end_is_used_until_a_whoami_refuses_it(
    tmp_path, sqlite_url, sandbox, mailbox
):
    idle = 'refresh_idle_lifetime = "2d"'
    async with rotating_rig(tmp_path, sandbox, sqlite_url, mailbox, provider=idle, expiry=False) as rig:
        rig.sandbox.befall(("reset", "before"))
        for _ in range(24):
            await rig.after(hours=5)
        known = await rig.known("acme")
        assert known.sealed.access_expires_at is None and known.doubt is not None
        assert await rig.state("acme") == ("healthy", "ok")
        assert (
            "as soon as the access token is refused"
            in explain(await story(rig.parts, ME, "acme"), rig.clock.now()).next[-1]
        )
        assert rig.sandbox.seen()["refreshes"] == 0
        rig.sandbox.do(rig.grants["acme"], "expire_access")
        await rig.after(hours=5)
        assert await rig.state("acme") == ("healthy", "ok")
        assert (await rig.known("acme")).sealed.version == 1


GRACE = 'rotation = "grace"\nreuse_grace = "30m"'


async def test_within_the_providers_grace_it_is_sent_again_at_once(tmp_path, sandbox, database_url, mailbox):
    async with rotating_rig(
        tmp_path, sandbox, database_url, mailbox, provider=GRACE + '\naccess_lifetime = "24h"', grace=3600
    ) as rig:
        rig.sandbox.befall(("reset", "after"))
        await ahead(rig)
        known = await rig.known("acme")
        assert (known.sealed.version, known.doubt) == (1, None), "within the same look"
        assert rig.sandbox.seen()["replays"] == 1
        assert refreshes(rig) == {"in_doubt": 1, "recovered": 1}
        await nobody_was_told(rig, mailbox)


async def test_within_the_grace_it_is_sent_at_each_look_and_after_it_no_more(
    tmp_path, sqlite_url, sandbox, mailbox
):
    async with rotating_rig(tmp_path, sandbox, sqlite_url, mailbox, provider=GRACE, grace=3600) as rig:
        rig.sandbox.befall(*[("502", "before")] * 6)
        await ahead(rig)
        assert rig.sandbox.seen()["requests"]["platform-us token"] == 2, "and once more at once"
        for _ in range(4):
            await rig.after(seconds=31)
        assert rig.sandbox.seen()["requests"]["platform-us token"] == 6
        rig.sandbox.befall(*[("502", "before")] * 9)
        rig.clock.tick(minutes=30)  # past the grace, and past the access token's end
        asked = rig.sandbox.seen()["requests"]["platform-us token"]
        await rig.look()
        assert rig.sandbox.seen()["requests"]["platform-us token"] == asked + 1, (
            "the last try, one look one try"
        )
        await nobody_was_told(rig, mailbox)


async def test_where_a_file_says_never_it_is_lost_at_once_and_never_sent_again(
    tmp_path, sqlite_url, sandbox, mailbox
):
    never = 'after_lost_answer = "never"\naccess_lifetime = "24h"'
    async with rotating_rig(tmp_path, sandbox, sqlite_url, mailbox, provider=never) as rig:
        rig.sandbox.befall(("502", "after"))
        await ahead(rig)
        assert await rig.state("acme") == ("broken", "refresh_lost")
        change = (await history.timeline(rig.parts.database, "acme"))[0]
        assert "502, html" in change.reasons[0] and "Nothing is left to try" in change.reasons[1]
        for _ in range(5):
            await rig.after(hours=2)
        assert rig.sandbox.seen()["most_often"] == 1
        assert refreshes(rig) == {"lost": 1}


async def test_where_a_file_says_retry_asking_again_is_free_also_where_tokens_rotate(
    tmp_path, sqlite_url, sandbox, mailbox
):
    retry = 'after_lost_answer = "retry"\naccess_lifetime = "24h"'
    async with rotating_rig(tmp_path, sandbox, sqlite_url, mailbox, provider=retry, grace=10**6) as rig:
        rig.sandbox.befall(("502", "after"))
        await ahead(rig)
        assert (await rig.known("acme")).doubt is None
        await rig.after(seconds=31)
        assert (await rig.known("acme")).sealed.version == 1
        assert await rig.state("acme") == ("healthy", "ok")


async def test_a_line_that_a_dead_process_left_open_is_a_doubt_like_any_other(rotating, mailbox):
    database, now = rotating.parts.database, rotating.clock.now
    rotating.clock.tick(hours=23, minutes=52)
    (lease,) = await due.claim_named(
        database, "dead", ["acme"], now(), timedelta(seconds=1), apps=rotating.parts.apps
    )
    assert await journal.begin(database, "acme", "dead", lease.epoch, 0, now())
    began = now()
    await rotating.after(seconds=2)
    known = await rotating.known("acme")
    assert known.doubt.since == began and await rotating.state("acme") == ("healthy", "ok")
    text = explain(await story(rotating.parts, ME, "acme"), now())
    assert any("never_recorded (the process that sent it ended)" in line for line in text.why)
    await at_its_end(rotating)
    assert await rotating.state("acme") == ("healthy", "ok"), "it had not been sent"
    assert refreshes(rotating) == {"in_doubt": 1, "recovered": 1}
    await nobody_was_told(rotating, mailbox)


async def test_an_answer_of_201_with_a_pair_in_it_is_an_answer(plain):
    plain.sandbox.befall(("201", "after"))
    await ahead(plain)
    assert (await plain.known("acme")).sealed.version == 1


async def test_a_client_who_authorizes_again_ends_the_doubt(rotating):
    from tests.integration.test_left_behind import _authorize

    rotating.sandbox.befall(("reset", "after"))
    await ahead(rotating)
    assert (await _authorize(rotating)).arrival.value == "stored"
    known = await rotating.known("acme")
    assert known.doubt is None and known.sealed.version == 1
    await rotating.after(hours=23, minutes=52)
    assert (await rotating.known("acme")).sealed.version == 2
    assert rotating.sandbox.seen()["replays"] == 0
