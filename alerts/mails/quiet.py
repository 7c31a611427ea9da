"""Quiet hours: when no mail goes out, in the client's own time. No clock, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_QUIET = re.compile(r"^(?:(\d\d):(\d\d)-(\d\d):(\d\d))?\s*,?\s*(weekends)?$")


@dataclass(frozen=True, slots=True)
class Quiet:
    """When no mail goes out, in the client's own time. `start` and `end` are None for no hours."""

    start: time | None = None
    end: time | None = None
    weekends: bool = False

    @classmethod
    def parse(cls, text: str) -> Quiet:
        """Read `20:00-07:00`, `20:00-07:00, weekends`, `weekends` or nothing. Raises ValueError."""
        match = _QUIET.match(text.strip())
        if match is None:
            raise ValueError(f'{text!r} are no quiet hours; write "20:00-07:00" or "20:00-07:00, weekends"')
        hours = [int(part) for part in match.groups()[:4] if part is not None]
        if not hours:
            return cls(weekends=match.group(5) is not None)
        try:
            start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
        except ValueError:
            raise ValueError(f"{text!r} has an hour that no day has") from None
        if start == end:
            raise ValueError(f"{text!r} leaves no time for mails")
        return cls(start, end, match.group(5) is not None)

    def allowed(self, moment: datetime, zone: str) -> datetime:
        """Return the first moment from this one on at which mail may go out."""
        local = moment.astimezone(ZoneInfo(zone))
        for _ in range(10):
            later = self._leave_night(self._leave_weekend(local))
            if later == local:
                break
            local = later
        return local.astimezone(UTC)

    def due(self, moment: datetime, now: datetime, zone: str) -> datetime:
        """Return when what is due at this moment may go out; what is late already waits out the night, too.

        What was held back would else go out in the hour in which it is released, whatever hour that is.
        """
        at, awake = self.allowed(moment, zone), self.allowed(now, zone)
        return awake if at < now < awake else at

    def _leave_weekend(self, local: datetime) -> datetime:
        if not self.weekends or local.weekday() < 5:
            return local
        monday = local.date() + timedelta(days=7 - local.weekday())
        return datetime.combine(monday, time(0), local.tzinfo)

    def _leave_night(self, local: datetime) -> datetime:
        if self.start is None or self.end is None:
            return local
        clock = local.time()
        if self.start < self.end:
            return _at(local, self.end) if self.start <= clock < self.end else local
        if clock >= self.start:
            return _at(local + timedelta(days=1), self.end)
        return _at(local, self.end) if clock < self.end else local


def _at(day: datetime, clock: time) -> datetime:
    return datetime.combine(day.date(), clock, day.tzinfo)
