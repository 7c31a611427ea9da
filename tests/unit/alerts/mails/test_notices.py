"""The rules of what is said, without a database: quiet hours, and that planning twice plans nothing new."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.mails.plan import MailPolicy, plan
from alerts.mails.quiet import Quiet
from alerts.mails.standing import Case, Client, Kind, Said, Slot
from monitor.health.causes import TABLE, Cause
from monitor.health.lifecycle import State
from tests.conftest import START

CLIENT = Client("Acme", ("it@acme.example",), "en", "America/New_York")
POLICY = MailPolicy()


def case(name="a", cause=Cause.REVOKED, **more) -> Case:
    known = {
        "incident": 1, "opened_at": START, "changed_at": START, "probed_at": START,
    }  # fmt: skip
    return Case(name, State.BROKEN, cause, TABLE[cause].owner, **(known | more))


@pytest.mark.parametrize(
    ("rules", "at", "allowed"),
    [
        ("20:00-07:00", "2026-11-23T14:00", "2026-11-23T14:00"),
        ("20:00-07:00", "2026-11-24T02:00", "2026-11-24T12:00"),
        ("20:00-07:00", "2026-11-24T11:59", "2026-11-24T12:00"),
        ("20:00-07:00, weekends", "2026-11-27T23:00", "2026-11-27T23:00"),
        ("20:00-07:00, weekends", "2026-11-28T02:00", "2026-11-30T12:00"),
        ("weekends", "2026-11-29T18:00", "2026-11-30T05:00"),
        ("12:00-13:00", "2026-11-23T17:30", "2026-11-23T18:00"),
        ("01:30-02:30", "2026-03-08T06:45", "2026-03-08T07:30"),  # the night of daylight saving
        ("", "2026-11-28T03:00", "2026-11-28T03:00"),
    ],
)
def test_quiet_hours_are_the_clients_own(rules, at, allowed):
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert Quiet.parse(rules).allowed(moment, "America/New_York").isoformat()[:16] == allowed


@pytest.mark.parametrize("rules", ["8-9", "25:00-07:00", "07:00-07:00", "always"])
def test_quiet_hours_that_are_none_are_refused(rules):
    with pytest.raises(ValueError, match=r"quiet hours|hour that no day|no time for mails"):
        Quiet.parse(rules)


@pytest.mark.parametrize("cause", list(Cause))
def test_only_what_reauthorizing_mends_is_asked_for(cause):
    wishes = plan(CLIENT, [case(cause=cause)], [], POLICY, START)
    assert [w.slot for w in wishes] == ([Slot.ASK] if TABLE[cause].client_mail else [])


@pytest.mark.parametrize(
    "change",
    [{"held": True}, {"dropped": True}, {"silenced": "x"}, {"certain": False}, {"incident": None}],
)
def test_what_is_held_silenced_or_uncertain_is_not_asked_for(change):
    assert plan(CLIENT, [case(**change)], [], POLICY, START) == ()


def test_the_first_mail_waits_an_hour_and_eight_in_doubt():
    (ask,) = plan(CLIENT, [case()], [], POLICY, START)
    assert ask.due_at == START + timedelta(hours=1)
    quiet = replace(POLICY, quiet=Quiet())
    (ask,) = plan(CLIENT, [case(doubted=True)], [], quiet, START)
    assert ask.due_at == START + timedelta(hours=8)
    patient = replace(quiet, delay=timedelta(days=2))
    (ask,) = plan(CLIENT, [case(doubted=True)], [], patient, START)
    assert ask.due_at == START + timedelta(days=2), "never sooner than the usual wait"


def test_what_a_setting_has_to_mend_is_reminded_of_once_and_then_handed_over():
    blocked, said, quiet = case("a", Cause.POLICY_BLOCKED), [], replace(POLICY, quiet=Quiet())
    for hours in range(24 * 30):
        now = START + timedelta(hours=hours)
        for wish in plan(CLIENT, [blocked], said, quiet, now):
            if wish.due_at <= now:
                said.append(Said(wish.slot, now, {"a": 1}, wish.number, addresses=CLIENT.contacts))
    assert [s.slot for s in said] == [Slot.ASK, Slot.REMINDER, Slot.HANDOVER]
    assert [(s.at - START).days for s in said] == [0, 2, 5]


def test_what_goes_along_with_another_break_waits_its_own_hour_too():
    later = START + timedelta(minutes=40)
    cases = [case("a"), case("b", incident=2, opened_at=later, changed_at=later)]
    at = START + timedelta(hours=1)
    (ask,) = plan(CLIENT, cases, [], POLICY, at)
    assert (len(ask.items), ask.due_at) == (2, later + timedelta(hours=1))
    third = START + timedelta(hours=1, minutes=10)
    cases.append(case("c", incident=3, opened_at=third, changed_at=third))
    (ask,) = plan(CLIENT, cases, [], POLICY, third)
    assert ask.due_at == later + timedelta(hours=1), "and the first is not put off by one break after another"
    assert [item.connection for item in ask.items] == ["a", "b"]


def test_an_expiry_is_announced_once_at_each_step():
    known = Case(
        "a", State.HEALTHY, Cause.OK, TABLE[Cause.OK].owner, expires_at=START + timedelta(days=40), lives_for=timedelta(days=90)
    )  # fmt: skip
    said: list[Said] = []
    for day in range(41):
        now = START + timedelta(days=day, hours=1)
        for wish in plan(CLIENT, [known], said, POLICY, now):
            assert wish.kind == Kind.EXPIRING_SOON
            said.append(Said(wish.slot, now, {"a": None}, wish.number, expiries={"a": known.expires_at}))
    assert [(s.at - START).days for s in said] == [10, 33, 39]


CASES = st.lists(
    st.builds(
        lambda name, cause, incident, minutes, held, silenced, claimed: replace(
            case(name, cause, incident=incident, held=held, silenced="x" if silenced else ""),
            opened_at=START + timedelta(minutes=minutes),
            claimed_until=START + timedelta(minutes=claimed) if claimed is not None else None,
        ),
        st.sampled_from("abcd"),
        st.sampled_from([c for c in Cause if c is not Cause.OK]),
        st.integers(1, 9),
        st.integers(0, 5000),
        st.booleans(),
        st.booleans(),
        st.none() | st.integers(0, 60 * 24 * 20),
    ),
    max_size=4,
    unique_by=lambda c: c.connection,
)


@given(CASES, st.lists(st.integers(1, 60 * 24 * 3), min_size=1, max_size=25))
def test_told_once_whatever_the_times(cases, steps):
    """Send each wish when it is due: nobody is asked twice, reminders keep their order and their distance."""
    now, said = START, []
    for minutes in steps:
        now += timedelta(minutes=minutes)
        for wish in plan(CLIENT, cases, said, POLICY, now):
            if wish.due_at <= now:
                about = {item.connection: item.incident for item in wish.items}
                said.append(Said(wish.slot, now, about, wish.number, addresses=CLIENT.contacts))
        left = [w for w in plan(CLIENT, cases, said, POLICY, now) if w.due_at <= now]
        assert not [w for w in left if w.slot in (Slot.ASK, Slot.REMINDER)], "what is due is one mail"
    for known in cases:
        mine = [s for s in said if known.connection in s.about]
        asks = [s for s in mine if s.slot is Slot.ASK]
        reminders = [s for s in mine if s.slot is Slot.REMINDER]
        most = getattr(TABLE[known.cause].asks, "reminders", None)
        assert most is None or len(reminders) <= most, "a cause may have fewer than the policy"
        assert len(asks) <= 1 and len(reminders) <= 3 and sum(s.slot is Slot.HANDOVER for s in mine) <= 1
        if known.held or known.silenced or not TABLE[known.cause].client_mail:
            assert mine == []
        if known.claimed_until is not None:
            assert all(s.at >= known.claimed_until for s in reminders), (
                "nobody is reminded of what is claimed"
            )
        times = [s.at for s in asks + reminders]
        assert all(later - earlier >= timedelta(days=1) for earlier, later in itertools.pairwise(times))
