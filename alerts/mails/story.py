"""Mails as the outbox knows them: which notices are ours, how patiently they are sent, what is remembered."""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.mails import refusals
from alerts.mails.plan import NOBODY
from alerts.mails.standing import Slot
from alerts.outbox.envelope import Envelope, Story

CHANNEL = "email"
# Three days of attempts. What counts is how often the server said no, not for how long it was away.
GIVE_UP = 40


def _gives_up(envelope: Envelope, _now: datetime) -> bool:
    return envelope.attempts >= GIVE_UP


MAIL = Story(
    "mail",
    frozenset(slot.value for slot in Slot),
    lease=timedelta(minutes=5),  # longer than an SMTP server may take for everything before the dot
    back_off=tuple(timedelta(minutes=m) for m in (1, 3, 10, 30, 60, 120)),
    gives_up=_gives_up,
    nobody=NOBODY,
    heard=refusals.note,
)
