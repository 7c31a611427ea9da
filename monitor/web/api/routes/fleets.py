"""The fleet as files and as wanted: taken in, planned, applied and taken away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Query, Response
from starlette.requests import Request
from starlette.responses import StreamingResponse

from monitor.operations import exports, imports, intake, plans
from monitor.operations.actor import Actor, Right
from monitor.operations.intake import Record
from monitor.settings.parts import Parts
from monitor.web.api.declared import LARGE, Routes
from monitor.web.api.problems import Problem
from monitor.web.api.route import BODY, Here, Who, body
from monitor.web.api.shapes import Time
from monitor.web.api.strict import Given, Line, Name, Shown
from monitor.web.paths import of_api

ROUTES = Routes("Fleets")
NDJSON, CSV = "application/x-ndjson", "text/csv"
_FILES = {
    "description": "The fleet",
    "content": {kind: {"schema": {"type": "string"}} for kind in (NDJSON, CSV)},
}


class Imported(Shown):
    """What an import did, by id."""

    dry_run: bool
    added: list[str]
    changed: list[str]
    same: int


class Change(Shown):
    """One thing that would be another; `at` is a JSON pointer into the connection."""

    id: str
    at: str
    was: Any
    will: Any


class PlanShown(Shown):
    """What a plan would do."""

    id: str
    create: list[str]
    change: list[Change]
    remove: list[str]
    same: int
    within: str
    only_named: bool
    expires_at: Time
    applied_at: Time | None


class ApplyGiven(Given):
    """Whether connections that the plan removes may go."""

    remove: bool = False


@ROUTES.post(
    "/imports", needs=Right.CONNECTIONS_WRITE, raw=(NDJSON, CSV), largest=LARGE, shows=Imported,
    problems=("beyond_own_rights",),
)  # fmt: skip
async def import_connections(
    request: Request, parts: Here, actor: Who,
    dry_run: Annotated[bool, Query(description="Check and compare only.")] = False,
) -> Any:  # fmt: skip
    """Add or change connections: all of the body, or nothing of it. One JSON object a line, or CSV."""
    done = await imports.take_in(parts, actor, await _records(request, parts), dry_run=dry_run)
    return {"dry_run": dry_run, "added": done.added, "changed": done.changed, "same": len(done.same)}


@ROUTES.post(
    "/plans", needs=Right.CONNECTIONS_WRITE, raw=(NDJSON, CSV), largest=LARGE, shows=PlanShown, status=201,
    problems=("wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def plan_fleet(
    request: Request, response: Response, parts: Here, actor: Who,
    within: Annotated[Line, Query(description="Only this part: `label.NAME=VALUE`.")] = "",
    only_named: Annotated[
        bool, Query(description="Leave alone what the body does not name: nothing is removed.")
    ] = False,
) -> Any:  # fmt: skip
    """Say what would change if the fleet, or a part of it, were as the body has it. Kept for a day."""
    records = await _records(request, parts)
    made = await plans.make(parts, actor, records, within, only_named=only_named)
    response.headers["Location"] = of_api("plans", made.id)
    return plans.document(made)


@ROUTES.get("/plans/{plan}", needs=Right.CONNECTIONS_WRITE, shows=PlanShown)
async def show_plan(parts: Here, actor: Who, plan: Name) -> Any:
    """Show a plan of one's own."""
    return plans.document(await plans.show(parts, actor, plan))


@ROUTES.post(
    "/plans/{plan}/apply", needs=Right.CONNECTIONS_WRITE, takes=ApplyGiven, shows=PlanShown,
    problems=("wrong_state", "changed_meanwhile", "beyond_own_rights"),
)  # fmt: skip
async def apply_plan(parts: Here, actor: Who, plan: Name, given: Annotated[ApplyGiven, BODY]) -> Any:
    """Make the fleet as the plan has it, whole; or nothing, where any of it was changed meanwhile."""
    await plans.apply(parts, actor, plan, remove=given.remove)
    return plans.document(await plans.show(parts, actor, plan))


@ROUTES.get("/export", needs=Right.CONNECTIONS_READ, more={200: _FILES})
async def export_connections(request: Request, parts: Here, actor: Who) -> Response:
    """Take the fleet away as an import takes it, never with tokens: JSON Lines, or CSV by `Accept`."""
    if CSV in request.headers.get("accept", ""):
        return StreamingResponse(exports.as_csv(parts, actor), media_type=CSV)
    return StreamingResponse(_lines(parts, actor), media_type=NDJSON)


async def _lines(parts: Parts, actor: Actor) -> AsyncIterator[str]:
    async for one in exports.records(parts, actor):
        yield json.dumps(one, ensure_ascii=False) + "\n"


async def _records(request: Request, parts: Parts) -> list[Record]:
    """Read a body as a file of connections; a large one takes its while, and holds nobody up."""
    raw = await body(request, LARGE)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem("malformed", f"The body is not UTF-8 text at byte {error.start}.") from None
    csv_ = request.headers["content-type"].startswith(CSV)
    return await asyncio.to_thread(intake.parse, text, parts.apps, csv_=csv_)
