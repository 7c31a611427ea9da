"""What became of the fleet: one change of a verdict after the other."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import connections, history
from monitor.store.history import Changed


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes with their numbers, newest first. The next page is that `before`, None after the last."""

    changes: tuple[tuple[int, Changed], ...]
    before: int | None


async def of(parts: Parts, actor: Actor, connection_id: str, limit: int, before: int | None = None) -> Page:
    """Return the changes of a connection, each with what it rested on. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    reach.one(actor, await connections.show(parts.database, connection_id))
    found = await history.page(parts.database, connection_id, limit + 1, before)
    return Page(tuple(found[:limit]), found[limit - 1][0] if len(found) > limit else None)


async def since(parts: Parts, actor: Actor, number: int, limit: int = 500) -> list[tuple[int, str, Changed]]:
    """Return the changes after a number, oldest first, each with its number and its connection."""
    actor.needs(Right.CONNECTIONS_READ)
    reach.whole(actor, "there are changes beside its own")
    return await history.since(parts.database, number, limit)
