"""What there is for somebody: what lies outside of a restriction is not there, and is not touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.errors import NotFound, Refused, Remedy
from monitor.health.listing import Filter
from monitor.operations.actor import Actor, no_connection
from monitor.settings.parts import Parts
from monitor.store import listing, within
from monitor.store.connections import Known


async def all_of(parts: Parts, who: Actor, ids: Sequence[str]) -> None:
    """Let pass where all of these are within. Raises NotFound, as for a connection that is not there."""
    if who.only.whole:
        return
    known = await within.of(parts.database, list(ids))
    for name in ids:
        if name not in known or not who.only.covers(name, *known[name]):
            raise no_connection(name)


def one(who: Actor, known: Known) -> None:
    """Let pass where a connection is within. Raises NotFound."""
    who.sees(known.id, known.place.app, known.labels)


def whole(who: Actor, what: str) -> None:
    """Let pass who is not restricted; `what` completes the sentence. Raises Refused."""
    if not who.only.whole:
        raise Refused(f"{who.name} is restricted to a part of the fleet, and {what}.")


async def sees(parts: Parts, who: Actor, over: str, name: str) -> bool:
    """Whether something within belongs to what is named: a provider, app, client, connection, or all."""
    return who.only.whole or await _count(parts, _which(over, name), who) > 0


async def covers(parts: Parts, who: Actor, over: str, name: str) -> None:
    """Let pass where all of what is named is within, now and later.

    Raises NotFound where nothing of it is, and Refused where a part is.
    """
    if who.only.whole:
        return
    which = _which(over, name)
    mine = await _count(parts, which, who)
    if not mine:
        raise NotFound(f"There is no {over} {name!r}.", Remedy("connections.list", "shows them"))
    only = who.only
    ours = over == "app" and name in only.apps and not (only.labels or only.connections)
    now = over in ("client", "connection") and mine == (await listing.counts(parts.database, which)).total
    if not (ours or now):
        whole(who, f"more than that belongs to {f'{over} {name!r}' if name else 'it'}")


def _which(over: str, name: str) -> Filter:
    named = frozenset([name])
    match over:
        case "provider":
            return Filter(providers=named)
        case "app":
            return Filter(apps=named)
        case "client":
            return Filter(clients=named)
        case "connection":
            return Filter(ids=named)
    return Filter()


async def _count(parts: Parts, which: Filter, who: Actor) -> int:
    return (await listing.counts(parts.database, replace(which, within=who.only))).total
