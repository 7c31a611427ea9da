"""One connection seen close: everything that is known of it, gathered for whoever looks into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.health.listing import Filter, Listed, Sort
from monitor.health.timeline import Span, Timeline
from monitor.operations import explain, fleet, timelines
from monitor.operations.actor import Actor, Right
from monitor.operations.explain import Explained
from monitor.operations.gathered import gather
from monitor.settings.parts import Parts
from monitor.store.bindings import HeldGrant

BESIDE = 8  # others of the same client that are named


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A connection explained, with its timeline, its client's others, and the approval that waits."""

    explained: Explained
    timeline: Timeline
    others: Sequence[Listed]
    more: bool  # whether its client has others than those
    held: HeldGrant | None


async def of(parts: Parts, actor: Actor, connection_id: str, over: Span | None = None) -> CloseUp:
    """Gather all about a connection. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    record = await gather(parts, actor, connection_id)
    which = Filter(clients=frozenset([record.known.client_name]))
    page = await fleet.page(parts, actor, which, Sort.WORST, None, BESIDE + 1)
    others = [one for one in page.rows if one.id != connection_id]
    return CloseUp(
        await explain.explain_it(parts, actor, record),
        await timelines.of_gathered(parts, record, over),
        tuple(others[:BESIDE]),
        len(others) > BESIDE or page.after is not None,
        record.grant,
    )
