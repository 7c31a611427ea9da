"""A restriction as conditions on connections."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false, or_, select

from monitor.health.restriction import Restriction, glob_only_stars
from monitor.store.engine import Database
from monitor.store.tables import connection


def conditions(only: Restriction, is_sqlite: bool) -> list[ColumnElement[bool]]:
    """Return what has to hold of a connection that is within, as `Restriction.covers` has it."""
    found: list[ColumnElement[bool]] = []
    if only.apps:
        found.append(connection.c.app.in_(sorted(only.apps)))
    found += [
        connection.c.labels[name].as_string().in_(sorted(values)) for name, values in only.labels.items()
    ]
    if only.connections:
        found.append(or_(false(), *(_named(pattern, is_sqlite) for pattern in only.connections)))
    return found


def _named(pattern: str, is_sqlite: bool) -> ColumnElement[bool]:
    if is_sqlite:  # its LIKE takes capitals for small letters
        return connection.c.id.op("GLOB", is_comparison=True)(glob_only_stars(pattern))
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return connection.c.id.like(escaped, escape="\\")


async def of(database: Database, ids: list[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return app and labels, which a restriction goes by, of those connections that are there."""
    asked, found = select(connection.c.id, connection.c.app, connection.c.labels), {}
    async with database.read() as conn:
        for start in range(0, len(ids), 500):
            rows = await conn.execute(asked.where(connection.c.id.in_(ids[start : start + 500])))
            found.update({row.id: (row.app, dict(row.labels)) for row in rows})
    return found
