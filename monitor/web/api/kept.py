"""A POST that carries an Idempotency-Key: done once, and answered as often as it is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from monitor.operations import idempotency
from monitor.operations.actor import Actor
from monitor.settings.parts import Parts
from monitor.web.api.problems import Problem, Wrong

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Of an answer these belong to what it says; the others are made anew.
_HEADERS = ("content-type", "location", "etag", "retry-after")
_NOT_KEPT = (401, 429)

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Kept:
    """One request under its key."""

    def __init__(self, parts: Parts, actor: Actor, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise Problem(
                "invalid", errors=[Wrong("header.Idempotency-Key", "is 1 to 255 visible characters")]
            )
        self._parts, self._actor, self._key = parts, actor, key

    async def answered(
        self, request: Request, answer: Answer, refusal: Callable[[Request, Exception], Response]
    ) -> Response:
        """Do it, or say again what was answered. Raises Problem where neither can be."""
        query = request.scope["query_string"].decode("latin-1")
        given: bytes = getattr(request.state, "text", b"")
        asked = f"{request.method}\n{request.scope['path']}?{query}\n".encode() + given
        once = await idempotency.begin(self._parts, self._actor.name, self._key, asked)
        match once.before:
            case idempotency.Kept(status, headers, body):
                return Response(body, status, headers | {"Idempotency-Replayed": "true"})
            case str() as code:
                raise Problem(code, after=1.0 if code == idempotency.RUNNING else None)
        with idempotency.running(once):
            try:
                response = await answer(request)
            except Exception as error:
                response = refusal(request, error)
        if response.status_code >= 500 or response.status_code in _NOT_KEPT:
            await idempotency.give_up(self._parts, once)
        else:
            headers = {name: value for name, value in response.headers.items() if name in _HEADERS}
            kept = idempotency.Kept(response.status_code, headers, bytes(response.body))
            await idempotency.keep(self._parts, once, kept)
        return response
