"""When nothing is told, and about what: silences and maintenance windows as values. No clock, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(r"^([a-z,\- ]+?)\s+(\d\d):(\d\d)-(\d\d):(\d\d)$")
FOREVER = datetime.max.replace(tzinfo=UTC)
FORM = 'write "sat 22:00-02:00", "mon-fri 12:00-13:00" or "daily 03:00-03:30"'


class Over(StrEnum):
    """What a silence lies over."""

    ALL = "all"
    PROVIDER = "provider"
    APP = "app"
    CLIENT = "client"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Scope:
    """What something is about, as far as it is about one thing only; empty where it is about several."""

    provider: str = ""
    app: str = ""
    client: str = ""
    connection: str = ""


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence that holds, or will. One that `pauses` is a maintenance window.

    Several may lie over the same thing, also at the same time. `number` tells those of people apart; the
    configuration's have none.
    """

    over: Over
    name: str
    reason: str
    by: str
    begun_at: datetime
    until: datetime | None
    pauses: bool = False
    number: int | None = None

    @property
    def identity(self) -> str:
        """What it lies over, as one word: to whoever is silent it does not matter how many there are."""
        return f"{self.over.value} {self.name}".strip()

    @property
    def over_text(self) -> str:
        """What it lies over, for people."""
        return "everything" if self.over is Over.ALL else self.identity

    def covers(self, scope: Scope) -> bool:
        """Whether it lies over this."""
        return self.over is Over.ALL or getattr(scope, self.over.value) == self.name

    @property
    def lasts(self) -> datetime:
        """Until when it holds, for comparing: one without an end lasts longest."""
        return self.until or FOREVER

    @property
    def sentence(self) -> str:
        """Say it in one line."""
        kind = "In maintenance" if self.pauses else "Silenced"
        until = f", until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        return f"{kind} by {self.by}: {self.reason or 'no reason given'}{until}."

    def document(self) -> dict[str, object]:
        """Return it as `--json` gives it."""
        return {
            "id": self.number,
            "over": self.over.value,
            "name": self.name,
            "reason": self.reason,
            "by": self.by,
            "from": _iso(self.begun_at),
            "until": _iso(self.until),
            "maintenance": self.pauses,
        }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None


def first_over(silences: Iterable[Silenced], scope: Scope) -> Silenced | None:
    """Return the silence that lies over this: the widest, and of those alike the one that lasts longest."""
    order = list(Over)
    return min(
        (s for s in sorted(silences, key=lambda s: s.lasts, reverse=True) if s.covers(scope)),
        key=lambda s: (order.index(s.over), s.name),
        default=None,
    )


def longest(silences: Iterable[Silenced]) -> list[Silenced]:
    """Return for each thing that is silent the one silence over it that lasts longest."""
    return list({s.identity: s for s in sorted(silences, key=lambda s: s.lasts)}.values())


@dataclass(frozen=True, slots=True)
class Weekly:
    """The same hours on some days of the week; they may end on the next day."""

    days: frozenset[int]
    start: time
    end: time
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Weekly:
        """Read `sat 22:00-02:00`, `mon-fri 12:00-13:00` or `daily 03:00-03:30`. Raises ValueError."""
        match = _WEEKLY.match(text.strip().lower())
        if match is None:
            raise ValueError(f"{text!r} is no weekly window; {FORM}")
        days: set[int] = set()
        for part in match.group(1).replace(" ", "").split(","):
            first, _, last = part.partition("-")
            if part == "daily":
                days.update(range(7))
            elif first in DAYS and (last or first) in DAYS:
                begin, stop = DAYS.index(first), DAYS.index(last or first)
                days.update((begin + i) % 7 for i in range((stop - begin) % 7 + 1))
            else:
                raise ValueError(f"{text!r} names no days; {FORM}")
        hours = [int(found) for found in match.groups()[1:]]
        try:
            start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
        except ValueError:
            raise ValueError(f"{text!r} has an hour that no day has") from None
        return cls(frozenset(days), start, end, zone)

    def around(self, now: datetime) -> tuple[datetime, datetime] | None:
        """Return the occurrence that holds now, from its beginning to its end."""
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        for day in (today - timedelta(days=1), today):
            if day.weekday() not in self.days:
                continue
            begin = datetime.combine(day, self.start, zone)
            # Hours that end where they begin, or before, end on the next day.
            last = day if self.end > self.start else day + timedelta(days=1)
            end = datetime.combine(last, self.end, zone)
            if begin <= now < end:
                return begin.astimezone(now.tzinfo), end.astimezone(now.tzinfo)
        return None


@dataclass(frozen=True, slots=True)
class Window:
    """A silence that the configuration gives: once, from a time to a time, or every week."""

    title: str
    over: Over
    name: str
    reason: str
    pauses: bool
    begin: datetime | None = None
    until: datetime | None = None
    weekly: Weekly | None = None

    def at(self, now: datetime) -> Silenced | None:
        """Return it as the silence that it is now, None while it does not hold."""
        if self.weekly is not None:
            span = self.weekly.around(now)
        elif (self.begin is None or self.begin <= now) and (self.until is None or now < self.until):
            span = (self.begin or now, self.until) if self.until else None
        else:
            span = None
        if span is None:
            return None
        return Silenced(
            self.over,
            self.name,
            self.reason or self.title,
            f"the configuration ({self.title})",
            span[0],
            span[1],
            self.pauses,
        )
