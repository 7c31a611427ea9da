"""Ways out: one file each. A channel sends one message and says what became of it."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one attempt: a closed set of words, each with its own next step in the outbox."""

    SENT = "sent"
    LATER = "later"  # a failure that passes
    REFUSED = "refused"  # the server does not take mail for this address
    FAILED = "failed"  # the server does not take this message, whoever it is for
    UNCONFIRMED = "unconfirmed"  # handed over, and no answer came
