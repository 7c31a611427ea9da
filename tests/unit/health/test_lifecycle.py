"""The state machine: what may happen, what never may, over any sequence of findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.health.causes import Cause, Confirm, Owner, consequence, is_definite
from monitor.health.classify import found
from monitor.health.lifecycle import (
    MOVES,
    By,
    Health,
    IncidentChange,
    Policy,
    State,
    given_back,
    good_needed,
    lapsed,
    movable,
    on_new_grounds,
    paused,
    rested,
    resumed,
    step,
    woken,
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


# What may happen to a connection beside being looked at; each is done where the table lets it be.
DEEDS = {
    By.PAUSE: paused,
    By.REST: rested,
    By.WAKE: woken,
    By.GROUNDS: on_new_grounds,
    By.HOLD: given_back,
}
deeds = st.sampled_from([*By])
happenings = st.lists(st.tuples(deeds, causes, gaps), max_size=60)


def live(happened):
    """Let things happen to a new connection; yield who moved it, how it was, and how it is."""
    health, authorized, rests, now = Health(), False, False, NOW
    for by, cause, gap in happened:
        now += timedelta(seconds=gap)
        before = health
        if by is By.PROBE:
            if not authorized:
                continue  # there is nothing to look at
            health = step(health, found(cause, 0.9, "rule"), POLICY, now).health
        elif by is By.GROUNDS:
            health, authorized = on_new_grounds(health, now), True
        elif before.state not in movable(by) or (by is By.WAKE and not rests):
            continue
        elif by is By.HOLD:
            if not authorized:
                continue  # nothing is there to be held
            health, authorized = given_back(health, now), False
        elif by in (By.RESUME, By.LAPSE):
            if by is By.LAPSE and rests:
                continue  # a window has no such end
            ends = resumed if by is By.RESUME else lapsed
            health, rests = ends(health, now, authorized=authorized), False
        else:
            health, rests = DEEDS[by](health, now), by is By.REST
        yield by, before, health


@given(happenings)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_only_moves_of_the_table_are_made(happened):
    for by, before, after in live(happened):
        assert before.state is after.state or (before.state, after.state) in MOVES[by]


@given(happenings)
@settings(max_examples=300, deadline=None)
def test_who_was_ever_healthy_is_never_a_newcomer_again_but_with_tokens_of_another_client(happened):
    states = [after.state for _, _, after in live([one for one in happened if one[0] is not By.HOLD])]
    if State.HEALTHY in states:
        assert State.PENDING not in states[states.index(State.HEALTHY) :]


@given(happenings)
@settings(max_examples=300, deadline=None)
def test_what_was_seen_before_a_pause_or_with_other_tokens_counts_no_more(happened):
    for by, _, after in live(happened):
        if by is not By.PROBE:
            assert (after.streak, after.good_streak) == (0, 0)
            assert after.bad_since is None or after.state is State.BROKEN
            assert after.unseen or after.state is not State.SUSPECT


HAPPENS = {
    (By.PROBE, State.PENDING, State.HEALTHY): [(By.GROUNDS, Cause.OK), (By.PROBE, Cause.OK)],
    (By.PROBE, State.PENDING, State.SUSPECT): [(By.GROUNDS, Cause.OK), (By.PROBE, Cause.REVOKED)],
    (By.PROBE, State.PENDING, State.BROKEN): [(By.GROUNDS, Cause.OK), (By.PROBE, Cause.REFRESH_LOST)],
}
WELL = [(By.GROUNDS, Cause.OK), (By.PROBE, Cause.OK)]
ILL = [*WELL, (By.PROBE, Cause.REFRESH_LOST)]
IN_DOUBT = [*WELL, (By.PROBE, Cause.REVOKED)]
HAPPENS |= {
    (By.PROBE, State.HEALTHY, State.SUSPECT): IN_DOUBT,
    (By.PROBE, State.HEALTHY, State.BROKEN): ILL,
    (By.PROBE, State.SUSPECT, State.HEALTHY): [*IN_DOUBT, (By.PROBE, Cause.OK)],
    (By.PROBE, State.SUSPECT, State.BROKEN): [*IN_DOUBT, (By.PROBE, Cause.REVOKED)],
    (By.PROBE, State.BROKEN, State.HEALTHY): [*ILL, (By.PROBE, Cause.OK)],
    (By.PAUSE, State.PENDING, State.PAUSED): [(By.PAUSE, Cause.OK)],
    (By.PAUSE, State.HEALTHY, State.PAUSED): [*WELL, (By.PAUSE, Cause.OK)],
    (By.PAUSE, State.SUSPECT, State.PAUSED): [*IN_DOUBT, (By.PAUSE, Cause.OK)],
    (By.PAUSE, State.BROKEN, State.PAUSED): [*ILL, (By.PAUSE, Cause.OK)],
    (By.PAUSE, State.PAUSED, State.PAUSED): [*WELL, (By.REST, Cause.OK), (By.PAUSE, Cause.OK)],
    (By.RESUME, State.PAUSED, State.PENDING): [(By.PAUSE, Cause.OK), (By.RESUME, Cause.OK)],
    (By.RESUME, State.PAUSED, State.SUSPECT): [*WELL, (By.PAUSE, Cause.OK), (By.RESUME, Cause.OK)],
    (By.LAPSE, State.PAUSED, State.PENDING): [(By.PAUSE, Cause.OK), (By.LAPSE, Cause.OK)],
    (By.LAPSE, State.PAUSED, State.SUSPECT): [*WELL, (By.PAUSE, Cause.OK), (By.LAPSE, Cause.OK)],
    (By.REST, State.HEALTHY, State.PAUSED): [*WELL, (By.REST, Cause.OK)],
    (By.REST, State.SUSPECT, State.PAUSED): [*IN_DOUBT, (By.REST, Cause.OK)],
    (By.HOLD, State.PENDING, State.PENDING): [(By.GROUNDS, Cause.OK), (By.HOLD, Cause.OK)],
    (By.HOLD, State.HEALTHY, State.PENDING): [*WELL, (By.HOLD, Cause.OK)],
    (By.HOLD, State.SUSPECT, State.PENDING): [*IN_DOUBT, (By.HOLD, Cause.OK)],
    (By.HOLD, State.BROKEN, State.PENDING): [*ILL, (By.HOLD, Cause.OK)],
    (By.WAKE, State.PAUSED, State.SUSPECT): [*WELL, (By.REST, Cause.OK), (By.WAKE, Cause.OK)],
}


def test_every_move_of_the_table_really_happens():
    listed = {(by, before, after) for by, moves in MOVES.items() for before, after in moves}
    assert listed == HAPPENS.keys()
    for move, happened in HAPPENS.items():
        *_, (by, before, after) = live([(by, cause, 40) for by, cause in happened])
        assert (by, before.state, after.state) == move


def test_a_move_that_the_table_does_not_list_is_refused():
    with pytest.raises(ValueError, match="no move from broken to paused"):
        rested(Health(state=State.BROKEN), NOW)
    with pytest.raises(ValueError, match="no move from healthy to suspect"):
        resumed(Health(state=State.HEALTHY), NOW, authorized=True)


def test_a_break_with_new_tokens_stays_one_and_is_no_certain_one_until_it_is_looked_at():
    broken = Health(
        State.BROKEN, NOW, Cause.REVOKED, Owner.CLIENT, candidate=Cause.REVOKED, streak=5, bad_since=NOW
    )
    anew = on_new_grounds(broken, NOW)
    assert (anew.state, anew.cause, anew.candidate) == (State.BROKEN, Cause.REVOKED, Cause.OK)
    again = step(anew, found(Cause.REVOKED, 0.9, "rule"), POLICY, NOW)
    assert (again.health.candidate, again.incident) == (Cause.REVOKED, None)
    assert step(anew, found(Cause.OK, 0.9, "rule"), POLICY, NOW).incident is IncidentChange.CLOSE


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
