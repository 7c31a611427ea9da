"""How a connection was over a time: a stretch for each state, how fast it answered, and what was said.

Worse is taller and what is drawn is told, too: whoever draws takes the stretches, whoever reads the table or
hears the sentence takes the same. Pure: times are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

from monitor.health.causes import Cause
from monitor.health.lifecycle import By, State, movable
from monitor.health.paces import HOUR
from monitor.health.probed import Count, first_of
from monitor.text.spans import span


class Span(StrEnum):
    """Over how long one looks back."""

    DAY = "24h"
    FORTNIGHT = "14d"
    QUARTER = "90d"

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return _LENGTHS[self]


_LENGTHS = {
    Span.DAY: timedelta(days=1),
    Span.FORTNIGHT: timedelta(days=14),
    Span.QUARTER: timedelta(days=90),
}
LONGEST = max(_LENGTHS.values())


@dataclass(frozen=True, slots=True)
class Turn:
    """That a connection came into a state."""

    at: datetime
    state: State
    cause: Cause = Cause.OK


@dataclass(frozen=True, slots=True)
class Rest:
    """That nobody looked at a connection for a time; without an end it goes on. `whole`: a person's pause.

    What rests for a maintenance window was well before: what was broken stays so (`lifecycle.By.REST`).
    """

    begun_at: datetime
    ended_at: datetime | None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Stretch:
    """How it was from a time to a time; without a state it was not known yet."""

    begun_at: datetime
    ended_at: datetime
    state: State | None
    cause: Cause = Cause.OK

    @property
    def length(self) -> timedelta:
        """How long it was so."""
        return self.ended_at - self.begun_at


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the good probes of an interval were answered, on average, and how many went another way."""

    begun_at: datetime
    ended_at: datetime
    seconds: float | None  # None: none was good
    probes: int | None = None  # None: nobody counted
    good: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What was said to the client, or done by them."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A connection over a span, up to now. Stretches lie end to end; paces may leave gaps."""

    span: Span
    begun_at: datetime
    ended_at: datetime
    stretches: tuple[Stretch, ...]
    paces: tuple[Pace, ...]
    words: tuple[Word, ...]

    @property
    def median(self) -> float | None:
        """The median answer time, in seconds."""
        known = [pace.seconds for pace in self.paces if pace.seconds is not None]
        return median(known) if known else None

    @property
    def states(self) -> str:
        """How it was, in one sentence."""
        return _states(self)

    @property
    def speed(self) -> str:
        """How fast it answered, in one sentence."""
        known = [pace.seconds * 1000 for pace in self.paces if pace.seconds is not None]
        if not known:
            return "No answer time is known."
        if round(min(known)) == round(max(known)):
            return f"Answer time: {known[0]:.0f} ms."
        return f"Answer time: {min(known):.0f} to {max(known):.0f} ms, {median(known):.0f} ms in the middle."

    @property
    def said(self) -> str:
        """What was said, in one sentence."""
        if not self.words:
            return "Nothing was said to the client, and nothing done by them."
        return "; ".join(f"{word.what}, {word.at:%Y-%m-%d %H:%M}" for word in self.words) + "."


def shortest(changed_at: datetime | None, now: datetime) -> Span:
    """Return the shortest span in which the last change lies; a day where none has it."""
    if changed_at is None:
        return Span.DAY
    return next((one for one in Span if now - changed_at < one.length), Span.DAY)


def timeline(
    over: Span,
    turns: Sequence[Turn],
    rests: Iterable[Rest],
    now_so: Turn | None,
    counts: Iterable[Count],
    words: Iterable[Word],
    now: datetime,
    interval: timedelta,
    hours: Sequence[tuple[datetime, float]] = (),
) -> Timeline:
    """Draw up a timeline. `turns` are oldest first; `now_so` is how it is now, and since when.

    `counts` are of intervals of that length, from `first_of(now, …)` on; `hours` are means of an hour each,
    where those are finer.
    """
    begin = now - over.length
    # What a person did is no verdict: it shows in how it stands alone.
    last = turns[-1].state if turns else None
    known = [*turns, *([now_so] if now_so is not None and now_so.state is not last else [])]
    first = first_of(now, over.length, interval)
    return Timeline(
        over,
        begin,
        now,
        tuple(_joined(_resting(_stretches(known, begin, now), rests, now))),
        tuple(
            _by_hour(hours, begin, now)
            if hours and over is Span.DAY and interval > HOUR
            else _paces([one for one in counts if one.begun_at >= first], begin, now, interval)
        ),
        tuple(sorted((one for one in words if begin <= one.at <= now), key=lambda one: one.at)),
    )


