"""How many connections of an incident were broken, over the time that it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

POINTS = 40  # of a line that people look at


@dataclass(frozen=True, slots=True)
class Growth:
    """How many were broken at each of some moments, an even time apart; the last one is now, or its end."""

    points: tuple[tuple[datetime, int], ...]

    @property
    def last(self) -> tuple[datetime, int]:
        """The last moment, and how many were broken then."""
        return self.points[-1]

    @property
    def most(self) -> tuple[datetime, int]:
        """When the most were broken, the first time, and how many."""
        return max(self.points, key=lambda point: (point[1], -point[0].timestamp()))

    @property
    def level_since(self) -> datetime:
        """Since when their number has not changed."""
        found, now = self.points[-1]
        for at, count in reversed(self.points):
            if count != now:
                break
            found = at
        return found


def moments(first: datetime, last: datetime, points: int = POINTS) -> tuple[datetime, ...]:
    """Return so many moments from one to another, an even time apart; a minute at least from end to end."""
    length = max(last - first, timedelta(minutes=1))
    return tuple(last - length + length * step / (points - 1) for step in range(points))
