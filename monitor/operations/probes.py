"""A probe now, of connections that somebody names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from monitor.errors import Conflict
from monitor.health.classify import Finding
from monitor.health.lifecycle import State
from monitor.health.listing import Filter, Listed
from monitor.metrics.meters import Meters
from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_pump, build_watching, build_wire
from monitor.settings.parts import Parts
from monitor.store import connections, due, listing
from monitor.store.connections import Known
from monitor.store.processes import Role, new_name
from monitor.watching.rounds import Rounds as Rounds  # noqa: PLC0414 - doors find it by its type

WAITS = 5  # seconds for connections that the service is looking at just now
BATCH = 500
TOGETHER = timedelta(seconds=10)  # who asks again within it is answered by the same probe
LOOK_AGAIN = timedelta(seconds=1)

log = structlog.get_logger("monitor.probes")


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
    if not ids:
        reach.whole(actor, "there are connections beside its own")
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


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of asking for a probe. `verdict`: there is one, since it was asked for or just before."""

    known: Known
    verdict: bool
    coalesced: bool  # somebody else's probe of the last seconds answers this one


async def now(
    parts: Parts, actor: Actor, connection_id: str, wait: timedelta, rounds: Rounds | None
) -> Looked:
    """Have a connection probed now, and wait for the verdict for so long; the probe goes on after that.

    `rounds` look from here; without, whoever watches the fleet does. Raises NotFound, and Conflict for what
    cannot be probed.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    known = await connections.show(parts.database, connection_id)
    reach.one(actor, known)
    if why := why_not(known, parts):
        raise Conflict(f"{connection_id} is not probed: {why}.")
    asked = parts.clock.now()
    if known.last_probe_at is not None and asked - known.last_probe_at < TOGETHER:
        return Looked(known, verdict=True, coalesced=True)
    if rounds is None or not wait:
        await due.bring_forward(parts.database, [connection_id], asked)
    else:
        await _begun(connection_id, rounds, wait)
    while True:
        known = await connections.show(parts.database, connection_id)
        if known.last_probe_at is not None and known.last_probe_at >= asked:
            return Looked(known, verdict=True, coalesced=False)
        if parts.clock.now() + LOOK_AGAIN > asked + wait:
            return Looked(known, verdict=False, coalesced=False)
        await parts.clock.sleep(LOOK_AGAIN.total_seconds())


# What was begun for somebody who may have stopped waiting: a probe is never cut off, it may be refreshing.
_under_way: dict[str, asyncio.Task[object]] = {}


async def _begun(connection_id: str, rounds: Rounds, wait: timedelta) -> None:
    task = _under_way.get(connection_id)
    if task is None:
        task = _under_way[connection_id] = asyncio.create_task(rounds.one(connection_id))
        task.add_done_callback(partial(_over, connection_id))
    await asyncio.wait([task], timeout=wait.total_seconds())


def _over(connection_id: str, task: asyncio.Task[object]) -> None:
    _under_way.pop(connection_id, None)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("probe.failed", connection=connection_id, error=type(error).__name__)


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


def why_not(row: Listed | Known, parts: Parts) -> str:
    """Say why a connection cannot be probed at all, nothing where it can."""
    if row.health.state is State.PAUSED:
        return "paused"
    if row.place.app not in parts.apps:
        return f"its app {row.place.app!r} is not in [[apps]]"
    return "never authorized, or waiting for you, so there is nothing to look at" if row.newcomer else ""
