"""Pages as the outbox knows them: which notices are ours, and how patiently they are sent.

A page that is late is a page lost, so it is tried again soon and for as long as its matter stands; only its
end becomes old news.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from alerts.outbox.envelope import Envelope, Story


class Slot(StrEnum):
    """What a page is for. Of each, one at most waits for a matter."""

    PAGE = "page"  # what has to be looked at
    CLEAR = "clear"  # what is over


SLOTS = tuple(slot.value for slot in Slot)
STALE_CLEAR = timedelta(days=3)


def _gives_up(envelope: Envelope, now: datetime) -> bool:
    opened = envelope.opened_at
    return envelope.slot == Slot.CLEAR and opened is not None and now - opened > STALE_CLEAR


PAGE = Story(
    "page",
    frozenset(SLOTS),
    lease=timedelta(minutes=1),
    back_off=tuple(timedelta(seconds=s) for s in (10, 30, 60, 120, 300)),
    gives_up=_gives_up,
    nobody="no channel takes it",
)
