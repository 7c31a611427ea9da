"""What a process is refused, held against what others are given: when it is one thing, and when the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import TABLE, Cause
from monitor.health.evidence import Answer, Evidence, Exchange, RefreshNote, Step
from monitor.health.finding import found
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State
from monitor.watching.sight import LEAST, MEMORY, UNDECIDED, Door, Sight, View
from tests.conftest import START

GOOD, REFUSED = Answer(200), Answer(401, error="invalid_token", challenge="invalid_token")
API, GRANT = View("p", Door.API), View("p", Door.GRANT)
HEALTHY = Health(State.HEALTHY)


def lease(name, provider="p", health=HEALTHY, version=1):
    place = Place(provider, provider, "eu")
    return SimpleNamespace(id=name, place=place, health=health, sealed=SimpleNamespace(version=version))


def seen(whoami=None, refresh=None):
    asked = () if whoami is None else (Exchange(Step.WHOAMI, "GET x", "x", START, 0.1, whoami),)
    return Evidence(START, asked, refresh=refresh)


def refuse(sight, *names, cause=Cause.REVOKED, evidence=None, at=START, **more):
    for name in names:
        finding = found(cause, 0.9, "r", "because")
        yield sight.believes(lease(name, **more), evidence or seen(REFUSED), finding, at)


NAMES = tuple("abcd")


def test_what_is_refused_is_kept_until_anything_is_given_and_believed_meanwhile():
    sight = Sight()
    assert all(refuse(sight, *NAMES)) and [view for view, _ in sight.doubts(START)] == [API]
    assert sight.believes(lease("e"), seen(GOOD), found(Cause.OK, 1.0, "ok"), START)
    assert sight.doubts(START) == []


def test_two_are_no_sight_yet_and_what_is_long_ago_is_forgotten():
    sight = Sight()
    list(refuse(sight, *NAMES[: LEAST - 1]))
    assert sight.doubts(START) == []
    list(refuse(sight, "z"))
    assert sight.doubts(START) and sight.doubts(START + MEMORY) == []


def test_what_others_doubted_first_is_no_sight_of_ours():
    sight, doubted = Sight(), replace(HEALTHY, state=State.SUSPECT, candidate=Cause.REVOKED, streak=1)
    list(refuse(sight, *NAMES, health=doubted))
    assert sight.doubts(START) == []


@pytest.mark.parametrize("cause", [c for c in Cause if c is not Cause.OK])
def test_only_what_is_said_of_a_connection_or_our_address_counts(cause):
    sight = Sight()
    list(refuse(sight, *NAMES, cause=cause))
    counts = {
        "revoked",
        "refresh_expired",
        "policy_blocked",
        "wrong_account",
        "refresh_lost",
        "egress_blocked",
    }
    assert bool(sight.doubts(START)) is (cause.value in counts), TABLE[cause].meaning


def test_an_address_may_be_barred_from_the_token_endpoint_alone():
    sight = Sight()
    list(refuse(sight, *NAMES, evidence=seen(GOOD, RefreshNote.FAILED)))
    assert [view for view, _ in sight.doubts(START)] == [GRANT]
    sight.believes(lease("e"), seen(GOOD), found(Cause.OK, 1.0, "ok"), START)
    assert [view for view, _ in sight.doubts(START)] == [GRANT], "what is read says nothing of what refreshes"
    sight.believes(lease("e"), seen(GOOD, RefreshNote.DONE), found(Cause.OK, 1.0, "ok"), START)
    assert sight.doubts(START) == []


def _held(sight, canary="a"):
    list(refuse(sight, *NAMES))
    ((view, known),) = sight.doubts(START)
    known.held_at, known.canary, sight.alone = START, canary, False
    return view, known


def test_while_it_is_held_nothing_refused_is_believed_and_only_the_canary_makes_it_sure():
    sight = Sight()
    _held(sight)
    assert sight.rests("p") and not sight.rests("q") and sight.blocked() == {}
    assert not any(refuse(sight, "c", "x")) and sight.blocked() == {}, "they may be revoked in earnest"
    assert not any(refuse(sight, "a")) and sight.blocked() == {"p": START}
    assert list(refuse(sight, "a", provider="q")) == [True], "another provider is another matter"


def test_nobody_rests_who_is_alone_and_still_does_not_believe():
    sight = Sight()
    _held(sight)
    sight.alone = True
    assert not sight.rests("p") and not any(refuse(sight, "a"))


def test_what_no_canary_decides_is_let_go():
    sight = Sight()
    _held(sight)
    assert sight.held(START + UNDECIDED - timedelta(seconds=1))
    assert sight.held(START + UNDECIDED) == [] and not sight.rests("p")
    _held(sight)
    list(refuse(sight, "a"))
    assert sight.held(START + UNDECIDED * 100), "what is sure stays until a canary is answered well"


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.booleans()), max_size=30))
def test_one_good_answer_ends_it_whatever_went_before(looks):
    """Property: after an answer that was good nothing is held against that door."""
    sight = Sight()
    for name, good, hold in looks:
        finding = found(Cause.OK, 1.0, "ok") if good else found(Cause.REVOKED, 0.9, "r", "because")
        believed = sight.believes(lease(name), seen(GOOD if good else REFUSED), finding, START)
        if good:
            assert believed and sight.views == {} and not sight.rests("p")
        for _, known in sight.doubts(START):
            if hold:
                known.held_at, known.canary = START, name
