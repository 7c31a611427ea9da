"""An incident's growth over its time, and what its members have alike."""

from __future__ import annotations

from datetime import timedelta

from monitor.health.breaks import Break
from monitor.health.causes import Cause
from monitor.health.growth import Growth, moments
from monitor.health.incidents import Place
from monitor.health.pattern import pattern
from monitor.health.wave import Outcome, members
from monitor.web.console.growth import area, sentence
from tests.conftest import START

MINUTE = timedelta(minutes=1)
US, EU = Place("clio-us", "clio", "us"), Place("clio-eu", "clio", "eu")


def grown(*counts: int) -> Growth:
    return Growth(tuple((START + MINUTE * n, count) for n, count in enumerate(counts)))


def test_moments_are_an_even_time_apart_and_never_all_the_same():
    found = moments(START, START + 39 * MINUTE)
    assert (found[0], found[-1], len(found)) == (START, START + 39 * MINUTE, 40)
    assert found[1] - found[0] == MINUTE
    at_once = moments(START, START)
    assert (at_once[0], at_once[-1]) == (START - MINUTE, START)


def test_growth_says_when_there_were_most_and_since_when_it_is_level():
    found = grown(0, 3, 9, 9, 7, 7, 7)
    assert found.most == (START + 2 * MINUTE, 9)
    assert found.last == (START + 6 * MINUTE, 7)
    assert found.level_since == START + 4 * MINUTE


def test_growth_is_said_in_a_sentence():
    assert sentence(grown(0, 3, 9), START) == "0 at 09:00, 9 at 09:02, and growing"
    assert sentence(grown(0, 9, 9), START) == "0 at 09:00, 9 at 09:01, level since"
    assert sentence(grown(0, 9, 4), START) == "9 at most, at 09:01; 4 at 09:02"


def test_growth_is_drawn_within_its_box():
    assert area(grown(0, 1, 2)) == "M0,60 L0,60.0 L500,32.0 L1000,4.0 L1000,60Z"
    assert area(grown(0, 0)) == "M0,60 L0,60.0 L1000,60.0 L1000,60Z"


def test_a_pattern_counts_clients_and_not_connections():
    breaks = [
        Break(1, "a1", "a", US, START, rule="r"),
        Break(2, "a2", "a", US, START + MINUTE, rule="r"),
        Break(3, "b", "b", EU, START + 2 * MINUTE, rule="r", cause=Cause.REFRESH_EXPIRED),
        Break(4, "c", "c", EU, START + 3 * MINUTE, rule="r"),
    ]
    found = pattern(breaks)
    assert found.trait("rule").shared
    assert found.trait("region").values == (("eu", 2), ("us", 1))
    assert found.trait("cause").values == (("revoked", 2), ("refresh_expired", 1))
    assert (found.apart, found.trait("moon")) == (3 * MINUTE, None)
    assert pattern([]).traits == ()


def test_each_client_of_a_wave_has_one_outcome():
    now = START + timedelta(hours=3)
    told = {"told_at": START, "mails": "canary"}
    closed = {"closed_at": START + timedelta(hours=1)}
    of = members(
        [
            Break(1, "held", "held", US, START),
            Break(2, "asked", "asked", US, START, **told),
            Break(3, "mended", "mended", US, START, **told, **closed, ended="authorized"),
            Break(4, "refuted", "refuted", US, START, **told, authorized_at=START + MINUTE),
            Break(5, "healed", "healed", US, START, **closed, ended="alone"),
            Break(6, "gone", "gone", US, START, **closed),
        ],
        now,
    )
    assert [of.outcome(one.value) for one in Outcome] == list(Outcome)
