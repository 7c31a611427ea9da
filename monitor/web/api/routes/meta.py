"""What the API says of itself, and of whoever asks."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from monitor.health.restriction import as_document
from monitor.web.api import problems
from monitor.web.api.declared import Routes
from monitor.web.api.json import compact
from monitor.web.api.problems import Problem
from monitor.web.api.route import Who
from monitor.web.api.strict import Shown

ROUTES = Routes("The API itself")


class Code(Shown):
    """A code of a problem."""

    code: str
    status: int
    title: str
    cure: str
    type: str


class Codes(Shown):
    """All codes."""

    items: list[Code]


class Only(Shown):
    """What somebody is restricted to: members are ANDed, their lists ORed."""

    apps: list[str] = Field(default_factory=list)
    labels: dict[str, list[str]] = Field(default_factory=dict)
    connections: list[str] = Field(default_factory=list)
    networks: list[str] = Field(default_factory=list)


class Me(Shown):
    """Who asks, and what they may."""

    principal: str
    door: str
    scopes: list[str]
    only: Only | None


@ROUTES.get("/problems", needs=None, open=True, shows=Codes)
async def list_problems() -> Any:
    """List every code of a problem, what it means, and what to do about it."""
    return {"items": problems.catalogue()}


@ROUTES.get("/problems/{code}", needs=None, open=True, shows=Code)
async def show_problem(code: str) -> Any:
    """Say what one code means, and what to do about it."""
    found = [one for one in problems.catalogue() if one["code"] == code]
    if not found:
        raise Problem("not_found", "There is no such code.")
    return found[0]


@ROUTES.get("/openapi.json", needs=None, open=True)
async def openapi_document(request: Request) -> Response:
    """Return this document, OpenAPI 3.1."""
    return Response(compact(request.app.openapi()), media_type="application/json")


@ROUTES.get("/me", needs=None, shows=Me)
async def me(actor: Who) -> Any:
    """Say who asks, with which scopes, and what they are restricted to."""
    return {
        "principal": actor.name,
        "door": actor.door.value,
        "scopes": sorted(right.value for right in actor.may),
        "only": as_document(actor.only),
    }
