"""How a connection was over a time, as values that are drawn, told and put into a table."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause
from monitor.health.lifecycle import State
from monitor.health.probed import Count, first_of
from monitor.health.timeline import Rest, Span, Stretch, Turn, Word, shortest, timeline
from tests.conftest import START as NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HEALTHY, SUSPECT, BROKEN, PAUSED = State.HEALTHY, State.SUSPECT, State.BROKEN, State.PAUSED


def draw(turns, span=Span.DAY, *, rests=(), now_so=None, counts=(), words=(), interval=DAY):
    return timeline(span, turns, rests, now_so, counts, words, NOW, interval)


def lengths(found):
    return [(one.state, one.length) for one in found.stretches]


@pytest.mark.parametrize(
    ("ago", "span"),
    [
        (None, Span.DAY), (HOUR, Span.DAY), (DAY - HOUR, Span.DAY), (DAY, Span.FORTNIGHT), (13 * DAY, Span.FORTNIGHT),
        (14 * DAY, Span.QUARTER), (89 * DAY, Span.QUARTER), (300 * DAY, Span.DAY),
    ],
)  # fmt: skip
def test_the_span_is_the_shortest_that_shows_the_change(ago, span):
    assert shortest(NOW - ago if ago is not None else None, NOW) is span


def test_states_lie_end_to_end_from_the_beginning_of_the_span_to_now():
    turns = [
        Turn(NOW - 90 * DAY, HEALTHY), Turn(NOW - 3 * HOUR, SUSPECT, Cause.REVOKED),
        Turn(NOW - 2 * HOUR, BROKEN, Cause.REVOKED),
    ]  # fmt: skip
    found = draw(turns)
    assert lengths(found) == [(HEALTHY, 21 * HOUR), (SUSPECT, HOUR), (BROKEN, 2 * HOUR)]
    assert found.states == (
        "Broken since 2026-11-23 07:00; before that healthy for 21 hours, in doubt for 60 minutes."
    )
    assert draw(turns[:1]).states == "Healthy for all of the last 24 hours."


def test_before_its_first_verdict_nothing_is_known_of_it():
    found = draw([Turn(NOW - 2 * HOUR, HEALTHY)])
    assert lengths(found) == [(None, 22 * HOUR), (HEALTHY, 2 * HOUR)]
    assert lengths(draw([])) == [(None, DAY)]
    assert draw([]).states == "Not known for all of the last 24 hours."


def test_how_it_stands_now_is_the_last_stretch_though_no_verdict_said_so():
    """A pause or a resumption is a person's, and no verdict."""
    turns = [Turn(NOW - 9 * DAY, HEALTHY)]
    found = draw(turns, now_so=Turn(NOW - HOUR, PAUSED))
    assert lengths(found) == [(HEALTHY, 23 * HOUR), (PAUSED, HOUR)]


def test_a_pause_covers_whatever_was_and_after_it_a_probe_has_to_look():
    turns = [Turn(NOW - 9 * DAY, BROKEN, Cause.REVOKED), Turn(NOW - 4 * HOUR, HEALTHY)]
    found = draw(turns, rests=[Rest(NOW - 10 * HOUR, NOW - 5 * HOUR)])
    assert lengths(found) == [
        (BROKEN, 14 * HOUR), (PAUSED, 5 * HOUR), (SUSPECT, HOUR), (HEALTHY, 4 * HOUR),
    ]  # fmt: skip


def test_maintenance_lets_rest_what_is_well_and_what_is_broken_stays_so():
    turns = [Turn(NOW - 9 * DAY, BROKEN, Cause.REVOKED)]
    window = Rest(NOW - 3 * HOUR, NOW - 2 * HOUR, whole=False)
    assert lengths(draw(turns, rests=[window])) == [(BROKEN, DAY)]
    assert (PAUSED, HOUR) in lengths(draw([Turn(NOW - 9 * DAY, HEALTHY)], rests=[window]))


