"""The last fuse: what wants out is held against what a fleet of this size may well bring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts.mails.fuse import too_many
from monitor.health.causes import Subject
from monitor.health.incidents import About
from monitor.health.surprise import Usual

MONDAY = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def fleet(size: int, weekly: int = 0) -> dict[About, Usual]:
    """A fleet of which so many break each week: in the working hours of its days, three hours a day."""
    times = [
        ((MONDAY - DAY * day - HOUR * (n % 3)).timestamp(), f"Firm {day}-{n}")
        for day in range(2, 30)
        if (MONDAY - DAY * day).weekday() < 5
        for n in range(weekly // 5)
    ]
    return {About(Subject.PROVIDER, "clio"): Usual.of(size, size * 28 / 365, 4, times)}


def spread(count: int, begin: timedelta, end: timedelta) -> list[datetime]:
    return [MONDAY - begin + (begin - end) * n / count for n in range(count)]


def test_a_small_fleets_cap_is_the_configured_one():
    assert too_many(spread(30, 2 * HOUR, HOUR), 30, fleet(200, 5), MONDAY) == 0
    assert too_many(spread(31, 2 * HOUR, HOUR), 30, fleet(200, 5), MONDAY) == 30


def test_a_hundred_thousand_clients_do_not_blow_it_on_an_ordinary_day():
    large = fleet(100_000, 950)
    assert too_many(spread(100, 2 * HOUR, HOUR), 30, large, MONDAY) == 0
    assert too_many(spread(120, 3 * DAY, HOUR), 30, large, MONDAY) == 0, "a weekend of quiet hours"
    assert too_many(spread(1500, 2 * HOUR, HOUR), 30, large, MONDAY) > 100


def test_what_broke_in_one_night_is_not_excused_by_the_day_before():
    night = MONDAY.replace(hour=6)
    large = fleet(100_000, 950)
    broke = [night - HOUR * 4 + timedelta(seconds=20 * n) for n in range(400)]
    assert too_many(broke, 30, large, night) > 0
