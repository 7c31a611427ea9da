"""Access tokens, for programs alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field
from starlette.requests import Request

from monitor.health.handout import Wish
from monitor.operations import tokens
from monitor.operations.actor import Right
from monitor.operations.tokens import LARGEST_MIN_TTL, LONGEST_WAIT, Unchanged, Withheld
from monitor.settings.builders import Watching
from monitor.web.api.declared import Routes
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.route import Here, Who, work
from monitor.web.api.shapes_tokens import Token
from monitor.web.api.strict import Name, Span
from monitor.web.paths import of_api

ROUTES = Routes("Tokens")
Works = Annotated[Watching, work(Watching)]
_USUAL = Wish()
_HEADERS = {"Cache-Control": "no-store, private", "Vary": "Authorization, Cookie"}
NO_TOKEN = (
    "needs_person", "not_custodian", "handout_off", "cannot_renew_now", "refresh_under_way",
    "refresh_refused_once", "database_unavailable", "clock_skewed", "too_many_waiters", "stopping",
)  # fmt: skip


@ROUTES.get(
    "/connections/{connection}/token", needs=Right.TOKENS_READ, shows=Token, rate="tokens", problems=NO_TOKEN,
    more={304: {"description": "The token is the one of If-None-Match, and still good."}},
)  # fmt: skip
async def connection_token(
    request: Request,
    response: Response,
    parts: Here,
    actor: Who,
    watching: Works,
    connection: Name,
    min_ttl: Annotated[
        Span | None, Field(le=LARGEST_MIN_TTL), Query(description="The life it should have left: `5m`.")
    ] = None,
    accept_ttl: Annotated[
        Span | None, Query(description="With how little it is taken where it cannot be renewed now: `60s`.")
    ] = None,
    wait: Annotated[
        Span | None,
        Field(le=LONGEST_WAIT),
        Query(description="How long a renewal may take; with If-None-Match, how long another is waited for."),
    ] = None,
) -> Any:
    """Hand out a connection's access token, renewed where it has less life left than it should.

    A read changes nothing of how the connection is. With the `If-None-Match` of the current token and a
    `wait` it is a long poll: until another token, or one that only a person can bring back.
    """
    handed = await tokens.hand_out(
        parts,
        watching,
        actor,
        connection,
        _wish(min_ttl, accept_ttl),
        wait=wait,
        seen=_seen(request),
        address=request.client.host if request.client else "",
    )
    if isinstance(handed, Withheld):
        after = handed.after.total_seconds() if handed.after is not None else None
        raise Problem(handed.code, after=after, headers=_HEADERS, **_members(connection, handed))
    headers = _HEADERS | {"ETag": f'"{handed.etag}"'}
    if isinstance(handed, Unchanged):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return handed.document()


def _wish(min_ttl: timedelta | None, accept_ttl: timedelta | None) -> Wish:
    wished = _USUAL.min_ttl if min_ttl is None else min_ttl
    if accept_ttl is not None and accept_ttl > wished:
        raise Problem("invalid", errors=[Wrong("?accept_ttl", "is longer than min_ttl")])
    return Wish(wished, min(_USUAL.accept_ttl, wished) if accept_ttl is None else accept_ttl)


def _seen(request: Request) -> frozenset[str]:
    """Return the tags of If-None-Match; a weak one stands for the same token (RFC 9110 13.1.2)."""
    given = request.headers.get("if-none-match", "")
    return frozenset(part.strip().removeprefix("W/").strip('"') for part in given.split(",") if part.strip())


def _members(connection: str, handed: Withheld) -> dict[str, Any]:
    """Name the way to a link for the client, to whoever is told none."""
    members = dict(handed.members)
    if members.get("owner") == "client" and "reconnect" not in members:
        members["reconnect"] = {"post": of_api("connections", connection, "links")}
    return members
