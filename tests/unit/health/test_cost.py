"""What looking costs, in numbers that one can check by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.health.cost import Allowed, Cost, sentences, too_dear

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("cost", "reads"),
    [
        (Cost(1, 10 * MINUTE), 4_320),
        (Cost(115, 10 * MINUTE), 496_800),
        (Cost(1, HOUR, 1), 720 + 720),  # one scope, checked with each look
        (Cost(1, 5 * MINUTE, 2), 8_640 + 1_440),
        (Cost(1, HOUR, 5), 720 + 720),  # at most one scope a look
        (Cost(0, HOUR), 0),
    ],
)
def test_reads_a_month(cost, reads):
    assert cost.reads_per_month == reads


def test_what_is_metered_and_too_much_says_what_to_set():
    metered = Allowed(reads_per_month=500_000)
    assert too_dear(Cost(115, 10 * MINUTE), metered) is None
    said = too_dear(Cost(200, 5 * MINUTE), metered)
    assert said is not None
    assert "1,728,000 reads a month" in said
    assert "every 18 minutes" in said
    assert Cost(200, 18 * MINUTE).reads_per_month <= 500_000 < Cost(200, 17 * MINUTE).reads_per_month
    assert too_dear(Cost(10_000, MINUTE), Allowed()) is None


@pytest.mark.parametrize(
    "cost", [Cost(200, 5 * MINUTE), Cost(300, 5 * MINUTE, 600), Cost(50, MINUTE, 500, MINUTE)]
)
def test_the_interval_that_is_named_is_enough(cost):
    least = cost.interval_for(400_000)
    assert Cost(cost.connections, least, cost.scopes, cost.scope_interval).reads_per_month <= 400_000 * 1.001


def test_shares_of_limits():
    assert Cost(90, MINUTE).limit_share(Allowed(180, app_wide=True)) == pytest.approx(0.5)
    assert Cost(90, MINUTE).limit_share(Allowed(50)) == pytest.approx(0.02)
    assert Cost(0, MINUTE).limit_share(Allowed(50)) is None


def test_what_one_should_know():
    said = sentences(
        Cost(2, HOUR), Allowed(50, reads_per_month=10_000, live_access_tokens=2, grants_per_user=5), "V"
    )
    assert said == [
        "Probing 2 connections every 1 hour takes about 1,440 reads a month of the 10,000 that V lets an app make.",
        "That is less than 1% of each token's rate limit.",
        "V keeps 2 access tokens of a grant alive: programs have to fetch theirs here each time, and not keep a copy.",
        "V keeps 5 approvals of a user, and one more ends the oldest: every try of a re-authorization costs one.",
    ]
    assert sentences(Cost(0, HOUR), Allowed(), "V") == []
