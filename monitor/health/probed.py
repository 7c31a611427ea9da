"""How a connection's probes went over a day, a week and a month, from counts an interval each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor

from monitor.health.causes import Cause

SPANS = (timedelta(days=1), timedelta(days=7), timedelta(days=30))


@dataclass(frozen=True, slots=True)
class Count:
    """How many probes found a cause in the interval that begins at `begun_at`, and their seconds in all."""

    begun_at: datetime
    cause: Cause
    probes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Period:
    """What the probes since a time found. `seconds` is the mean of the good ones, None without any."""

    since: datetime
    probes: int
    good: int
    seconds: float | None
    others: Mapping[Cause, int]


def first_of(now: datetime, span: timedelta, interval: timedelta) -> datetime:
    """Return when the first interval begins that reaches into the span before now: counts are whole ones."""
    size = interval.total_seconds()
    return datetime.fromtimestamp(floor((now - span).timestamp() / size) * size, UTC)


def periods(counts: Sequence[Count], now: datetime, interval: timedelta) -> tuple[Period, ...]:
    """Return how the probes went over each of `SPANS`; one that adds nothing to the shorter is left out."""
    found: list[Period] = []
    for span in SPANS:
        since = first_of(now, span, interval)
        period = _period(since, [count for count in counts if count.begun_at >= since])
        if period.probes and (not found or period.probes != found[-1].probes):
            found.append(period)
    return tuple(found)


def _period(since: datetime, counts: Sequence[Count]) -> Period:
    good = [count for count in counts if count.cause is Cause.OK]
    others: dict[Cause, int] = {}
    for count in counts:
        if count.cause is not Cause.OK:
            others[count.cause] = others.get(count.cause, 0) + count.probes
    well = sum(count.probes for count in good)
    seconds = sum(count.seconds for count in good) / well if well else None
    by_number = dict(sorted(others.items(), key=lambda item: (-item[1], item[0].value)))
    return Period(since, well + sum(others.values()), well, seconds, by_number)


def line(period: Period) -> str:
    """Say a period in one line."""
    # Rounded down: a hundred per cent are all of them.
    share = floor(period.good * 1000 / period.probes) / 10
    count = f"{period.probes} probe{'s' if period.probes != 1 else ''}"
    text = f"Since {period.since:%Y-%m-%d %H:%M} UTC: {count}, {share:g} % good"
    if period.seconds is not None:
        text += f", {period.seconds * 1000:.0f} ms on average"
    others = ", ".join(f"{number} {cause.value}" for cause, number in period.others.items())
    return f"{text}; {others}." if others else f"{text}."
