"""Bulk work: one action on many connections, as a job."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import Field
from starlette.requests import Request

from monitor.health.acting import Action
from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.health.listing import Filter
from monitor.operations import acting, jobs
from monitor.operations.acting import Options
from monitor.operations.actor import Right
from monitor.operations.jobs import Selection
from monitor.settings.parts import Parts
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, page, place
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.shapes import Time
from monitor.web.api.strict import Bounded, Given, Line, Moment, Name, Shown
from monitor.web.paths import of_api

ROUTES = Routes("Bulk work")
MOST_IDS = 10_000


class Select(Given):
    """Which connections: by ids, or by filters as the list has them, ANDed."""

    ids: tuple[Name, ...] | None = Field(default=None, max_length=MOST_IDS)
    state: tuple[State, ...] = ()
    cause: tuple[Cause, ...] = ()
    owner: tuple[Owner, ...] = ()
    provider: tuple[Name, ...] = ()
    app: tuple[Name, ...] = ()
    client: tuple[Name, ...] = ()
    labels: dict[Line, Line] = Field(default_factory=dict)
    q: Line = ""
    since_before: Moment | None = None


class BulkGiven(Given):
    """What to do, with which connections, and how many they are taken to be."""

    action: Action
    select: Select
    expect: int | None = Field(default=None, ge=0)
    for_: Bounded | None = Field(
        default=None, alias="for", description="Of a hold or a pause: how long; else until lifted or resumed."
    )
    until: Moment | None = Field(default=None, description="Of a hold or a pause, in the place of `for`.")
    reason: Line = Field(default="", description="Of a hold or a pause: why.")


class Failed(Shown):
    """A connection with which it was not done, and why."""

    id: str
    code: str
    said: str


class JobShown(Shown):
    """How far it came.

    `left_out` counts those with which there was nothing to be done from the first, by the reason why.
    `taken_back_by` is the action that undoes it, where one does and it has ended.
    """

    id: str
    action: str
    state: Literal["running", "done", "stopped"]
    total: int
    done: int
    failed: list[Failed]
    left_out: dict[str, int]
    taken_back_by: Action | None
    created: Time
    ended: Time | None


class JobsShown(Shown):
    """A page of jobs."""

    items: list[JobShown]
    next: str | None


@ROUTES.post(
    "/bulk", needs=Right.CONNECTIONS_OPERATE, takes=BulkGiven, shows=JobShown, status=202,
    problems=("selection_changed", "not_found"),
)  # fmt: skip
async def begin_bulk(response: Response, parts: Here, actor: Who, given: Annotated[BulkGiven, BODY]) -> Any:
    """Do one thing with many connections, in the background: `/jobs/{id}` says how far it is."""
    try:
        made = await jobs.begin(parts, actor, given.action, _selection(given), _options(parts, given))
    except jobs.SelectionChanged as changed:
        raise Problem("selection_changed", str(changed), found=changed.found) from None
    response.headers["Location"] = of_api("jobs", made.id)
    return jobs.document(made)


def _options(parts: Parts, given: BulkGiven) -> Options:
    if given.action not in acting.LASTING:
        for at in sorted({"for_", "until", "reason"} & given.model_fields_set):
            raise Problem("invalid", errors=[Wrong(f"/{at.rstrip('_')}", "is of a hold or a pause alone")])
        return Options(parts.clock.now())
    return acting.lasting(given.action, parts.clock.now(), given.for_, given.until, given.reason)


def _selection(given: BulkGiven) -> Selection:
    asked = given.select
    filters = asked.model_fields_set - {"ids"}
    if (asked.ids is not None) == bool(filters):
        raise Problem("invalid", errors=[Wrong("/select", "names either ids or filters")])
    if asked.ids is not None:
        return Selection(None, asked.ids, given.expect)
    which = Filter(
        states=frozenset(asked.state),
        causes=frozenset(asked.cause),
        owners=frozenset(asked.owner),
        providers=frozenset(asked.provider),
        apps=frozenset(asked.app),
        clients=frozenset(asked.client),
        labels=dict(asked.labels),
        text=asked.q,
        since_before=asked.since_before,
    )
    return Selection(which, (), given.expect)


@ROUTES.get("/jobs", needs=Right.CONNECTIONS_READ, shows=JobsShown, problems=("bad_cursor",))
async def list_jobs(
    request: Request, response: Response, parts: Here, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List one's own jobs, newest first."""
    told = place(request, actor, cursor)
    before = datetime.fromisoformat(told[0]) if told else None
    found, after = await jobs.page(parts, actor, limit, before)
    return page(request, response, actor, [jobs.document(one) for one in found], [after] if after else None)


@ROUTES.get("/jobs/{job}", needs=Right.CONNECTIONS_READ, shows=JobShown)
async def show_job(parts: Here, actor: Who, job: Name) -> Any:
    """Say how far a job of one's own is."""
    return jobs.document(await jobs.show(parts, actor, job))


@ROUTES.post("/jobs/{job}/stop", needs=Right.CONNECTIONS_OPERATE, takes=Given, shows=JobShown)
async def stop_job(parts: Here, actor: Who, job: Name) -> Any:
    """End a job of one's own where it is; what is done stays done."""
    return jobs.document(await jobs.stop(parts, actor, job))


@ROUTES.post(
    "/jobs/{job}/undo", needs=Right.CONNECTIONS_OPERATE, takes=Given, shows=JobShown, status=202,
    problems=("wrong_state",),
)  # fmt: skip
async def undo_job(response: Response, parts: Here, actor: Who, job: Name) -> Any:
    """Take back what a job of one's own has done, as another job: resume what it paused, and so on."""
    made = await jobs.undo(parts, actor, job)
    response.headers["Location"] = of_api("jobs", made.id)
    return jobs.document(made)
