"""The service itself: its audit, its settings, and a checkup."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from starlette.requests import Request

from monitor.operations import audit, checkup, configured, records
from monitor.operations.actor import Right
from monitor.web.api import shapes_service as shapes
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, number, page
from monitor.web.api.route import Here, Who
from monitor.web.api.strict import Line, Moment

ROUTES = Routes("Service")


@ROUTES.get("/audit", needs=Right.AUDIT_READ, shows=shapes.Entries, problems=("bad_cursor",))
async def list_audit(
    request: Request, response: Response, parts: Here, actor: Who,
    subject: Annotated[Line | None, Query(description="What it was done to.")] = None,
    by: Annotated[Line | None, Query(alias="actor", description="Who did it.")] = None,
    action: Annotated[Line | None, Query(description="What was done.")] = None,
    since: Annotated[Moment | None, Query(description="Not before.")] = None,
    until: Annotated[Moment | None, Query(description="Before.")] = None,
    limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List who did what, newest first."""
    found = await audit.page(
        parts, actor, limit, before=number(request, actor, cursor), subject=subject or "", by=by or "",
        action=action or "", since=since, until=until,
    )  # fmt: skip
    rows = [records.for_eyes(actor, records.entry(one)) for one in found.lines]
    return page(request, response, actor, rows, [found.before] if found.before is not None else None)


@ROUTES.get("/settings", needs=Right.SETTINGS_READ, shows=shapes.Settings, problems=("beyond_own_rights",))
async def show_settings(parts: Here, actor: Who) -> Any:
    """Show the settings as they were loaded; of a secret it says `set`."""
    return records.for_eyes(actor, configured.show(parts, actor))


@ROUTES.get(
    "/settings/origins", needs=Right.SETTINGS_READ, shows=shapes.Origins, problems=("beyond_own_rights",)
)
async def show_origins(parts: Here, actor: Who) -> Any:
    """Show where each setting came from: a variable, the file, or what it is where nobody says it."""
    return {"origins": {place: one.value for place, one in configured.origins(parts, actor).items()}}


@ROUTES.get("/doctor", needs=Right.SETTINGS_READ, shows=shapes.Checkup, problems=("beyond_own_rights",))
async def doctor(parts: Here, actor: Who) -> Any:
    """Check configuration, keys, database, providers, mail server and clock; it changes nothing."""
    found = await checkup.checkup(parts.loaded.path, actor)
    items = [records.for_eyes(actor, records.check(one)) for one in found]
    return {"ok": all(one.ok is not False for one in found), "items": items}
