"""What ends, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Response
from starlette.requests import Request

from monitor.health.calendar import Key, Kind, Needs
from monitor.operations import calendar, horizon, ical, records
from monitor.operations.actor import Right
from monitor.operations.calendar import Asked
from monitor.web.api import shapes_calendar as shapes
from monitor.web.api.declared import Routes
from monitor.web.api.filters import several, words
from monitor.web.api.paging import Cursor, Limit, page, place
from monitor.web.api.problems import Problem
from monitor.web.api.route import Here, Who
from monitor.web.api.strict import Line, Moment

ROUTES = Routes("Calendar")
_KINDS, _NEEDS = frozenset(kind.value for kind in Kind), frozenset(one.value for one in Needs)
_FILE = {"description": "The calendar", "content": {ical.MEDIA: {"schema": {"type": "string"}}}}


async def _asked(
    parts: Here,
    until: Annotated[Moment | None, Query(description="The last moment; 90 days ahead if left out.")] = None,
    kind: Annotated[Line | None, Query(description="What ends, `a,b`.")] = None,
    app: Line | None = None,
    provider: Line | None = None,
    needs: Annotated[
        Line | None, Query(description="Who has to act: `nobody`, `client`, `operator`.")
    ] = None,
    client: Annotated[
        Line | None, Query(description="Whose connections, by the client's whole name.")
    ] = None,
) -> Asked:
    return Asked(
        calendar.AHEAD if until is None else until - parts.clock.now(),
        words(kind, "kind", _KINDS),
        several(app),
        several(provider),
        words(needs, "needs", _NEEDS),
        frozenset([client] if client else []),
    )


What = Annotated[Asked, Depends(_asked)]


@ROUTES.get("/calendar", needs=Right.CONNECTIONS_READ, shows=shapes.Calendar, problems=("bad_cursor",))
async def list_calendar(
    request: Request, response: Response, parts: Here, actor: Who, what: What,
    limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List what ends, soonest first: grants, unused tokens, secrets, keys, and announced ends.

    Secrets and announced ends are for who may read the catalogue, keys' ends for who may see keys.
    """
    told = place(request, actor, cursor, 3)
    found = await calendar.page(parts, actor, what, _key(told) if told else None, limit)
    rows = [records.ending(entry, found.at) for entry in found.entries]
    return page(request, response, actor, rows, found.after)


@ROUTES.get("/calendar/summary", needs=Right.CONNECTIONS_READ, shows=shapes.Horizon)
async def summarize_calendar(parts: Here, actor: Who, what: What) -> Any:
    """Sum up what ends in the next 13 weeks, and what is kept alive by using it; `until` is left aside."""
    return records.horizon(await horizon.show(parts, actor, what))


@ROUTES.get("/calendar.ics", needs=Right.CONNECTIONS_READ, more={200: _FILE})
async def subscribe_calendar(parts: Here, actor: Who, what: What) -> Response:
    """Return it as iCalendar (RFC 5545): what somebody has to act on, the soonest 2,000.

    The key goes into the Authorization header, as everywhere: it is never part of an address.
    """
    return Response(await ical.written(parts, actor, what), media_type=ical.MEDIA)


def _key(told: list[Any]) -> Key:
    at, kind, name = told
    try:
        return Key(datetime.fromisoformat(at), str(kind), str(name))
    except (TypeError, ValueError):
        raise Problem("bad_cursor") from None
