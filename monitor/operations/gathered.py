"""All that is on record of one connection and told in several ways: read once, for whoever tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.outbox import listing
from alerts.outbox.listing import Told, Wanted
from alerts.pages import told as pages_told
from alerts.silences import silences
from alerts.silences.windows import Scope, Silenced
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import bindings, connections, history, incidents, links, published
from monitor.store.bindings import HeldGrant
from monitor.store.connections import Known
from monitor.store.history import Changed
from monitor.store.incidents import OpenIncident
from monitor.store.links import Link

CHANGES, MAILS, LINKS = 6, 50, 50  # how far back is told


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is on record of a connection; all newest first."""

    known: Known
    changes: Sequence[Changed]
    open_ones: Sequence[OpenIncident]  # its own, and the larger one
    told: Sequence[Told]
    links: Sequence[Link]
    grant: HeldGrant | None  # the approval that waits for a person
    silences: Sequence[Silenced]  # that lie over it now
    paged: Sequence[str]  # what on-call was told that it is part of

    @property
    def own(self) -> OpenIncident | None:
        """Its own open incident."""
        return self.open_ones[0] if self.open_ones else None


async def gather(parts: Parts, actor: Actor, connection_id: str) -> Gathered:
    """Read what is on record of a connection, for whoever may see it. Raises NotFound.

    Of what was told about several, whoever sees a part is told that part.
    """
    actor.needs(Right.CONNECTIONS_READ)
    database, now = parts.database, parts.clock.now()
    known = await connections.show(database, connection_id)
    actor.sees(known.id, known.place.app, known.labels)
    among = None if actor.only.whole else published.seen_by(actor.only, database)
    scope = Scope(known.place.provider, known.place.app, known.client_name, known.id)
    standing = await silences.standing(database, parts.loaded.settings.windows, now)
    return Gathered(
        known,
        await history.timeline(database, connection_id, CHANGES),
        await incidents.of_connection(database, connection_id),
        await listing.page(database, Wanted(connection=connection_id, among=among), MAILS),
        await links.of_connection(database, connection_id, LINKS),
        await bindings.of_connection(database, connection_id),
        tuple(one for one in standing if one.covers(scope) and one.begun_at <= now),
        await _paged(parts, actor, known),
    )


async def _paged(parts: Parts, actor: Actor, known: Known) -> list[str]:
    """Say what on-call was told that this connection is part of."""
    async with parts.database.read() as conn:
        standing = await pages_told.standing_pages(conn)
    mine = {"connection": known.id, "app": known.place.app, "provider": known.place.provider}
    return [
        f"On-call was told over {', '.join(took) or 'no channel yet'}: {matter['summary']}."
        for _, matter, took in standing
        if (actor.only.whole or matter["labels"].get("connection") == known.id)
        and matter["labels"].get("cause", known.health.cause.value) == known.health.cause.value
        and all(matter["labels"].get(name, value) == value for name, value in mine.items())
    ]
