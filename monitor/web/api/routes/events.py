"""Events: the feed behind webhooks, page by page, or as a stream (WHATWG HTML, server-sent events)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from monitor.errors import Refused
from monitor.operations import documents, events
from monitor.operations.actor import Actor, Right
from monitor.operations.events import Wanted
from monitor.settings.parts import Parts
from monitor.web.api.declared import Routes
from monitor.web.api.json import compact
from monitor.web.api.paging import Cursor, Limit, page, place
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.route import Here, Who, around, work
from monitor.web.api.shapes import Time
from monitor.web.api.streams import Streams
from monitor.web.api.strict import Line, Shown
from monitor.web.api.translate import in_query

ROUTES = Routes("Events")
COMMENT_EVERY = timedelta(seconds=15)  # or proxies take a stream for dead
BELIEVED = timedelta(seconds=5)  # for so long a key is taken to be as it was
RETRY = 3000  # milliseconds after which a browser comes back
_STREAM = {"text/event-stream": {"schema": {"type": "string"}}}
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Event(Shown):
    """Something that came about. Ignore types and members that you do not know."""

    id: str
    type: str
    timestamp: Time
    data: dict[str, Any]


class Events(Shown):
    """A page of events, the oldest first."""

    items: list[Event]
    next: str | None


After = Annotated[Line | None, Query(description="Only what came after this event, by its id.")]
Types = Annotated[
    Line | None, Query(description="Types, or groups such as `connection.*`: `a,b`.", alias="type")
]
About = Annotated[Line | None, Query(description="Only about this connection.")]


def _wanted(types: str | None, connection: str | None) -> Wanted:
    return Wanted(tuple(part for part in (types or "").split(",") if part), connection or "")


@ROUTES.get("/events", needs=Right.EVENTS_READ, shows=Events, problems=("bad_cursor", "not_found"))
async def list_events(
    request: Request,
    response: Response,
    parts: Here,
    actor: Who,
    types: Types = None,
    connection: About = None,
    after: After = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:
    """List what came about, the oldest first; kept for 30 days.

    Whoever comes again asks for what is `after` the last event they have.
    """
    told = place(request, actor, cursor)
    begins = str(told[0]) if told is not None else after or ""
    with in_query():
        found = await events.page(parts, actor, limit, after=begins, wanted=_wanted(types, connection))
    items = [documents.event(one) for one in found.events]
    return page(request, response, actor, items, [found.after] if found.more else None)


@ROUTES.get(
    "/events/stream", needs=Right.EVENTS_READ, problems=("not_found", "too_many_waiters"),
    more={200: {"description": "Events as they come about", "content": _STREAM}},
)  # fmt: skip
async def stream_events(
    request: Request,
    parts: Here,
    actor: Who,
    streams: Annotated[Streams, work(Streams)],
    types: Types = None,
    connection: About = None,
    after: After = None,
) -> Response:
    """Send events as they come about, from now on, or after `Last-Event-ID` or `?after`.

    Server-sent events: `id`, `event` (the type) and `data` (as in the list), and a comment every 15 seconds.
    """
    if getattr(request.state, "head", False):
        return Response(media_type="text/event-stream", headers=_HEADERS)
    since, wanted = request.headers.get("last-event-id") or after, _wanted(types, connection)
    if since is not None and not (since.isascii() and since.isprintable()):
        raise Problem("invalid", errors=[Wrong("header.Last-Event-ID", "is no event's id")])
    streams.must_have_room(actor.name)
    with in_query():
        found = await events.follow(parts, actor, after=since, wanted=wanted)
    told = _told(request, parts, actor, streams, found)
    return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)


async def _told(
    request: Request, parts: Parts, actor: Actor, streams: Streams, source: AsyncIterator[Any]
) -> AsyncIterator[bytes]:
    """Write what comes, for as long as whoever listens may hear it; nothing where others came first."""
    with contextlib.suppress(Problem):
        async with streams.one(source, actor.name) as coming:
            async for text in _written(request, parts, actor, coming):
                yield text


async def _written(
    request: Request, parts: Parts, actor: Actor, coming: AsyncIterator[Any]
) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY
    looked = said = parts.clock.now()
    async for one in coming:
        now = parts.clock.now()
        if now - looked >= BELIEVED:
            if not await _still(request, actor):
                return
            looked = now
        if one is not None:
            document = documents.event(one)
            yield b"id: %s\nevent: %s\ndata: %s\n\n" % (
                one.id.encode(), one.type.encode(), compact(document),
            )  # fmt: skip
            said = now
        elif now - said >= COMMENT_EVERY:
            yield b": nothing new\n\n"
            said = now


async def _still(request: Request, actor: Actor) -> bool:
    """Whether somebody may still hear what they may when they came."""
    try:
        now = await around(request).keeper.admit(request)
    except Refused:
        return False
    return Right.EVENTS_READ in now.may and now.only == actor.only
