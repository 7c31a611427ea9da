"""The fleet guard over outages, pure: when many are one, and which one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause, Subject
from monitor.health.guard import GuardPolicy, Tally, judge
from monitor.health.incidents import OUR_NETWORK, About, Place

POLICY = GuardPolicy()
PROVIDER = About(Subject.PROVIDER, "clio")


def tally(app="a", region="us", provider="clio", fine=0, **causes):
    lately = {Cause(c): n for c, n in causes.items()}
    return Tally(Place(app, provider, region), fine + sum(lately.values()), lately)


def abouts(*tallies, standing=()):
    return [str(hold.about) for hold in judge(tallies, frozenset(standing), POLICY)]


def test_a_few_are_each_their_own():
    assert abouts(tally(fine=96, provider_outage=4)) == []
    assert abouts(tally(fine=0, provider_outage=4)) == [], "all of four are fewer than the minimum"


def test_an_unusual_share_is_one_incident_of_the_provider():
    assert abouts(tally(fine=40, provider_outage=10)) == ["provider clio"]
    assert abouts(tally(fine=1000, provider_outage=10)) == [], "one in a hundred is no unusual share"


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
    assert abouts(tally(fine=85, provider_outage=15), standing=up) == ["provider clio"]
    assert abouts(tally(fine=85, provider_outage=15)) == []
    assert abouts(tally(fine=95, provider_outage=5), standing=up) == []


def test_what_failed_before_the_window_neither_raises_nor_keeps_it():
    # An outage of an hour: 190 of 200 are bad, and what turned bad lately are three answers nobody knows.
    late = Tally(Place("a", "clio", "us"), 200, {Cause.UNEXPECTED: 3})
    assert abouts(late, standing={PROVIDER}) == []
    assert abouts(Tally(Place("a", "clio", "us"), 200), standing={PROVIDER}) == []


def test_the_sentence_says_how_many_and_why():
    (hold,) = judge((tally(fine=40, provider_outage=10, unexpected=2),), frozenset(), POLICY)
    assert (
        "12 of 52 connections of provider clio turned bad together, mostly provider_outage" in hold.sentence
    )


tallies = st.lists(
    st.builds(
        lambda app, region, provider, fine, bad: Tally(
            Place(f"{provider}-{region}-{app}", provider, region), fine + bad,
            {Cause.PROVIDER_OUTAGE: bad} if bad else {},
        ),
        st.integers(0, 3), st.sampled_from(["us", "eu"]), st.sampled_from(["clio", "other"]),
        st.integers(0, 50), st.integers(0, 50),
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


@given(tallies, st.sets(st.sampled_from([PROVIDER, OUR_NETWORK])))
def test_whatever_stands_it_is_down_when_nothing_failed_lately(found, standing):
    later = [Tally(t.place, t.total) for t in found]
    assert judge(later, frozenset(standing), POLICY) == ()
