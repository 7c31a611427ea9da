"""Ways out: one file each. A channel sends one message and says what became of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    """What became of one attempt: a closed set of words, each with its own next step in the outbox."""

    SENT = "sent"
    LATER = "later"  # a failure that passes
    REFUSED = "refused"  # the server does not take mail for this address
    FAILED = "failed"  # the server does not take this message, whoever it is for
    UNCONFIRMED = "unconfirmed"  # handed over, and no answer came


class Channel(Protocol):
    """What takes pages: told that a matter stands, and that it is over. Its errors name no secret.

    `matter` is `alerts.matters.Matter.document`; `key` is the same for as long as the matter lasts, for
    services that tell repetitions by it.
    """

    async def send(
        self, key: str, matter: dict[str, Any], *, over: bool, now: datetime
    ) -> tuple[Outcome, str]:
        """Send one message; return what became of it, and the other side's words."""
        ...
