"""Whether something that waits, or is on its way, is still to be said. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from alerts.mails.plan import plan
from alerts.mails.standing import Case, Kind, Slot, Standing
from alerts.mails.voice import Voice
from alerts.outbox.envelope import Item
from monitor.health.causes import Owner, consequence
from monitor.health.lifecycle import State

# What rules plan, and so can be asked about again.
TO_CLIENTS = (Slot.ASK, Slot.REMINDER, Slot.EXPIRING, Slot.CAMPAIGN, Slot.RESOLVED)
PLANNED = (*TO_CLIENTS, Slot.HANDOVER)


def still_true(row: Any, items: Sequence[Item], known: Standing, voice: Voice, now: datetime) -> bool:
    """Whether it would be said now, had it not been; of what a person asked for, whether it would help."""
    if row.requested_by is not None and row.slot == Slot.ASK:
        cases = {case.connection: case for case in known.cases}
        return any(_helps(cases.get(item.connection), row.kind) for item in items)
    return would_be_said(row, items, known, voice, now, whenever=row.requested_by is not None)


def would_be_said(
    row: Any, items: Sequence[Item], known: Standing, voice: Voice, now: datetime, *, whenever: bool
) -> bool:
    """Whether the plan has just this: now, or `whenever` it is due by itself, since a person wants it now."""
    wishes = plan(known.client, known.cases, known.said, voice.policy, now)
    return any(
        (whenever or wish.due_at <= now)
        and (wish.slot, wish.kind, wish.number, frozenset(wish.items))
        == (row.slot, row.kind, row.number, frozenset(items))
        for wish in wishes
    )


def still_asked(row: Any, items: Sequence[Item], known: Standing, voice: Voice, now: datetime) -> bool:
    """Whether each of its connections is still what its client is asked about; of the rest, as planned."""
    if row.slot not in (Slot.ASK, Slot.REMINDER):
        return would_be_said(row, items, known, voice, now, whenever=True)
    cases = {case.connection: case for case in known.cases}
    mine = [(cases.get(item.connection), item.incident) for item in items]
    return all(
        case is not None and (case.asks or case.invited) and case.incident == incident
        for case, incident in mine
    )


def _helps(case: Case | None, kind: str) -> bool:
    if case is None:
        return False
    if kind == Kind.FIRST_AUTHORIZATION:
        return case.state is State.PENDING and not case.waits
    return case.state is State.BROKEN and case.owner is Owner.CLIENT and consequence(case.cause).client_mail
