"""Connections: what people configured of each, and how it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import ValidationError
from starlette.requests import Request

from monitor.health.listing import Key, Sort
from monitor.operations import (
    accounts,
    connections,
    documents,
    edits,
    explain,
    fleet,
    imports,
    incidents,
    records,
    telling,
)
from monitor.operations.actor import Actor, Right
from monitor.operations.intake import Record
from monitor.web.api import shapes
from monitor.web.api.declared import Routes
from monitor.web.api.filters import WILD, Which, words
from monitor.web.api.paging import Cursor, Limit, page, place
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.revisions import etag, expected
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.shapes import ConnectionChange, ConnectionNew, ConnectionPut
from monitor.web.api.strict import Given, Line, Name
from monitor.web.api.translate import of_body
from monitor.web.paths import of_api

ROUTES = Routes("Connections")


@ROUTES.get(
    "/connections", needs=Right.CONNECTIONS_READ, shows=shapes.Rows, wild=WILD, problems=("bad_cursor",)
)
async def list_connections(
    request: Request,
    response: Response,
    parts: Here,
    actor: Who,
    which: Which,
    sort: Annotated[Sort, Query(description="In which order.")] = Sort.WORST,
    expand: Annotated[Line | None, Query(description="`telling`: what was said of each.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:
    """List connections, worst first.

    Filters are names of the query, each with several values as `a,b`; a label is `label.NAME=value`.
    """
    beside = words(expand, "expand", frozenset({"telling"}))
    found = await fleet.page(parts, actor, which, sort, _key(place(request, actor, cursor, 4)), limit)
    rows = [records.row_for_eyes(actor, documents.listed(one)) for one in found.rows]
    if beside:
        told = await telling.of_rows(parts, actor, found.rows)
        rows = [row | {"telling": records.for_eyes(actor, telling.document(told[row["id"]]))} for row in rows]
    return page(request, response, actor, rows, list(found.after) if found.after else None)


def _key(told: list[Any] | None) -> Key | None:
    return Key(told[0], datetime.fromisoformat(told[1]), *told[2:]) if told else None


@ROUTES.post(
    "/connections", needs=Right.CONNECTIONS_WRITE, takes=ConnectionNew, shows=shapes.Connection, status=201,
    problems=("exists", "beyond_own_rights"),
)  # fmt: skip
async def create_connection(
    response: Response, parts: Here, actor: Who, given: Annotated[ConnectionNew, BODY]
) -> Any:
    """Add a connection, as an import's line has it."""
    record = _record(given.id, given.model_dump(exclude=_READ_ONLY))
    await imports.put_one(parts, actor, record, {given.id: None}, given.handout)
    response.headers["Location"] = of_api("connections", given.id)
    return await _shown(response, parts, actor, given.id)


@ROUTES.get("/connections/{connection}", needs=Right.CONNECTIONS_READ, shows=shapes.Connection)
async def show_connection(response: Response, parts: Here, actor: Who, connection: Name) -> Any:
    """Show what people configured of a connection. Its ETag is what If-Match takes."""
    return await _shown(response, parts, actor, connection)


@ROUTES.put(
    "/connections/{connection}", needs=Right.CONNECTIONS_WRITE, takes=ConnectionPut, shows=shapes.Connection,
    precondition=True, problems=("exists", "beyond_own_rights", "wrong_state"),
    more={201: {"description": "Created", "model": shapes.Connection}},
)  # fmt: skip
async def put_connection(
    request: Request, response: Response, parts: Here, actor: Who, connection: Name,
    given: Annotated[ConnectionPut, BODY],
) -> Any:  # fmt: skip
    """Make a connection as it is given, or add it: `If-None-Match: *` only adds."""
    only_new = request.headers.get("if-none-match", "").strip() == "*"
    revision = None if only_new else expected(request)
    if not only_new:
        was = await connections.show(parts, actor, connection)
        _must_stay(documents.whole(was), given)
    record = _record(connection, given.model_dump(exclude=_READ_ONLY))
    wanted: dict[str, int | None] = {connection: revision} if only_new or revision is not None else {}
    await imports.put_one(parts, actor, record, wanted, given.handout)
    response.status_code = 201 if only_new else 200
    return await _shown(response, parts, actor, connection)


@ROUTES.patch(
    "/connections/{connection}", needs=Right.CONNECTIONS_WRITE, takes=ConnectionChange,
    shows=shapes.Connection, precondition=True, problems=("beyond_own_rights", "wrong_state"),
)  # fmt: skip
async def change_connection(
    request: Request, response: Response, parts: Here, actor: Who, connection: Name,
    given: Annotated[ConnectionChange, BODY],
) -> Any:  # fmt: skip
    """Change what is given and leave the rest, as a merge patch (RFC 7396): null takes out."""
    asked = given.model_dump(exclude_unset=True)
    handout = asked.pop("handout", None)
    try:
        await edits.change(parts, actor, connection, asked, expected=expected(request), handout=handout)
    except ValidationError as error:
        raise of_body(error) from None
    return await _shown(response, parts, actor, connection)


@ROUTES.delete("/connections/{connection}", needs=Right.CONNECTIONS_WRITE, precondition=True)
async def remove_connection(request: Request, parts: Here, actor: Who, connection: Name) -> None:
    """Forget a connection with its tokens and history; the audit keeps its name."""
    revision = expected(request)
    wanted = {connection: revision} if revision is not None else None
    await connections.remove(parts, actor, [connection], expected=wanted)


