"""What the fleet's page says, in every case of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.health.causes import Cause, consequence
from monitor.health.listing import Counts
from monitor.operations.telling import What, Word
from monitor.operations.verdict import Verdict
from monitor.web.console import fleet_words
from monitor.web.console.cause_words import cause_words
from tests.conftest import START as NOW


def verdict(ours=0, down=(), waiting=0, late=0, **states):
    total = sum(states.values())
    counts = Counts(total, states, {}, {}, {}, {})
    return Verdict(counts, 3, ours, down, waiting, {}, {}, None, timedelta(seconds=late), ())


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (
            verdict(3, ("xero",), 13, broken=20),
            "3 things need you. Xero is down, and 13 clients have to reconnect.",
        ),
        (verdict(1, broken=1), "1 thing needs you."),
        (verdict(0, ("a", "xero"), broken=1), "a and Xero are down."),
        (verdict(0, ("a", "b", "c"), 1, broken=1), "3 providers are down, and 1 client has to reconnect."),
        (verdict(2, (), 1, broken=3), "2 things need you. 1 client has to reconnect."),
        (verdict(healthy=12_408), "All 12,408 are healthy."),
        (verdict(healthy=1), "The one connection is healthy."),
        (verdict(healthy=9, suspect=2), "Nothing is broken; 2 are in doubt."),
        (verdict(healthy=9, pending=1), "Nothing is broken; 1 is pending or paused."),
    ],
)
def test_the_verdict_is_a_sentence_with_a_number(found, wanted):
    assert fleet_words.headline(found, {"xero": "Xero"}, acts=True) == wanted


def test_who_cannot_act_is_not_called_upon():
    assert fleet_words.headline(verdict(3, broken=3), {}, acts=False) == "3 things need an operator."


def test_beneath_it_stands_how_many_and_how_lately():
    assert fleet_words.beneath(verdict(healthy=97, broken=3)) == (
        "100 connections of 3 clients. 97.0 % healthy; every look is on time."
    )
    assert "looks are 20 min late" in fleet_words.beneath(verdict(late=1200, healthy=1))


@pytest.mark.parametrize(
    ("some", "every", "wanted"),
    [(0, 0, "0 %"), (5, 5, "100 %"), (99_999, 100_000, "99.9 %"), (1, 100_000, "0.1 %"), (1, 3, "33.3 %")],
)
def test_a_share_is_never_all_or_nothing_where_it_is_not(some, every, wanted):
    assert fleet_words.percent(some, every) == wanted


def test_a_difference_is_written_with_its_sign():
    assert [fleet_words.difference(one) for one in (None, 0, 1249, -4)] == ["", "0", "+1,249", "−4"]


@pytest.mark.parametrize("what", list(What))
def test_there_are_words_for_whatever_was_said(what):
    said = fleet_words.says(Word(what, NOW, 2, "cli:ann"), NOW)
    assert said and "%" not in said and "cli:" not in said


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_is_said_in_a_few_words(cause):
    assert 0 < len(cause_words(cause)) < 60
    scoped = cause_words(cause, "matters")
    assert ("matters" in scoped) == consequence(cause).about_scopes
