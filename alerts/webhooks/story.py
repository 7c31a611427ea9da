"""Webhooks as the outbox knows them: a notice an event, an envelope an endpoint, and how patiently.

At least once: whoever did not say that it has an event is sent it again, for three days. What could not be
delivered then can be sent again by hand for as long as the event is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.outbox.envelope import TO_PROGRAMS, Envelope, Story

BACK_OFF = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5),
    timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24),
)  # fmt: skip
ONLY_FAILURES = timedelta(days=5)  # for so long, and an endpoint gets nothing any more
OLD_SECRET = timedelta(hours=24)  # for so long the secret before the last rotation signs, too
SLOTS = 4  # messages on their way to one endpoint at once
KEPT = timedelta(days=30)  # for so long events, and what became of them, are kept


def _gives_up(envelope: Envelope, _now: datetime) -> bool:
    return envelope.attempts > len(BACK_OFF)


WEBHOOK = Story(
    "webhook",
    frozenset({TO_PROGRAMS}),
    lease=timedelta(minutes=1),
    back_off=BACK_OFF,
    gives_up=_gives_up,
    nobody="no endpoint took it",
    jitter=0.2,
)
