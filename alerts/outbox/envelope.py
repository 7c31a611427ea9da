"""What the outbox knows of a message: whose story it is, what it is about, and what became of an attempt.

What a message says is its story's. Slot and kind are words of the story's own, which the outbox keeps and
never reads. Values; no I/O.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

# The slot of what is told to programs, which no list for people has.
TO_PROGRAMS = "webhook"


class Outcome(StrEnum):
    """What became of one attempt: a closed set of words, each with its own next step in the outbox."""

    SENT = "sent"
    LATER = "later"  # a failure that passes
    REFUSED = "refused"  # the other side does not take messages for this address
    FAILED = "failed"  # the other side does not take this message, whoever it is for
    UNCONFIRMED = "unconfirmed"  # handed over, and no answer came


@dataclass(frozen=True, slots=True)
class Item:
    """One connection in a notice. `since` is when it broke, or when it will expire."""

    connection: str
    incident: int | None
    cause: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One notice to one address over one channel, claimed for an attempt."""

    id: int
    notice: int
    slot: str
    kind: str
    audience: str
    client: str
    locale: str
    timezone: str
    number: int
    reason: str
    channel: str
    address: str
    message_id: str
    attempts: int
    planned_at: datetime
    opened_at: datetime | None
    content: dict[str, Any]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """One kind of telling, such as mails to clients: which notices are its own, and how patiently it is sent.

    `back_off`: so long until the next attempt after a failure that passes; the last is repeated. `jitter`: a
    share by which a wait is longer or shorter, so that what failed together is not tried again together.
    `gives_up`: whether an envelope that failed once more is not tried again at this time. `heard` writes down
    what the story wants to remember of an answer, in the transaction that settles it.
    """

    name: str
    slots: frozenset[str]
    lease: timedelta
    back_off: tuple[timedelta, ...]
    gives_up: Callable[[Envelope, datetime], bool]
    nobody: str  # what is noted of a notice that no address takes
    heard: Callable[[Any, Envelope, Outcome, str, datetime], Awaitable[None]] | None = None
    jitter: float = 0.0

    def wait(self, attempts: int, luck: float = 0.0) -> timedelta:
        """Return how long the next attempt waits after so many; `luck` is from -1 to 1."""
        return self.back_off[min(attempts, len(self.back_off)) - 1] * (1 + self.jitter * luck)
