"""One run of the fleet guard over first mails: who joins a wave, who waits, and how a wave ends.

Plain values in, plain values out; `monitor.store.guarding` reads the one and writes the other. A second run
at the same time changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.health.breaks import DAY, IN_DOUBT, IN_TROUBLE, Break
from monitor.health.guard import GuardPolicy
from monitor.health.incidents import About
from monitor.health.surprise import Judgement, Level, Surprise, Usual
from monitor.health.wave import Course, End, Wave, joined, joining, members, step


@dataclass(frozen=True, slots=True)
class Trouble:
    """An outage of a provider, or answers of it that nobody knows; it last took somebody in at `last_at`."""

    provider: str
    opened_at: datetime
    closed_at: datetime | None
    last_at: datetime

    def holds(self, one: Break, settle: timedelta, now: datetime) -> bool:
        """Whether a break opened in its midst, so that it is not believed until this has settled.

        A trouble that took nobody in for a day says nothing any more, and nobody waits for longer than that.
        """
        return (
            one.place.provider == self.provider
            and self.opened_at <= one.at
            and (self.closed_at is None or (one.at <= self.closed_at and now - self.closed_at < settle))
            and one.at - self.last_at < DAY
            and now - one.at < DAY
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A wave as it stands, with all breaks that ever belonged to it."""

    wave: Wave
    breaks: tuple[Break, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What becomes of one provider's wave now. `joins` and `canaries` are incidents."""

    provider: str
    wave: Wave
    begins: bool
    up: tuple[Surprise, ...]  # the guards that are up over its regions and apps, or itself
    joins: tuple[int, ...]
    canaries: tuple[int, ...]
    asked: tuple[str, ...]  # the clients of the canaries
    end: End | None
    breaks: tuple[Break, ...]  # its members, with those that joined


@dataclass(frozen=True, slots=True)
class Result:
    """What a run comes to: the waves, and for what each break waits that should wait for something else."""

    runs: tuple[Run, ...] = ()
    waits: Mapping[int, str] = field(default_factory=dict)


def run(
    breaks: Sequence[Break],
    waves: Mapping[str, Held],
    troubles: Sequence[Trouble],
    judgement: Judgement,
    usual: Mapping[About, Usual],
    policy: GuardPolicy,
    now: datetime,
) -> Result:
    """Return what follows from a judgement; `breaks` are those of the last day, and older ones that wait."""
    of_provider: dict[str, list[Break]] = {provider: [] for provider in waves}
    for one in breaks:
        of_provider.setdefault(one.place.provider, []).append(one)
    runs = [
        made
        for provider, mine in of_provider.items()
        if (made := _run(provider, mine, waves.get(provider), judgement, usual, policy, now)) is not None
    ]
    held = {
        one.incident
        for made in runs
        if made.end is None
        for one in made.breaks
        if one.untold and one.incident not in made.canaries
    }
    return Result(tuple(runs), _waits(breaks, held, troubles, judgement, policy, now))


def _run(
    provider: str,
    mine: Sequence[Break],
    held: Held | None,
    judgement: Judgement,
    usual: Mapping[About, Usual],
    policy: GuardPolicy,
    now: datetime,
) -> Run | None:
    over = {place: judgement.up(place) for place in {one.place for one in mine}}
    up = {surprise.about: surprise for found in over.values() for surprise in found}
    known = {one.incident for one in held.breaks} if held is not None else set()
    due = joining(mine, lambda one: bool(over[one.place]), now)
    joins = [one for one in due if one.incident not in known]
    if held is None and not joins:
        return None
    wave, whole = (held.wave, held.breaks) if held is not None else (Wave.begin(now), ())
    if joins:
        wave, whole = joined(wave, now), (*whole, *joins)
    once_in = policy.surprise.once_in
    if once_in is None:
        stepped = Course(wave, End.OFF)
    else:
        stepped = step(
            wave,
            members(whole, now),
            up=bool(up),
            limit=lambda about: usual.get(about, Usual()).limit(once_in),
            policy=policy.wave,
            now=now,
        )
    return Run(
        provider,
        stepped.wave,
        begins=held is None,
        up=tuple(sorted(up.values(), key=lambda s: (-s.level, -s.years, s.about))),
        joins=tuple(one.incident for one in joins),
        canaries=tuple(b.incident for b in whole if b.client in stepped.canaries and b.untold),
        asked=tuple(sorted(stepped.canaries)),
        end=stepped.end,
        breaks=whole,
    )


def _waits(
    breaks: Iterable[Break],
    held: set[int],
    troubles: Sequence[Trouble],
    judgement: Judgement,
    policy: GuardPolicy,
    now: datetime,
) -> dict[int, str]:
    """Return what breaks wait for, of those for which that changed."""
    found = {}
    levels = {place: judgement.level(place) for place in {one.place for one in breaks}}
    for one in breaks:
        if not one.untold or one.incident in held:
            wanted = ""
        elif any(trouble.holds(one, policy.surprise.settle, now) for trouble in troubles):
            wanted = IN_TROUBLE
        else:
            doubted = now - one.at < DAY and levels[one.place] >= Level.DOUBT
            wanted = IN_DOUBT if doubted else ""
        if wanted != one.waits:
            found[one.incident] = wanted
    return found
