"""Who is not told now: everybody, one client, or what concerns one connection; until a time, or lifted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import insert, or_, select, update

from alerts.tables import silence
from monitor.errors import NotFound
from monitor.store import audit
from monitor.store.engine import Database
from monitor.store.tables import connection


class Over(StrEnum):
    """What a silence lies over."""

    ALL = "all"
    CLIENT = "client"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence that holds."""

    over: Over
    name: str
    reason: str
    by: str
    begun_at: datetime
    until: datetime | None


async def begin(
    database: Database, over: Over, name: str, reason: str, until: datetime | None, now: datetime, by: str
) -> None:
    """Lay a silence. Raises NotFound where there is no such client or connection."""
    async with database.write() as conn:
        if over is not Over.ALL:
            column = connection.c.client_name if over is Over.CLIENT else connection.c.id
            if (await conn.execute(select(connection.c.id).where(column == name).limit(1))).first() is None:
                raise NotFound(
                    f"There is no {over.value} {name!r}; 'token-health connections list' shows them."
                )
        await conn.execute(
            update(silence)
            .where(silence.c.kind == over.value, silence.c.name == name, silence.c.ended_at.is_(None))
            .values(ended_at=now)
        )
        await conn.execute(
            insert(silence).values(
                kind=over.value, name=name, reason=reason, by=by, begun_at=now, until=until
            )
        )
        await audit.record(
            conn, now, by, "mails.hold", f"{over.value} {name}".strip(), reason=reason,
            until=until.isoformat() if until else None,
        )  # fmt: skip


async def end(database: Database, over: Over, name: str, now: datetime, by: str) -> None:
    """Lift a silence. Raises NotFound where none lies."""
    async with database.write() as conn:
        done = await conn.execute(
            update(silence)
            .where(silence.c.kind == over.value, silence.c.name == name, silence.c.ended_at.is_(None))
            .values(ended_at=now)
        )
        if done.rowcount == 0:
            what = "mails" if over is Over.ALL else f"{over.value} {name!r}"
            raise NotFound(f"No hold lies over {what}; 'token-health notices list' shows those that do.")
        await audit.record(conn, now, by, "mails.release", f"{over.value} {name}".strip())


async def standing(database: Database, now: datetime) -> list[Silenced]:
    """Return the silences that hold now."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(silence)
            .where(silence.c.ended_at.is_(None), or_(silence.c.until.is_(None), silence.c.until > now))
            .order_by(silence.c.id)
        )
        return [
            Silenced(Over(row.kind), row.name, row.reason, row.by, row.begun_at, row.until) for row in rows
        ]