def _stretches(turns: Sequence[Turn], begin: datetime, now: datetime) -> list[Stretch]:
    before = [one for one in turns if one.at <= begin]
    inside = sorted((one for one in turns if begin < one.at <= now), key=lambda one: one.at)
    first = replace(max(before, key=lambda one: one.at), at=begin) if before else None
    marks = [first, *inside] if first is not None else inside
    found = [] if first is not None else [Stretch(begin, marks[0].at if marks else now, None)]
    ends = [*(one.at for one in marks[1:]), now]
    found += [Stretch(one.at, end, one.state, one.cause) for one, end in zip(marks, ends, strict=False)]
    return found


def _resting(stretches: list[Stretch], rests: Iterable[Rest], now: datetime) -> list[Stretch]:
    """Lay the times at which nobody looked over what was known of them."""
    for rest in rests:
        end, found = rest.ended_at or now, []
        for one in stretches:
            covered = rest.whole or one.state is None or one.state in movable(By.REST)
            first, last = max(one.begun_at, rest.begun_at), min(one.ended_at, end)
            if not covered or first >= last:
                found.append(one)
                continue
            found.append(replace(one, ended_at=first))
            found.append(Stretch(first, last, State.PAUSED))
            # What was known before a pause is believed no more after it: a probe has to look again.
            if last < one.ended_at:
                after = State.SUSPECT if one.state is not State.PAUSED else State.PAUSED
                found.append(Stretch(last, one.ended_at, after if one.state is not None else None))
        stretches = found
    return stretches


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Leave out what has no length, but how it is now; and make one of neighbours that are alike."""
    found: list[Stretch] = []
    known = list(stretches)
    for one in known:
        if one.begun_at >= one.ended_at and one is not known[-1]:
            continue
        if found and (found[-1].state, found[-1].cause) == (one.state, one.cause):
            found[-1] = replace(found[-1], ended_at=one.ended_at)
        else:
            found.append(one)
    return found


def _by_hour(hours: Sequence[tuple[datetime, float]], begin: datetime, now: datetime) -> list[Pace]:
    return [
        Pace(max(at, begin), min(at + HOUR, now), mean)
        for at, mean in hours
        if at < now and at + HOUR > begin
    ]


def _paces(counts: Sequence[Count], begin: datetime, now: datetime, interval: timedelta) -> list[Pace]:
    found = []
    for at in sorted({one.begun_at for one in counts}):
        of = [one for one in counts if one.begun_at == at]
        good = sum(one.probes for one in of if one.cause is Cause.OK)
        seconds = sum(one.seconds for one in of if one.cause is Cause.OK)
        first, last = max(at, begin), min(at + interval, now)
        if first < last:
            mean = seconds / good if good else None
            found.append(Pace(first, last, mean, sum(one.probes for one in of), good))
    return found


_SAID = {
    State.HEALTHY: "healthy",
    State.SUSPECT: "in doubt",
    State.BROKEN: "broken",
    State.PENDING: "never authorized",
    State.PAUSED: "paused",
}


def said_of(state: State | None) -> str:
    """Say a state as part of a sentence."""
    return _SAID[state] if state is not None else "not known"


def _states(found: Timeline) -> str:
    """Say the last stretch with its beginning, and of the others how often and how long they were."""
    if not found.stretches:
        return "Nothing is known of it."
    last, before = found.stretches[-1], found.stretches[:-1]
    if not before:
        whole = f"{said_of(last.state)} for all of the last {span(found.span.length)}"
        return f"{whole[0].upper()}{whole[1:]}."
    now = f"{said_of(last.state)} since {last.begun_at:%Y-%m-%d %H:%M}"
    sums: dict[State | None, tuple[int, timedelta]] = {}
    for one in before:
        times, length = sums.get(one.state, (0, timedelta(0)))
        sums[one.state] = (times + 1, length + one.length)
    parts = [
        f"{said_of(state)} {_times(times)}{span(length)}"
        for state, (times, length) in sorted(sums.items(), key=lambda item: item[1][1], reverse=True)
    ]
    return f"{now[0].upper()}{now[1:]}; before that {', '.join(parts)}."


def _times(times: int) -> str:
    return "for " if times == 1 else f"{times} times, in all "
