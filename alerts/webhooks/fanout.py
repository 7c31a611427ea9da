"""Events get their place in the feed, and with it, in the same transaction, the deliveries that they bring.

So nothing is planned twice, and nothing that is in the feed is forgotten: an event without a number is one
that no endpoint was told of.
"""

from __future__ import annotations

from datetime import datetime

from alerts.outbox import notices
from alerts.webhooks import deliveries, endpoints
from alerts.webhooks.story import KEPT, WEBHOOK
from monitor.store import events
from monitor.store.engine import Database
from monitor.store.retry import retried

PART = 500  # events that get their place in one transaction


async def put_in_order(database: Database, now: datetime) -> int:
    """Give every event that is committed its place, and plan what it brings; return how many there were."""
    total = 0
    while await events.any_unnumbered(database):
        done = await _some(database, now)
        total += done
        if done < PART:
            break
    return total


@retried
async def _some(database: Database, now: datetime) -> int:
    async with database.write() as conn:
        await events.one_numbering(conn)
        new = await events.number(conn, PART)
        active = await endpoints.active(conn) if new else []
        asked = [(one, [to for to in active if to.wants(one)]) for one in new]
        asked = [(one, who) for one, who in asked if who]
        await notices.put_open(
            conn,
            [deliveries.draft_of(one, now) for one, _ in asked],
            [[deliveries.to(one, endpoint.id) for endpoint in who] for one, who in asked],
            now,
        )
        return len(new)


async def forget(database: Database, now: datetime) -> None:
    """Drop events, and what became of them, that are older than they are kept for."""
    await notices.forget(database, now - KEPT, WEBHOOK.slots)
    while await events.forget(database, now - KEPT):
        pass
