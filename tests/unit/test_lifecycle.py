"""The state machine: what may happen, what never may, over any sequence of findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.health.causes import Cause, Confirm, Owner, consequence, is_definite
from monitor.health.classify import found
from monitor.health.lifecycle import (
    MOVES,
    Health,
    IncidentChange,
    Policy,
    State,
    good_needed,
    step,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POLICY = Policy()
causes = st.sampled_from(list(Cause))
gaps = st.integers(1, 4000)
sightings = st.lists(st.tuples(causes, gaps), max_size=40)


def play(seen, health=None, policy=POLICY):
    """Feed findings; yield before, finding, verdict, time."""
    health, now = health or Health(), NOW
    for cause, gap in seen:
        now += timedelta(seconds=gap)
        verdict = step(health, found(cause, 0.9, "rule"), policy, now)
        yield health, cause, verdict, now
        health = verdict.health


@given(sightings)
def test_only_moves_of_the_table_happen(seen):
    for before, _, verdict, _ in play(seen):
        after = verdict.health.state
        assert before.state is after or (before.state, after) in MOVES


@given(sightings)
def test_a_break_opens_exactly_one_incident_and_its_recovery_closes_it(seen):
    open_now = 0
    for before, _, verdict, _ in play(seen):
        if verdict.incident is IncidentChange.OPEN:
            open_now += 1
            assert verdict.health.state is State.BROKEN
        elif verdict.incident is IncidentChange.CLOSE:
            open_now -= 1
        elif verdict.incident is IncidentChange.UPDATE:
            assert before.state is State.BROKEN
        assert open_now == (1 if verdict.health.state is State.BROKEN else 0)


@given(sightings)
def test_nothing_is_broken_before_it_is_confirmed(seen):
    streak: list[tuple[Cause, datetime]] = []
    for before, cause, verdict, now in play(seen):
        streak = [*(s for s in streak if s[0] is cause), (cause, now)] if cause is not Cause.OK else []
        if verdict.incident is IncidentChange.OPEN:
            times, over = POLICY.needs(cause)
            assert len(streak) >= times
            assert now - streak[0][1] >= over
        assert before.state is not State.HEALTHY or cause is not Cause.OK or not verdict.changed


@given(sightings)
def test_bad_weather_never_overwrites_a_definite_cause(seen):
    for before, cause, verdict, _ in play(seen):
        if before.state is State.BROKEN and is_definite(before.cause) and not is_definite(cause):
            assert verdict.health.cause in (before.cause, Cause.OK)


@given(sightings)
def test_a_paused_connection_stays_as_it_is(seen):
    paused = Health(state=State.PAUSED)
    assert all(v.health == paused and not v.changed for _, _, v, _ in play(seen, paused))


@given(sightings, causes.filter(lambda c: c is not Cause.OK), st.integers(61, 600))
@settings(max_examples=60)
def test_what_goes_on_failing_is_found_out_and_what_goes_on_well_recovers(seen, cause, gap):
    *_, (_, _, last, _) = play([*seen, *[(cause, gap)] * 70])
    assert last.health.state is State.BROKEN
    if is_definite(cause) or not is_definite(last.health.cause):
        assert last.health.cause is cause
    *_, (_, _, last, _) = play([*seen, *[(Cause.OK, gap)] * 8])
    assert last.health.state is State.HEALTHY
    assert (last.health.cause, last.health.bad_since) == (Cause.OK, None)


def test_a_definite_refusal_needs_one_repeat():
    states = [v.health.state for *_, v, _ in play([(Cause.OK, 1), (Cause.REVOKED, 300), (Cause.REVOKED, 30)])]
    assert states == [State.HEALTHY, State.SUSPECT, State.BROKEN]


def test_a_doubt_that_passes_leaves_nothing_behind():
    *_, (_, _, verdict, _) = play([(Cause.OK, 1), (Cause.REVOKED, 300), (Cause.OK, 30)])
    assert verdict.health.state is State.HEALTHY
    assert verdict.incident is None


def test_two_outages_and_one_refusal_confirm_neither():
    seen = [(Cause.PROVIDER_OUTAGE, 60), (Cause.PROVIDER_OUTAGE, 60), (Cause.REVOKED, 60)]
    assert [v.health.state for *_, v, _ in play(seen)] == [State.SUSPECT] * 3


def test_an_outage_needs_several_sightings_over_minutes():
    quick = list(play([(Cause.PROVIDER_OUTAGE, 1)] * 10))
    assert quick[-1][2].health.state is State.SUSPECT, "ten seconds are no outage"
    slow = list(play([(Cause.PROVIDER_OUTAGE, 40)] * 4))
    assert slow[-1][2].health.state is State.BROKEN


def test_a_change_of_cause_updates_the_incident():
    seen = [(Cause.PROVIDER_OUTAGE, 60)] * 4 + [(Cause.REVOKED, 60)] * 2
    *_, (_, _, verdict, _) = play(seen)
    assert (verdict.incident, verdict.health.cause) == (IncidentChange.UPDATE, Cause.REVOKED)


def test_the_owner_may_move_while_the_cause_stays():
    health = Health(
        state=State.BROKEN, cause=Cause.INSUFFICIENT_SCOPE, owner=Owner.OPERATOR,
        candidate=Cause.INSUFFICIENT_SCOPE, streak=5, since=NOW,
    )  # fmt: skip
    verdict = step(health, found(Cause.INSUFFICIENT_SCOPE, 0.7, "r"), POLICY, NOW)
    assert (verdict.incident, verdict.health.owner) == (IncidentChange.UPDATE, Owner.CLIENT)


def test_what_flaps_has_to_be_good_for_longer():
    once = [(Cause.REVOKED, 60), (Cause.REVOKED, 60), (Cause.OK, 60)]
    verdicts = list(play(once * 6 + [(Cause.OK, 60)] * 4))
    closes = [i for i, (*_, v, _) in enumerate(verdicts) if v.incident is IncidentChange.CLOSE]
    assert len(closes) < 6, "it would have closed six times"
    calm = Health(flaps=1, flaps_at=NOW)
    assert good_needed(calm, POLICY, NOW) == 1
    assert good_needed(Health(flaps=4, flaps_at=NOW), POLICY, NOW) == 4
    assert good_needed(Health(flaps=4, flaps_at=NOW), POLICY, NOW + timedelta(hours=6)) == 1


def test_every_cause_has_its_own_confirmation():
    kinds = {cause: consequence(cause).confirm for cause in Cause}
    assert kinds[Cause.REFRESH_LOST] is Confirm.AT_ONCE, "asking again could do harm"
    assert kinds[Cause.REVOKED] is Confirm.DEFINITE
    assert kinds[Cause.NETWORK] is Confirm.TRANSIENT
    assert kinds[Cause.RATE_LIMITED] is Confirm.LASTING
