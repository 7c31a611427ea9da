"""Each cause, from the sandbox's wire to the verdict: the promise 'no wrong e-mail' begins here."""

from __future__ import annotations

import pytest

from monitor.health.causes import Cause, consequence
from monitor.health.explain import explain
from monitor.operations.explain import story
from monitor.store import history, incidents
from tests.conftest import ME


async def test_a_good_connection_is_healthy_and_its_account_is_kept(rig):
    await rig.add("acme", scopes=("contacts", "matters"))
    await rig.look()
    assert await rig.state("acme") == ("healthy", "ok")
    known = await rig.known("acme")
    assert set(known.reads) == {"contacts", "matters"}, "every scope is checked right after an authorization"
    assert await incidents.open_now(rig.parts.database) == []


async def test_a_removed_app_is_revoked_after_one_repeat(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    assert await rig.state("acme") == ("suspect", "revoked")
    assert await incidents.open_now(rig.parts.database) == [], "nobody is told of a doubt"
    assert await rig.settle("acme") == ("broken", "revoked")
    known = await rig.known("acme")
    assert known.health.confidence == 0.9, "the access token was refused before its own expiry"


async def test_an_expired_refresh_token_is_told_from_a_revoked_one_by_the_providers_words(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "expire_refresh")
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "refresh_expired")
    assert (await rig.known("acme")).health.rule == "clio.rules[0]"


async def test_a_resource_that_was_never_granted_is_insufficient_scope(rig):
    await rig.add("acme", scopes=("contacts", "matters"), permissions=["contacts"])
    await rig.look()
    assert await rig.settle("acme") == ("broken", "insufficient_scope")
    assert (await rig.known("acme")).health.owner.value == "client"


async def test_a_scope_that_our_own_app_lacks_is_the_operators_first(rig):
    await rig.add("acme", scopes=("bills",))
    await rig.look()
    assert await rig.settle("acme") == ("broken", "insufficient_scope")
    assert (await rig.known("acme")).health.owner.value == "operator"


async def test_a_role_that_shrank_is_role_restricted(rig):
    await rig.add("acme", scopes=("contacts", "matters"))
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "restrict_role", resources=["matters"])
    for _ in range(14):  # scopes take turns: within the hour each is checked
        await rig.after(minutes=5)
    assert await rig.state("acme") == ("broken", "role_restricted")


async def test_a_scope_that_the_provider_says_is_lacking_is_no_narrow_role_though_it_was_read_before(rig):
    rig.sandbox.app("clio", challenges=True)
    await rig.add("acme", scopes=("contacts", "matters"))
    await rig.look()
    assert set((await rig.known("acme")).reads) == {"contacts", "matters"}
    rig.sandbox.do(rig.grants["acme"], "narrow", resources=["matters"])
    for _ in range(14):
        await rig.after(minutes=5)
    assert await rig.state("acme") == ("broken", "insufficient_scope")
    assert (await rig.known("acme")).health.owner.value == "client"
    text = explain(await story(rig.parts, ME, "acme"), rig.clock.now())
    assert "The provider itself says" in " ".join(text.why)


async def test_another_account_is_wrong_account_and_its_name_is_in_the_evidence(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "move", account_id=999, account_name="Another Firm")
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "wrong_account")
    change = (await history.timeline(rig.parts.database, "acme"))[0]
    assert "999 (Another Firm)" in change.reasons[0]


async def test_a_changed_client_secret_is_the_operators_and_one_incident_of_the_app(rig):
    await rig.add("acme", "bolt", "coda")
    await rig.look()
    rig.sandbox.app("clio", secret="rotated")
    for name in ("acme", "bolt", "coda"):
        rig.sandbox.do(rig.grants[name], "expire_access")
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "app_misconfigured")
    await rig.after(seconds=31)
    larger = [i for i in await incidents.open_now(rig.parts.database) if i.about.kind.value != "connection"]
    assert [(str(i.about), i.members) for i in larger] == [("app clio", 3)]


