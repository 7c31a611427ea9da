"""The firms of a month: where they stand, how many connections each has, and when they break by themselves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from monitor.health.incidents import Place
from tests.month import speech
from tests.standins.dialects import EVERY

# Groups differ, so that a group can be struck and another not: one app a region, and a second one in the first.
PLACES = (
    (Place("clio", "clio", "us"), 0.5),
    (Place("clio-eu", "clio", "eu"), 0.3),
    (Place("books", "clio", "us"), 0.2),
)
# One app each, as many firms.
EVERYWHERE = tuple((Place(name, name, speech.region(name)), 1.0) for name in sorted(EVERY))
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Firm:
    """One client: its number, and its connections at one app."""

    number: int
    place: Place
    connections: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"it@{self.number}.example"


@dataclass(frozen=True)
class Fleet:
    """All firms; `rate` is how often one breaks by its own doing, a year."""

    firms: tuple[Firm, ...]
    rate: float

    def __len__(self) -> int:
        return len(self.firms)

    @cached_property
    def connections(self) -> int:
        return sum(len(firm.connections) for firm in self.firms)

    def at(self, provider: str) -> list[int]:
        """Return the firms of a provider."""
        return [firm.number for firm in self.firms if firm.place.provider == provider]


Places = tuple[tuple[Place, float], ...]


def make(size: int, rate: float, draw: random.Random, where: Places = PLACES) -> Fleet:
    """Draw a fleet: nine of ten firms have one connection, the others up to five, one has fifty."""
    firms = []
    for number in range(size):
        places, weights = zip(*where, strict=True)
        (place,) = draw.choices(places, weights)
        many = 50 if number == 0 and size >= 200 else draw.randint(2, 5) if draw.random() < 0.1 else 1
        names = tuple(f"firm-{number:05}.{n}" for n in range(many))
        firms.append(Firm(number, place, names))
    return Fleet(tuple(firms), rate)


def firm_of(connection: str) -> int:
    """Return whose connection this is."""
    return int(connection.removeprefix("firm-").partition(".")[0])


def own_breaks(
    fleet: Fleet, begin: datetime, end: datetime, draw: random.Random
) -> Iterator[tuple[int, datetime]]:
    """Draw when firms break by their own doing: mostly in working hours, and sometimes a few of a kind together.

    Three in a hundred take up to three others along within two hours: firms of one owner, one administrator.
    """
    yearly = sum(_weight(hour) for hour in range(168)) * 52.14
    passed, next_at, hour = 0.0, draw.expovariate(1), begin.replace(minute=0, second=0)
    while hour < end:
        of_week = hour.weekday() * 24 + hour.hour
        passed += len(fleet) * fleet.rate * _weight(of_week) / yearly
        while next_at <= passed:
            at = hour + HOUR * draw.random()
            along = draw.randint(1, 3) if draw.random() < 0.03 else 0
            for moment in (at, *(at + 2 * HOUR * draw.random() for _ in range(along))):
                if begin <= moment < end:
                    yield draw.randrange(len(fleet)), moment
            next_at += draw.expovariate(1)
        hour += HOUR


def _weight(hour: int) -> float:
    """How many breaks an hour of the week has: 85 of 100 in working hours, Monday's morning 2.5 times as many."""
    day, of_day = divmod(hour, 24)
    if day < 5 and 9 <= of_day < 17:
        return 0.85 / 40 * (2.5 if day == 0 and of_day < 12 else 1)
    return 0.15 / 128


def reaction(draw: random.Random) -> timedelta | None:
    """Draw how long after a mail its reader authorizes; a quarter never does."""
    if draw.random() < 0.25:
        return None
    return draw.lognormvariate(1.79, 1.2) * HOUR  # the median is six hours
