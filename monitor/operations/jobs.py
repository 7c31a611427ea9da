"""Bulk work: one action on all connections of a selection, done in the background, some at a time.

What was selected is written down with the job, so that neither a filter that means others by then, nor a
process that ends, changes what is done. Each step may be done again: it finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitor.errors import Conflict, NotFound, TokenHealthError
from monitor.health.listing import Filter, Sort
from monitor.health.restriction import as_document, of_document
from monitor.operations import connections, fleet, probes
from monitor.operations.actor import Actor, Door, Right
from monitor.operations.documents import iso
from monitor.settings.parts import Parts
from monitor.store import idempotency, jobs, plans
from monitor.store.jobs import Job
from monitor.text.ids import new_id

LEASE = timedelta(seconds=60)
STEP = 100  # connections of one transaction
KEPT = timedelta(days=30)
MOST_FAILED = 1000

Action = Callable[[Parts, Actor, Sequence[str]], Awaitable[Any]]
ACTIONS: Mapping[str, tuple[Right, Action]] = {
    "pause": (Right.CONNECTIONS_OPERATE, connections.pause),
    "resume": (Right.CONNECTIONS_OPERATE, connections.resume),
    "probe": (Right.CONNECTIONS_OPERATE, probes.soon),
    "remove": (Right.CONNECTIONS_WRITE, connections.remove),
}


class SelectionChanged(Conflict):
    """A selection has another number of connections than whoever asked had seen."""

    def __init__(self, found: int) -> None:
        super().__init__(f"The selection has {found} connections now; nothing was done.")
        self.found = found


@dataclass(frozen=True, slots=True)
class Selection:
    """Which connections: by a filter, or by their ids; `expect` is how many they are taken to be."""

    which: Filter | None
    ids: tuple[str, ...] = ()
    expect: int | None = None


async def begin(parts: Parts, actor: Actor, action: str, selection: Selection) -> Job:
    """Begin an action on a selection. Raises NotFound, and SelectionChanged where nothing is done."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    right, _ = ACTIONS[action]
    actor.needs(right)
    which = selection.which or Filter(ids=frozenset(selection.ids))
    ids = [row.id async for row in fleet.every(parts, actor, which, Sort.ID)]
    if selection.which is None and (missing := set(selection.ids) - set(ids)):
        raise NotFound(f"There is no connection {min(missing)!r}.")
    if selection.expect is not None and len(ids) != selection.expect:
        raise SelectionChanged(len(ids))
    made = Job(
        id=new_id("job"), principal=actor.name, actor=_written(actor), action=action, options={}, ids=ids,
        done=0, failed=[], state="running", created_at=parts.clock.now(), ended_at=None,
        lease_by=None, lease_until=None,
    )  # fmt: skip
    await jobs.begin(parts.database, made, actor.name)
    return made


async def show(parts: Parts, actor: Actor, job_id: str) -> Job:
    """Return a job of one's own. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    found = await jobs.show(parts.database, job_id)
    if found.principal != actor.name:
        raise NotFound(f"There is no job {job_id!r}.")
    return found


async def page(
    parts: Parts, actor: Actor, limit: int, before: datetime | None = None
) -> tuple[list[Job], datetime | None]:
    """Return one's own jobs, newest first; and before when the next page begins."""
    actor.needs(Right.CONNECTIONS_READ)
    found = await jobs.page(parts.database, actor.name, limit + 1, before)
    return found[:limit], found[limit - 1].created_at if len(found) > limit else None


async def stop(parts: Parts, actor: Actor, job_id: str) -> Job:
    """End a job of one's own where it is. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    await show(parts, actor, job_id)
    await jobs.stop(parts.database, job_id, parts.clock.now(), actor.name)
    return await jobs.show(parts.database, job_id)


async def work(parts: Parts, process: str) -> int:
    """Go on with the oldest job that nobody is at, to its end; return how many connections it took."""
    claimed = await jobs.claim(parts.database, process, parts.clock.now(), LEASE)
    if claimed is None:
        return 0
    actor, done, failed = _read(claimed.actor), claimed.done, list(claimed.failed)
    began = done
    while done < len(claimed.ids):
        part = claimed.ids[done : done + STEP]
        failed += await _step(parts, actor, claimed.action, part)
        done += len(part)
        ended = "done" if done >= len(claimed.ids) else ""
        if not await jobs.step(
            parts.database, claimed, done, failed[:MOST_FAILED], parts.clock.now(), LEASE, ended=ended
        ):
            return done - began
    if not claimed.ids:
        await jobs.step(parts.database, claimed, 0, [], parts.clock.now(), LEASE, ended="done")
    return done - began


async def _step(parts: Parts, actor: Actor, action: str, ids: Sequence[str]) -> list[dict[str, str]]:
    """Do it with some; where one of them keeps the others from it, with each by itself."""
    _, do = ACTIONS[action]
    try:
        await do(parts, actor, ids)
    except TokenHealthError as error:
        if len(ids) == 1:
            return [] if action == "remove" and isinstance(error, NotFound) else [_failed(ids[0], error)]
        return [one for name in ids for one in await _step(parts, actor, action, [name])]
    return []


def _failed(name: str, error: TokenHealthError) -> dict[str, str]:
    code = "not_found" if isinstance(error, NotFound) else "wrong_state"
    return {"id": name, "code": code, "said": str(error)}


async def forget(parts: Parts) -> None:
    """Forget jobs that ended long ago, plans that are too old, and answers that are not kept longer."""
    now = parts.clock.now()
    await jobs.forget(parts.database, now - KEPT)
    await plans.forget(parts.database, now)
    await idempotency.forget(parts.database, now - idempotency.KEPT)


def document(found: Job) -> dict[str, Any]:
    """Return a job as JSON has it."""
    return {
        "id": found.id,
        "action": found.action,
        "state": found.state,
        "total": len(found.ids),
        "done": found.done,
        "failed": [dict(one) for one in found.failed],
        "created": iso(found.created_at),
        "ended": iso(found.ended_at),
    }


def _written(actor: Actor) -> dict[str, Any]:
    return {
        "name": actor.name,
        "door": actor.door.value,
        "may": sorted(right.value for right in actor.may),
        "only": as_document(actor.only),
    }


def _read(written: Mapping[str, Any]) -> Actor:
    may = frozenset(map(Right, written["may"]))
    return Actor(written["name"], Door(written["door"]), may, of_document(written["only"]))
