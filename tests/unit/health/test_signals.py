"""What is done about what programs say: the table, and that a liar gains nothing by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.lifecycle import State
from monitor.health.signals import FARTHEST, NOT_AGAIN, Effect, Kind, Said, Watched, about, share

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIVE = 5 * MINUTE
WELL = Watched(State.HEALTHY, FIVE, NOW - MINUTE, NOW + 4 * MINUTE)
SUCCESS, REFUSED = Said(Kind.SUCCESS, NOW, True), Said(Kind.UNAUTHORIZED, NOW, True)

TABLE = [
    ("a failure about the token of now", REFUSED, WELL, Effect.PROBE_NOW),
    ("a 403, too", Said(Kind.FORBIDDEN, NOW, True), WELL, Effect.PROBE_NOW),
    ("a refresh that was refused", Said(Kind.REFRESH_REFUSED, NOW, True), WELL, Effect.PROBE_NOW),
    ("one was brought forward a moment ago", REFUSED, replace(WELL, brought_at=NOW - MINUTE / 2), Effect.COALESCED),
    ("and a minute ago", REFUSED, replace(WELL, brought_at=NOW - NOT_AGAIN), Effect.PROBE_NOW),
    ("a success spares a look", SUCCESS, WELL, Effect.SPARED),
    ("never twice in a row", SUCCESS, replace(WELL, spared=True), Effect.RECORDED),
    ("an old success", Said(Kind.SUCCESS, NOW - 3 * MINUTE, True), WELL, Effect.RECORDED),
    ("a scope or a refresh is due by then", SUCCESS, replace(WELL, busy_at=NOW + 5 * MINUTE), Effect.RECORDED),
    ("our own look would be too far off", SUCCESS, replace(WELL, last_probe_at=NOW - 7 * MINUTE), Effect.RECORDED),
    ("a look is due", SUCCESS, replace(WELL, next_probe_at=NOW), Effect.RECORDED),
    ("a success while in doubt", SUCCESS, replace(WELL, state=State.SUSPECT), Effect.PROBE_NOW),
    ("a success while broken", SUCCESS, replace(WELL, state=State.BROKEN), Effect.PROBE_NOW),
    ("it does not say which token", replace(REFUSED, current=None), WELL, Effect.RECORDED),
    ("another generation", replace(REFUSED, current=False), WELL, Effect.IGNORED),
    ("older than the last authorization", replace(REFUSED, at=NOW - MINUTE), replace(WELL, authorized_at=NOW), Effect.IGNORED),
    ("from tomorrow", replace(REFUSED, at=NOW + 6 * MINUTE), WELL, Effect.IGNORED),
    ("from yesterday", replace(SUCCESS, at=NOW - 6 * MINUTE), WELL, Effect.IGNORED),
    ("paused", REFUSED, replace(WELL, state=State.PAUSED, next_probe_at=None), Effect.RECORDED),
    ("a limit blames nobody", Said(Kind.RATE_LIMITED, NOW, True), WELL, Effect.RECORDED),
    ("nor does silence", Said(Kind.UNREACHABLE, NOW, True), WELL, Effect.RECORDED),
    ("renewed", Said(Kind.RENEWED, NOW, True), WELL, Effect.RECORDED),
]  # fmt: skip


@pytest.mark.parametrize(("case", "said", "watched", "effect"), TABLE, ids=[row[0] for row in TABLE])
def test_the_table(case, said, watched, effect):
    assert about(said, watched, NOW).effect is effect, case


def test_a_limit_slows_a_look_and_never_speeds_one():
    asked = Said(Kind.RATE_LIMITED, NOW, True, wait=10 * MINUTE)
    assert about(asked, WELL, NOW).look_at == NOW + 10 * MINUTE
    assert about(replace(asked, wait=MINUTE), WELL, NOW).look_at is None
    assert about(replace(asked, wait=timedelta(days=9)), WELL, NOW).look_at is None, (
        "three intervals are the end"
    )
    assert about(asked, replace(WELL, state=State.SUSPECT), NOW).look_at is None


def test_a_tenth_of_the_looks_and_one_a_second_at_least():
    assert (share(0.1), share(500.0)) == (1.0, 50.0)


moments = st.integers(-900, 900).map(lambda seconds: NOW + timedelta(seconds=seconds))
signals = st.builds(
    Said,
    st.sampled_from(Kind),
    moments,
    st.sampled_from([True, False, None]),
    st.none() | st.integers(0, 86400).map(lambda seconds: timedelta(seconds=seconds)),
)
watches = st.builds(
    Watched,
    st.sampled_from(State),
    st.sampled_from([MINUTE, FIVE]),
    st.none() | moments.map(lambda at: min(at, NOW)),
    st.none() | moments,
    st.none() | moments,
    st.none() | moments.map(lambda at: min(at, NOW)),
    st.booleans(),
    st.none() | moments,
)


@given(signals, watches)
def test_whatever_is_said_looks_stay_within_bounds(said, watched):
    done = about(said, watched, NOW)
    if done.look_at is None:
        return
    assert watched.next_probe_at is not None and said.current
    if done.effect is Effect.PROBE_NOW:
        assert done.look_at == NOW
        assert watched.brought_at is None or NOW - watched.brought_at >= NOT_AGAIN
        return
    assert watched.state is State.HEALTHY and not watched.spared
    assert done.look_at > watched.next_probe_at
    assert done.look_at - watched.last_probe_at <= watched.interval * FARTHEST
    assert watched.busy_at is None or watched.busy_at > done.look_at


@given(st.lists(st.tuples(signals, st.integers(0, 120)), max_size=30))
def test_a_stream_of_lies_hides_a_look_for_three_intervals_at_most(stream):
    watched, now = replace(WELL, last_probe_at=NOW, next_probe_at=NOW + FIVE), NOW
    for said, pause in stream:
        now += timedelta(seconds=pause)
        if watched.next_probe_at <= now:  # our own look
            watched = replace(watched, last_probe_at=now, next_probe_at=now + FIVE, spared=False)
        done = about(replace(said, at=now), watched, now)
        if done.effect is Effect.SPARED or (done.look_at and done.look_at > now):
            watched = replace(watched, next_probe_at=done.look_at, spared=done.effect is Effect.SPARED)
        assert watched.next_probe_at - watched.last_probe_at <= FARTHEST * FIVE
