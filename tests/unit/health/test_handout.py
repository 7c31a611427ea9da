"""Which answer a program gets that asks for a token: the table of the contract, a case a row, and properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause, Owner, consequence
from monitor.health.handout import (
    Books,
    Give,
    HandoutOff,
    Later,
    NeedsPerson,
    NotCustodian,
    NotNow,
    Renew,
    Trouble,
    Wish,
    decided,
    unreadable,
    without_renewal,
)
from monitor.health.lifecycle import Health, State

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HEALTHY = Health(State.HEALTHY, NOW - HOUR)


def broken(cause, **more):
    owner = consequence(cause).owner
    return Health(State.BROKEN, NOW - HOUR, cause, owner, 0.9, candidate=cause, streak=2, **more)


def suspect(cause):
    return Health(
        State.SUSPECT, NOW - MINUTE, cause, consequence(cause).owner, 0.9, candidate=cause, streak=1
    )


def books(left=None, health=HEALTHY, life=HOUR, **more):
    """A managed connection whose token lives for an hour and has `left`; None: nobody knows."""
    expires = NOW + left if left is not None else None
    issued = expires - life if expires is not None else NOW
    return Books(health, generation=17, issued_at=issued, expires_at=expires, **more)


def person(cause, since=NOW - HOUR, confidence=0.9):
    return NeedsPerson(cause.value, consequence(cause).owner, since, confidence, cause)


SOON = NOW + timedelta(seconds=20)
TABLE = [
    ("2: others keep it", books(HOUR, custody="observed"), NotCustodian()),
    ("3: an operator's switch", books(HOUR, handout=False), HandoutOff()),
    ("3 before 4", books(HOUR, broken(Cause.WRONG_ACCOUNT), handout=False), HandoutOff()),
    ("4: another firm's, confirmed", books(HOUR, broken(Cause.WRONG_ACCOUNT)), person(Cause.WRONG_ACCOUNT)),
    ("4: another firm's, suspected", books(HOUR, suspect(Cause.WRONG_ACCOUNT)),
     Later(NotNow(Trouble.CANNOT_RENEW, Cause.WRONG_ACCOUNT))),
    ("4: broken by something else, and now this is seen",
     books(HOUR, replace(broken(Cause.INSUFFICIENT_SCOPE), candidate=Cause.WRONG_ACCOUNT, streak=1)),
     Later(NotNow(Trouble.CANNOT_RENEW, Cause.WRONG_ACCOUNT))),
    ("4: paused as another firm's: what it was is not forgotten",
     books(HOUR, replace(broken(Cause.WRONG_ACCOUNT), state=State.PAUSED, streak=0)),
     Later(NotNow(Trouble.CANNOT_RENEW, Cause.WRONG_ACCOUNT))),
    ("4: new tokens since: nobody has looked yet",
     books(HOUR, replace(broken(Cause.WRONG_ACCOUNT), candidate=Cause.OK, streak=0)),
     Later(NotNow(Trouble.CANNOT_RENEW, Cause.WRONG_ACCOUNT))),
    ("5: never authorized", books(health=Health(since=NOW), authorized=False, renewable=False),
     NeedsPerson("never_authorized", Owner.CLIENT, NOW, 1.0)),
    ("6: as it should be", books(HOUR), Give()),
    ("6: just enough", books(5 * MINUTE), Give()),
    ("6: nobody knows when it ends", books(), Give()),
    ("6: also while broken: it may serve", books(HOUR, broken(Cause.INSUFFICIENT_SCOPE)), Give()),
    ("6: also revoked, as long as nobody refused this one", books(HOUR, broken(Cause.REVOKED)), Give()),
    ("6: a short life is worth half of itself", books(2 * MINUTE, life=4 * MINUTE), Give()),
    ("6: another generation was refused", books(HOUR, refused=16), Give()),
    ("6 not: this one was", books(HOUR, refused=17), Renew()),
    ("7: dead, and something is left", books(2 * MINUTE, broken(Cause.REVOKED)),
     Give(NotNow(Trouble.CANNOT_RENEW, Cause.REVOKED))),
    ("7: dead and refused", books(HOUR, broken(Cause.REVOKED), refused=17), person(Cause.REVOKED)),
    ("7: dead and at its end", books(MINUTE / 2, broken(Cause.REFRESH_EXPIRED)), person(Cause.REFRESH_EXPIRED)),
    ("7: our app is refused", books(MINUTE / 2, broken(Cause.APP_MISCONFIGURED)), person(Cause.APP_MISCONFIGURED)),
    ("7: lost, before the loop has said so", books(MINUTE / 2, lost=True, renewable=False),
     person(Cause.REFRESH_LOST)),
    ("7: no refresh token", books(MINUTE / 2, renewable=False),
     person(Cause.REFRESH_EXPIRED, since=NOW + MINUTE / 2)),
    ("7 not: new tokens since the break", books(MINUTE / 2, replace(broken(Cause.REVOKED), candidate=Cause.OK)),
     Renew()),
    ("8: failed a moment ago, something is left", books(2 * MINUTE, not_before=SOON),
     Give(NotNow(Trouble.CANNOT_RENEW, None, SOON))),
    ("8: failed a moment ago, nothing is left", books(MINUTE / 2, suspect(Cause.PROVIDER_OUTAGE), not_before=SOON),
     Later(NotNow(Trouble.CANNOT_RENEW, Cause.PROVIDER_OUTAGE, SOON))),
    ("8: refused once is a doubt", books(MINUTE / 2, suspect(Cause.REVOKED), not_before=SOON),
     Later(NotNow(Trouble.REFUSED_ONCE, Cause.REVOKED, SOON))),
    ("9: renewed on demand", books(2 * MINUTE), Renew()),
    ("9: that moment is over", books(2 * MINUTE, not_before=NOW), Renew()),
    ("9: paused is still renewed", books(2 * MINUTE, replace(HEALTHY, state=State.PAUSED)), Renew()),
]  # fmt: skip


@pytest.mark.parametrize(("case", "known", "answer"), TABLE, ids=[row[0] for row in TABLE])
def test_the_table(case, known, answer):
    assert decided(known, Wish(), NOW) == answer, case


def test_10_what_is_left_or_nothing():
    why = NotNow(Trouble.CANNOT_RENEW, Cause.PROVIDER_OUTAGE, SOON)
    assert without_renewal(books(MINUTE), Wish(), NOW, why) == Give(why)
    assert without_renewal(books(MINUTE / 2), Wish(), NOW, why) == Later(why)
    assert without_renewal(books(HOUR, refused=17), Wish(), NOW, why) == Later(why)
    strict = Wish(5 * MINUTE, accept_ttl=5 * MINUTE)
    assert without_renewal(books(2 * MINUTE), strict, NOW, why) == Later(why)


def test_nobody_makes_a_token_be_renewed_in_the_first_half_of_its_life():
    greedy = Wish(min_ttl=timedelta(hours=24))
    assert decided(books(HOUR / 2), greedy, NOW) == Give()
    assert decided(books(HOUR / 2 - timedelta(seconds=1)), greedy, NOW) == Renew()


def test_what_does_not_open_is_the_operators():
    assert unreadable(NOW) == NeedsPerson(
        "app_misconfigured", Owner.OPERATOR, NOW, 1.0, Cause.APP_MISCONFIGURED
    )


spans = st.integers(-7200, 7200).map(lambda seconds: timedelta(seconds=seconds))
healths = st.builds(
    lambda state, cause, candidate, streak: Health(
        state, NOW - HOUR, cause, consequence(cause).owner, 0.9, candidate=candidate, streak=streak
    ),
    st.sampled_from(State),
    st.sampled_from(Cause),
    st.sampled_from(Cause),
    st.integers(0, 3),
)
anything = st.builds(
    Books,
    healths,
    authorized=st.booleans(),
    renewable=st.booleans(),
    lost=st.booleans(),
    generation=st.integers(0, 3),
    refused=st.none() | st.integers(0, 3),
    issued_at=st.none() | spans.map(lambda span: NOW - abs(span)),
    expires_at=st.none() | spans.map(lambda span: NOW + span),
    not_before=st.none() | spans.map(lambda span: NOW + span),
    custody=st.sampled_from(["managed", "observed"]),
    handout=st.booleans(),
)
wishes = st.tuples(st.integers(0, 86400), st.integers(0, 86400)).map(
    lambda pair: Wish(timedelta(seconds=max(pair)), timedelta(seconds=min(pair)))
)


@given(anything, wishes)
def test_what_is_never_handed_out(known, wish):
    answer = decided(known, wish, NOW)
    if not isinstance(answer, Give):
        return
    health = known.health
    assert known.authorized and known.handout and known.custody == "managed"
    assert known.refused != known.generation
    assert health.state is State.HEALTHY or health.cause is not Cause.WRONG_ACCOUNT
    if known.expires_at is not None:
        least = wish.accept_ttl if answer.shortfall else min(wish.min_ttl, timedelta(days=2))
        if known.issued_at is not None and answer.shortfall is None:
            least = min(least, (known.expires_at - known.issued_at) / 2)
        assert known.expires_at - NOW >= least


@given(anything, wishes)
def test_the_provider_is_asked_only_where_something_may_come_of_it(known, wish):
    if decided(known, wish, NOW) == Renew():
        assert known.renewable and known.authorized
        assert known.not_before is None or known.not_before <= NOW


def test_a_doubt_is_asked_about_again_when_our_next_look_may_have_settled_it():
    until, look = NOW + timedelta(seconds=30), NOW + timedelta(seconds=5)
    refused = {"refused": 17, "not_before": until, "next_look": look}
    for health, retry_at in ((suspect(Cause.REVOKED), look), (suspect(Cause.PROVIDER_OUTAGE), until)):
        told = decided(books(HOUR, health, **refused), Wish(), NOW)
        assert isinstance(told, Later) and told.why.retry_at == retry_at
