"""Bulk work: one action on all connections of a selection, done in the background, some at a time.

What was selected is written down with the job, so that neither a filter that means others by then, nor a
process that ends, changes what is done. Each step may be done again: it finds nothing to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitor.errors import Conflict, Exists, Invalid, NotFound
from monitor.health.acting import Action, Why
from monitor.health.listing import Filter
from monitor.health.restriction import as_document, of_document
from monitor.operations import acting
from monitor.operations.acting import TAKES_BACK, Options, Would
from monitor.operations.actor import Actor, Door, Right
from monitor.operations.documents import iso
from monitor.operations.standing import as_now
from monitor.settings.parts import Parts
from monitor.store import idempotency, jobs, plans
from monitor.store.audit import SERVICE
from monitor.store.jobs import Job as Job  # noqa: PLC0414 - doors show it
from monitor.store.processes import new_name
from monitor.text.ids import new_id

LEASE = timedelta(seconds=60)
STEP = 100  # connections of one transaction
KEPT = timedelta(days=30)
MOST_FAILED = 1000
_ID = re.compile(r"job_[0-9A-Za-z]{22}")
FEW = 25  # so many are done while one waits
NO_LEAVE = "who asked for it may do this no more"


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


async def would(
    parts: Parts, actor: Actor, action: Action, selection: Selection, options: Options | None = None
) -> Would:
    """Say what an action would do with a selection, and why not with some. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    given = options or Options(parts.clock.now())
    if selection.which is None:
        return await acting.would_with(parts, actor, action, selection.ids, given)
    return await acting.would(parts, actor, action, selection.which, given)


async def begin(
    parts: Parts,
    actor: Actor,
    action: str,
    selection: Selection,
    options: Options | None = None,
    *,
    job_id: str = "",
    worker: str = "",
) -> Job:
    """Begin an action on a selection. Raises NotFound, and SelectionChanged where nothing is done.

    Who sends the same form twice gives it the same `job_id`, and has Exists raised the second time. A
    `worker` holds the job from the first, and is about to work it.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    now, does = parts.clock.now(), Action(action)
    if job_id and not _ID.fullmatch(job_id):
        raise Invalid("job", "is no name of a job")
    given = options or Options(now)
    found = await would(parts, actor, does, selection, given)
    if selection.expect is not None and found.found != selection.expect:
        raise SelectionChanged(found.found)
    left = {why.value: len(some) for why, some in found.left.items()}
    ids = [one.id for one in found.todo] + [one.id for some in found.left.values() for one in some]
    made = Job(
        id=job_id or new_id("job"), principal=actor.name, actor=_written(actor), action=does.value,
        options={**given.document(), "todo": len(found.todo), "left": left},
        ids=ids, done=0, failed=acting.left_out(found.left)[:MOST_FAILED], state="running", created_at=now,
        ended_at=None, lease_by=worker or None, lease_until=now + LEASE if worker else None,
    )  # fmt: skip
    await jobs.begin(parts.database, made, actor.name)
    return made


async def begin_few(
    parts: Parts,
    actor: Actor,
    action: str,
    selection: Selection,
    options: Options | None = None,
    *,
    job_id: str = "",
) -> Job:
    """Do as `begin`, and where it is about few, do them now: what comes back is done."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    worker = new_name()
    few = selection.expect is not None and selection.expect <= FEW
    try:
        made = await begin(
            parts, actor, action, selection, options, job_id=job_id, worker=worker if few else ""
        )
    except Exists:
        return await show(parts, actor, job_id)
    if few:
        await _work(parts, made)
        made = await jobs.show(parts.database, made.id)
    return made


async def undo(parts: Parts, actor: Actor, job_id: str) -> Job:
    """Begin to take back what a job of one's own has done, of those with which it was done.

    Raises NotFound, and Conflict for a job that goes on or does what cannot be taken back.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    found = await show(parts, actor, job_id)
    back = taken_back_by(found)
    if back is None:
        why = "goes on" if found.ended_at is None else "cannot be taken back"
        raise Conflict(f"The job {job_id} {why}.")
    options = Options(parts.clock.now(), laid=Options.read(found.options, found.created_at).since)
    there = {one.id for one in await _there(parts, actor, back, done_with(found), options)}
    ids = tuple(name for name in done_with(found) if name in there)
    return await begin_few(parts, actor, back.value, Selection(None, ids, len(ids)), options)


def taken_back_by(found: Job) -> Action | None:
    """Return the action that takes a job back, None where there is none, or it is not known what was done."""
    back = TAKES_BACK.get(Action(found.action)) if found.ended_at is not None else None
    return back if len(found.failed) < MOST_FAILED and done_with(found) else None


def done_with(found: Job) -> list[str]:
    """Return the connections with which a job was done."""
    failed = {one["id"] for one in found.failed}
    todo = min(found.done, found.options.get("todo", len(found.ids)))
    return [name for name in found.ids[:todo] if name not in failed]


def left(found: Job) -> dict[Why, int]:
    """Return how many connections were left out from the first, by the reason why."""
    return {Why(why): count for why, count in found.options.get("left", {}).items()}


async def _there(parts: Parts, actor: Actor, action: Action, ids: list[str], options: Options) -> list[Any]:
    found = await acting.would(parts, actor, action, Filter(ids=frozenset(ids)), options)
    return [*found.todo, *(one for some in found.left.values() for one in some)]


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
    return await _work(parts, claimed) if claimed is not None else 0


async def _work(parts: Parts, claimed: Job) -> int:
    """Do a job that is held, some at a time; those that were left out from the first come last.

    It ends where it is when whoever asked for it may do this no more.
    """
    asked, done, failed = _read(claimed.actor), claimed.done, list(claimed.failed)
    action, options = Action(claimed.action), Options.read(claimed.options, claimed.created_at)
    began, todo = done, claimed.options.get("todo", len(claimed.ids))
    while True:
        part = claimed.ids[done : min(done + STEP, todo)]
        if part:
            actor = await as_now(parts, asked)
            if actor is None or not acting.needed(action) <= actor.may:
                await jobs.stop(parts.database, claimed.id, parts.clock.now(), SERVICE, why=NO_LEAVE)
                return done - began
            failed += await acting.do(parts, actor, action, part, options)
        done = done + len(part) if done + len(part) < todo else len(claimed.ids)
        ended = "done" if done == len(claimed.ids) else ""
        if not await jobs.step(
            parts.database, claimed, done, failed[:MOST_FAILED], parts.clock.now(), LEASE, ended=ended
        ):
            return done - began
        if ended:
            return done - began


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
        "left_out": {why.value: count for why, count in left(found).items()},
        "taken_back_by": back.value if (back := taken_back_by(found)) is not None else None,
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
