"""What on-call has to know, from facts to what is told: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.notify import name_of
from alerts.pages.matters import Fact, Patience, Trouble, facts_of, standing, worth_telling
from alerts.pages.routes import Route
from alerts.rules import fleet, own
from alerts.silences.windows import Over, Silenced
from monitor.health.causes import Cause, Owner, Subject
from monitor.secret import Secret
from tests.unit.alerts.rules.test_rules import CASES

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PATIENCE = Patience("tier", {"default": timedelta(days=3), "gold": timedelta(hours=4)})


def incident(
    cause=Cause.PROVIDER_OUTAGE, kind=Subject.PROVIDER, name="clio", owner=Owner.PROVIDER, **more
) -> Trouble:
    given = {"opened_at": NOW - timedelta(minutes=5), "members": 3, "provider": "clio"} | more
    return Trouble(kind, name, cause, owner, **given)


def told(*incidents: Trouble, now: datetime = NOW) -> dict[str, str]:
    facts = [fact for one in incidents for fact in facts_of(one, {"us": "legal"}, PATIENCE, now)]
    return {key: matter.summary for key, matter in standing(facts, "integrations").items()}


def test_several_incidents_of_one_outage_are_one_matter():
    regions = [incident(kind=Subject.REGION, name=f"clio/{r}", members=n) for r, n in (("us", 40), ("eu", 2))]
    assert told(incident(), *regions) == {
        "TokenHealthProviderOutage/clio": "clio is down: 45 connections broken"
    }


def test_a_refused_app_is_its_teams_matter():
    refused = incident(Cause.APP_MISCONFIGURED, Subject.APP, "us", Owner.OPERATOR, app="us")
    facts = facts_of(refused, {"us": "legal"}, PATIENCE, NOW)
    (matter,) = standing(facts, "integrations").values()
    assert (matter.team, matter.app, matter.provider) == ("legal", "us", "clio")


def test_an_app_that_lacks_a_scope_is_the_operators_until_it_has_it():
    lacks = incident(
        Cause.INSUFFICIENT_SCOPE, Subject.CONNECTION, "acme", Owner.OPERATOR, app="us", client="Acme"
    )
    assert list(told(lacks)) == ["TokenHealthAppMisconfigured/clio/us/legal"]
    has = incident(
        Cause.INSUFFICIENT_SCOPE, Subject.CONNECTION, "acme", Owner.CLIENT, app="us", client="Acme"
    )
    assert told(has) == {}


def test_a_client_is_a_ticket_only_after_its_tiers_patience():
    gold, plain = (
        incident(
            Cause.REVOKED, Subject.CONNECTION, name, Owner.CLIENT, app="us", client=name, marks=marks,
            opened_at=NOW - timedelta(hours=5),
        )
        for name, marks in (("acme", {"tier": "gold"}), ("bolt", {"tier": "unknown"}))
    )  # fmt: skip
    assert list(told(gold, plain)) == ["TokenHealthClientBroken/clio/us/legal/acme/acme/revoked/gold"]
    assert len(told(gold, plain, now=NOW + timedelta(days=3))) == 2
    held = incident(
        Cause.REVOKED, Subject.CONNECTION, "acme", Owner.CLIENT, opened_at=NOW - timedelta(days=9), held=1
    )
    assert told(held) == {}, "what the guard holds is the guard's matter"


def test_held_mails_are_a_matter_only_where_clients_are_the_ones_to_act():
    assert list(told(incident(Cause.REVOKED, owner=Owner.CLIENT, wave=True, held=9))) == [
        "TokenHealthGuardHolding/clio"
    ]
    assert told(incident(Cause.REFRESH_LOST, owner=Owner.CLIENT, wave=True, held=0)) == {}
    assert list(told(incident(held=2))) == ["TokenHealthProviderOutage/clio"]


def test_held_mails_are_told_again_after_a_day_in_which_nobody_answered():
    def matter(**more):
        (found,) = _matters(Fact(fleet.GUARD_HOLDING, NOW, 9, provider="clio", **more)).values()
        return found

    day = timedelta(days=1)
    assert not matter().unanswered(NOW, NOW + day / 2)
    assert matter().unanswered(NOW, NOW + day)
    assert not matter(answered_at=NOW + day / 2).unanswered(NOW, NOW + day)
    (outage,) = _matters(Fact(fleet.PROVIDER_OUTAGE, NOW, 9, provider="clio")).values()
    assert not outage.unanswered(NOW, NOW + 9 * day), "an outage is told once"


def _matters(*facts: Fact):
    return standing(facts, "integrations")


def test_the_larger_matter_is_told_and_the_smaller_says_why_it_is_not():
    matters = _matters(
        Fact(fleet.NETWORK_LOST, NOW, 9),
        Fact(fleet.PROVIDER_OUTAGE, NOW, 5, provider="clio"),
        Fact(fleet.UNEXPECTED_ANSWERS, NOW, 5, provider="other"),
        Fact(fleet.FUSE_BLOWN, NOW),
    )
    chosen, quiet = worth_telling(matters, [])
    assert set(chosen) == {"TokenHealthNetworkLost", "TokenHealthMailFuseBlown"}
    assert "our own network" in quiet["TokenHealthProviderOutage/clio"]


def test_an_outage_quietens_its_own_provider_only():
    matters = _matters(
        Fact(fleet.PROVIDER_OUTAGE, NOW, 5, provider="clio"),
        Fact(fleet.UNEXPECTED_ANSWERS, NOW, 5, provider="clio"),
        Fact(fleet.UNEXPECTED_ANSWERS, NOW, 5, provider="other"),
    )
    chosen, _ = worth_telling(matters, [])
    assert set(chosen) == {"TokenHealthProviderOutage/clio", "TokenHealthUnexpectedAnswers/other"}


@pytest.mark.parametrize(
    ("over", "name", "silent"),
    [
        (Over.ALL, "", True), (Over.PROVIDER, "clio", True), (Over.PROVIDER, "other", False),
        (Over.APP, "us", True), (Over.APP, "eu", False), (Over.CONNECTION, "acme", True), (Over.CLIENT, "Acme", True),
    ],
)  # fmt: skip
def test_a_silence_quietens_what_it_lies_over(over, name, silent):
    matters = _matters(
        Fact(
            fleet.CLIENT_BROKEN,
            NOW,
            9,
            provider="clio",
            app="us",
            connection="acme",
            client="Acme",
            tier="gold",
        )
    )
    chosen, _quiet = worth_telling(matters, [Silenced(over, name, "", "me", NOW, None)])
    assert (chosen == {}) is silent


def test_a_silence_over_one_app_does_not_quieten_an_outage_of_two():
    matters = _matters(
        Fact(fleet.PROVIDER_OUTAGE, NOW, 5, provider="clio", app="us"),
        Fact(fleet.PROVIDER_OUTAGE, NOW, 5, provider="clio", app="eu"),
    )
    chosen, _ = worth_telling(matters, [Silenced(Over.APP, "us", "", "me", NOW, None)])
    assert list(chosen) == ["TokenHealthProviderOutage/clio"]


FACTS = {
    "TokenHealthProviderOutage": Fact(fleet.PROVIDER_OUTAGE, NOW, 200, provider="clio"),
    "TokenHealthAppMisconfigured": Fact(fleet.APP_MISCONFIGURED, NOW, 40, provider="clio", app="us", team="legal"),
    "TokenHealthNetworkLost": Fact(fleet.NETWORK_LOST, NOW, 9),
    "TokenHealthUnexpectedAnswers": Fact(fleet.UNEXPECTED_ANSWERS, NOW, 3, provider="clio"),
    "TokenHealthRateLimited": Fact(fleet.RATE_LIMITED, NOW, 3, provider="clio", app="us", team="legal"),
    "TokenHealthRefreshLost": Fact(fleet.REFRESH_LOST, NOW, 2, provider="clio", app="us", team="legal", connection="a"),
    "TokenHealthGuardHolding": Fact(fleet.GUARD_HOLDING, NOW, 40, provider="clio"),
    "TokenHealthMailFuseBlown": Fact(fleet.FUSE_BLOWN, NOW),
    "TokenHealthClientBroken": Fact(
        fleet.CLIENT_BROKEN, NOW, 9, provider="clio", app="us", team="legal", connection="acme", client="Acme LLP",
        cause="revoked", tier="gold",
    ),
    "TokenHealthWebhookGivenUp": Fact(own.WEBHOOK_GIVEN_UP, NOW, 2),
    "TokenHealthCampaignStopped": Fact(own.CAMPAIGN_STOPPED, NOW),
    "TokenHealthOutboxStuck": Fact(own.OUTBOX_STUCK, NOW, 1200, channel="email"),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_the_service_and_prometheus_give_an_alert_the_same_labels_and_words(name):
    """So that one Alertmanager that hears both shows it once."""
    (matter,) = _matters(FACTS[name]).values()
    rule = dict(matter.alert.rule()["labels"])  # type: ignore[call-overload]
    assert matter.labels() == {"alertname": name} | rule | CASES[name].labels
    assert matter.summary == CASES[name].summary.removesuffix(" 0s")


facts = st.lists(
    st.builds(
        Fact,
        st.sampled_from([*fleet.ALL]),
        st.just(NOW),
        st.integers(1, 9),
        st.sampled_from(["", "clio", "other"]),
        st.sampled_from(["", "us", "eu"]),
    ),
    max_size=12,
)


@given(facts)
def test_every_fact_is_in_one_matter_and_every_matter_is_told_or_says_why_not(found):
    matters = standing(found, "integrations")
    assert sum(len(matter.facts) for matter in matters.values()) == len(found)
    chosen, quiet = worth_telling(matters, [])
    assert chosen.keys() | quiet.keys() == matters.keys()
    assert not chosen.keys() & quiet.keys()
    if matters:
        assert chosen, "something is always told: the largest of them"


def test_a_route_without_conditions_takes_all_and_each_condition_narrows():
    (matter,) = _matters(FACTS["TokenHealthClientBroken"]).values()
    route = Route("all", "notify", Secret("json://x"))
    assert route.takes(matter)
    for name, fits, not_ in (
        ("severities", "ticket", "page"), ("owners", "client", "operator"), ("providers", "clio", "other"),
        ("apps", "us", "eu"), ("teams", "legal", "integrations"),
    ):  # fmt: skip
        assert Route("r", "notify", Secret("x"), **{name: frozenset([fits, not_])}).takes(matter)
        assert not Route("r", "notify", Secret("x"), **{name: frozenset([not_])}).takes(matter)


def test_a_channels_name_tells_nothing_of_its_address():
    name = name_of("slack://xoxb-token-that-is-secret/#ops")
    assert name.startswith("slack-") and "token" not in name