def test_a_pause_that_goes_on_reaches_to_now():
    found = draw([Turn(NOW - 9 * DAY, HEALTHY)], rests=[Rest(NOW - 2 * HOUR, None)])
    assert lengths(found) == [(HEALTHY, 22 * HOUR), (PAUSED, 2 * HOUR)]


def test_answer_times_are_means_of_good_probes_an_interval_each():
    today = first_of(NOW, timedelta(0), DAY)
    counts = [
        Count(today, Cause.OK, 10, 0.8), Count(today, Cause.PROVIDER_OUTAGE, 2, 20.0),
        Count(today - DAY, Cause.OK, 10, 1.2), Count(today - 2 * DAY, Cause.PROVIDER_OUTAGE, 3, 30.0),
    ]  # fmt: skip
    found = draw([], Span.FORTNIGHT, counts=counts)
    assert [(one.seconds, one.probes, one.good) for one in found.paces] == [
        (None, 3, 0),
        (0.12, 10, 10),
        (0.08, 12, 10),
    ]
    assert found.paces[-1].ended_at == NOW
    assert found.median == pytest.approx(0.1)
    assert found.speed == "Answer time: 80 to 120 ms, 100 ms in the middle."
    assert draw([]).speed == "No answer time is known."


def test_a_day_is_told_by_the_hour_where_the_counts_are_of_days():
    hours = [(NOW - 25 * HOUR, 9.0), (NOW - 3 * HOUR, 0.1), (NOW - HOUR / 2, 0.2)]
    count = [Count(first_of(NOW, timedelta(0), DAY), Cause.OK, 10, 0.8)]
    found = timeline(Span.DAY, [], (), None, count, (), NOW, DAY, hours)
    assert [(one.begun_at, one.seconds, one.probes) for one in found.paces] == [
        (NOW - 3 * HOUR, 0.1, None), (NOW - HOUR / 2, 0.2, None),
    ]  # fmt: skip
    assert found.paces[-1].ended_at == NOW
    for span, interval in ((Span.FORTNIGHT, DAY), (Span.DAY, HOUR)):
        assert all(one.probes for one in timeline(span, [], (), None, count, (), NOW, interval, hours).paces)


def test_what_was_said_is_told_in_its_order_as_far_as_the_span_reaches():
    words = [
        Word(NOW - HOUR, "Link opened"),
        Word(NOW - 2 * HOUR, "Mailed"),
        Word(NOW - 3 * DAY, "Mailed before"),
    ]
    found = draw([], words=words)
    assert found.said == "Mailed, 2026-11-23 07:00; Link opened, 2026-11-23 08:00."
    assert draw([]).said == "Nothing was said to the client, and nothing done by them."


_HOURS = st.integers(0, 24 * 100)
_TURNS = st.lists(st.builds(lambda h, s: Turn(NOW - h * HOUR, s), _HOURS, st.sampled_from(State)), max_size=8)
_RESTS = st.lists(
    st.builds(
        lambda h, n, w: Rest(NOW - h * HOUR, NOW - (h - n) * HOUR if n <= h else None, w),
        _HOURS, st.integers(1, 200), st.booleans(),
    ),
    max_size=4,
)  # fmt: skip


@given(_TURNS, _RESTS, st.sampled_from(Span))
def test_whatever_happened_no_moment_is_missing_and_none_is_there_twice(turns, rests, span):
    found = draw(sorted(turns, key=lambda one: one.at), span, rests=rests)
    assert found.stretches[0].begun_at == NOW - span.length
    assert found.stretches[-1].ended_at == NOW
    for one, following in zip(found.stretches, found.stretches[1:], strict=False):
        assert isinstance(one, Stretch)
        assert one.ended_at == following.begun_at
        assert (one.state, one.cause) != (following.state, following.cause)
        assert one.length > timedelta(0)


def test_what_has_just_begun_is_how_it_is():
    found = draw([Turn(NOW - DAY, HEALTHY), Turn(NOW, BROKEN, Cause.REVOKED)])
    assert lengths(found) == [(HEALTHY, DAY), (BROKEN, timedelta(0))]
    assert found.states.startswith("Broken since ")
