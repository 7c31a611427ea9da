"""Silences and maintenance windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Response
from starlette.requests import Request

from monitor.operations import records, silences
from monitor.operations.actor import Right
from monitor.web.api import shapes_incidents as shapes
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, sliced
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.routes.notices import must_name
from monitor.web.api.strict import Name
from monitor.web.paths import of_api

ROUTES = Routes("Silences")
USUAL = timedelta(hours=2)


@ROUTES.get("/silences", needs=Right.SILENCES_READ, shows=shapes.Silences, problems=("bad_cursor",))
async def list_silences(
    request: Request, response: Response, parts: Here, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List the silences that hold or are to come, and those of the configuration, by id."""
    rows = [records.silence(one) for one in (await silences.every(parts, actor)).all]
    return sliced(request, response, actor, rows, "id", limit, cursor)


@ROUTES.post(
    "/silences", needs=Right.SILENCES_WRITE, takes=shapes.SilenceGiven, shows=shapes.Silence, status=201,
    problems=("not_found", "wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def create_silence(
    response: Response, parts: Here, actor: Who, given: Annotated[shapes.SilenceGiven, BODY]
) -> Any:
    """Tell nobody anything about something for a while; in maintenance, what is well is not probed."""
    must_name(given.over, given.name)
    if given.for_ is not None and given.until is not None:
        raise Problem("invalid", errors=[Wrong("/until", "is not given beside `for`")])
    length = given.for_ or USUAL
    if given.until is not None:
        length = given.until - (given.from_ or parts.clock.now())
    made = await silences.begin(
        parts, actor, given.over, given.name, length, start=given.from_, reason=given.reason,
        maintenance=given.maintenance,
    )  # fmt: skip
    shown = records.silence(made.silenced)
    response.headers["Location"] = of_api("silences", shown["id"])
    return shown


@ROUTES.get("/silences/{silence}", needs=Right.SILENCES_READ, shows=shapes.Silence)
async def show_silence(parts: Here, actor: Who, silence: Name) -> Any:
    """Show a silence."""
    return records.silence(await silences.find(parts, actor, silence))


@ROUTES.delete(
    "/silences/{silence}", needs=Right.SILENCES_WRITE, problems=("wrong_state", "beyond_own_rights")
)
async def end_silence(parts: Here, actor: Who, silence: Name) -> None:
    """End a silence, or call it off; those of the configuration end there."""
    await silences.remove(parts, actor, silence)
