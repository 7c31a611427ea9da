"""How far clients came on the road back, of several connections at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, func, select

from monitor.health.breaks import DROPPED
from monitor.health.causes import Subject
from monitor.store.consent_tables import consent, held, link
from monitor.store.engine import Database
from monitor.store.tables import history, incident


class Steps(NamedTuple):
    """The newest times that a link of a connection was made, opened, started and used, and how a trip ended.

    `waits`: an authorization waits for a person. `scope` is what the last change of verdict was about.
    `incident` is its own open one, since `broke_at`; `held`: what that is part of lets nobody be told, and
    `dropped`: a person said that nobody will be.
    """

    made_at: datetime | None = None
    opened_at: datetime | None = None
    started_at: datetime | None = None
    used_at: datetime | None = None
    outcome: str = ""
    outcome_at: datetime | None = None
    waits: bool = False
    scope: str = ""
    incident: int | None = None
    broke_at: datetime | None = None
    part_of: int | None = None
    held: bool = False
    dropped: bool = False


async def of_connections(database: Database, ids: Sequence[str]) -> dict[str, Steps]:
    """Return them by connection; five statements, however many connections."""
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
    parent = incident.alias("parent")
    held_back = and_(parent.c.wave, incident.c.told_at.is_(None), incident.c.mails == "")
    broke = (
        select(
            incident.c.name, incident.c.id, incident.c.opened_at, parent.c.id, held_back, incident.c.mails
        )
        .outerjoin(parent, (parent.c.id == incident.c.parent_id) & parent.c.closed_at.is_(None))
        .where(
            incident.c.kind == Subject.CONNECTION.value, incident.c.closed_at.is_(None),
            incident.c.name.in_(ids),
        )
    )  # fmt: skip
    async with database.read() as conn:
        breaks = {row[0]: row for row in await conn.execute(broke)}
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
            **_broke(breaks.get(name)),
        )
        for name in ids
    }


def _broke(row: Any) -> dict[str, Any]:
    if row is None:
        return {}
    _, number, since, parent, held_back, said = row
    return {
        "incident": number, "broke_at": since, "part_of": parent, "held": bool(held_back),
        "dropped": said == DROPPED,
    }  # fmt: skip
