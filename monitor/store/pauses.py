"""Pauses that people gave an end: once it is over, what was paused is looked at again by itself.

As if somebody resumed it: nothing from before is believed, and a probe comes at once, as fast as the limits
of its app allow. Whether the app is configured does not matter; where it is not, that is told as ever.
"""

from __future__ import annotations

from datetime import datetime

from monitor.health.events import Type
from monitor.health.lifecycle import State, lapsed
from monitor.store import audit, events, fence, revisions
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import watch

PART = 1000  # connections whose pauses end in one transaction: no writer waits for the whole fleet


async def end(database: Database, now: datetime) -> int:
    """End the pauses whose time is over; return how many they were."""
    total = 0
    while (done := await _end_some(database, now)) == PART:
        total += done
    return total + done


@retried
async def _end_some(database: Database, now: datetime) -> int:
    over = (watch.c.paused_until <= now) & (watch.c.state == State.PAUSED.value)
    async with database.write() as conn:
        held = await fence.hold_where(conn, over, PART)
        await fence.wake(conn, held, lapsed, now)
        await revisions.count(conn, held)
        await events.moved(conn, Type.RESUMED, fence.by("service", held, held), now)
        await audit.record_each(conn, now, audit.SERVICE, "connection.resume", held)
    return len(held)
