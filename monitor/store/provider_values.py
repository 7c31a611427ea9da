"""What stands in a connection's URLs and headers, by name: the provider's [values] of that connection."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.tables import connection


async def add(conn: AsyncConnection, found: Mapping[str, Mapping[str, str]]) -> None:
    """Put what was found for connections, whose gates are held, over what they had."""
    for name in sorted(name for name, some in found.items() if some):
        had = await conn.execute(select(connection.c.provider_values).where(connection.c.id == name))
        before = had.scalar_one_or_none()
        after = {**(before or {}), **found[name]}
        if before is not None and after != before:
            await conn.execute(
                update(connection).where(connection.c.id == name).values(provider_values=after)
            )
