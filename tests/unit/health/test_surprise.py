"""Whether so many clients break together by chance: the judgement, without a database."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from math import comb, exp, fsum, lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.breaks import ALONE, AUTHORIZED, DROPPED, RELEASED, Break
from monitor.health.causes import Subject
from monitor.health.incidents import About, Place
from monitor.health.surprise import (
    WINDOWS,
    Judgement,
    Level,
    SurprisePolicy,
    Usual,
    judge,
    surprise,
    tail,
)

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = SurprisePolicy()
CLIO = About(Subject.PROVIDER, "clio")
US, EU = Place("clio-us", "clio", "us"), Place("clio-eu", "clio", "eu")


def usual(clients: int, weeks: int = 4, breaks=()) -> Usual:
    return Usual.of(clients, clients * weeks * 7 / 365, weeks, breaks)


def fleet(us: int, eu: int = 0) -> dict[About, Usual]:
    sizes = {CLIO: us + eu} | dict.fromkeys(US.groups()[1:], us) | dict.fromkeys(EU.groups()[1:], eu)
    return {about: usual(n) for about, n in sizes.items()}


def broke(client: int | str, ago: timedelta, place: Place = US, **more) -> Break:
    number = client if isinstance(client, int) else abs(hash(client)) % 10**6
    return Break(number, f"c{client}", f"Firm {client}", place, NOW - ago, **more)


def level(breaks, known=None, policy=POLICY, now=NOW, place=US) -> Level:
    return judge(breaks, known or fleet(200), policy, now).level(place)


# -- the figures of the simulation, as sentences -----------------------------------------------------


@pytest.mark.parametrize(("share", "size"), [(0.02, 200), (0.05, 200), (0.1, 200), (0.1, 20), (0.005, 2000)])
def test_a_partial_incident_that_a_share_of_a_fifth_cannot_see_is_held(share, size):
    breaks = [broke(n, timedelta(minutes=n % 10)) for n in range(round(share * size))]
    assert level(breaks, fleet(size)) is Level.HOLD


def test_a_creeping_incident_is_held_by_the_wider_windows():
    breaks = [broke(n, HOUR * n) for n in range(1, 8)]
    (found, _app) = judge(breaks, fleet(200), POLICY, NOW).up(US)
    assert found.about == About(Subject.REGION, "clio/us") and found.window >= 8 * HOUR


def test_an_ordinary_monday_of_a_fleet_that_knows_itself_is_calm():
    # 2,000 clients, one break in two years each: four on a Monday morning, every Monday.
    mondays = [
        ((NOW - timedelta(days=7 * week, hours=hour)).timestamp(), f"Firm {100 * week + hour}")
        for week in range(1, 5)
        for hour in range(4)
    ]
    known = dict.fromkeys(US.groups(), usual(2000, breaks=mondays))
    breaks = [broke(n, HOUR * n * 0.8) for n in range(4)]
    assert level(breaks, known) < Level.HOLD
    never_seen = dict.fromkeys(US.groups(), usual(2000))
    assert level(breaks, never_seen) is Level.HOLD


def test_what_is_expected_follows_from_clients_weeks_and_what_was_seen():
    """By hand: 200 clients, four weeks without a break; then three in the same hour a week ago."""
    level = 2 / (2 / 0.5 + 200 * 28 / 365)
    prior = level * 200 / 2080
    mean, shape = usual(200).expected(HOUR, NOW)
    assert (mean, shape) == (pytest.approx(2 * 2 / (2 / prior + 4)), 2)
    seen = [((NOW - 7 * DAY - 10 * MINUTE).timestamp(), f"Firm {n}") for n in range(3)]
    prior = 5 / (2 / 0.5 + 200 * 28 / 365) * 200 / 2080
    mean, shape = usual(200, breaks=seen).expected(HOUR, NOW)
    assert (mean, shape) == (pytest.approx(2 * 5 / (2 / prior + 4)), 5)
    assert usual(200, breaks=seen).expected(HOUR, NOW + HOUR)[1] == 5, "an hour either way"
    assert usual(200, breaks=seen).expected(HOUR, NOW + 3 * HOUR)[1] == 2
    assert usual(200, weeks=0).expected(DAY, NOW)[0] == pytest.approx(2 * 0.5 * 200 / 260), "the first day"


def test_a_region_explains_its_provider():
    breaks = [broke(n, MINUTE, EU) for n in range(6)] + [broke("lone", MINUTE)]
    found = judge(breaks, fleet(100, 100), POLICY, NOW)
    assert found.level(EU) is Level.HOLD
    assert found.level(US) is Level.CALM, "the provider is judged by what its region does not explain"


def test_a_provider_whose_breaks_heal_by_themselves_is_in_doubt():
    healed = broke(1, 20 * HOUR, EU, closed_at=NOW - 15 * HOUR, ended=ALONE)
    others = [broke(n, 23 * HOUR, EU, closed_at=NOW - HOUR, ended=AUTHORIZED) for n in range(2, 5)]
    assert level([healed, *others, broke(9, MINUTE)], fleet(100_000, 100_000)) is Level.DOUBT
    more = [broke(n, 23 * HOUR, EU, closed_at=NOW - HOUR, ended=AUTHORIZED) for n in range(20, 30)]
    assert level([healed, *others, *more, broke(9, MINUTE)], fleet(100_000, 100_000)) is Level.CALM


def test_never_judges_nothing():
    assert judge([broke(n, MINUTE) for n in range(50)], fleet(50), SurprisePolicy(None), NOW) == Judgement()


def test_what_a_person_said_about_or_an_authorization_mended_speaks_for_no_incident():
    for more in (
        {"mails": RELEASED},
        {"mails": DROPPED},
        {"closed_at": NOW, "ended": AUTHORIZED},
        {"closed_at": NOW},
    ):
        assert level([broke(n, MINUTE, **more) for n in range(20)]) is Level.CALM


def test_what_healed_by_itself_speaks_for_four_hours():
    def healed(ago):
        return [broke(n, 6 * HOUR, closed_at=NOW - ago, ended=ALONE) for n in range(20)]

    assert level(healed(timedelta(hours=3.9))) is Level.HOLD
    assert level(healed(timedelta(hours=4))) is Level.DOUBT, "calm, but for the healing itself"


def test_one_client_that_breaks_every_day_teaches_no_more_than_one_break_a_week():
    flapper = [((NOW - timedelta(days=n)).timestamp(), "Firm 1") for n in range(1, 29)]
    five = [((NOW - timedelta(days=2)).timestamp(), f"Firm {n}") for n in range(5)]
    assert usual(200, breaks=flapper).level == usual(200, breaks=five).level


def test_the_hold_limit_is_the_fewest_that_would_raise_the_guard_at_the_busiest_hour():
    times = [
        ((NOW - timedelta(days=7 * week)).timestamp(), f"Firm {n}") for week in range(1, 5) for n in range(3)
    ]
    for known in (usual(200), usual(200, breaks=times), usual(20_000), usual(3, weeks=0)):
        limit = known.limit(timedelta(days=90))
        found = [
            surprise(CLIO, [NOW - 23 * HOUR] * k, known, POLICY, NOW).level is Level.HOLD
            for k in (limit, limit - 1)
        ]
        assert found[0] or known.times == times, "quieter hours hold sooner, never later"
        assert not found[1] or known.times, limit


# -- properties ----------------------------------------------------------------------------------------

means = st.floats(1e-6, 500)
shapes = st.floats(2, 500)
minutes = st.integers(0, 26 * 60).map(lambda n: timedelta(minutes=n))
places = st.sampled_from([US, EU])
breaks_ = st.lists(
    st.builds(
        lambda n, ago, place, kind: broke(n, ago, place, **kind),
        st.integers(0, 30),
        minutes,
        places,
        st.sampled_from([{}, {"told_at": NOW}, {"closed_at": NOW, "ended": ALONE}, {"mails": "canary"}]),
    ),
    max_size=25,
)
sizes = st.integers(1, 5000)


@given(st.integers(0, 300), means, shapes)
def test_property_8_the_tail_agrees_with_a_direct_sum(k, mean, shape):
    """P(X >= 0) is 1; it decreases in k and increases in the mean."""
    q = mean / (mean + shape)

    def point(n):
        return exp(lgamma(shape + n) - lgamma(shape) - lgamma(n + 1) + n * log(q) + shape * log(1 - q))

    found, below = tail(k, mean, shape), fsum(point(n) for n in range(k))
    assert found == pytest.approx(1 - below, abs=1e-9)
    if k > mean:
        above = fsum(itertools.takewhile(lambda p: p > 1e-12 * point(k), map(point, itertools.count(k))))
        assert found == pytest.approx(above, rel=1e-6)
    assert tail(0, mean, shape) == 1.0
    assert tail(k + 1, mean, shape) <= found + 1e-12
    assert tail(k, mean * 1.1, shape) >= found - 1e-12


def test_the_tail_of_two_is_a_polynomial():
    # Shape 1 is geometric, shape 2 its convolution: both are known in closed form.
    for mean in (0.01, 1.0, 30.0):
        q = mean / (mean + 1)
        assert tail(5, mean, 1.0) == pytest.approx(q**5, rel=1e-9)
        q = mean / (mean + 2)
        direct = 1 - sum(comb(n + 1, n) * q**n * (1 - q) ** 2 for n in range(5))
        assert tail(5, mean, 2.0) == pytest.approx(direct, rel=1e-9)
    assert tail(3, 50_000.0, 2.0) == pytest.approx(1.0), "a large fleet's tail does not run out of digits"


@given(st.lists(minutes, max_size=12), minutes, sizes, sizes)
def test_property_1_the_level_is_monotone(ages, one_more, size, more):
    """One more client never lowers it, a larger expected number never raises it."""
    times = [NOW - age for age in ages if age < DAY]
    found = surprise(CLIO, times, usual(size), POLICY, NOW).level
    if one_more < DAY:
        assert surprise(CLIO, [*times, NOW - one_more], usual(size), POLICY, NOW).level >= found
    assert surprise(CLIO, times, usual(size + more), POLICY, NOW).level <= found


@given(breaks_, st.integers(1, 5), sizes)
def test_property_1_more_connections_of_the_same_client_change_nothing(breaks, times, size):
    whole = [b for b in breaks if b.closed_at is None]
    twins = [b._replace(incident=b.incident + 1000 * n, connection=f"{b.connection}-{n}")
             for b in whole for n in range(times)]  # fmt: skip
    known = fleet(size, size)
    assert judge(whole + twins, known, POLICY, NOW) == judge(whole, known, POLICY, NOW)


@given(st.lists(minutes, max_size=6), sizes)
def test_property_2_one_client_alone_raises_neither_doubt_nor_a_hold(ages, size):
    assert level([broke(7, age) for age in ages], fleet(size)) is Level.CALM


@given(breaks_, sizes)
def test_property_3_the_old_the_mended_and_the_decided_change_no_level(breaks, size):
    known = fleet(size, size)
    recent = [b for b in breaks if NOW - b.at < DAY]
    before = judge(recent, known, POLICY, NOW)
    others = [broke(100 + n, DAY + HOUR * n, told_at=NOW - DAY) for n in range(9)]
    others += [broke(200 + n, MINUTE, mails=mails) for n, mails in enumerate([RELEASED, DROPPED])]
    others += [broke(300, MINUTE, closed_at=NOW, ended=AUTHORIZED)]
    after = judge([*recent, *others], known, POLICY, NOW)
    assert after.surprises == before.surprises
    assert after.healing <= before.healing, "they only make healing rarer"


@given(breaks_, sizes)
def test_property_3_without_a_new_break_the_guard_is_down_after_a_day(breaks, size):
    later = judge(breaks, fleet(size, size), POLICY, NOW + DAY)
    assert {later.level(US), later.level(EU)} == {Level.CALM}


@given(breaks_, sizes)
def test_property_4_when_all_healed_the_guard_is_down_within_four_hours(breaks, size):
    healed = [b._replace(closed_at=NOW, ended=ALONE) for b in breaks]
    later = judge(healed, fleet(size, size), POLICY, NOW + POLICY.settle)
    assert Level.HOLD not in {later.level(US), later.level(EU)}


def test_windows_are_those_that_were_simulated():
    assert [w / HOUR for w in WINDOWS] == [0.25, 1, 3, 8, 24]
