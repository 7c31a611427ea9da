"""Times: even, without drift, soon where there is doubt, and never before a provider's Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.health.cadence import (
    SLOWEST,
    Cadence,
    next_beat,
    next_probe,
    refresh_at,
    scope_due,
    stretched,
    wanted,
)
from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import Health, State

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CADENCE = Cadence()
HEALTHY = Health(state=State.HEALTHY)
names = st.text(min_size=1, max_size=20)


@given(names, st.integers(0, 300))
def test_nothing_drifts_over_two_thousand_beats(name, late):
    """A probe that is late, or jittered, does not move those after it."""
    at = first = next_beat(name, CADENCE, NOW)
    for _ in range(2000):
        at = next_beat(name, CADENCE, at + timedelta(seconds=late / 10))
    mean = (at - first) / 2000
    assert abs(mean - CADENCE.interval) < timedelta(seconds=0.05)


@given(names, st.integers(0, 10**6))
def test_the_next_beat_is_half_an_interval_to_one_and_a_half_away(name, seconds):
    now = NOW + timedelta(seconds=seconds)
    wait = next_beat(name, CADENCE, now) - now
    assert CADENCE.interval * 0.44 <= wait <= CADENCE.interval * 1.56


def test_a_fleet_that_was_imported_at_once_is_spread_evenly():
    slots = [0] * 10
    for index in range(10_000):
        at = next_beat(f"client-{index}", CADENCE, NOW)
        slots[int((at.timestamp() % 300) // 30)] += 1
    assert all(900 < slot < 1100 for slot in slots)


def test_a_doubt_is_looked_at_soon_and_a_break_ever_less_often():
    def wait(state, streak, owner=Owner.CLIENT, cause=Cause.REVOKED):
        health = Health(state=state, cause=cause, candidate=cause, streak=streak, owner=owner)
        return next_probe("acme", health, CADENCE, NOW) - NOW

    assert wait(State.SUSPECT, 1) == timedelta(seconds=30)
    waits = [wait(State.BROKEN, streak) for streak in (2, 4, 6, 8, 20)]
    assert waits[0] <= CADENCE.interval * 1.56
    assert waits[-1] <= CADENCE.interval * SLOWEST * 1.56
    assert waits[-1] > CADENCE.interval * SLOWEST * 0.4
    outage = wait(State.BROKEN, 20, Owner.PROVIDER, Cause.PROVIDER_OUTAGE)
    assert outage <= CADENCE.interval * 2 * 1.56, "what passes by itself is watched closely"


@given(names, st.integers(60, 2400))
def test_that_a_setting_was_changed_is_noticed_within_the_hour_that_its_mail_names(name, interval):
    """An app that is probed more seldom than every 40 minutes is looked at as seldom as that."""
    blocked = Health(State.BROKEN, cause=Cause.POLICY_BLOCKED, candidate=Cause.POLICY_BLOCKED, streak=50)
    cadence = Cadence(interval=timedelta(seconds=interval))
    assert next_probe(name, blocked, cadence, NOW) - NOW <= timedelta(minutes=63)
    rare = Cadence(interval=timedelta(hours=2))
    assert next_probe(name, blocked, rare, NOW) - NOW <= timedelta(hours=2) * 1.56


@given(st.sampled_from(list(State)), st.integers(0, 30), st.integers(1, 10**5))
def test_retry_after_is_always_obeyed(state, streak, seconds):
    retry = NOW + timedelta(seconds=seconds)
    health = Health(state=state, cause=Cause.RATE_LIMITED, candidate=Cause.RATE_LIMITED, streak=streak)
    assert next_probe("acme", health, CADENCE, NOW, retry_at=retry) >= retry


def test_a_refresh_that_is_due_before_the_next_beat_brings_the_probe_forward():
    soon = NOW + timedelta(seconds=60)
    assert next_probe("acme", HEALTHY, CADENCE, NOW, refresh_at=soon) == soon
    assert next_probe("acme", HEALTHY, CADENCE, NOW, refresh_at=NOW - timedelta(1)) > NOW


@given(names, st.integers(60, 30 * 86400))
def test_a_refresh_is_ahead_of_expiry_by_no_more_than_a_third_of_the_life(name, life):
    expires = NOW + timedelta(seconds=life)
    at = refresh_at(name, CADENCE, issued_at=NOW, expires_at=expires)
    assert NOW + timedelta(seconds=life) * 0.65 <= at < expires


def test_refreshes_of_a_fleet_are_spread():
    expires = NOW + timedelta(days=7)
    times = {refresh_at(f"c{i}", CADENCE, issued_at=NOW, expires_at=expires) for i in range(1000)}
    assert max(times) - min(times) > timedelta(minutes=4)
    assert len(times) > 990


@given(names, st.integers(1, 365))
def test_an_idle_token_is_used_before_its_deadline(name, days):
    idle = timedelta(days=days)
    at = refresh_at(name, CADENCE, issued_at=NOW, expires_at=None, used_at=NOW, idle_lifetime=idle)
    assert NOW + idle * 0.7 <= at < NOW + idle


def test_nothing_known_to_run_out_is_never_refreshed():
    assert refresh_at("acme", CADENCE, issued_at=NOW, expires_at=None) is None


def test_an_app_wide_limit_stretches_the_interval():
    five = timedelta(minutes=5)
    assert stretched(five, 100, 90) == five
    assert stretched(five, 10_000, 90) == timedelta(minutes=10_000 * 1.2 / 90)
    assert stretched(five, 10_000, None) == five


def test_a_provider_s_least_interval_goes_before_the_configured_one():
    five, hour = timedelta(minutes=5), timedelta(hours=1)
    assert wanted(five, hour) == hour
    assert wanted(hour, five) == hour
    assert wanted(five, None) == five


def test_scopes_take_turns_and_each_is_checked_within_the_time():
    needed, hour = ("a", "b", "c"), timedelta(hours=1)
    checked, cursor, last, now = [], 0, None, NOW
    for _ in range(12):
        scope = scope_due(needed, cursor, last, hour, now)
        if scope is not None:
            checked.append(scope)
            cursor, last = cursor + 1, now
        now += timedelta(minutes=5)
    assert checked == ["a", "b", "c"]
    assert scope_due((), 0, None, hour, NOW) is None
