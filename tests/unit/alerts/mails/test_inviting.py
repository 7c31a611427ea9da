"""What a campaign says to a client, and when; and that what is late waits out the night."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.mails.plan import MailPolicy, plan
from alerts.mails.quiet import Quiet
from alerts.mails.standing import Case, Client, Said, Slot
from monitor.health.campaign import Part
from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from tests.conftest import START

CLIENT = Client("Acme", ("it@acme.example",), "en", "America/New_York")
POLICY = MailPolicy(quiet=Quiet.parse("20:00-07:00, weekends"))
PART = Part("cmp_1", "They end.", date(2027, 6, 30), START - timedelta(days=9), START)
DAY = timedelta(days=1)


def case(name="a", **more) -> Case:
    known = {"state": State.HEALTHY, "authorized": True, "authorized_at": START - 99 * DAY, "campaign": PART}
    return Case(name, cause=Cause.OK, owner=Owner.CLIENT, **(known | more))


def live(cases, days, told=(), **more):
    """Look every hour, and send what is due; return what was said."""
    said = list(told)
    for hour in range(days * 24):
        now = START + timedelta(hours=hour)
        for wish in plan(CLIENT, cases, said, POLICY, now):
            if wish.slot is Slot.CAMPAIGN and wish.due_at <= now:
                about = {item.connection: None for item in wish.items}
                said.append(
                    Said(wish.slot, now, about, wish.number, campaign=wish.matter["campaign"], **more)
                )
    return said


@given(st.integers(1, 5), st.integers(1, 40))
def test_one_mail_for_all_and_reminders_bounded_in_the_clients_daylight(count, days):
    said = live([case(f"c{n}") for n in range(count)], days)
    assert [s.number for s in said] == list(range(len(said))) and len(said) <= 1 + len(POLICY.reminders)
    assert all(len(s.about) == count for s in said)
    assert all(POLICY.quiet.allowed(s.at, CLIENT.timezone) == s.at for s in said)
    for one, other in itertools.pairwise(said):
        assert other.at - one.at >= DAY


@pytest.mark.parametrize(
    "gone",
    [
        {"authorized_at": START},  # approved since it began
        {"state": State.BROKEN, "incident": 1, "opened_at": START},
        {"state": State.SUSPECT},
        {"state": State.PAUSED},
        {"silenced": "on holiday"},
        {"campaign_waits": True},
        {"waits": True},
        {"claimed_until": START + 31 * DAY},
        {"campaign": None},
        {"campaign": replace(PART, until=date(2026, 11, 22))},
    ],
)
def test_nobody_is_asked_who_need_not_or_cannot(gone):
    assert live([case(**gone)], 30) == []


def test_an_address_that_refuses_is_not_reminded_and_a_later_campaign_asks_anew():
    said = live([case()], 30, arrived=False)
    assert [s.number for s in said] == [0]
    other = replace(PART, campaign="cmp_2", chosen_at=START)
    assert {s.campaign for s in live([case(campaign=other)], 30, told=said)} == {"cmp_1", "cmp_2"}


def test_what_is_late_waits_out_the_night_too():
    quiet = Quiet.parse("20:00-07:00")
    due = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    night, morning = datetime(2026, 11, 24, 2, 0, tzinfo=UTC), datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    assert quiet.due(due, due, "UTC") == due
    assert quiet.due(due, night, "UTC") == morning, "released at night"
    assert quiet.due(due, morning, "UTC") == due
    assert quiet.due(night, due, "UTC") == morning
