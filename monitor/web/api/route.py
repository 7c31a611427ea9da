"""One request of a program, from the door to the answer; the order is the order of the checks.

1. Who is it, and may they? Before anything else is said about the request.
2. How much have they asked already?
3. Is the request as the route declares it: each name known and given once, its body of the right type and
   size? The body is read by the model itself, never by a parser that lets half a surrogate through.
4. Was the very same request answered before (Idempotency-Key)?
5. The operation, and what it says when something is wrong, as a problem.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import structlog
from fastapi import Depends
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from monitor.metrics.meters import Meters
from monitor.operations import audit
from monitor.operations.actor import Actor
from monitor.operations.pulse import Pulse
from monitor.settings.parts import Parts
from monitor.web.api.cursors import Cursors
from monitor.web.api.declared import Declared
from monitor.web.api.kept import Kept
from monitor.web.api.limits import Limits
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.translate import of_body, problem_of

log = structlog.get_logger("monitor.web.api")


class Keeper(Protocol):
    """Who says who stands in the door (`monitor.web.doorkeeper`)."""

    async def admit(self, request: Request) -> Actor:
        """Return who asks. Raises NotAdmitted."""


@dataclass(frozen=True, slots=True)
class Around:
    """What every route has at hand. `works` are what runs in this process, by its type."""

    parts: Parts
    keeper: Keeper
    limits: Limits
    cursors: Cursors
    meters: Meters
    pulse: Pulse
    works: dict[type, Any]


def around(request: Request) -> Around:
    """Return what the request's application has at hand."""
    found: Around = request.state.around
    return found


async def _actor(request: Request) -> Actor:
    found: Actor = request.state.actor
    return found


async def _parts(request: Request) -> Parts:
    return around(request).parts


async def _given(request: Request) -> Any:
    return request.state.given


# What an endpoint takes: who asks, the opened parts, and `given: Annotated[Model, BODY]`.
Who = Annotated[Actor, Depends(_actor)]
Here = Annotated[Parts, Depends(_parts)]
BODY = Depends(_given)


def work(kind: type[Any]) -> Any:
    """Have an endpoint take what runs in this process, by its type; None where nothing of it does."""

    async def find(request: Request) -> Any:
        return around(request).works.get(kind)

    return Depends(find)


class Route(APIRoute):
    """A route with everything that its declaration asks for around it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        self.declared: Declared = endpoint.declared  # type: ignore[attr-defined]
        super().__init__(path, endpoint, **given)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler: FastAPI's own, with the checks around it."""
        answer, declared = super().get_route_handler(), self.declared
        known = {f.alias for f in get_flat_params(self.dependant) if isinstance(f.field_info, Query)}

        async def handle(request: Request) -> Response:
            here = around(request)
            try:
                response = await here.pulse.within(_answered(request, here, declared, known, answer))
            except ClientDisconnect:
                raise
            except Exception as error:
                response = refusal(request, error)
            here.meters.api_requests.labels(declared.path, request.method, str(response.status_code)).inc()
            return response

        return handle


def refusal(request: Request, error: Exception) -> Response:
    """Return the problem that an error is; what is none is a fault of ours, and stands in the log."""
    number = request.state.request_id
    found = problem_of(error)
    if found is None:
        log.error(
            "api.failed", request=number, path=request.scope.get("route_path"), error=type(error).__name__
        )
        found = Problem("internal", "It is in the log under the request's id.")
    return found.response(number)


async def _answered(
    request: Request,
    here: Around,
    declared: Declared,
    known: set[str],
    answer: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Response:
    headers: dict[str, str] = {}
    told: AbstractContextManager[None] = nullcontext()
    if not declared.open:
        actor = request.state.actor = await here.keeper.admit(request)
        if declared.needs is not None:
            actor.needs(declared.needs)
        headers = here.limits.spend(actor, declared.rate)
        told = audit.asked_by(request.client.host if request.client else "", request.state.request_id)
    _look_at_names(request, declared, known)
    if declared.takes is not None:
        request.state.given = await _read(request, declared)
    elif declared.raw:
        _must_be(request, declared.raw)
    with told:
        key = request.headers.get("idempotency-key")
        if key is not None and declared.method == "POST" and declared.kept and not declared.raw:
            response = await Kept(here.parts, request.state.actor, key).answered(request, answer, refusal)
        else:
            response = await answer(request)
    response.headers.update(headers)
    return response


def _look_at_names(request: Request, declared: Declared, known: set[str]) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known and not name.startswith(declared.wild or ("\0",)):
            near = difflib.get_close_matches(name, known, 1)
            said = f"is not known here; did you mean {near[0]}?" if near else "is not known here"
            shown = name if name.isascii() and name.isprintable() else "…"
            raise Problem("invalid", errors=[Wrong(f"?{shown[:100]}", said)])
        if names.count(name) > 1:
            raise Problem("repeated_parameter", errors=[Wrong(f"?{name[:100]}", "is given more than once")])


async def _read(request: Request, declared: Declared) -> Any:
    assert declared.takes is not None  # noqa: S101 - asked for by the caller
    text = request.state.text = await body(request, declared.largest)
    if not text and "content-type" not in request.headers and _may_be_empty(declared):
        return declared.takes()
    _must_be(request, (declared.media,))
    try:
        return declared.takes.model_validate_json(text)
    except ValueError as error:
        raise of_body(error) from None  # type: ignore[arg-type]


def _may_be_empty(declared: Declared) -> bool:
    assert declared.takes is not None  # noqa: S101 - asked for by the caller
    return not any(field.is_required() for field in declared.takes.model_fields.values())


def _must_be(request: Request, media: tuple[str, ...]) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in media:
        raise Problem("not_json", f"It takes Content-Type: {' or '.join(media)}.")


async def body(request: Request, largest: int) -> bytes:
    """Read a body of at most so many bytes. Raises Problem for a longer one."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said[:20]) > largest:
        raise Problem("too_large", f"At most {largest} bytes are taken.")
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > largest:
            raise Problem("too_large", f"At most {largest} bytes are taken.")
    return bytes(found)
