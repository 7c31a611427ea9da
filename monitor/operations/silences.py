"""Silences and maintenance windows: what nobody is told about for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.silences import silences
from alerts.silences.windows import Over as Over  # noqa: PLC0414 - doors say by it what they lay
from alerts.silences.windows import Silenced as Silenced  # noqa: PLC0414 - and show these
from alerts.silences.windows import Weekly as Weekly  # noqa: PLC0414
from alerts.silences.windows import Window as Window  # noqa: PLC0414
from monitor.errors import ConfigurationError, Conflict, NotFound, Remedy
from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.text.ids import LENGTH, base62


@dataclass(frozen=True, slots=True)
class Silences:
    """What is silent at a moment: what holds or is to come, and the configuration's that do not hold."""

    at: datetime
    laid: tuple[Silenced, ...]
    not_now: tuple[Window, ...]

    @property
    def all(self) -> list[Silenced | Window]:
        """All of them, those of the configuration that do not hold now too."""
        return [*self.laid, *self.not_now]


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
    reason: str
    by: str

    @property
    def silenced(self) -> Silenced:
        """Return it as what lies now."""
        return Silenced(
            Over(self.over), self.name, self.reason, self.by, self.begin, self.until, self.maintenance,
            self.number,
        )  # fmt: skip


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
    not_now = [one for one in windows if one.at(now) is None]
    return Silences(
        now,
        tuple([one for one in laid if await reach.sees(parts, actor, one.over.value, one.name)]),
        tuple([one for one in not_now if await reach.sees(parts, actor, one.over.value, one.name)]),
    )


def name_of(one: Silenced | Window) -> str:
    """Return what programs call a silence by: a person's its number, one of the configuration what it is."""
    if isinstance(one, Silenced) and one.number is not None:
        return numbered(one.number)
    title = one.title if isinstance(one, Window) else one.by.removeprefix("the configuration (")[:-1]
    what = hashlib.sha256(f"{title}\n{one.over.value}\n{one.name}".encode()).digest()[:16]
    return f"sil_{base62(int.from_bytes(what) | 1 << 127, LENGTH)}"


def numbered(number: int) -> str:
    """Return what programs call a person's silence by."""
    return f"sil_{base62(number, LENGTH)}"


async def find(parts: Parts, actor: Actor, name: str) -> Silenced | Window:
    """Return the silence that programs call so. Raises NotFound."""
    for one in (await every(parts, actor)).all:
        if name_of(one) == name:
            return one
    raise NotFound(
        "There is no such silence, or it is over.", Remedy("silences.list", "shows those there are")
    )


async def remove(parts: Parts, actor: Actor, name: str) -> None:
    """End a silence, or call it off. Raises NotFound, and Conflict for one of the configuration."""
    actor.needs(Right.SILENCES_WRITE)
    now = parts.clock.now()
    windows = parts.loaded.settings.windows
    laid = await silences.standing(parts.database, windows, now)
    there: tuple[Silenced | Window, ...] = (*laid, *windows)
    for one in there:
        if name_of(one) == name and await reach.sees(parts, actor, one.over.value, one.name):
            if isinstance(one, Window) or one.number is None:
                raise Conflict("It stands in the configuration, and ends there.")
            await end_numbered(parts, actor, [one.number])
            return
    raise NotFound(
        "There is no such silence, or it is over.", Remedy("silences.list", "shows those there are")
    )


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
    await reach.covers(parts, actor, what.value, name)
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
    return Begun(
        number, what.value, name, first, until, maintenance, first > now, tuple(beside), reason, actor.name
    )


async def end(parts: Parts, actor: Actor, over: str, name: str) -> Ended:
    """End all that lies over something now; where nothing does, call off the one that is to come.

    Raises NotFound where there is none, Conflict where several are to come.
    """
    actor.needs(Right.SILENCES_WRITE)
    now = parts.clock.now()
    await reach.covers(parts, actor, over_of(over).value, name)
    ended = await silences.end(parts.database, over_of(over), name, now, actor.name)
    return await _ended(parts, ended, now)


async def end_numbered(parts: Parts, actor: Actor, numbers: Sequence[int]) -> Ended:
    """End silences, or call them off, by their numbers; all or none. Raises NotFound."""
    actor.needs(Right.SILENCES_WRITE)
    now = parts.clock.now()
    if not actor.only.whole:
        await _all_within(parts, actor, numbers, now)
    ended = await silences.end_numbered(parts.database, numbers, now, actor.name)
    return await _ended(parts, ended, now)


async def _all_within(parts: Parts, actor: Actor, numbers: Sequence[int], now: datetime) -> None:
    for one in await silences.standing(parts.database, (), now):
        if one.number in numbers:
            if not await reach.sees(parts, actor, one.over.value, one.name):
                raise NotFound(f"There is no silence {one.number}, or it is over.")
            await reach.covers(parts, actor, one.over.value, one.name)


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
