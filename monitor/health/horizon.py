"""What ends in the weeks ahead, in sums: by day, by week, and what is kept alive. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from monitor.health.calendar import Entry, Kind, Needs

WEEKS = 13
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Group:
    """What ends on one day of UTC, is of one kind, app and provider, and needs the same people.

    `name` is the first connection where it is about connections, `client` whose it is where it is one alone.
    `asked`: how many of them a campaign asks. `entry`: what ends where it is about no connection.
    """

    on: date
    kind: Kind
    needs: Needs
    provider: str
    app: str
    count: int
    asked: int = 0
    name: str = ""
    client: str = ""
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Week:
    """How many ends of a week, from its Monday on, somebody has to act on before."""

    begins: date
    client: int
    operator: int

    @property
    def both(self) -> int:
        """How many in all."""
        return self.client + self.operator


@dataclass(frozen=True, slots=True)
class Kept:
    """Refresh tokens of a provider that run out unless they are used, and that the service uses in time.

    `first` is the nearest of their ends; `left` others nobody uses, the first of which ends at `left_first`.
    """

    provider: str
    count: int
    first: datetime | None
    left: int = 0
    left_first: datetime | None = None


def monday(of: date) -> date:
    """Return the Monday of a day's week."""
    return of - timedelta(days=of.weekday())


def weeks(groups: Iterable[Group], today: date, many: int = WEEKS) -> list[Week]:
    """Return the weeks from this one on. What ended before this week's Monday is in none of them."""
    first = monday(today)
    sums = [[0, 0] for _ in range(many)]
    for one in groups:
        number = (one.on - first).days // WEEK.days
        if 0 <= number < many and one.needs is not Needs.NOBODY:
            sums[number][one.needs is Needs.OPERATOR] += one.count
    return [Week(first + number * WEEK, *pair) for number, pair in enumerate(sums)]


def in_order(groups: Iterable[Group]) -> list[Group]:
    """Return them as one reads them: by day, the operator's first, and then by what they are."""
    return sorted(
        groups, key=lambda one: (one.on, one.needs is not Needs.OPERATOR, one.kind.value, one.app, one.name)
    )
