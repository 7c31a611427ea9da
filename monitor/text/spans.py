"""How long something takes, in words: one way for tables, sentences, pages, mails and configurations."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
EXACT = len(_UNITS)


def span(length: timedelta, *, units: int = 1, short: bool = False) -> str:
    """Say a length of time: `3 hours`, `5 minutes 12 seconds` (`units=2`); `short` for tables: `3h`.

    One unit is rounded, and taken only from one and a half of it on: 80 minutes are not an hour. Several
    are cut off; with `EXACT` and `short` it is what a configuration may hold: `1d12h`.
    """
    seconds = max(0.0, length.total_seconds())
    parts = [rounded(length)] if units == 1 else _parted(seconds, units)
    if short:
        return "".join(f"{count:g}{unit[0]}" for count, unit in parts)
    return " ".join(f"{count:g} {unit}{'s' if count != 1 else ''}" for count, unit in parts)


def rounded(length: timedelta) -> tuple[float, str]:
    """Return a length of time in the one unit that tells it: (3, "hour")."""
    seconds = max(0.0, length.total_seconds())
    for size, unit in _UNITS[:-1]:
        if seconds >= 1.5 * size or (seconds >= size and unit == "minute"):
            return round(seconds / size), unit
    return round(seconds), "second"


def _parted(seconds: float, units: int) -> list[tuple[float, str]]:
    counts: list[tuple[float, str]] = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        counts.append((count + seconds if size == 1 else count, unit))
    first = next((i for i, (count, _) in enumerate(counts) if count), EXACT - 1)
    parts = [(count, unit) for count, unit in counts[first : first + units] if count]
    return parts or [(0, "second")]


def when(moment: datetime, now: datetime) -> str:
    """Say a moment relative to now."""
    if moment <= now:
        return "now due"
    return f"in {span(moment - now)}"
