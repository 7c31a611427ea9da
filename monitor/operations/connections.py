"""Connections, as people and programs handle them: list, show, pause, resume, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import connections
from monitor.store.connections import Known


async def every(parts: Parts, actor: Actor) -> list[Known]:
    """Return all connections, by id."""
    actor.needs(Right.CONNECTIONS_READ)
    return await connections.every(parts.database)


async def show(parts: Parts, actor: Actor, connection_id: str) -> Known:
    """Return one connection. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    found = await connections.show(parts.database, connection_id)
    actor.sees(found.id, found.place.app, found.labels)
    return found


async def pause(parts: Parts, actor: Actor, ids: Sequence[str]) -> list[str]:
    """Stop looking at connections; return those that were not paused yet. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, ids)
    return await connections.pause(parts.database, ids, parts.clock.now(), actor.name)


async def resume(parts: Parts, actor: Actor, ids: Sequence[str]) -> list[str]:
    """Look at paused connections again, starting now; return those that were paused. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, ids)
    return await connections.resume(parts.database, ids, parts.clock.now(), actor.name, apps=parts.apps)


async def remove(
    parts: Parts, actor: Actor, ids: Sequence[str], *, expected: Mapping[str, int] | None = None
) -> None:
    """Forget connections with their tokens and history; the audit keeps their names. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_WRITE)
    await reach.all_of(parts, actor, ids)
    await connections.remove(parts.database, ids, parts.clock.now(), actor.name, expected=expected)
