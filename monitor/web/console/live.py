"""What an open page hears while it is open (WHATWG HTML, server-sent events): that it should look again.

No page is sent over it, and no name of a client: ids, and the state that each is in. The page then asks for
itself, as whoever looks at it may.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from monitor.errors import Refused, Unavailable
from monitor.health.events import moment
from monitor.operations.actor import Actor, Right
from monitor.operations.database import unwell
from monitor.operations.newsfeed import Heard, Newsfeed
from monitor.operations.pulse import Pulse
from monitor.settings.parts import Parts
from monitor.web.api.json import compact
from monitor.web.api.problems import Problem
from monitor.web.api.streams import Streams
from monitor.web.doorkeeper import Doorkeeper
from monitor.web.paths import LIVE

BEATS_EVERY = timedelta(seconds=15)  # so long it is silent at most, or the page says that it is not live
BELIEVED = timedelta(seconds=10)  # for so long whoever listens is taken to be let in still
RETRY = 3000  # milliseconds after which a browser comes back
LONGEST = 300  # characters of an id
_AGAIN = "30"  # seconds after which a page that found no room tries again
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Live:
    """The streams of the pages of one listener."""

    def __init__(self, parts: Parts, keeper: Doorkeeper, feed: Newsfeed, streams: Streams) -> None:
        self._parts, self._keeper = parts, keeper
        self._feed, self._streams, self._pulse = feed, streams, Pulse(parts.database)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(LIVE, self.hear, methods=["GET"], name="live")]

    async def hear(self, request: Request) -> Response:
        """Begin a stream: `?connection=` for a page that is about one; `Last-Event-ID` where it broke off."""
        after = request.headers.get("last-event-id", "")
        connection = request.query_params.get("connection", "")
        if not all(len(one) <= LONGEST and one.isprintable() for one in (after, connection)):
            return Response(status_code=400)
        try:
            actor = await self._pulse.within(self._let_in(request))
            self._streams.must_have_room(actor.name)
        except Refused:
            return Response(status_code=403)
        except Exception as error:
            if isinstance(error, Problem | Unavailable) or unwell(error):
                return Response(status_code=503, headers={"retry-after": _AGAIN})
            raise
        told = self._told(request, actor, connection, after)
        return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)

    async def _let_in(self, request: Request) -> Actor:
        """Return who listens. Raises Refused for a key: programs have their own stream."""
        actor = await self._keeper.admit(request)
        if actor.name.startswith("key:"):
            raise Refused("A key is for programs.")
        actor.needs(Right.EVENTS_READ)
        return actor

    async def _told(
        self, request: Request, actor: Actor, connection: str, after: str
    ) -> AsyncIterator[bytes]:
        """Write what comes, for as long as whoever listens may hear it and the database answers."""
        try:
            async with (
                self._feed.listening(actor, connection=connection, after=after) as heard,
                self._streams.one(heard, actor.name) as coming,
            ):
                async for text in self._written(request, actor, coming):
                    yield text
        except Exception as error:
            if not (isinstance(error, Problem | Unavailable) or unwell(error)):
                raise

    async def _written(
        self, request: Request, actor: Actor, coming: AsyncIterator[Heard | None]
    ) -> AsyncIterator[bytes]:
        looked = said = self._parts.clock.now()
        yield b"retry: %d\n" % RETRY + _beat(said)
        async for one in coming:
            now = self._parts.clock.now()
            if now - looked >= BELIEVED:
                if not await self._still(request, actor):
                    yield b"event: over\ndata: {}\n\n"
                    return
                looked = now
            if one is not None:
                yield _news(one, now)
                said = now
            elif now - said >= BEATS_EVERY:
                yield _beat(now)
                said = now

    async def _still(self, request: Request, actor: Actor) -> bool:
        """Whether it is still the same person, who may still do the same."""
        try:
            now = await self._pulse.within(self._let_in(request))
        except Refused:
            return False
        return (now.name, now.may, now.only) == (actor.name, actor.may, actor.only)


def _news(heard: Heard, now: datetime) -> bytes:
    said = compact({"at": moment(now), "states": dict(heard.states), "more": heard.more})
    last = b"id: %s\n" % heard.last.encode() if heard.last else b""
    return last + b"event: news\ndata: %s\n\n" % said


def _beat(now: datetime) -> bytes:
    return b"event: beat\ndata: %s\n\n" % compact({"at": moment(now)})
