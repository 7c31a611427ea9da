"""Lists: a page, and where the next one begins (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BeforeValidator, Field
from starlette.requests import Request

from monitor.operations.actor import Actor
from monitor.web.api.problems import Problem
from monitor.web.api.route import around
from monitor.web.api.strict import Line, whole

Limit = Annotated[int, Field(ge=1, le=500), BeforeValidator(whole), Query(description="Items of a page.")]
Cursor = Annotated[Line | None, Query(description="`next` of the page before.", max_length=2000)]


def place(request: Request, actor: Actor, cursor: str | None, length: int = 1) -> list[Any] | None:
    """Return where a page begins, as `page` was told; None at the beginning."""
    return around(request).cursors.read(request, actor, cursor, length) if cursor is not None else None


def number(request: Request, actor: Actor, cursor: str | None) -> int | None:
    """Return the number that a page begins at. Raises Problem for a cursor of another list."""
    found = place(request, actor, cursor)
    if found is None:
        return None
    if not isinstance(found[0], int):
        raise Problem("bad_cursor")
    return found[0]


def page(
    request: Request, response: Response, actor: Actor, items: Sequence[Any], after: Sequence[Any] | None
) -> dict[str, Any]:
    """Return a page; `after` is where the next one begins, None at the end."""
    if after is None:
        return {"items": items, "next": None}
    told = [value.isoformat() if isinstance(value, datetime) else value for value in after]
    cursor = around(request).cursors.write(request, actor, told)
    base = request.url.path
    asked = [(n, v) for n, v in request.query_params.multi_items() if n != "cursor"]
    query = str(request.url.replace_query_params(**dict(asked), cursor=cursor).query)
    response.headers["Link"] = f'<{base}?{query}>; rel="next"'
    return {"items": items, "next": cursor}


def sliced(
    request: Request, response: Response, actor: Actor, rows: Sequence[dict[str, Any]], by: str, limit: int,
    cursor: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Return a page of a list that is short and read whole, in the order of one of its members."""
    told = place(request, actor, cursor)
    ordered = sorted(rows, key=lambda row: str(row[by]))
    left = [row for row in ordered if told is None or str(row[by]) > str(told[0])]
    more = len(left) > limit
    return page(request, response, actor, left[:limit], [left[limit - 1][by]] if more else None)
