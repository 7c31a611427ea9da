"""A day of answer times in one line of text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.paces import HOUR, HOURS, after, means

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def line(*probes):
    known = ""
    for at, seconds in probes:
        known = after(known, NOON + at, seconds)
    return known


def test_the_probes_of_an_hour_are_one_mean():
    known = line((0 * HOUR, 0.1), (HOUR / 4, 0.2), (HOUR / 2, 0.3))
    assert means(known) == [(NOON, 0.2)]


def test_an_hour_without_a_good_probe_is_a_gap():
    known = line((0 * HOUR, 0.1), (3 * HOUR, 0.05))
    assert known.endswith("/1 50 - - 100")
    assert means(known) == [(NOON, 0.1), (NOON + 3 * HOUR, 0.05)]


def test_what_is_older_than_a_day_is_forgotten():
    known = line(*((n * HOUR, 0.1) for n in range(40)))
    assert len(means(known)) == HOURS
    assert means(line((0 * HOUR, 0.1), (90 * HOUR, 0.2))) == [(NOON + 90 * HOUR, 0.2)]


def test_a_clock_that_was_set_back_changes_nothing():
    known = line((0 * HOUR, 0.1))
    assert after(known, NOON - HOUR, 9.0) == known


@pytest.mark.parametrize("nonsense", ["", "x", "1/2 x", "/", "12 34"])
def test_what_is_no_line_is_as_none(nonsense):
    assert means(nonsense) == []
    assert means(after(nonsense, NOON, 0.1)) == [(NOON, 0.1)]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60)), max_size=60))
def test_the_line_stays_short_and_its_means_among_what_was_seen(probes):
    ordered = sorted(probes)
    known = line(*((timedelta(hours=hours), seconds) for hours, seconds in ordered))
    assert len(known) < 200
    for at, mean in means(known):
        mine = [
            s
            for hours, s in ordered
            if (NOON + timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0) == at
        ]
        assert min(mine) - 0.001 * len(mine) <= mean <= max(mine) + 0.001 * len(mine)
