"""What became of the fleet: one change of a verdict after the other, to be followed from a number on."""

from __future__ import annotations

from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import history
from monitor.store.history import Changed


async def since(parts: Parts, actor: Actor, number: int, limit: int = 500) -> list[tuple[int, str, Changed]]:
    """Return the changes after a number, oldest first, each with its number and its connection."""
    actor.needs(Right.CONNECTIONS_READ)
    return await history.since(parts.database, number, limit)
