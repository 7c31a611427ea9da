"""What programs saw of connections: it is looked into, and believed by nobody."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field
from starlette.requests import Request

from monitor.operations import signals
from monitor.operations.actor import Right
from monitor.operations.signals import LONGEST_WAIT, Reported
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Limit
from monitor.web.api.route import BODY, Here, Who, around
from monitor.web.api.routes.tokens import Works
from monitor.web.api.shapes_tokens import SignalGiven, SignalHeard, SignalsGiven, SignalsHeard, SignalsShown
from monitor.web.api.strict import Name, Span

ROUTES = Routes("Signals")


@ROUTES.post(
    "/connections/{connection}/signals", needs=Right.SIGNALS_WRITE, takes=SignalGiven, shows=SignalHeard,
    status=202, rate="signals", more={200: {"description": "Looked", "model": SignalHeard}},
)  # fmt: skip
async def report_signal(
    response: Response,
    parts: Here,
    actor: Who,
    watching: Works,
    connection: Name,
    given: Annotated[SignalGiven, BODY],
    wait: Annotated[
        Span | None, Field(le=LONGEST_WAIT), Query(description="How long our own look is waited for: `20s`.")
    ] = None,
) -> Any:
    """Say what the middleware saw. At most it brings our own look forward, or spares one.

    With `wait` the answer has what our look found: 200, then.
    """
    heard = await signals.report(parts, watching, actor, connection, _reported(given), wait=wait)
    response.status_code = 200 if heard.looked is not None else 202
    return heard.document()


@ROUTES.post(
    "/signals", needs=Right.SIGNALS_WRITE, takes=SignalsGiven, shows=SignalsHeard, status=202, rate="signals"
)
async def report_signals(
    request: Request, parts: Here, actor: Who, watching: Works, given: Annotated[SignalsGiven, BODY]
) -> Any:
    """Say several things at once; each counts as one to the limit of signals."""
    if more := len(given.items) - 1:
        around(request).limits.spend(actor, "signals", cost=more)
    items = [(one.connection, _reported(one)) for one in given.items]
    heard = await signals.report_all(parts, watching, actor, items)
    return {"items": [one.document() for one in heard]}


@ROUTES.get("/connections/{connection}/signals", needs=Right.CONNECTIONS_READ, shows=SignalsShown)
async def connection_signals(parts: Here, actor: Who, connection: Name, limit: Limit = 50) -> Any:
    """Show what programs said of a connection, newest first: apart from what we saw."""
    found = await signals.said_of(parts, actor, connection, limit)
    return {"items": [signals.document(one) for one in found], "next": None}


def _reported(given: SignalGiven) -> Reported:
    answer = given.answer
    return Reported(
        given.kind,
        given.at,
        given.generation,
        given.access_token_sha256,
        given.asked,
        given.scope,
        answer.status if answer is not None else None,
        answer.headers if answer is not None else {},
        answer.body if answer is not None else "",
    )
