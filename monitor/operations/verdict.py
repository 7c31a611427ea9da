"""How the fleet is, in a sentence: what waits for whom, what changed, and what was so a day ago."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.mails import fuse
from monitor.health.causes import Owner
from monitor.health.lifecycle import State
from monitor.health.listing import Counts, Filter, Sum, counted
from monitor.operations.actor import Actor, Right
from monitor.operations.documents import iso
from monitor.operations.kept import kept
from monitor.settings.parts import Parts
from monitor.store import bindings, due, hours, listing, news, shared
from monitor.store.news import Change as Change  # noqa: PLC0414 - doors show it
from monitor.store.shared import Turn

DAY = timedelta(days=1)
SELDOM = timedelta(minutes=1)  # how many clients there are changes with imports alone
LATELY = 6  # changes that are told
MOST_LABELS = 40


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fleet as one looks at it first.

    `ours` is how many things wait for a person of ours: an incident counts as one. `down` are the providers
    that do not work, `waiting_clients` how many clients have to act. `before` are the counts of a day ago,
    None where nobody wrote them down. `late` is how long the most overdue look has waited.
    """

    counts: Counts
    clients: int
    ours: int
    down: tuple[str, ...]
    waiting_clients: int
    turns: Mapping[str, Turn]
    shared: Mapping[str, int]  # shared incidents by whose turn it is
    before: Counts | None
    late: timedelta
    changes: Sequence[Change]

    def since_yesterday(self, state: str) -> int | None:
        """Return by how many there are more in a state than a day ago."""
        if self.before is None:
            return None
        return self.counts.states.get(state, 0) - self.before.states.get(state, 0)


async def verdict(parts: Parts, actor: Actor) -> Verdict:
    """Return how the fleet is, at most two seconds old."""
    actor.needs(Right.CONNECTIONS_READ)
    actor.needs(Right.INCIDENTS_READ)
    return await kept(parts, actor, "verdict", lambda: _verdict(parts, actor))


async def _verdict(parts: Parts, actor: Actor) -> Verdict:
    database, now = parts.database, parts.clock.now()
    mine = Filter(within=actor.only)
    counts = counted(await _sums(parts, actor))
    groups = await shared.open_now(database, mine)
    turns = await shared.turns(database) if actor.only.whole else {}
    # An incident of one connection is that connection's, but for a provider that is down.
    ours = sum(one.turn is Owner.OPERATOR for one in groups)
    ours += turns[Owner.OPERATOR.value].alone if Owner.OPERATOR.value in turns else 0
    ours += len(await bindings.waiting(database)) if actor.only.whole else 0
    async with database.read() as conn:
        blown = actor.only.whole and (await fuse.read(conn)).blown_at is not None
    by_turn: dict[str, int] = {}
    for one in groups:
        by_turn[one.turn.value] = by_turn.get(one.turn.value, 0) + 1
    return Verdict(
        counts,
        await kept(parts, actor, "clients", lambda: shared.clients(database, mine), SELDOM),
        ours + int(blown),
        tuple(sorted({one.provider for one in groups if one.owner is Owner.PROVIDER})),
        await shared.clients(
            database, Filter(states=_BROKEN, owners=frozenset({Owner.CLIENT.value}), within=actor.only)
        ),
        turns,
        by_turn,
        await _before(parts, actor, now),
        timedelta(seconds=await due.lag(database, parts.apps, now)),
        await news.lately(database, now - DAY, LATELY, actor.only),
    )


_BROKEN = frozenset({State.BROKEN.value})


async def _before(parts: Parts, actor: Actor, now: datetime) -> Counts | None:
    if not actor.only.whole:  # what was so of a part is not written down
        return None
    found = await hours.at(parts.database, now - DAY)
    return counted(found[1]) if found is not None else None


async def choices(parts: Parts, actor: Actor) -> list[Sum]:
    """Return what there is to filter by, with how many connections each has."""
    actor.needs(Right.CONNECTIONS_READ)
    return await _sums(parts, actor)


async def _sums(parts: Parts, who: Actor) -> list[Sum]:
    """Read the whole fleet once for all that a page says of it."""
    among = None if who.only.whole else Filter(within=who.only)
    return await kept(parts, who, "sums", lambda: listing.sums(parts.database, among))


async def labels(parts: Parts, actor: Actor) -> list[tuple[str, str]]:
    """Return labels that connections have, the most frequent first."""
    actor.needs(Right.CONNECTIONS_READ)
    return await kept(parts, actor, "labels", lambda: _labels(parts, actor), SELDOM)


async def _labels(parts: Parts, actor: Actor) -> list[tuple[str, str]]:
    return (await listing.labels(parts.database, actor.only))[:MOST_LABELS]


def document(found: Verdict) -> dict[str, Any]:
    """Return how the fleet is, in numbers, and what changed lately."""
    return {
        "connections": found.counts.total,
        "clients": found.clients,
        "needs_operator": found.ours,
        "clients_waited_for": found.waiting_clients,
        "providers_down": list(found.down),
        "looks_late_seconds": round(found.late.total_seconds()),
        "states": dict(found.counts.states),
        "states_a_day_ago": None if found.before is None else dict(found.before.states),
        "breaks": {
            owner: {"open": turn.breaks, "on_their_own": turn.alone, "told": turn.told}
            for owner, turn in found.turns.items()
        },
        "changes": [
            {
                "at": iso(one.at),
                "began": one.began,
                "connections": one.count,
                "incident": one.incident,
                "about": {"kind": one.about.kind.value, "name": one.about.name},
                "cause": one.cause.value,
                "owner": one.owner.value,
                "ended": one.ended or None,
                "client": one.client or None,
            }
            for one in found.changes
        ],
    }
