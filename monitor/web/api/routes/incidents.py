"""Incidents: what broke, of whom, and what is said about it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from starlette.requests import Request

from monitor.health.causes import Subject
from monitor.health.incidents import About
from monitor.operations import incident_story, incidents, notices, records
from monitor.operations.actor import Right
from monitor.operations.incidents import Wanted
from monitor.web.api import shapes_incidents as shapes
from monitor.web.api.declared import Routes
from monitor.web.api.filters import CAUSES, OWNERS, words
from monitor.web.api.paging import Cursor, Limit, number, page
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.strict import Given, Line, Number

ROUTES = Routes("Incidents")
_EXPANDED = frozenset({"connections", "notices", "question"})
Expand = Annotated[
    Line | None, Query(description="`connections`, `notices`, `question`, or several as `a,b`.")
]


@ROUTES.get("/incidents", needs=Right.INCIDENTS_READ, shows=shapes.Incidents, problems=("bad_cursor",))
async def list_incidents(
    request: Request, response: Response, parts: Here, actor: Who,
    standing: Annotated[bool | None, Query(alias="open", description="Which stand, or are over.")] = None,
    cause: Annotated[Line | None, Query(description="Causes, `a,b`.")] = None,
    owner: Annotated[Line | None, Query(description="Who has to act.")] = None,
    about: Annotated[Line | None, Query(description="Such as `connection:acme`, `provider:clio`.")] = None,
    members: Annotated[Number, Query(description="So many connections at least.")] = 0,
    guard: Annotated[bool | None, Query(description="Whether the fleet guard is up over it.")] = None,
    expand: Expand = None, limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List incidents, newest first."""
    which = Wanted(
        open=standing, causes=words(cause, "cause", CAUSES), owners=words(owner, "owner", OWNERS),
        about=_about(about), members=members, guard=guard,
    )  # fmt: skip
    beside = words(expand, "expand", _EXPANDED)
    before = number(request, actor, cursor)
    found = await incidents.page(parts, actor, limit, which=which, before=before, expand=beside)
    rows = [records.for_eyes(actor, records.incident(one)) for one in found.rows]
    return page(request, response, actor, rows, [found.before] if found.before is not None else None)


def _about(given: str | None) -> About | None:
    if given is None:
        return None
    kind, _, name = given.partition(":")
    if kind not in {one.value for one in Subject}:
        known = ", ".join(f"{one.value}:NAME" for one in Subject)
        raise Problem("invalid", errors=[Wrong("?about", f"is one of {known}")])
    return About(Subject(kind), name)


@ROUTES.get("/incidents/{incident}", needs=Right.INCIDENTS_READ, shows=shapes.Incident)
async def show_incident(parts: Here, actor: Who, incident: Number, expand: Expand = None) -> Any:
    """Show an incident."""
    return await _shown(parts, actor, incident, expand)


@ROUTES.get(
    "/incidents/{incident}/connections", needs=Right.INCIDENTS_READ, shows=shapes.Broken,
    problems=("bad_cursor",),
)  # fmt: skip
async def incident_connections(
    request: Request, response: Response, parts: Here, actor: Who, incident: Number, limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List the connections of an incident in the order in which they broke, with what became of each."""
    after = number(request, actor, cursor) or 0
    found = await incident_story.members(parts, actor, incident, limit, after)
    rows = [records.belongs(one) for one in found.rows]
    return page(request, response, actor, rows, [found.after] if found.after is not None else None)


@ROUTES.post(
    "/incidents/{incident}/acknowledge", needs=Right.INCIDENTS_OPERATE, takes=shapes.Note, status=204,
    problems=("wrong_state",),
)  # fmt: skip
async def acknowledge_incident(
    parts: Here, actor: Who, incident: Number, given: Annotated[shapes.Note, BODY]
) -> None:
    """Say that one has taken an incident up: whoever looks at it sees who, and since when."""
    await incidents.acknowledge(parts, actor, incident, given.note)


@ROUTES.delete(
    "/incidents/{incident}/acknowledge", needs=Right.INCIDENTS_OPERATE, problems=("wrong_state",)
)  # fmt: skip
async def unacknowledge_incident(parts: Here, actor: Who, incident: Number) -> None:
    """Say that nobody has taken an incident up, after all."""
    await incidents.unacknowledge(parts, actor, incident)


@ROUTES.post(
    "/incidents/{incident}/release", needs=Right.INCIDENTS_OPERATE, takes=shapes.Release,
    shows=shapes.Decided, problems=("wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def release_incident(
    parts: Here, actor: Who, incident: Number, given: Annotated[shapes.Release, BODY]
) -> Any:
    """Tell the clients of all that a guard holds, when each break is confirmed again; or `first` a few."""
    if given.first:
        asked = await notices.ask_first_of(parts, actor, incident, given.first, seen=given.held)
        return {"connections": None, "clients": list(asked)}
    released = await notices.release_incident(parts, actor, incident, seen=given.held)
    return {"connections": released, "clients": []}


@ROUTES.post(
    "/incidents/{incident}/drop", needs=Right.INCIDENTS_OPERATE, takes=shapes.Drop, shows=shapes.Decided,
    problems=("wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def drop_incident(
    parts: Here, actor: Who, incident: Number, given: Annotated[shapes.Drop, BODY]
) -> Any:
    """Never tell the clients of what a guard holds about this break."""
    dropped = await notices.drop_incident(parts, actor, incident, seen=given.held)
    return {"connections": dropped, "clients": []}


@ROUTES.post(
    "/incidents/{incident}/hold", needs=Right.INCIDENTS_OPERATE, takes=Given, shows=shapes.Decided,
    problems=("wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def hold_incident(parts: Here, actor: Who, incident: Number) -> Any:
    """Hold again what was released or dropped, and of which nobody was told yet.

    Nobody is told within half a minute of a release (`email.release_delay`).
    """
    return {"connections": await notices.hold_again(parts, actor, incident), "clients": []}


async def _shown(parts: Here, actor: Who, incident: int, expand: str | None) -> Any:
    beside = words(expand, "expand", _EXPANDED)
    found = await incidents.show(parts, actor, incident, beside)
    return records.for_eyes(actor, records.incident(found))
