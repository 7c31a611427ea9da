"""The fleet guard, pure: when many are one, and which one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause, Subject
from monitor.health.guard import GuardPolicy, Tally, judge
from monitor.health.incidents import OUR_NETWORK, About, Place

POLICY = GuardPolicy()
PROVIDER = About(Subject.PROVIDER, "clio")


def tally(app="a", region="us", provider="clio", fine=0, held=0, **causes):
    return Tally(
        Place(app, provider, region),
        fine,
        {Cause(c): n for c, n in causes.items()},
        {Cause.PROVIDER_OUTAGE: held} if held else {},
    )


def abouts(*tallies, standing=()):
    return [str(hold.about) for hold in judge(tallies, frozenset(standing), POLICY)]


def test_a_few_are_each_their_own():
    assert abouts(tally(fine=96, revoked=4)) == []
    assert abouts(tally(fine=0, revoked=4)) == [], "all of four are fewer than the minimum"


def test_an_unusual_share_is_one_incident_of_the_provider():
    assert abouts(tally(fine=40, revoked=10)) == ["provider clio"]
    assert abouts(tally(fine=1000, revoked=10)) == [], "one in a hundred is no unusual share"


def test_one_region_of_several_is_that_regions_incident():
    assert abouts(tally("us", "us", fine=30), tally("eu", "eu", provider_outage=20)) == ["region clio/eu"]


def test_one_app_of_several_is_that_apps_incident():
    two = (tally("a", fine=100), tally("b", app_misconfigured=10))
    assert abouts(*two) == ["app b"], "the provider as a whole is well"
    big = (tally("a", fine=10), tally("b", app_misconfigured=10))
    assert abouts(*big) == ["app b"], "and where it seems not to be, the app explains it"


def test_several_apps_together_are_the_providers_incident():
    assert abouts(tally("a", provider_outage=10), tally("b", provider_outage=10)) == ["provider clio"]


def test_two_providers_that_we_cannot_reach_are_our_own_network():
    holds = judge((tally("a", network=10), tally("b", provider="other", network=10)), frozenset(), POLICY)
    assert [(h.about, h.bad) for h in holds] == [(OUR_NETWORK, 20)]


def test_one_provider_that_we_cannot_reach_is_our_own_network_too():
    assert abouts(tally(fine=5, network=20)) == ["our network"]


def test_it_comes_down_only_at_half_of_what_raised_it():
    up = {PROVIDER}
    assert abouts(tally(fine=85, revoked=15), standing=up) == ["provider clio"]
    assert abouts(tally(fine=85, revoked=15)) == []
    assert abouts(tally(fine=95, revoked=5), standing=up) == []


def test_it_stays_up_for_those_it_holds_when_the_window_is_over():
    assert abouts(tally(fine=50, held=30), standing={PROVIDER}) == ["provider clio"]
    assert abouts(tally(fine=50, held=30)) == []


def test_a_standing_guard_stays_about_what_its_connections_have():
    # An outage of an hour: all that turned bad within the window is one firm's revocation.
    (hold,) = judge([tally(fine=50, held=30, revoked=1)], frozenset({PROVIDER}), POLICY)
    assert hold.cause is Cause.PROVIDER_OUTAGE
    (hold,) = judge([tally(fine=50, held=30)], frozenset({PROVIDER}), POLICY)
    assert hold.cause is Cause.PROVIDER_OUTAGE


def test_the_sentence_says_how_many_and_why():
    (hold,) = judge((tally(fine=40, revoked=10, unexpected=2),), frozenset(), POLICY)
    assert "12 of 52 connections of provider clio turned bad together, mostly revoked" in hold.sentence


tallies = st.lists(
    st.builds(
        lambda app, region, provider, fine, bad, held: Tally(
            Place(f"{provider}-{region}-{app}", provider, region), fine, {Cause.REVOKED: bad} if bad else {},
            {Cause.REVOKED: held} if held else {},
        ),
        st.integers(0, 3), st.sampled_from(["us", "eu"]), st.sampled_from(["clio", "other"]),
        st.integers(0, 50), st.integers(0, 50), st.integers(0, 50),
    ),
    max_size=6, unique_by=lambda t: t.place,
)  # fmt: skip


@given(tallies)
def test_no_connection_is_in_two_holds(found):
    holds = judge(found, frozenset(), POLICY)
    for tally_ in found:
        groups = {*tally_.place.groups(), OUR_NETWORK}
        assert sum(hold.about in groups for hold in holds) <= 1


@given(tallies)
def test_whoever_is_held_was_part_of_an_unusual_share(found):
    for hold in judge(found, frozenset(), POLICY):
        assert hold.bad >= POLICY.minimum
        assert hold.bad >= POLICY.share * hold.total
