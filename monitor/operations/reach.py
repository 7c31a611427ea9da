"""Which connections there are for somebody: what lies outside of a restriction is not there."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.operations.actor import Actor, no_connection
from monitor.settings.parts import Parts
from monitor.store import within


async def all_of(parts: Parts, who: Actor, ids: Sequence[str]) -> None:
    """Let pass where all of these are within. Raises NotFound, as for a connection that is not there."""
    if who.only.whole:
        return
    known = await within.of(parts.database, list(ids))
    for name in ids:
        if name not in known or not who.only.covers(name, *known[name]):
            raise no_connection(name)
