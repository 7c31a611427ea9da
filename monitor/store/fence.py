"""What people and maintenance windows change of connections, past any probe that is under way.

`hold` takes the gates and says how the connections stand; `health.lifecycle` says how they are from then on;
`fence` writes it, raises the fencing number and frees the lease, so that a verdict which rests on what was
before is thrown away. Nobody else moves a connection but the verdicts themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Text, case, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health import events as said
from monitor.health.lifecycle import Health, State, on_new_grounds
from monitor.store import gates
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.columns import HEALTH, health_columns, read_health
from monitor.store.engine import UtcDateTime
from monitor.store.tables import credential, watch

_IDS: Columns = {"id": Text}
# What fencing is: the number is another one, and nobody holds a lease. A verdict carries the number of the
# row that it rests on, and is written only while the row still has it (`verdicts`).
FENCED: Mapping[str, Any] = {"lease_by": None, "lease_until": None, "lease_epoch": watch.c.lease_epoch + 1}


class Gated(NamedTuple):
    """How a connection stands whose gate is held. `authorized`: it has tokens."""

    health: Health
    authorized: bool
    rests: str | None  # the maintenance window that paused it
    app: str
    paused_until: datetime | None = None  # when a person's pause of it ends by itself


_STANDING = select(
    watch.c.connection,
    *HEALTH,
    watch.c.rests,
    watch.c.app,
    watch.c.paused_until,
    credential.c.access.is_not(None).label("authorized"),
).join(credential, credential.c.connection == watch.c.connection)


async def hold(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Gated]:
    """Take the gates of connections; return how those that there are stand, by id."""
    if not ids:
        return {}
    return _held(await conn.execute(*gates.of(_STANDING, ids, is_sqlite=conn.dialect.name == "sqlite")))


async def hold_where(conn: AsyncConnection, which: ColumnElement[bool], limit: int) -> dict[str, Gated]:
    """Take the gates of some connections that a condition chooses; return how they stand, by id."""
    return _held(await conn.execute(gates.in_order(_STANDING.where(which)).limit(limit)))


def _held(rows: Iterable[Any]) -> dict[str, Gated]:
    found = {}
    for name, *health, rests, app, paused_until, authorized in rows:
        found[name] = Gated(read_health(health), bool(authorized), rests, app, paused_until)
    return found


def by(whom: str, held: Mapping[str, Gated], ids: Iterable[str], **more: Any) -> dict[str, dict[str, Any]]:
    """Return what an event says of each that was moved: how it was, and by whom it is not any more."""
    return {
        name: {**said.was(held[name].health.state.value, held[name].health.cause.value), "by": whom, **more}
        for name in ids
    }


async def fence(conn: AsyncConnection, moved: Mapping[str, Health], **more: Any) -> None:
    """Write how held connections are from now on, and `more` columns, the same for all of them."""
    is_sqlite = conn.dialect.name == "sqlite"
    given = unpacked(_IDS, is_sqlite)
    alike: dict[Health, list[tuple[str]]] = defaultdict(list)
    for name, health in moved.items():
        alike[health].append((name,))
    for health, ids in alike.items():
        values = {**health_columns(health), **more, **FENCED}
        change = update(watch).where(watch.c.connection == given.c.id).values(**values)
        await conn.execute(change, packed(_IDS, ids, is_sqlite))


async def renew(conn: AsyncConnection, held: Mapping[str, Gated], now: datetime, **more: Any) -> None:
    """Fence held connections whose tokens are new: nothing from before is believed, a probe comes at once."""
    more |= {"scopes_all": True, "reads": {}, "scope_cursor": 0, "scope_checked_at": None}
    moved = {name: on_new_grounds(was.health, now) for name, was in held.items()}
    asleep = {name: health for name, health in moved.items() if health.state is State.PAUSED}
    awake = {name: health for name, health in moved.items() if name not in asleep}
    await fence(conn, asleep, **more)
    await fence(conn, awake, **more, next_probe_at=now)


async def look_again(conn: AsyncConnection, held: Mapping[str, Gated], now: datetime) -> None:
    """Fence held connections that are asked about something else from now on: a probe comes at once."""
    anew = {name: on_new_grounds(was.health, now) for name, was in held.items()}
    at = literal(now, UtcDateTime())  # a case does not know the column's type by itself
    await fence(conn, anew, next_probe_at=case((watch.c.next_probe_at.is_not(None), at)))


async def wake(
    conn: AsyncConnection, held: Mapping[str, Gated], move: Callable[..., Health], now: datetime
) -> None:
    """Have held connections that a person paused looked at again, by a move of the lifecycle.

    What has tokens is looked at now, with all of its scopes; what has none waits for its client.
    """
    for authorized, first_probe in ((True, now), (False, None)):
        moved = {
            name: move(was.health, now, authorized=authorized)
            for name, was in held.items()
            if was.authorized is authorized
        }
        await fence(conn, moved, rests=None, paused_until=None, scopes_all=True, next_probe_at=first_probe)
