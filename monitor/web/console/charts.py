"""Timelines as geometry: what stands where in a drawing. Colours are classes; worse is taller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.health.lifecycle import State
from monitor.health.timeline import Pace, Span, Stretch, Timeline

WIDTH = 1440
STATES, PACES, WORDS = 28, 52, 16  # the heights of the three strips
NARROWEST = 4  # what lasted a moment is seen all the same
_TALL = {State.BROKEN: 28, State.SUSPECT: 21, State.PENDING: 16, State.HEALTHY: 12, State.PAUSED: 6}
_TICKS = {Span.DAY: 8, Span.FORTNIGHT: 7, Span.QUARTER: 6}


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, and the class that it is coloured by."""

    x: float
    y: float
    width: float
    height: float
    of: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A timeline as it is drawn: the strip of states, the curve of answer times, and what was said."""

    states: Sequence[Box]
    line: str
    area: str
    words: Sequence[Box]
    ticks: Sequence[datetime]
    shown: Sequence[State]  # which states there are, for the legend
    slowest: float | None  # seconds at the top of the curve


def drawn(found: Timeline) -> Drawn:
    """Return where everything of a timeline stands."""
    top = _top(found.paces)
    line, area = _curve(found, top)
    count = _TICKS[found.span]
    step = (found.ended_at - found.begun_at) / count
    seen = {one.state for one in found.stretches}
    return Drawn(
        states=[_box(found, one) for one in found.stretches if one.state is not None],
        line=line,
        area=area,
        words=[
            Box(min(WIDTH - NARROWEST, _x(found, one.at)), 1, NARROWEST, WORDS - 2, "client")
            for one in found.words
        ],
        ticks=[found.begun_at + step * number for number in range(count + 1)],
        shown=[state for state in _TALL if state in seen],
        slowest=top,
    )


def _x(found: Timeline, at: datetime) -> float:
    share = (at - found.begun_at) / (found.ended_at - found.begun_at)
    return round(min(1.0, max(0.0, share)) * WIDTH, 1)


def _box(found: Timeline, one: Stretch) -> Box:
    assert one.state is not None  # noqa: S101 - asked for by the caller
    height = _TALL[one.state]
    first, last = _x(found, one.begun_at), _x(found, one.ended_at)
    width = max(NARROWEST, round(last - first, 1))
    return Box(min(first, WIDTH - width), STATES - height, width, height, one.state.value)


def _top(paces: Sequence[Pace]) -> float | None:
    known = [one.seconds for one in paces if one.seconds is not None]
    return max(known) * 1.15 if known and max(known) > 0 else None


def _curve(found: Timeline, top: float | None) -> tuple[str, str]:
    """Draw the answer times as steps: each is the mean of its interval, and what is not known is a gap."""
    if top is None:
        return "", ""
    line, area, end = [], [], None
    for one in found.paces:
        if one.seconds is None:
            continue
        first, last = _x(found, one.begun_at), _x(found, one.ended_at)
        y = round(PACES - 1 - one.seconds / top * (PACES - 4), 1)
        joins = end is not None and one.begun_at - end < timedelta(minutes=1)
        line.append(f"{'V' if joins else f'M{first} '}{y} H{last}")
        area.append(f"M{first} {PACES} V{y} H{last} V{PACES} Z")
        end = one.ended_at
    return " ".join(line), " ".join(area)
