"""What is done about what a program says that it saw of a connection: at most, we look sooner, or later.

A signal is never an observation: no state, incident or mail rests on it, only on our own exchanges. So a liar
may have us look once a minute, or hide a break for `FARTHEST` intervals, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.health.lifecycle import State

NOT_AGAIN = timedelta(seconds=60)  # between two looks at a connection that signals bring forward
TOGETHER = timedelta(seconds=10)  # signals of a kind about a connection within this stand for one
FRESH = timedelta(minutes=2)  # so old a success may be that spares a look
FAR_OFF = timedelta(minutes=5)  # a clock that is so far off says nothing about now
FARTHEST = 3  # intervals between two looks of our own, whatever is said
LONGEST_SLOWER = timedelta(minutes=15)  # one signal of a limit puts a look off by so much at most


class Kind(StrEnum):
    """What a program saw."""

    SUCCESS = "success"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    REFRESH_REFUSED = "refresh_refused"
    RENEWED = "renewed"
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"


# What speaks of the token itself. An API that cannot be reached, or asks to wait, blames nobody's token.
FAILURES = frozenset({Kind.UNAUTHORIZED, Kind.FORBIDDEN, Kind.REFRESH_REFUSED})


class Effect(StrEnum):
    """What is done about a signal."""

    PROBE_NOW = "probe_now"
    SPARED = "spared"
    COALESCED = "coalesced"
    RECORDED = "recorded"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Said:
    """A signal as it bears on what is done. `current`: it is about the token of now; None: it does not say.

    `wait` is how long the provider asked the program to wait.
    """

    kind: Kind
    at: datetime
    current: bool | None = None
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """How a connection is looked at. `busy_at`: from when on the next look has work that must not wait."""

    state: State
    interval: timedelta
    last_probe_at: datetime | None
    next_probe_at: datetime | None
    authorized_at: datetime | None = None
    brought_at: datetime | None = None
    spared: bool = False
    busy_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What is done about a signal: why, and when the next look is from then on, where that changes."""

    effect: Effect
    why: str = ""
    look_at: datetime | None = None


def about(said: Said, watched: Watched, now: datetime) -> Done:
    """Say what one signal does, were it the only one."""
    if abs(said.at - now) > FAR_OFF:
        return Done(Effect.IGNORED, "its time is more than five minutes off")
    if said.current is False:
        return Done(Effect.IGNORED, "it is about another generation")
    if watched.authorized_at is not None and said.at < watched.authorized_at:
        return Done(Effect.IGNORED, "it is older than the last authorization")
    if said.current is None:
        return Done(Effect.RECORDED, "it does not say which token is meant")
    if watched.next_probe_at is None:
        return Done(Effect.RECORDED, "nobody looks at the connection: it is paused, or never authorized")
    if said.kind is Kind.SUCCESS and watched.state is State.HEALTHY:
        return _spared(said, watched, now)
    if said.kind is Kind.RATE_LIMITED:
        return _slower(said, watched, now)
    if said.kind in FAILURES or said.kind is Kind.SUCCESS:
        return _sooner(watched, now)
    return Done(Effect.RECORDED)


def _sooner(watched: Watched, now: datetime) -> Done:
    if watched.brought_at is not None and now - watched.brought_at < NOT_AGAIN:
        return Done(Effect.COALESCED, "a look was brought forward less than a minute ago")
    return Done(Effect.PROBE_NOW, look_at=now)


def _spared(said: Said, watched: Watched, now: datetime) -> Done:
    assert watched.next_probe_at is not None  # noqa: S101 - asked by the caller
    if now - said.at > FRESH:
        return Done(Effect.RECORDED, "it is more than two minutes old")
    if watched.spared:
        return Done(Effect.RECORDED, "a look was spared before; the next one is ours")
    if watched.next_probe_at <= now:
        return Done(Effect.RECORDED, "a look is due")
    later = watched.next_probe_at + watched.interval
    if not _may_wait(watched, later):
        return Done(Effect.RECORDED, "the next look has more to do, or would be too late")
    return Done(Effect.SPARED, look_at=later)


def _slower(said: Said, watched: Watched, now: datetime) -> Done:
    """A limit that a program met may slow our looks at what is well; it never speeds them."""
    assert watched.next_probe_at is not None  # noqa: S101 - asked by the caller
    wait = min(said.wait or timedelta(0), LONGEST_SLOWER)
    later = now + wait
    well = watched.state is State.HEALTHY and not watched.spared
    if not well or later <= watched.next_probe_at or not _may_wait(watched, later):
        return Done(Effect.RECORDED)
    return Done(Effect.RECORDED, "our next look waits, too", look_at=later)


def _may_wait(watched: Watched, until: datetime) -> bool:
    if watched.busy_at is not None and watched.busy_at <= until:
        return False
    return watched.last_probe_at is not None and until - watched.last_probe_at <= watched.interval * FARTHEST


def share(probes_per_second: float) -> float:
    """Return how many looks a second one program may bring forward, of an app with so many looks."""
    return max(1.0, probes_per_second / 10)
