"""What clients were told of the trouble they are in, and what they are told next: of several connections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import exists, func, select

from alerts.mails.standing import TO_OPERATOR, Slot
from alerts.outbox.tables import delivery, notice, notice_item
from monitor.store.engine import Database

SHOWN = 8  # notices of a connection: an ask, its reminders, and what waits
_OURS = [slot.value for slot in Slot if slot not in TO_OPERATOR]


class Mail(NamedTuple):
    """A mail that was sent, could not be, or waits. `number` is a reminder's."""

    slot: str
    kind: str
    number: int
    state: str
    incident: int | None
    due_at: datetime
    settled_at: datetime | None
    unconfirmed: bool  # it may not have arrived: the mail server's answer was lost
    requested_by: str | None


async def about(database: Database, ids: Sequence[str]) -> dict[str, list[Mail]]:
    """Return the newest mails about each of these connections, the newest first; one statement."""
    if not ids:
        return {}
    newest = (
        func.row_number()
        .over(partition_by=notice_item.c.connection, order_by=notice.c.id.desc())
        .label("nth")
    )
    lost = exists().where(delivery.c.notice == notice.c.id, delivery.c.state == "unconfirmed")
    some = (
        select(
            notice_item.c.connection, notice.c.id, notice.c.slot, notice.c.kind, notice.c.number,
            notice.c.state, notice_item.c.incident, notice.c.due_at, notice.c.settled_at,
            lost.label("unconfirmed"), notice.c.requested_by, newest,
        )
        .join(notice, notice.c.id == notice_item.c.notice)
        .where(
            notice_item.c.connection.in_(ids), notice.c.slot.in_(_OURS), notice.c.state != "withdrawn"
        )
        .subquery()
    )  # fmt: skip
    found: dict[str, list[Mail]] = defaultdict(list)
    async with database.read() as conn:
        rows = await conn.execute(select(some).where(some.c.nth <= SHOWN).order_by(some.c.id.desc()))
        for row in rows:
            found[row.connection].append(
                Mail(
                    row.slot, row.kind, row.number, row.state, row.incident, row.due_at, row.settled_at,
                    bool(row.unconfirmed), row.requested_by,
                )
            )  # fmt: skip
    return dict(found)
