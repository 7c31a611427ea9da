"""The fleet in sums."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from monitor.health.listing import Sort
from monitor.operations import fleet, records, table, verdict
from monitor.operations.actor import Right
from monitor.web.api.declared import Routes
from monitor.web.api.filters import WILD, Which
from monitor.web.api.route import Here, Who
from monitor.web.api.shapes_incidents import Fleet, Verdict

ROUTES = Routes("Fleet")


@ROUTES.get("/fleet", needs=Right.CONNECTIONS_READ, shows=Fleet)
async def show_fleet(parts: Here, actor: Who) -> Any:
    """Say how many connections there are, by what they are, and what stands over them.

    What the scopes do not cover is null: `guards` and `incidents` need `incidents:read`, `fuse` needs
    `notices:read`, `silences` needs `silences:read`.
    """
    return records.for_eyes(actor, records.summary(await fleet.summary(parts, actor)))


@ROUTES.get("/fleet/verdict", needs=Right.INCIDENTS_READ, shows=Verdict)
async def show_verdict(parts: Here, actor: Who) -> Any:
    """Say how the fleet is: what waits for whom, what changed within a day, and what was so a day ago.

    It is at most two seconds old. `states_a_day_ago` is null until the fleet was watched for a day.
    """
    return records.for_eyes(actor, verdict.document(await verdict.verdict(parts, actor)))


_FILE: dict[str, Any] = {
    "description": "The list",
    "content": {table.MEDIA: {"schema": {"type": "string"}}},
}


@ROUTES.get("/fleet.csv", needs=Right.CONNECTIONS_READ, wild=WILD, more={200: _FILE})
async def save_list(
    parts: Here,
    actor: Who,
    which: Which,
    sort: Annotated[Sort, Query(description="In which order.")] = Sort.WORST,
) -> Response:
    """Take a list of connections away as CSV, all of its pages; no cell is a formula."""
    return StreamingResponse(await table.written(parts, actor, which, sort), media_type=table.MEDIA)
