"""A probe now, of connections that somebody names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from monitor.health.classify import Finding
from monitor.health.lifecycle import State
from monitor.health.listing import Filter, Listed
from monitor.metrics.meters import Meters
from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_pump, build_watching, build_wire
from monitor.settings.parts import Parts
from monitor.store import connections, due, listing
from monitor.store.processes import Role, new_name
from monitor.watching.rounds import Rounds

WAITS = 5  # seconds for connections that the service is looking at just now
BATCH = 500


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of probes: how those connections stand, what was found, and why some were not probed."""

    rows: Sequence[Listed]  # worst first
    findings: dict[str, Finding]
    missed: dict[str, str]

    @property
    def all_well(self) -> bool:
        """Whether everything that was found is well."""
        return all(finding.ok for finding in self.findings.values())


async def probe(parts: Parts, actor: Actor, ids: Sequence[str], *, rounds: Rounds | None = None) -> Probed:
    """Probe connections now, all that can be without ids; by the service's own rounds where they are given.

    Raises NotFound.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, ids)
    known = await _known(parts, ids)
    chosen = list(ids) or [name for name, row in known.items() if not why_not(row, parts)]
    if rounds is not None:
        findings = await _look(parts, rounds, known, chosen)
    else:
        async with _own_rounds(parts) as own:
            findings = await _look(parts, own, known, chosen)
    which = Filter(ids=frozenset(chosen))
    after = [row async for row in listing.every(parts.database, which)] if chosen else []
    busy = "being probed by the service just now"
    missed = {name: why_not(known[name], parts) or busy for name in chosen if name not in findings}
    return Probed(after, findings, missed)


async def soon(parts: Parts, actor: Actor, ids: Sequence[str]) -> None:
    """Have the service look at connections at its next chance, before their time. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, ids)
    await _known(parts, ids)
    await due.bring_forward(parts.database, ids, parts.clock.now())


async def _known(parts: Parts, ids: Sequence[str]) -> dict[str, Listed]:
    found: dict[str, Listed] = {}
    for start in range(0, max(1, len(ids)), BATCH):
        which = Filter(ids=frozenset(ids[start : start + BATCH]))
        found |= {row.id: row async for row in listing.every(parts.database, which)}
    connections.must_exist(found, ids)
    return found


async def _look(
    parts: Parts, rounds: Rounds, known: dict[str, Listed], chosen: list[str]
) -> dict[str, Finding]:
    findings: dict[str, Finding] = {}
    waiting = chosen
    for turn in range(WAITS + 1):
        if turn:
            await parts.clock.sleep(1)
        for start in range(0, len(waiting), BATCH):
            settled = await rounds.named(waiting[start : start + BATCH])
            findings |= {one.lease.id: one.ruling.finding for one in settled}
        waiting = [name for name in chosen if name not in findings and not why_not(known[name], parts)]
        if not waiting:
            break
    return findings


@asynccontextmanager
async def _own_rounds(parts: Parts) -> AsyncIterator[Rounds]:
    """Look from here, as a process on the list for that long; what is to be said is written all the same."""
    wire, name, meters = build_wire(parts), new_name(), Meters()
    pump = build_pump(parts, meters, name)
    watching = build_watching(parts, wire, meters, name, Role.COMMAND, pump.tell if pump else None)
    try:
        await watching.ticks.attend()
        yield watching.rounds
    finally:
        try:
            await watching.ticks.stop()
        finally:
            await wire.close()


def why_not(row: Listed, parts: Parts) -> str:
    """Say why a connection cannot be probed at all, nothing where it can."""
    if row.health.state is State.PAUSED:
        return "paused"
    if row.place.app not in parts.apps:
        return f"its app {row.place.app!r} is not in [[apps]]"
    return "never authorized, or waiting for you, so there is nothing to look at" if row.newcomer else ""
