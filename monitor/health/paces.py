"""How fast a connection's good probes were answered, an hour each, for a day: a line of text in its row.

Counts by interval say it for months, a day each; what happened this morning is seen in hours. The text is
`HOUR/PROBES MS MS - MS …`: the number of the newest hour since 1970, how many good probes it had so far, and
the mean of each hour in milliseconds, newest first; `-` is an hour without any. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

EPOCH, HOUR = datetime(1970, 1, 1, tzinfo=UTC), timedelta(hours=1)
HOURS = 25  # whole hours that reach into the last day


def after(known: str, at: datetime, seconds: float) -> str:
    """Return the line after one more good probe."""
    hour, probes, found = _read(known)
    now = (at - EPOCH) // HOUR
    if now < hour:  # a clock that was set back: what is known stays
        return known
    if now > hour:
        gap: list[int | None] = [None] * (min(now - hour, HOURS) if found else 0)
        found, probes = gap + found, 0
    took = seconds * 1000
    newest = found[0] if found and probes else None
    mean = took if newest is None else newest + (took - newest) / (probes + 1)
    kept = [round(mean), *found[1:]][:HOURS]
    return f"{now}/{probes + 1} {' '.join('-' if one is None else str(one) for one in kept)}"


def means(known: str) -> list[tuple[datetime, float]]:
    """Return when each hour began that had a good probe, and its mean in seconds, oldest first."""
    hour, _, found = _read(known)
    return [
        (EPOCH + (hour - back) * HOUR, one / 1000)
        for back, one in reversed(list(enumerate(found)))
        if one is not None
    ]


def _read(known: str) -> tuple[int, int, list[int | None]]:
    """Read a line; what is none is as none."""
    first, *rest = known.split() or [""]
    hour, _, probes = first.partition("/")
    try:
        return int(hour), int(probes), _numbers(rest)
    except ValueError:
        return 0, 0, []


def _numbers(words: Sequence[str]) -> list[int | None]:
    return [None if word == "-" else int(word) for word in words]
