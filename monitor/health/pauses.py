"""That a person wants a connection left alone: who, until when, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(days=366)  # longer is until somebody resumes it


@dataclass(frozen=True, slots=True)
class Pause:
    """A person's pause, as it was said last. Without an end it lasts until somebody resumes it."""

    by: str = ""
    until: datetime | None = None
    reason: str = ""

    @property
    def who(self) -> str:
        """Return the person's name without the door they came by."""
        return self.by.partition(":")[2] or self.by
