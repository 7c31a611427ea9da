"""That somebody is on it: a person at the client's or the agency, until a time. Then nobody is reminded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is on what is open of a connection, and until when.

    It ends with what it is about: the incident that was open, or a first authorization still to come. It is
    known until then; reminders rest no longer than `until`.
    """

    who: str
    until: datetime

    def sentence(self, now: datetime) -> str:
        """Say it in one line."""
        at = f"{self.until:%Y-%m-%d %H:%M} UTC"
        if self.until > now:
            return f"{self.who} is on it until {at}: the client is not reminded before."
        return f"{self.who} was on it until {at}: reminders go on."
