"""Addresses that refused mail: remembered for people, until they take one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails.tables import address
from alerts.outbox.envelope import Envelope, Outcome
from monitor.store.engine import Database


async def note(
    conn: AsyncConnection, envelope: Envelope, outcome: Outcome, answer: str, now: datetime
) -> None:
    """Remember that an address refused a mail, or forget that it did."""
    to = envelope.address
    if outcome is Outcome.REFUSED:
        make = sqlite_insert if conn.dialect.name == "sqlite" else postgres_insert
        added = make(address).values(address=to, refused_at=now, answer=answer[:500])
        await conn.execute(
            added.on_conflict_do_update(
                index_elements=["address"],
                set_={"refused_at": added.excluded.refused_at, "answer": added.excluded.answer},
            )
        )
    elif outcome is Outcome.SENT:
        await conn.execute(address.delete().where(func.lower(address.c.address) == to.lower()))


async def undeliverable(database: Database) -> list[tuple[str, datetime, str]]:
    """Return the addresses that refused mail: address, since, the server's words."""
    async with database.read() as conn:
        rows = await conn.execute(select(address).order_by(address.c.refused_at.desc()))
        return [(row.address, row.refused_at, row.answer) for row in rows]