@pytest.mark.parametrize(
    ("weather", "cause"),
    [
        ("down", "provider_outage"),
        ("maintenance", "provider_outage"),
        ("reset", "provider_outage"),
        ("waf", "unexpected"),
        ("redirect", "unexpected"),
    ],
)
async def test_weather_is_never_the_clients_fault_and_passes_by_itself(rig, weather, cause):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.weather(weather)
    await rig.after(minutes=8)
    assert await rig.state("acme") == ("suspect", cause)
    assert await rig.settle("acme", seconds=61) == ("broken", cause)
    assert not consequence((await rig.known("acme")).health.cause).client_mail
    rig.sandbox.weather("fine")
    await rig.after(minutes=16)
    assert await rig.state("acme") == ("healthy", "ok")
    assert await incidents.open_now(rig.parts.database) == []


async def test_a_limit_is_obeyed_and_only_reported_when_it_lasts(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.weather("limited")
    await rig.after(minutes=8)
    assert await rig.state("acme") == ("suspect", "rate_limited")
    for _ in range(10):
        await rig.after(seconds=31)
    assert await rig.state("acme") == ("suspect", "rate_limited"), "five minutes are not yet news"
    for _ in range(40):
        await rig.after(seconds=61)
    assert await rig.state("acme") == ("broken", "rate_limited")


async def test_an_access_token_that_ran_out_is_refreshed_without_a_word(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    await rig.after(minutes=8)
    assert await rig.state("acme") == ("healthy", "ok")
    assert (await rig.known("acme")).sealed.version == 1
    assert len(await history.timeline(rig.parts.database, "acme")) == 1, "no change of verdict, so no entry"


async def test_weather_never_overwrites_a_definite_cause(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "revoked")
    rig.sandbox.weather("down")
    for _ in range(8):
        await rig.after(minutes=10)
    assert await rig.state("acme") == ("broken", "revoked")


async def test_a_healed_connection_is_noticed_and_its_incident_closed(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    await rig.settle("acme")
    rig.sandbox.do(rig.grants["acme"], "restore")
    await rig.after(hours=2)
    assert await rig.state("acme") == ("healthy", "ok")
    assert await incidents.of_connection(rig.parts.database, "acme") == []


async def test_explain_tells_the_whole_chain_and_no_secret(rig):
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    await rig.settle("acme")
    text = explain(await story(rig.parts, ME, "acme"), rig.clock.now())
    whole = " ".join([text.headline, *text.why, *text.evidence, text.who, *text.told, *text.next])
    assert "access was withdrawn" in text.headline
    assert "whoami" in whole and "→ 401 invalid_token" in whole and "invalid_grant" in whole
    assert text.who.startswith("Client.")
    assert "Next probe in" in whole
    tokens = rig.parts.vault
    sealed = (await rig.known("acme")).sealed
    from monitor.tokens.refresh import access_cell, refresh_cell

    for cell, name in ((sealed.access, access_cell), (sealed.refresh, refresh_cell)):
        assert tokens.open(cell, name("acme", rig.parts.apps["clio"].place)).reveal() not in whole


async def test_explain_shows_what_a_connections_probes_found_over_time(rig):
    await rig.add("acme")
    for _ in range(10):
        await rig.after(minutes=6)
    rig.sandbox.weather("down")
    for _ in range(3):
        await rig.after(minutes=6)
    rig.sandbox.weather("fine")
    rig.clock.tick(days=3)
    for _ in range(5):
        await rig.after(minutes=6)
    told = await story(rig.parts, ME, "acme")
    day, week = told.probed
    assert day.probes == day.good > 0 and not day.others
    assert week.probes > week.good > day.good and set(week.others) == {Cause.PROVIDER_OUTAGE}
    first, second = explain(told, rig.clock.now()).probed
    assert first.startswith("Since 2026-11-25 00:00 UTC: ") and "100 % good" in first
    assert second.startswith("Since 2026-11-19 00:00 UTC: ") and second.endswith(" provider_outage.")
