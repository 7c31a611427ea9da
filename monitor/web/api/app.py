"""The application that programs reach under /api/v1."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.api import openapi
from monitor.web.api.declared import Declared
from monitor.web.api.problems import Problem
from monitor.web.api.route import Around, Route, refusal
from monitor.web.api.routes import SUBJECTS

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def declared() -> list[Declared]:
    """Return every route there is."""
    return list(chain.from_iterable(subject.all for subject in SUBJECTS))


def build(around: Around) -> ASGIApp:
    """Return the application of one listener, with what its routes have at hand."""
    return Numbered(application(), around)


@lru_cache(maxsize=1)
def application() -> FastAPI:
    """Return FastAPI's application, with every route as it is declared; one for all listeners."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.router.route_class = Route
    # Routes are tried one after the other: those that are asked for a hundred times a second come first.
    for one in sorted(declared(), key=lambda one: one.rate == "requests"):
        app.add_api_route(
            one.path,
            one.endpoint,
            methods=[one.method],
            response_model=one.shows,
            status_code=one.status,
            operation_id=one.endpoint.__name__,
            tags=[one.tag],
            summary=openapi.summary(one),
            description=openapi.description(one),
            responses=openapi.answers(one),
            openapi_extra=openapi.beyond(one),
        )
    for kind in (HTTPException, RequestValidationError, ResponseValidationError, Exception):
        app.add_exception_handler(kind, _refused)
    app.openapi = lambda: openapi.document(app, declared())  # type: ignore[method-assign]
    return app


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        code = {404: "not_found", 405: "not_allowed", 413: "too_large"}.get(error.status_code, "malformed")
        return refusal(request, Problem(code, headers={k: v for k, v in headers.items() if k == "Allow"}))
    return refusal(request, error)


class Numbered:
    """Gives each request its id, the caller's if it is one, and what is around it; HEAD is as GET."""

    def __init__(self, app: ASGIApp, around: Around) -> None:
        self.app, self._around = app, around

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = _request_id(scope["headers"])
        scope.setdefault("state", {}).update(request_id=number, around=self._around)
        if scope["method"] == "HEAD" and not scope["path"].endswith("/token"):
            scope["state"]["head"] = True
            # The server leaves the body out by itself, as it still knows how it was asked (RFC 9110 9.3.2).
            scope = dict(scope, method="GET")
        own = [(b"x-request-id", number.encode()), (b"cache-control", b"no-store")]

        async def with_number(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in own if pair[0] not in given)]
            await send(message)

        await self.app(scope, receive, with_number)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(13)


def schema() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return application().openapi()
