"""How far a client came on the road back, and what an operator had better do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.health.road import Fate, Mailed, Road, Tip, Trip, advise, steps
from monitor.tokens.arrival import Arrival
from tests.conftest import START

HOUR = timedelta(hours=1)
MAILED = Mailed(START, 2)
NOW = START + 2 * HOUR
OTHER = Trip(START + HOUR, START + HOUR, "wrong_account", "Harbor & Finch, 88120")


def road(**more):
    known = {"account": "Whitfield & Moreau, 51734", "contacts": 2, "mails": (MAILED,), "reminders_left": 3}
    return Road("Clio Manage", **(known | more))


def told(found, now=NOW):
    return [(step.fate.value, step.says) for step in steps(found, now)]


def test_the_whole_road_to_another_account():
    found = road(opened_at=START + HOUR, started_at=START + HOUR, trips=(OTHER,))
    assert told(found) == [
        ("done", "Mailed to 2 addresses"),
        ("done", "Link opened"),
        ("done", "Started at Clio Manage"),
        (
            "failed",
            "Approved with another account: Harbor & Finch, 88120. Refused; nothing was overwritten.",
        ),
        ("ahead", "Approve as Whitfield & Moreau, 51734"),
    ]
    assert steps(found, NOW)[1].aside == "mail scanners open links, too"


def test_before_the_first_mail_it_is_said_when_that_is_due():
    due = START + HOUR
    (mail, approve) = steps(road(mails=(), due_at=due), START)
    assert (mail.fate, mail.says, mail.at) == (Fate.AHEAD, "Mailed when it is due", due)
    assert approve.says == "Approve as Whitfield & Moreau, 51734"
    assert told(road(mails=(), contacts=0, account="")) == [
        ("ahead", "Nobody is mailed: no contact is on record"), ("ahead", "Approve"),
    ]  # fmt: skip


def test_what_keeps_the_mail_back_is_said():
    found = told(road(mails=(), hindered="The fleet guard holds the mail"))
    assert found[0] == ("ahead", "The fleet guard holds the mail")
    assert told(road(hindered="Muted"))[0] == ("done", "Mailed to 2 addresses"), "it went out before"


def test_the_first_mail_and_the_last_reminder_are_told_and_a_link_that_was_handed_over():
    mails = (MAILED, Mailed(START + HOUR, 2, 1), Mailed(NOW, 2, 2, doubtful=True))
    found = steps(road(mails=mails, handed_at=START + HOUR), NOW)
    assert [step.says for step in found] == [
        "Mailed to 2 addresses", "A link was made to be handed over", "Reminded, for the second time",
        "Approve as Whitfield & Moreau, 51734",
    ]  # fmt: skip
    assert found[2].aside == "it may not have arrived"


def test_whoever_approved_rightly_has_nothing_left_to_do():
    trip = Trip(NOW, NOW, "stored", "Whitfield & Moreau, 51734")
    assert told(road(trips=(OTHER, trip)))[-1] == ("done", "Approved as Whitfield & Moreau, 51734")
    assert told(road(trips=(Trip(NOW, NOW, "held", "Other"),), held=True))[-2:] == [
        ("done", "Approved as Other"), ("ahead", "You say whether this account is theirs"),
    ]  # fmt: skip


def test_who_is_at_the_provider_just_now_and_who_did_not_come_back():
    away = road(trips=(Trip(START, None, "open"),))
    assert told(away, START + HOUR / 2)[-1][1].endswith("; they are at Clio Manage just now")
    assert told(away, START + HOUR)[-2] == ("failed", "Did not come back from Clio Manage")


@pytest.mark.parametrize("outcome", list(Arrival))
def test_every_way_in_which_a_trip_may_end_is_told(outcome):
    found = road(trips=(Trip(START, NOW, outcome.value),))
    ended = [step for step in steps(found, NOW) if step.at == NOW]
    assert len(ended) == 1
    assert (ended[0].fate is Fate.DONE) == (outcome in (Arrival.STORED, Arrival.HELD))


OPENED = {"opened_at": START}


@pytest.mark.parametrize(
    ("more", "now", "tip"),
    [
        ({}, NOW, None),  # asked a while ago: wait
        ({"mails": ()}, NOW, None),
        ({"trips": (OTHER,)}, NOW, Tip.CALL),
        ({"trips": (OTHER,), "contacts": 0}, NOW, Tip.CALL),
        ({"trips": (OTHER, Trip(NOW, NOW, "stored"))}, NOW, None),
        ({"trips": (OTHER, Trip(NOW, NOW, "held")), "held": True}, NOW, None),
        ({"trips": (Trip(NOW, NOW, "declined"),)}, NOW, Tip.ASK_WHY),
        ({"trips": (Trip(NOW, NOW, "unreachable"),)}, NOW, None),
        (OPENED, START + 23 * HOUR, None),
        (OPENED, START + 24 * HOUR, Tip.SEND_AGAIN),
        (OPENED | {"mails": (MAILED, Mailed(START + 20 * HOUR, 2, 1))}, START + 24 * HOUR, None),
        (OPENED | {"started_at": START}, START + 24 * HOUR, None),
        ({"reminders_left": 0}, NOW, Tip.ANOTHER_CONTACT),
        ({"reminders_left": 0, "due_at": NOW}, NOW, None),  # the last one is on its way
        ({"reminders_left": 0, "mails": ()}, NOW, None),  # nobody was asked yet
        ({"contacts": 0}, NOW, Tip.ADD_CONTACT),
        ({"guarded": True, "mails": ()}, NOW, Tip.DECIDE),
        ({"hindered": "Muted", "mails": ()}, NOW, None),
    ],
)
def test_advice_is_given_where_a_rule_yields_one(more, now, tip):
    found = advise(road(**more), now)
    assert (found.tip if found is not None else None) == tip


def test_a_call_is_compared_with_a_reminder_only_where_one_is_to_come():
    assert advise(road(trips=(OTHER,), due_at=NOW), NOW).says.endswith(
        "A call is quicker than the next reminder."
    )
    assert advise(road(trips=(OTHER,)), NOW).says.endswith("A call is quicker.")
