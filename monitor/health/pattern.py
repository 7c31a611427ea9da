"""What breaks that came together have alike, and what not: one cause and rule speak for one incident."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.health.breaks import Break

TRAITS = ("cause", "rule", "region", "app")


@dataclass(frozen=True, slots=True)
class Trait:
    """Something that each break has: its values with the number of clients, the most frequent first."""

    name: str
    values: tuple[tuple[str, int], ...]

    @property
    def shared(self) -> bool:
        """Whether it is the same for all."""
        return len(self.values) == 1


@dataclass(frozen=True, slots=True)
class Pattern:
    """The traits of breaks, and from when to when they came; None where there are none."""

    traits: tuple[Trait, ...]
    first: datetime | None = None
    last: datetime | None = None

    @property
    def apart(self) -> timedelta:
        """How long it took from the first to the last."""
        return self.last - self.first if self.first and self.last else timedelta(0)

    def trait(self, name: str) -> Trait | None:
        """Return a trait by its name."""
        return next((one for one in self.traits if one.name == name), None)


def pattern(breaks: Iterable[Break]) -> Pattern:
    """Return what these breaks have alike."""
    values: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    times = []
    for one in breaks:
        found = (one.cause.value, one.rule, one.place.region, one.place.app)
        for name, value in zip(TRAITS, found, strict=True):
            values[name][value].add(one.client)
        times.append(one.at)
    traits = tuple(
        Trait(name, tuple(Counter({value: len(who) for value, who in found.items()}).most_common()))
        for name, found in values.items()
    )
    return Pattern(traits, min(times, default=None), max(times, default=None))
