"""How far clients came on the road back, of several connections at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from monitor.store.consent_tables import consent, held, link
from monitor.store.engine import Database
from monitor.store.tables import history


class Steps(NamedTuple):
    """The newest times that a link of a connection was made, opened, started and used, and how a trip ended.

    `waits`: an authorization waits for a person. `scope` is what the last change of verdict was about.
    """

    made_at: datetime | None = None
    opened_at: datetime | None = None
    started_at: datetime | None = None
    used_at: datetime | None = None
    outcome: str = ""
    outcome_at: datetime | None = None
    waits: bool = False
    scope: str = ""


async def of_connections(database: Database, ids: Sequence[str]) -> dict[str, Steps]:
    """Return them by connection; four statements, however many connections."""
    if not ids:
        return {}
    times = (link.c.made_at, link.c.opened_at, link.c.started_at, link.c.used_at)
    made = (
        select(link.c.connection, *(func.max(one) for one in times))
        .where(link.c.connection.in_(ids))
        .group_by(link.c.connection)
    )
    newest = (
        select(func.max(consent.c.id)).where(consent.c.connection.in_(ids)).group_by(consent.c.connection)
    )
    trips = select(consent.c.connection, consent.c.outcome, consent.c.spent_at).where(
        consent.c.id.in_(newest)
    )
    last = select(func.max(history.c.id)).where(history.c.connection.in_(ids)).group_by(history.c.connection)
    scopes = select(history.c.connection, history.c.scope).where(history.c.id.in_(last))
    async with database.read() as conn:
        found = {row[0]: Steps(*row[1:]) for row in await conn.execute(made)}
        ended = {row[0]: row for row in await conn.execute(trips)}
        waiting = set(
            (await conn.execute(select(held.c.connection).where(held.c.connection.in_(ids)))).scalars()
        )
        about = {row[0]: row[1] or "" for row in await conn.execute(scopes)}
    return {
        name: found.get(name, Steps())._replace(
            outcome=ended[name][1] if name in ended else "",
            outcome_at=ended[name][2] if name in ended else None,
            waits=name in waiting,
            scope=about.get(name, ""),
        )
        for name in ids
    }