@ROUTES.get("/connections/{connection}/status", needs=Right.CONNECTIONS_READ, shows=shapes.Status)
async def connection_status(parts: Here, actor: Who, connection: Name) -> Any:
    """Say how a connection is, and what is known of its tokens, never the tokens."""
    return await _status(parts, actor, connection)


@ROUTES.get("/connections/{connection}/explain", needs=Right.CONNECTIONS_READ, shows=shapes.Explanation)
async def explain_connection(parts: Here, actor: Who, connection: Name) -> Any:
    """Say why a connection is as it is: what was asked and answered, who acts, and what comes next."""
    return records.for_eyes(actor, (await explain.explained(parts, actor, connection)).document())


@ROUTES.post(
    "/connections/{connection}/pause", needs=Right.CONNECTIONS_OPERATE, takes=shapes.PauseGiven,
    shows=shapes.Connection,
)  # fmt: skip
async def pause_connection(
    response: Response, parts: Here, actor: Who, connection: Name, given: Annotated[shapes.PauseGiven, BODY]
) -> Any:
    """Stop looking at a connection, for a time, or until somebody resumes it.

    It is resumed by itself when the time is over. What is paused already gets the end that is given last.
    """
    await connections.pause(
        parts, actor, [connection], length=given.for_, until=given.until, reason=given.reason
    )
    return await _shown(response, parts, actor, connection)


@ROUTES.post(
    "/connections/{connection}/resume", needs=Right.CONNECTIONS_OPERATE, takes=Given, shows=shapes.Connection,
    problems=("wrong_state",),
)  # fmt: skip
async def resume_connection(response: Response, parts: Here, actor: Who, connection: Name) -> Any:
    """Look at a paused connection again, starting now."""
    await connections.resume(parts, actor, [connection])
    return await _shown(response, parts, actor, connection)


@ROUTES.post(
    "/connections/{connection}/claim", needs=Right.CONNECTIONS_OPERATE, takes=shapes.ClaimGiven,
    shows=shapes.Status, problems=("wrong_state",),
)  # fmt: skip
async def claim_connection(
    parts: Here, actor: Who, connection: Name, given: Annotated[shapes.ClaimGiven, BODY]
) -> Any:
    """Say who is on what is open of a connection: until then its client gets no reminder.

    All else is told as ever. It ends with the incident; a second one takes the place of the first.
    """
    await connections.claim(parts, actor, connection, given.who, given.until)
    return await _status(parts, actor, connection)


@ROUTES.delete("/connections/{connection}/claim", needs=Right.CONNECTIONS_OPERATE)
async def unclaim_connection(parts: Here, actor: Who, connection: Name) -> None:
    """Say that nobody is on it any more: reminders go again when they are due."""
    await connections.unclaim(parts, actor, connection)


@ROUTES.post(
    "/connections/{connection}/accept-account", needs=Right.CONNECTIONS_OPERATE, takes=shapes.AccountGiven,
    shows=shapes.Connection, problems=("wrong_state",),
)  # fmt: skip
async def accept_account(
    response: Response, parts: Here, actor: Who, connection: Name, given: Annotated[shapes.AccountGiven, BODY]
) -> Any:
    """Take another account as the right one from now on."""
    await accounts.accept(parts, actor, connection, given.account_id)
    return await _shown(response, parts, actor, connection)


@ROUTES.post(
    "/connections/{connection}/refuse-account",
    needs=Right.CONNECTIONS_OPERATE,
    takes=Given,
    shows=shapes.Connection,
)
async def refuse_account(response: Response, parts: Here, actor: Who, connection: Name) -> Any:
    """Refuse the account whose authorization waits for a person, and give the grant back."""
    await accounts.refuse(parts, actor, connection)
    return await _shown(response, parts, actor, connection)


async def _status(parts: Here, actor: Actor, connection: str) -> dict[str, Any]:
    known = await connections.show(parts, actor, connection)
    found = documents.status(known, await incidents.of(parts, actor, connection))
    shown: dict[str, Any] = records.for_eyes(actor, found)  # who authorized is a person, too
    return shown


async def _shown(response: Response, parts: Here, actor: Actor, connection: str) -> dict[str, Any]:
    known = await connections.show(parts, actor, connection)
    response.headers["ETag"] = etag(known.revision)
    return documents.whole(known, masked=not actor.reads_addresses)


_READ_ONLY = {
    "id", "custody", "paused", "paused_until", "account_name", "created", "updated", "revision", "handout",
}  # fmt: skip


def _record(connection: str, wanted: dict[str, Any]) -> Record:
    try:
        return edits.record_of(connection, wanted)
    except ValidationError as error:
        raise of_body(error) from None


def _must_stay(now: dict[str, Any], given: ConnectionPut) -> None:
    """Take back what GET showed; what is only shown cannot be changed by sending another."""
    asked = given.model_dump(mode="json", include=_READ_ONLY - {"handout"}, exclude_unset=True)
    wrong = [
        Wrong(f"/{name}", "is read only")
        for name, value in asked.items()
        if value is not None and name not in ("updated", "revision") and now[name] != value
    ]
    if wrong:
        raise Problem("invalid", errors=wrong)
