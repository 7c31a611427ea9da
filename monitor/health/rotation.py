"""What an unfinished or doubtful refresh means: the old pair, the new pair, or an honest 'lost'.

Where refresh tokens are reused, asking again is free. Where they rotate, an answer that we did not
read may have replaced the pair, and a server that detects reuse revokes the whole grant when the old
token comes back (RFC 9700 2.2.2), so we do not send it again, unless the provider allows a grace period.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Journal(StrEnum):
    """How a journaled refresh ended."""

    OPEN = "open"  # intended; nothing is known of the answer
    STORED = "stored"  # the new pair is durable
    REFUSED = "refused"  # the provider said no; the old pair is what it was
    NOT_SENT = "not_sent"  # it certainly never reached the provider
    UNCLEAR = "unclear"  # sent, and no readable answer
    RETRIED = "retried"  # unclear or open, and the provider's rotation allows to ask again
    LOST = "lost"  # unclear or open, and it does not


class Aftermath(StrEnum):
    """What may be done with the stored refresh token now."""

    OLD_PAIR = "old_pair"  # it is as good as it was
    MAY_RETRY = "may_retry"  # perhaps spent, but asking again does no harm
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a provider treats a used refresh token; `grace` is how long it takes an old one back."""

    rotates: bool
    grace: timedelta = timedelta(0)


def after(outcome: Journal, begun_at: datetime, rotation: Rotation, now: datetime) -> Aftermath:
    """Say what a journal entry means for the refresh token it used."""
    match outcome:
        case Journal.REFUSED | Journal.NOT_SENT | Journal.STORED:
            return Aftermath.OLD_PAIR
        case Journal.LOST:
            return Aftermath.LOST
        case Journal.OPEN | Journal.UNCLEAR | Journal.RETRIED:
            if not rotation.rotates or now - begun_at < rotation.grace:
                return Aftermath.MAY_RETRY
            return Aftermath.LOST
