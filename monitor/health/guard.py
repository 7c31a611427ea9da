"""The fleet guard, and of its two rules the one for outages: when an unusual share fails, it is one incident.

What a client mends is judged by surprise (`monitor.health.surprise`) and held as a wave
(`monitor.health.wave`). What nobody's client mends (an outage, a refused app, our own network) holds no mail,
but would page once a connection: here it becomes one incident of the narrowest group that explains it. That
is judged by what turned bad within the window alone: what is older neither raises a guard nor keeps one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.health.causes import Cause, Subject
from monitor.health.incidents import OUR_NETWORK, About, Place
from monitor.health.surprise import SurprisePolicy
from monitor.health.wave import WavePolicy


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """`share` of a group, at least `minimum` connections, failing within `window`; and the waves."""

    share: float = 0.2
    minimum: int = 5
    window: timedelta = timedelta(minutes=15)
    surprise: SurprisePolicy = field(default_factory=SurprisePolicy)
    wave: WavePolicy = field(default_factory=WavePolicy)


@dataclass(frozen=True, slots=True)
class Tally:
    """How the connections of one place stand: all that are watched, and those that failed lately, by cause.

    `lately` is within the window, and only of causes that no client mends.
    """

    place: Place
    total: int
    lately: Mapping[Cause, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """The guard is up over a group, for this reason."""

    about: About
    cause: Cause
    bad: int
    total: int

    @property
    def sentence(self) -> str:
        """Why, in words."""
        return (
            f"{self.bad} of {self.total} connections of {self.about} turned bad together, "
            f"mostly {self.cause.value}; this is one incident."
        )


def judge(tallies: Iterable[Tally], standing: frozenset[About], policy: GuardPolicy) -> tuple[Hold, ...]:
    """Return over which groups the guard is up now; `standing` are those where it already was.

    It comes down at half of what raised it, so that it does not flutter.
    """
    groups: dict[About, list[Tally]] = defaultdict(list)
    for tally in tallies:
        for about in tally.place.groups():
            groups[about].append(tally)
    holds = {
        about: hold
        for about, members in groups.items()
        if (hold := _over(about, members, about in standing or OUR_NETWORK in standing, policy)) is not None
    }
    return tuple(sorted(_fewest(holds, groups), key=lambda hold: hold.about))


def _over(about: About, members: list[Tally], stands: bool, policy: GuardPolicy) -> Hold | None:
    causes: Counter[Cause] = Counter()
    for tally in members:
        causes.update(tally.lately)
    bad, total = causes.total(), sum(t.total for t in members)
    share = policy.share / 2 if stands else policy.share
    least = max(1, policy.minimum // 2) if stands else policy.minimum
    if bad < least or bad < share * total:
        return None
    cause = max(causes, key=lambda c: (causes[c], c.value))
    return Hold(about, cause, bad, total)


def _fewest(holds: dict[About, Hold], groups: dict[About, list[Tally]]) -> Iterable[Hold]:
    """Keep the one group that explains the others.

    A provider has regions, a region has apps. Where a wide group is held, its narrower ones are part of
    the same incident, which is about the narrowest group that holds all that is bad.
    """
    kept: set[About] = set()
    settled: set[Place] = set()
    for kind in (Subject.PROVIDER, Subject.REGION, Subject.APP):
        for about in sorted(a for a in holds if a.kind is kind):
            places = {tally.place for tally in groups[about]}
            if not places <= settled:
                kept.add(_narrowest(about, holds, groups))
                settled |= places
    return _our_network([holds[about] for about in kept])


def _our_network(holds: list[Hold]) -> list[Hold]:
    """What we cannot reach from here is one incident of ours, not one of each provider."""
    ours = [hold for hold in holds if hold.cause is Cause.NETWORK]
    if not ours:
        return holds
    bad, total = sum(hold.bad for hold in ours), sum(hold.total for hold in ours)
    others = [hold for hold in holds if hold.cause is not Cause.NETWORK]
    return [*others, Hold(OUR_NETWORK, Cause.NETWORK, bad, total)]


def _narrowest(wide: About, holds: dict[About, Hold], groups: dict[About, list[Tally]]) -> About:
    hold = holds[wide]
    candidates = [
        about
        for about in holds
        if about.kind in (Subject.APP, Subject.REGION)
        and holds[about].bad == hold.bad
        and _covers(wide, about, groups)
    ]
    apps = [about for about in candidates if about.kind is Subject.APP]
    if apps and hold.cause is Cause.APP_MISCONFIGURED:
        return apps[0]
    smaller = [about for about in candidates if len(groups[about]) < len(groups[wide])]
    return min(smaller, key=lambda a: (len(groups[a]), a.kind is Subject.APP, a), default=wide)


def _covers(wide: About, narrow: About, groups: dict[About, list[Tally]]) -> bool:
    places = {tally.place for tally in groups[wide]}
    return all(tally.place in places for tally in groups[narrow])
