"""What the vault needs of the database: key checks, and re-encryption in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from monitor.store import gates
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import credential, key_check


@dataclass(frozen=True, slots=True)
class Cells:
    """The sealed cells of one connection."""

    connection: str
    access: str | None
    refresh: str | None


async def key_checks(database: Database) -> dict[str, str]:
    """Return the known text under each key that was ever used and not retired."""
    async with database.read() as conn:
        rows = await conn.execute(select(key_check.c.key_id, key_check.c.sealed))
        return {row.key_id: row.sealed for row in rows}


@retried
async def add_key_check(database: Database, key_id: str, sealed: str) -> None:
    """Record a key at its first use."""
    try:
        async with database.write() as conn:
            await conn.execute(insert(key_check).values(key_id=key_id, sealed=sealed))
    except IntegrityError:
        pass  # another process recorded it at the same moment


@retried
async def retire_key(database: Database, key_id: str) -> None:
    """Forget a key that nothing is sealed with any more."""
    async with database.write() as conn:
        await conn.execute(delete(key_check).where(key_check.c.key_id == key_id))


async def sealed_otherwise(database: Database, prefix: str, limit: int) -> list[Cells]:
    """Return cells that are not sealed with the key of this prefix."""
    other = or_(
        credential.c.access.is_not(None) & ~credential.c.access.startswith(prefix, autoescape=True),
        credential.c.refresh.is_not(None) & ~credential.c.refresh.startswith(prefix, autoescape=True),
    )
    async with database.read() as conn:
        rows = await conn.execute(
            select(credential.c.connection, credential.c.access, credential.c.refresh)
            .where(other)
            .order_by(credential.c.connection)
            .limit(limit)
        )
        return [Cells(*row) for row in rows]


async def uses_key(database: Database, prefix: str) -> bool:
    """Whether any cell is sealed with the key of this prefix."""
    found = (
        select(credential.c.connection)
        .where(
            or_(
                credential.c.access.startswith(prefix, autoescape=True),
                credential.c.refresh.startswith(prefix, autoescape=True),
            )
        )
        .limit(1)
    )
    async with database.read() as conn:
        return (await conn.execute(found)).first() is not None


@retried
async def replace_cells(database: Database, pairs: Sequence[tuple[Cells, Cells]]) -> int:
    """Put re-encrypted cells in the place of exactly the old ones; return how many rows took it.

    A row whose tokens were refreshed meanwhile is left alone: its new pair is newer than ours.
    """
    done = 0
    async with database.write() as conn:
        await gates.lock(conn, [old.connection for old, _ in pairs])
        for old, new in pairs:
            result = await conn.execute(
                update(credential)
                .where(
                    credential.c.connection == old.connection,
                    credential.c.access.is_not_distinct_from(old.access),
                    credential.c.refresh.is_not_distinct_from(old.refresh),
                )
                .values(access=new.access, refresh=new.refresh)
            )
            done += result.rowcount
    return done
