"""Silences and maintenance windows: what nobody is told about for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.silences import silences
from alerts.silences.windows import Over, Silenced, Window
from monitor.errors import ConfigurationError
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts


@dataclass(frozen=True, slots=True)
class Silences:
    """What is silent at a moment: what holds or is to come, and the configuration's that do not hold."""

    at: datetime
    laid: tuple[Silenced, ...]
    not_now: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """A silence that was laid, with the others of people over the same."""

    number: int
    over: str
    name: str
    begin: datetime
    until: datetime | None
    maintenance: bool
    to_come: bool
    beside: tuple[Silenced, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """Silences that were ended or, of those to come, called off; and what still lies over the same."""

    ended: tuple[Silenced, ...]
    called_off: tuple[Silenced, ...]
    beside: tuple[Silenced, ...]  # of people
    given: tuple[Silenced, ...]  # of the configuration, which end there


async def every(parts: Parts, actor: Actor) -> Silences:
    """Return the silences that hold, and those to come."""
    actor.needs(Right.SILENCES_READ)
    now, windows = parts.clock.now(), parts.loaded.settings.windows
    laid = await silences.standing(parts.database, windows, now)
    return Silences(now, tuple(laid), tuple(one for one in windows if one.at(now) is None))


async def begin(
    parts: Parts,
    actor: Actor,
    over: str,
    name: str,
    length: timedelta | None,
    *,
    start: datetime | None = None,
    reason: str = "",
    maintenance: bool = False,
) -> Begun:
    """Tell nobody anything about something, from now or `start` on; without a length until it is lifted.

    `over` is "all" (then without a name), "provider", "app", "client" or "connection". In maintenance, what
    is well is not probed. Raises NotFound for what there is not, ConfigurationError for a time that is over.
    """
    actor.needs(Right.SILENCES_WRITE)
    what, now = over_of(over), parts.clock.now()
    first = start or now
    until = first + length if length is not None else None
    if until is not None and until <= now:
        raise ConfigurationError(f"{until:%Y-%m-%d %H:%M} UTC, when it would end, is over already.")
    number = await silences.begin(
        parts.database, what, name, reason, until, now, actor.name, start=first, pauses=maintenance
    )
    beside = [
        one
        for one in await silences.standing(parts.database, (), now)
        if (one.over, one.name) == (what, name) and one.number != number
    ]
    return Begun(number, what.value, name, first, until, maintenance, first > now, tuple(beside))


async def end(parts: Parts, actor: Actor, over: str, name: str) -> Ended:
    """End all that lies over something now; where nothing does, call off the one that is to come.

    Raises NotFound where there is none, Conflict where several are to come.
    """
    actor.needs(Right.SILENCES_WRITE)
    now = parts.clock.now()
    ended = await silences.end(parts.database, over_of(over), name, now, actor.name)
    return await _ended(parts, ended, now)


async def end_numbered(parts: Parts, actor: Actor, numbers: Sequence[int]) -> Ended:
    """End silences, or call them off, by their numbers; all or none. Raises NotFound."""
    actor.needs(Right.SILENCES_WRITE)
    now = parts.clock.now()
    ended = await silences.end_numbered(parts.database, numbers, now, actor.name)
    return await _ended(parts, ended, now)


async def _ended(parts: Parts, ended: Sequence[Silenced], now: datetime) -> Ended:
    same = {one.identity for one in ended}
    left = await silences.standing(parts.database, parts.loaded.settings.windows, now)
    return Ended(
        tuple(one for one in ended if one.begun_at <= now),
        tuple(one for one in ended if one.begun_at > now),
        tuple(one for one in left if one.identity in same and one.number),
        tuple(one for one in left if one.identity in same and not one.number),
    )


def over_of(word: str) -> Over:
    """Read what a silence lies over. Raises ConfigurationError."""
    try:
        return Over(word)
    except ValueError:
        known = ", ".join(one.value for one in Over)
        raise ConfigurationError(f"{word!r} is nothing that a silence lies over; that is {known}.") from None
