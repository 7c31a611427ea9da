"""What is usual in the fleet: how many clients each group has, and what broke in the weeks before.

Read once an hour and kept in memory, by each process for itself; nothing of it is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.breaks import ALONE, DAY, MAILABLE
from monitor.health.causes import Owner, Subject
from monitor.health.incidents import About, Place
from monitor.health.lifecycle import State
from monitor.health.surprise import WEEK, WEEKS, YEAR, Usual
from monitor.store.engine import epoch
from monitor.store.tables import connection, incident, watch

OLDEST = timedelta(hours=1)  # that what is known may be
BEFORE_HOLDING = timedelta(minutes=5)  # and where it is about to hold mails
NEEDED = WEEK * (WEEKS + 1)  # for so long incidents are kept at least: 35 days
_WATCHED = [state.value for state in (State.HEALTHY, State.SUSPECT, State.BROKEN)]


class Ordinary:
    """What is usual, as this process knows it."""

    def __init__(self) -> None:
        self._read_at: datetime | None = None
        self._usual: Mapping[About, Usual] = {}

    async def usual(
        self, conn: AsyncConnection, now: datetime, oldest: timedelta = OLDEST
    ) -> Mapping[About, Usual]:
        """Return what is usual for each group; read anew where it is older than `oldest`."""
        if self._read_at is None or not timedelta(0) <= now - self._read_at < oldest:
            self._usual, self._read_at = await _read(conn, now), now
        return self._usual


async def _read(conn: AsyncConnection, now: datetime) -> dict[About, Usual]:
    end = now - DAY  # what may yet be judged teaches nothing
    begin = end - WEEK * WEEKS
    broke: dict[About, list[tuple[float, str]]] = defaultdict(list)
    for row in await conn.execute(_ordinary(begin, end)):
        for about in Place(row.app, row.provider, row.region).groups():
            broke[about].append((float(row.at), row.client_name))
    found = {}
    for kind, name, clients, first, born in await conn.execute(_sizes(begin)):
        about = About(Subject(kind), name)
        watched = max(0.0, end.timestamp() - float(born))
        weeks = int(max(0.0, end.timestamp() - float(first)) // WEEK.total_seconds())
        years = int(clients) * watched / YEAR.total_seconds()
        found[about] = Usual.of(int(clients), years, min(WEEKS, weeks), broke.get(about, ()))
    return found


def _ordinary(begin: datetime, end: datetime) -> Select[Any]:
    """The breaks that were each a client's own: in no wave, and not healed by themselves."""
    parent = incident.alias("parent")
    return (
        select(
            connection.c.app,
            connection.c.provider,
            connection.c.region,
            connection.c.client_name,
            epoch(incident.c.turned_at).label("at"),
        )
        .join(connection, connection.c.id == incident.c.name)
        .outerjoin(parent, parent.c.id == incident.c.parent_id)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.turned_at > begin,
            incident.c.turned_at <= end,
            incident.c.owner == Owner.CLIENT.value,
            incident.c.cause.in_(sorted(cause.value for cause in MAILABLE)),
            incident.c.ended != ALONE,
            func.coalesce(parent.c.wave, False).is_(False),
        )
    )


def _sizes(begin: datetime) -> Any:
    """How many clients each group has, when its first connection came, and when they came on the average.

    What came before the weeks that are looked at counts as come at their beginning. In Unix seconds.
    """
    came = epoch(connection.c.created_at)
    start = int(begin.timestamp())
    born = func.avg(case((came < start, start), else_=came))
    groups = (
        (Subject.PROVIDER, watch.c.provider),
        (Subject.REGION, watch.c.provider + "/" + watch.c.region),
        (Subject.APP, watch.c.app),
    )
    return union_all(
        *(
            select(
                literal(kind.value),
                name,
                func.count(connection.c.client_name.distinct()),
                func.min(case((came < start, start), else_=came)),
                born,
            )
            .join(connection, connection.c.id == watch.c.connection)
            .where(watch.c.state.in_(_WATCHED))
            .group_by(name)
            for kind, name in groups
        )
    )
