"""What happens in a month, or in one incident: drawn at random, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.clock import Clock
from tests.month.fleet import HOUR, PLACES, Fleet, Places, make, own_breaks
from tests.month.world import KINDS, Revocation, Span, Trouble, World

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SUDDEN, CREEPING, ROTATING = "sudden", "creeping", "rotating"


@dataclass(frozen=True)
class Incident:
    """The provider refuses a share of the clients definitely, for a while.

    Sudden: all at once. Creeping: one by one over hours, until the end is everybody's. Rotating: others all
    the time, each for half an hour to two.
    """

    share: float
    manner: str
    length: timedelta
    over: timedelta = timedelta(0)
    renewed: bool = False

    def trouble(
        self, fleet: Fleet, begin: datetime, draw: random.Random, among: Sequence[int] | None = None
    ) -> Trouble:
        """Draw whom it strikes, of all or `among` some, and from when until when each."""
        some = among or range(len(fleet))
        struck = draw.sample(some, max(1, round(self.share * len(some))))
        end = begin + max(self.length, self.over)
        return Trouble(
            "confused", begin, end, {firm: self._span(begin, end, draw) for firm in struck}, self.renewed
        )

    def _span(self, begin: datetime, end: datetime, draw: random.Random) -> Span:
        start = begin + draw.random() * self.over
        if self.manner == ROTATING:
            return start, start + HOUR * draw.uniform(0.5, 2)
        return start, max(end + draw.expovariate(1 / 5) * MINUTE, start + 5 * MINUTE)


@dataclass(frozen=True)
class Mass:
    """Clients who really lost access together: a share of them, or the one firm with fifty connections."""

    share: float
    over: timedelta = timedelta(minutes=5)

    def revocations(self, fleet: Fleet, begin: datetime, draw: random.Random) -> list[Revocation]:
        """Draw whom it strikes, and when each."""
        count = max(1, round(self.share * len(fleet)))
        firms = draw.sample(range(len(fleet)), count) if self.share else [0]
        return [Revocation(firm, begin + draw.random() * self.over, "mass") for firm in firms]


def one_event(
    what: Incident | Mass,
    firms: int,
    begin: datetime,
    days: float,
    clock: Clock,
    seed: int,
    *,
    peace: timedelta = DAY,
    inside: int = 2,
    rate: float = 1.0,
) -> World:
    """Draw a world in which one thing happens after a time of peace; `inside` of it so many firms break."""
    # A simulation has to be repeatable, not unpredictable.
    draw = random.Random(seed)  # noqa: S311
    fleet = make(firms, rate, draw)
    at, end = begin + peace + HOUR * draw.random(), begin + DAY * days
    revocations = [Revocation(firm, when) for firm, when in own_breaks(fleet, begin, end, draw)]
    if isinstance(what, Mass):
        return _world(fleet, clock, [], [*revocations, *what.revocations(fleet, at, draw)])
    trouble = what.trouble(fleet, at, draw)
    span = trouble.ends - trouble.begins
    revocations += [Revocation(draw.randrange(firms), at + draw.random() * span) for _ in range(inside)]
    return _world(fleet, clock, [trouble], revocations)


def month(
    firms: int,
    days: int,
    begin: datetime,
    clock: Clock,
    seed: int,
    rate: float = 0.5,
    where: Places = PLACES,
) -> World:
    """Draw a month: weather of every kind, partial incidents, mass revocations, and firms that break alone.

    Where there are several providers, weather and incidents are one provider's at a time.
    """
    draw = random.Random(seed)  # noqa: S311
    fleet = make(firms, rate, draw, where)
    providers = sorted({place.provider for place, _ in where})
    several = len(providers) > 1
    troubles: list[Trouble] = []
    lengths = [8, 25, 60] if days < 5 else [8, 25, 60, 100, 180]
    for number in range(max(len(KINDS), days)):
        kind = list(KINDS)[number % len(KINDS)]
        at = begin + DAY * (0.4 + draw.random() * (days - 1.2))
        ends = at + MINUTE * draw.choice(lengths)
        # Our own network is everybody's.
        whose = fleet.at(draw.choice(providers)) if several and kind != "network" else None
        troubles.append(Trouble(kind, at, ends, whose and dict.fromkeys(whose, (at, ends))))
    for n, one in enumerate(PARTIAL[: days // 3]):
        at = begin + DAY * (0.5 + n * (days - 3) / len(PARTIAL) + draw.random())
        troubles.append(one.trouble(fleet, at, draw, fleet.at(draw.choice(providers)) if several else None))
    until = begin + DAY * days
    revocations = [Revocation(firm, at) for firm, at in own_breaks(fleet, begin, until, draw)]
    revocations += _right_inside(troubles, firms, draw)
    for n, mass in enumerate(MASSES[: days // 8]):
        revocations += mass.revocations(fleet, begin + DAY * (2.5 + n * (days - 4) / len(MASSES)), draw)
    for number, one in enumerate(revocations):
        if number % 9 == 8:  # a mistake, taken back at once: nobody has to hear of it
            one.taken_back = one.at + 4 * MINUTE
    return _world(fleet, clock, troubles, revocations)


PARTIAL = (
    Incident(0.10, SUDDEN, 2 * HOUR),
    Incident(0.05, CREEPING, 12 * HOUR, 6 * HOUR),
    Incident(0.02, SUDDEN, 48 * HOUR),
    Incident(0.30, SUDDEN, 8 * MINUTE),
    Incident(0.10, ROTATING, 12 * HOUR, 12 * HOUR),
    Incident(0.30, CREEPING, 48 * HOUR, 12 * HOUR),
    Incident(0.02, CREEPING, 24 * HOUR, 6 * HOUR),
    Incident(0.05, SUDDEN, 30 * MINUTE),
    Incident(0.10, CREEPING, 48 * HOUR, 12 * HOUR),
)
FIFTY_CONNECTIONS = Mass(0)
MASSES = (Mass(0.05), FIFTY_CONNECTIONS, Mass(0.02, 8 * HOUR))


def _right_inside(troubles: Sequence[Trouble], firms: int, draw: random.Random) -> list[Revocation]:
    return [Revocation(draw.randrange(firms), one.begins + 3 * MINUTE) for one in troubles[::2]]


def _world(fleet: Fleet, clock: Clock, troubles: list[Trouble], revocations: list[Revocation]) -> World:
    for one in revocations:
        inside = {t.partial for t in troubles if t.begins <= one.at < t.ends}
        if inside and one.kind == "own":
            one.kind = "incident" if True in inside else "weather"
    return World(fleet, clock, troubles, sorted(revocations, key=lambda one: one.at))
