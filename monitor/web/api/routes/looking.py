"""A single connection looked into: its past, its links, what was said about it, and a probe now."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Response
from starlette.requests import Request

from monitor.health.timeline import Span as Over
from monitor.operations import changes, documents, links, notices, probes, records, timelines
from monitor.operations.actor import Right
from monitor.operations.probes import Rounds
from monitor.web.api import shapes_notices as shapes
from monitor.web.api.declared import JSON, Routes
from monitor.web.api.paging import Cursor, Limit, number, page
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.route import BODY, Here, Who, work
from monitor.web.api.strict import Given, Name, Span

ROUTES = Routes("Connections")
LONGEST_WAIT = timedelta(seconds=60)


@ROUTES.get(
    "/connections/{connection}/history", needs=Right.CONNECTIONS_READ, shows=shapes.Changes,
    problems=("bad_cursor",),
)  # fmt: skip
async def connection_history(
    request: Request, response: Response, parts: Here, actor: Who, connection: Name, limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Say what became of a connection, each change with what it rested on, newest first."""
    found = await changes.of(parts, actor, connection, limit, number(request, actor, cursor))
    rows = [records.for_eyes(actor, records.change(*one)) for one in found.changes]
    return page(request, response, actor, rows, _after(found.before))


@ROUTES.get("/connections/{connection}/timeline", needs=Right.CONNECTIONS_READ, shows=shapes.Timeline)
async def connection_timeline(
    parts: Here, actor: Who, connection: Name,
    span: Annotated[Over | None, Query(description="How far back it goes.")] = None,
) -> Any:  # fmt: skip
    """Say how a connection was over a day, two weeks or a quarter: states, answer times, what was said.

    Without a span it is the shortest that shows the last change.
    """
    return timelines.document(await timelines.of(parts, actor, connection, span))


@ROUTES.get(
    "/connections/{connection}/links", needs=Right.CONNECTIONS_READ, shows=shapes.Links,
    problems=("bad_cursor",),
)  # fmt: skip
async def list_links(
    request: Request, response: Response, parts: Here, actor: Who, connection: Name, limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List a connection's links, newest first, and how far the client came with each."""
    found = await links.of(parts, actor, connection, limit, number(request, actor, cursor))
    return page(request, response, actor, [records.link(one) for one in found.links], _after(found.before))


@ROUTES.post(
    "/connections/{connection}/links", needs=Right.LINKS_CREATE, takes=shapes.LinkGiven,
    shows=shapes.LinkMade, status=201, problems=("wrong_state",),
    more={202: {"description": "The client is mailed", "model": shapes.LinkAsked}},
)  # fmt: skip
async def create_link(
    parts: Here, actor: Who, connection: Name, given: Annotated[shapes.LinkGiven, BODY]
) -> Any:
    """Make a link on which the client authorizes again, or have the client mailed one now.

    Its URL is told this once. Where authorizing would mend nothing, no mail goes out.
    """
    if given.send:
        asked = shapes.LinkAsked(notice=await links.mail(parts, actor, connection))
        return Response(asked.model_dump_json(), 202, media_type=JSON)
    made = await links.make(parts, actor, connection)
    return {"id": made.name, "url": made.url, "expires_at": documents.iso(made.expires_at)}


@ROUTES.get(
    "/connections/{connection}/links/preview", needs=Right.CONNECTIONS_READ, shows=shapes.LetterShown,
    problems=("wrong_state",),
)  # fmt: skip
async def preview_link(parts: Here, actor: Who, connection: Name) -> Any:
    """Show the mail that a client would get with a link now; its link leads nowhere."""
    found = await links.preview(parts, actor, connection)
    shown = {"subject": found.subject, "text": found.text, "language": found.language, "to": list(found.to)}
    return records.for_eyes(actor, shown)


@ROUTES.get(
    "/connections/{connection}/notices", needs=Right.CONNECTIONS_READ, shows=shapes.Notices,
    problems=("bad_cursor",),
)  # fmt: skip
async def connection_notices(
    request: Request, response: Response, parts: Here, actor: Who, connection: Name, limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List what was said about a connection, or waits to be, newest first."""
    found = await notices.about(parts, actor, connection, limit, number(request, actor, cursor))
    rows = [records.for_eyes(actor, records.notice(one)) for one in found.notices]
    return page(request, response, actor, rows, _after(found.before))


@ROUTES.post(
    "/connections/{connection}/probe", needs=Right.CONNECTIONS_OPERATE, takes=Given, shows=shapes.Looked,
    problems=("wrong_state",), more={202: {"description": "It is on its way", "model": shapes.Looked}},
)  # fmt: skip
async def probe_connection(
    response: Response, parts: Here, actor: Who, connection: Name,
    rounds: Annotated[Rounds | None, work(Rounds)],
    wait: Annotated[Span | None, Query(description="How long to wait for the verdict, 60s at most.")] = None,
) -> Any:  # fmt: skip
    """Look at a connection now: 200 with the verdict, or 202 while it is on its way.

    Within ten seconds of a probe there is none: its verdict is the answer, and `coalesced` says so.
    """
    if wait is not None and wait > LONGEST_WAIT:
        raise Problem("invalid", errors=[Wrong("?wait", "is longer than 60s")])
    found = await probes.now(parts, actor, connection, wait or timedelta(0), rounds)
    response.status_code = 200 if found.verdict else 202
    return records.looked(found)


def _after(before: int | None) -> list[int] | None:
    return [before] if before is not None else None
