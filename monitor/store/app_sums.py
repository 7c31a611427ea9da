"""How the connections of each app are, in sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from monitor.health.lifecycle import State
from monitor.health.restriction import Restriction
from monitor.store import within
from monitor.store.engine import Database
from monitor.store.tables import connection, watch

_UNWELL = (State.BROKEN.value, State.SUSPECT.value)


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one app's connections, how many are in each state; of those that are not well, from which cause."""

    states: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)


async def by_app(database: Database, only: Restriction) -> dict[str, Sums]:
    """Return them by app, of the connections that there are for whoever asks."""
    query = select(watch.c.app, watch.c.state, watch.c.cause, func.count())
    if not only.whole:
        query = query.join(connection, connection.c.id == watch.c.connection)
        query = query.where(*within.conditions(only, database.is_sqlite))
    states: dict[str, dict[str, int]] = {}
    causes: dict[str, dict[str, int]] = {}
    async with database.read() as conn:
        for app, state, cause, count in await conn.execute(
            query.group_by(watch.c.state, watch.c.cause, watch.c.app)
        ):
            its = states.setdefault(app, {})
            its[state] = its.get(state, 0) + int(count)
            if state in _UNWELL:
                whose = causes.setdefault(app, {})
                whose[cause] = whose.get(cause, 0) + int(count)
    return {app: Sums(its, causes.get(app, {})) for app, its in states.items()}
