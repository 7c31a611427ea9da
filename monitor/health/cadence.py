"""When to look again, and when to refresh: arithmetic on times, without a clock.

A connection has a phase, drawn from its id, and is due at phase + n x interval. So the fleet is spread
evenly whatever moment it was imported or restarted at, and nothing drifts: a late probe does not
move the next one. Jitter is centred on the beat, never only added.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor
from zlib import crc32

from monitor.health.causes import consequence, is_definite
from monitor.health.lifecycle import Health, State

# While it is broken, the wait between probes doubles up to this many intervals.
SLOWEST = 12
# So far apart are looks whether a setting at the provider was changed: a beat may be half as late again, and
# the mail says that we notice within an hour.
SETTINGS = timedelta(minutes=40)
# How much of an access token's life may be left over when it is refreshed early: a token that lives
# for a minute is not refreshed at each probe because `refresh_ahead` says ten minutes.
LARGEST_AHEAD = 0.2
# Part of an idle lifetime that is kept as a margin before the deadline.
IDLE_MARGIN = 0.15


@dataclass(frozen=True, slots=True)
class Cadence:
    """`interval` between two probes of a healthy connection; `jitter` is a share of it, 0 to 1."""

    interval: timedelta = timedelta(minutes=5)
    jitter: float = 0.1
    recheck: timedelta = timedelta(seconds=30)
    refresh_ahead: timedelta = timedelta(minutes=10)


def fraction(name: str, part: object = "") -> float:
    """Return a number in [0, 1) that looks random and is always the same for the same name and part."""
    return crc32(f"{name}\x1f{part}".encode()) / 2**32


def next_beat(connection: str, cadence: Cadence, now: datetime, times: int = 1) -> datetime:
    """Return the next due time of a connection, `times` intervals apart, half a beat away at least."""
    # In seconds, not timedeltas: this runs once a probe.
    span = cadence.interval.total_seconds() * times
    phase = span * fraction(connection)
    beats = floor((now.timestamp() + span / 2 - phase) / span) + 1
    shift = (fraction(connection, beats) - 0.5) * cadence.jitter
    return datetime.fromtimestamp(phase + span * (beats + shift), UTC)


def next_probe(
    connection: str,
    health: Health,
    cadence: Cadence,
    now: datetime,
    *,
    retry_at: datetime | None = None,
    refresh_at: datetime | None = None,
) -> datetime:
    """Return when to look at a connection again, given how it is.

    A doubt is looked at again soon; a break ever less often, up to `SLOWEST` intervals; and everything
    not before the time that the provider asked us to wait for.
    """
    if health.state is State.SUSPECT or _counting(health):
        wait = cadence.recheck * min(2 ** max(0, health.streak - 2), 16)
        at: datetime = now + min(wait, max(cadence.interval, cadence.recheck))
    elif health.state is State.BROKEN and health.good_streak:
        at = now + cadence.recheck
    elif health.state is State.BROKEN:
        times = min(2 ** min(max(0, health.streak - 2), 8), _slowest(health, cadence))
        at = next_beat(connection, cadence, now, times)
    else:
        at = next_beat(connection, cadence, now)
        # A token to be refreshed before the next beat brings the probe forward.
        if refresh_at is not None and refresh_at < at:
            at = max(refresh_at, now + cadence.recheck)
    return at if retry_at is None else max(at, retry_at)


def _counting(health: Health) -> bool:
    """Broken, and another definite cause than the known one is waiting for its confirmation."""
    return (
        health.state is State.BROKEN
        and health.streak > 0
        and health.candidate is not health.cause
        and (is_definite(health.candidate) or not is_definite(health.cause))
        and health.streak < 8
    )


def _slowest(health: Health, cadence: Cadence) -> int:
    # What passes by itself is watched closely, so that its end is seen; what a person has to mend is not.
    if not is_definite(health.cause):
        return 2
    if consequence(health.cause).elsewhere:  # nobody tells us when the setting was changed
        return max(1, min(SLOWEST, SETTINGS // cadence.interval))
    return SLOWEST


def refresh_at(
    connection: str,
    cadence: Cadence,
    *,
    issued_at: datetime | None,
    expires_at: datetime | None,
    used_at: datetime | None = None,
    idle_lifetime: timedelta | None = None,
    idle_end: datetime | None = None,
    at_most: timedelta | None = None,
) -> datetime | None:
    """Return when to refresh, or None when nothing is known to run out.

    Ahead of the access token's expiry, each connection at its own moment so that a fleet imported
    in one minute is not refreshed in one; and before the refresh token has been idle for too long. `idle_end`
    is when that is, where the provider told it; `at_most` is how long ahead its file wants it at most.
    """
    times: list[datetime] = []
    if expires_at is not None:
        ahead = cadence.refresh_ahead if at_most is None else min(cadence.refresh_ahead, at_most)
        if issued_at is not None and expires_at > issued_at:
            ahead = min(ahead, (expires_at - issued_at) * LARGEST_AHEAD)
        times.append(expires_at - ahead * (1 + 0.5 * fraction(connection, "refresh")))
    if idle_end is not None and used_at is not None and idle_end > used_at:
        idle_lifetime = idle_end - used_at
    if idle_lifetime is not None and used_at is not None:
        margin = idle_lifetime * IDLE_MARGIN * (1 + fraction(connection, "idle"))
        times.append(used_at + idle_lifetime - margin)
    return min(times, default=None)


def wanted(interval: timedelta, least: timedelta | None) -> timedelta:
    """Return the interval that is configured, or the provider's least where that is longer."""
    return max(interval, least) if least is not None else interval


def stretched(
    interval: timedelta, connections: int, per_minute: float | None, requests_each: float = 1.2
) -> timedelta:
    """Return the interval that an app-wide limit allows.

    `per_minute` is what probing may use of the app's limit; `requests_each` is what one probe costs on
    average, with its share of scope checks and refreshes.
    """
    if not per_minute:
        return interval
    needed = timedelta(minutes=connections * requests_each / per_minute)
    return max(interval, needed)


def scope_due(
    needed: tuple[str, ...], cursor: int, checked_at: datetime | None, every: timedelta, now: datetime
) -> str | None:
    """Return the one scope to check with this probe, or None.

    They take turns so that each is checked once in `every`, and no probe checks more than one.
    """
    if not needed:
        return None
    if checked_at is not None and now - checked_at < every / len(needed):
        return None
    return needed[cursor % len(needed)]
