"""Moments and lengths of time as people write them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from monitor.errors import ConfigurationError

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def moment_of(text: str, option: str) -> datetime:
    """Read a moment with its zone, or a day, which begins at 00:00 UTC. Raises ConfigurationError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option}: {text!r} is no time; write 2026-12-01T02:00Z.") from None
    if moment.tzinfo is None and _DAY.fullmatch(text):
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise ConfigurationError(f"{option}: {text!r} has no zone; write {text}Z for UTC, or {text}+01:00.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(f"{option}: {text!r} is beyond the years that there are.") from None


def length_of(span: str) -> timedelta:
    """Read `--for`. Raises ConfigurationError."""
    from monitor.text.tomlfile import parse_duration

    try:
        length = parse_duration(span)
    except ValueError as error:
        raise ConfigurationError(f"--for: {error}") from None
    if not isinstance(length, timedelta) or length <= timedelta(0):
        raise ConfigurationError(f"--for: {span!r} is no time at all; write 30m, 2h or 3d.")
    return length
