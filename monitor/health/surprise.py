"""Whether so many clients break together by chance: the fleet guard's judgement of what clients mend.

A share of the fleet cannot see an incident that hits one client in ten. So each group (a provider, its
regions, its apps) is held against its own past: how many of its clients broke within a quarter of an hour,
an hour, … a day, and how seldom as many would by chance.

Breaks of one group are taken to be Poisson with a rate that is not known but learned, so their number is
negative binomial. The rate is learned twice: how often a client breaks at all (from a prior of one break in
two years), and how many broke in the same hours of the weeks before. Clients are counted, never connections:
a firm with fifty connections that removes the app is one client.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from math import exp, lgamma, log, log1p

from monitor.health.breaks import ALONE, DAY, Break
from monitor.health.causes import Subject
from monitor.health.incidents import About, Place

WINDOWS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=3), timedelta(hours=8), DAY)
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
WEEKS = 4  # of the past are looked at
YEAR = timedelta(days=365)
_WEEK = WEEK.total_seconds()
# What is believed before anything was seen: one break of a client in two years, and how firmly (in breaks).
RATE, WEIGHT = 0.5, 2.0
# Breaks come when people work. Until it is known when that is, as if all came in these hours of a year.
WORKING_HOURS, WORKING_DAYS = 2080, 260
BAD_DAY = 2.0  # a day with twice as many as usual is still an ordinary one
LEAST = 1e-9
HEALING = 0.2  # a provider whose breaks heal by themselves this often is in doubt


class Level(IntEnum):
    """How surprising it is."""

    CALM = 0
    DOUBT = 1  # first mails wait longer
    HOLD = 2  # the guard is up


@dataclass(frozen=True, slots=True)
class SurprisePolicy:
    """What chance brings about less often than once in `once_in` is held; None holds nothing.

    What it brings about less often than once in `doubt_once_in` is doubted. `settle` is for how long a break
    that healed by itself still speaks for an incident.
    """

    once_in: timedelta | None = timedelta(days=90)
    doubt_once_in: timedelta = timedelta(days=3)
    settle: timedelta = timedelta(hours=4)


def tail(k: int, mean: float, shape: float) -> float:
    """Return P(X >= k) where X is Poisson with a Gamma rate of this mean and shape (negative binomial).

    Summed from k away from the bulk, so that neither a small result nor a large mean loses its digits.
    """
    if k <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    q = mean / (mean + shape)
    if k > mean:
        return min(1.0, _upwards(k, q, mean, shape))
    return max(0.0, 1.0 - _downwards(k - 1, q, mean, shape))


def _point(n: int, q: float, mean: float, shape: float) -> float:
    exponent = lgamma(shape + n) - lgamma(shape) - lgamma(n + 1) + n * log(q) - shape * log1p(mean / shape)
    return exp(exponent)


def _upwards(n: int, q: float, mean: float, shape: float) -> float:
    term, total = _point(n, q, mean, shape), 0.0
    while term > 1e-15 * total:
        total += term
        term *= q * (shape + n) / (n + 1)
        n += 1
    return total


def _downwards(n: int, q: float, mean: float, shape: float) -> float:
    term, total, mode = _point(n, q, mean, shape), 0.0, max(0.0, (shape - 1) * q / (1 - q))
    while n >= 0 and (n > mode or term > 1e-18):
        total += term
        term *= n / (q * (shape + n - 1)) if n else 0.0
        n -= 1
    return total


@dataclass(frozen=True, slots=True)
class Usual:
    """What is known of a group's past: how many clients it has, for how long they were watched, what broke.

    `years` are client-years within the last four weeks; `weeks` are whole ones, at most four. `times` are the
    ordinary breaks of these weeks, oldest first (Unix seconds), and `who` their clients. Ordinary is what
    neither healed by itself nor was part of a wave, and is over a day old: what is being judged teaches
    nothing. `level` is how often a client breaks in a year.
    """

    clients: int = 0
    weeks: int = 0
    times: Sequence[float] = ()
    who: Sequence[str] = ()
    level: float = RATE

    @classmethod
    def of(cls, clients: int, years: float, weeks: int, breaks: Iterable[tuple[float, str]]) -> Usual:
        """Learn from a group's ordinary breaks, time and client; one client counts once a week."""
        ordered = sorted(breaks)
        seen = len({(who, at // _WEEK) for at, who in ordered})
        level = (WEIGHT + seen) / (WEIGHT / RATE + years)
        return cls(clients, weeks, [at for at, _ in ordered], [who for _, who in ordered], level)

    def expected(self, window: timedelta, now: datetime) -> tuple[float, float]:
        """Return mean and shape of how many clients break in the window that ends now, on a bad day."""
        # An hour either way: daylight saving, and what falls on the edge of a window.
        at, hour = now.timestamp(), HOUR.total_seconds()
        return self._expected(window, max(self._seen(window, at + shift) for shift in (-hour, 0.0, hour)))

    def limit(self, once_in: timedelta) -> int:
        """Return how many clients within a day would raise the guard in the busiest hours of the week."""
        hours = range(int(WEEK / HOUR)) if self.times else ()
        newest = (self.times[-1] + _WEEK - hour * 3600 for hour in hours)
        mean, shape = self._expected(DAY, max((self._seen(DAY, at) for at in newest), default=0))
        rare, k = DAY / once_in, 2
        while tail(k, mean, shape) > rare:
            k *= 2
        return 2 + bisect_left(range(2, k), True, key=lambda n: tail(n, mean, shape) <= rare)

    def _expected(self, window: timedelta, seen: int) -> tuple[float, float]:
        if window <= timedelta(hours=8):
            share = window / HOUR / WORKING_HOURS
        else:
            share = max(1.0, window / DAY) / WORKING_DAYS
        prior = max(LEAST, self.level * self.clients * share)
        shape = WEIGHT + seen
        return BAD_DAY * shape / (WEIGHT / prior + self.weeks), shape

    def _seen(self, window: timedelta, now: float) -> int:
        """How many clients broke within the same window of the weeks before."""
        ends = [now - n * _WEEK for n in range(1, self.weeks + 1)]
        return sum(self._between(end - window.total_seconds(), end) for end in ends)

    def _between(self, begin: float, end: float) -> int:
        return len(set(self.who[bisect_right(self.times, begin) : bisect_right(self.times, end)]))


def expected_mails(usual: Mapping[About, Usual], span: timedelta, now: datetime) -> float:
    """Return how many clients' breaks of the span until now are to be expected in the whole fleet."""
    providers = [known for about, known in usual.items() if about.kind is Subject.PROVIDER]
    return sum(known.expected(span, now)[0] for known in providers) / BAD_DAY


@dataclass(frozen=True, slots=True)
class Surprise:
    """So many clients of a group broke within a window, and this is how likely that is by chance."""

    about: About
    level: Level = Level.CALM
    clients: int = 0
    window: timedelta = WINDOWS[0]
    chance: float = 1.0

    @property
    def years(self) -> float:
        """Once in how many years chance brings about as many."""
        return self.window / YEAR / self.chance if self.chance else float("inf")


def surprise(
    about: About, newest: Iterable[datetime], usual: Usual, policy: SurprisePolicy, now: datetime
) -> Surprise:
    """Judge one group; `newest` has the newest break of each of its clients that broke within a day."""
    found = Surprise(about)
    ages = sorted(now - at for at in newest)
    if policy.once_in is None or len(ages) < 2:
        return found  # one client alone is never surprising
    for window in WINDOWS:
        k = bisect_left(ages, window)
        if k >= 2:
            chance = tail(k, *usual.expected(window, now))
            level = _level(chance, window, policy.once_in, policy.doubt_once_in)
            found = max(found, Surprise(about, level, k, window, chance), key=lambda s: (s.level, s.years))
    return found


def _level(chance: float, window: timedelta, once_in: timedelta, doubt_once_in: timedelta) -> Level:
    if chance <= window / once_in:
        return Level.HOLD
    return Level.DOUBT if chance <= window / doubt_once_in else Level.CALM


@dataclass(frozen=True, slots=True)
class Judgement:
    """Over which groups there is doubt, or the guard up; and which providers' breaks heal by themselves."""

    surprises: Mapping[About, Surprise] = field(default_factory=dict)
    healing: frozenset[str] = frozenset()

    @property
    def surprised(self) -> bool:
        """Whether anything is more than chance brings about."""
        return any(found.level > Level.CALM for found in self.surprises.values())

    def level(self, place: Place) -> Level:
        """Return how surprising it is that something breaks here now."""
        found = max(
            (s.level for about in place.groups() if (s := self.surprises.get(about)) is not None),
            default=Level.CALM,
        )
        return max(found, Level.DOUBT) if place.provider in self.healing else found

    def up(self, place: Place) -> list[Surprise]:
        """Return the guards that are up over a place, widest group first."""
        found = (self.surprises.get(about) for about in place.groups())
        return [s for s in found if s is not None and s.level is Level.HOLD]


def judge(
    breaks: Sequence[Break], usual: Mapping[About, Usual], policy: SurprisePolicy, now: datetime
) -> Judgement:
    """Judge all groups by the breaks of the last day."""
    if policy.once_in is None:
        return Judgement()
    day = [one for one in breaks if now - one.at < DAY]
    counted = [one for one in day if one.counts(policy.settle, now)]
    found = _groups(counted, usual, policy, now)
    narrow = {a for a, s in found.items() if s.level is Level.HOLD and a.kind is not Subject.PROVIDER}
    if narrow:
        # A provider is judged only by what its regions and apps do not explain.
        rest = [one for one in counted if narrow.isdisjoint(one.place.groups())]
        wide = {a: Surprise(a) for a in found if a.kind is Subject.PROVIDER}
        again = _groups(rest, usual, policy, now)
        found |= wide | {a: s for a, s in again.items() if a.kind is Subject.PROVIDER}
    return Judgement(found, _healing(day))


def _groups(
    counted: Iterable[Break], usual: Mapping[About, Usual], policy: SurprisePolicy, now: datetime
) -> dict[About, Surprise]:
    by_place: dict[Place, dict[str, datetime]] = defaultdict(dict)
    for one in counted:
        mine = by_place[one.place]
        if one.client not in mine or one.at > mine[one.client]:
            mine[one.client] = one.at
    newest: dict[About, dict[str, datetime]] = defaultdict(dict)
    for place, times in by_place.items():
        for about in place.groups():
            known = newest[about]
            for client, at in times.items():
                if client not in known or at > known[client]:
                    known[client] = at
    return {
        about: surprise(about, times.values(), usual.get(about, Usual()), policy, now)
        for about, times in newest.items()
    }


def _healing(day: Iterable[Break]) -> frozenset[str]:
    broke: dict[str, set[str]] = defaultdict(set)
    healed: dict[str, set[str]] = defaultdict(set)
    for one in day:
        broke[one.place.provider].add(one.client)
        if one.ended == ALONE:
            healed[one.place.provider].add(one.client)
    return frozenset(p for p, who in healed.items() if len(who) >= HEALING * len(broke[p]))
