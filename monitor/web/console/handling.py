"""One request of a person, from the door to the page; the order is the order of the checks.

1. Who is it? Who has to sign in is sent there, and comes back; a key is for programs.
2. May they? What a form sends has to come from our own pages.
3. The operation; what it says when something is wrong stands on the question again, or on a page of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from monitor.errors import (
    ConfigurationError,
    Conflict,
    ImportRefused,
    NotAdmitted,
    NotFound,
    TokenHealthError,
    Unavailable,
)
from monitor.operations import audit
from monitor.operations.actor import LOOPBACK, Actor, Door
from monitor.operations.database import unwell
from monitor.operations.pulse import Pulse
from monitor.operations.roles import role_with
from monitor.secret import Secret
from monitor.settings.parts import Parts
from monitor.web import files
from monitor.web.console import forms, texts
from monitor.web.console.answers import Answer, Ask, Done, Sent, Shown
from monitor.web.console.bar import Bar, Counts
from monitor.web.console.declared import Declared
from monitor.web.console.render import Templates
from monitor.web.console.said import Said
from monitor.web.console.trouble import Beside, advice_of, beside, removed_at, sentence_of, status_of, wait_of
from monitor.web.console.visit import Visit
from monitor.web.doorkeeper import BY_ITSELF, Doorkeeper, plain_here
from monitor.web.origin import is_path_of_ours

log = structlog.get_logger("monitor.web.console")

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SIGN_IN = ("no_credentials", "sign_in_first")


@dataclass(frozen=True, slots=True)
class House:
    """What every page has at hand."""

    parts: Parts
    keeper: Doorkeeper
    pulse: Pulse
    secret: Secret
    works: dict[type, Any] = field(default_factory=dict)


class Handling:
    """Answers the requests of people."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._templates, self._bar = Templates(), Bar(house.parts)
        self._said = Said(house.secret, plain=plain_here(house.parts.loaded.settings.web.public_url))

    def of(self, one: Declared) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a page or an action."""

        async def handle(request: Request) -> Response:
            request.state.request_id = secrets.token_hex(6)
            texts.LANGUAGE.set(texts.wanted(request.headers.get("accept-language", "")))
            try:
                response = await self._house.pulse.within(self._answered(request, one))
            except ClientDisconnect:
                raise
            except Exception as error:
                response = await self._trouble(request, error)
            return response

        return handle

    async def nowhere(self, request: Request, _missing: Exception) -> Response:
        """Answer for a path that is none; strangers are told nothing of a console."""
        request.state.request_id = secrets.token_hex(6)
        try:
            request.state.actor = await self._house.pulse.within(self._admitted(request))
        except Exception as error:
            if isinstance(error, NotAdmitted | Unavailable) or unwell(error):
                return PlainTextResponse("Not Found", 404)
            raise
        return await self._trouble(request, NotFound(texts.gettext("There is no page here.")))

    # -- the way in -------------------------------------------------------------------------------

    async def _answered(self, request: Request, one: Declared) -> Response:
        actor = request.state.actor = await self._admitted(request)
        if one.needs is not None:
            actor.needs(one.needs)
        form = await forms.read(request, one.largest) if request.method == "POST" else FormData()
        try:
            _readable(request, form)
            return await self._of_form(request, one, actor, form)
        finally:
            await form.close()

    async def _of_form(self, request: Request, one: Declared, actor: Actor, form: FormData) -> Response:
        parts = self._house.parts
        visit = Visit(parts, actor, request, parts.clock.now(), form, self._house.works)
        address = request.client.host if request.client else ""
        with audit.asked_by(address, request.state.request_id):
            if request.method != "POST":
                shows = one.asks if one.acts else one.endpoint
                if shows is None:
                    raise HTTPException(405)
                return await self._response(visit, await shows(visit))
            try:
                return await self._response(visit, await one.endpoint(visit))
            except (Conflict, ConfigurationError, ImportRefused) as error:
                if one.asks is None:
                    raise
                again = await one.asks(visit)
                said = replace(again, trouble=again.trouble or sentence_of(error), status=status_of(error))
                return await self._response(visit, said)

    async def _admitted(self, request: Request) -> Actor:
        actor = await self._house.keeper.admit(request)
        if actor.name.startswith("key:"):
            raise NotAdmitted("people_only", texts.gettext("A key is for programs; people sign in."))
        return replace(actor, door=Door.CONSOLE)

    # -- the way out ------------------------------------------------------------------------------

    async def _response(self, visit: Visit, answer: Answer) -> Response:
        match answer:
            case Done():
                response: Response = RedirectResponse(answer.to, 303)
                if answer.said:
                    self._said.write(response, answer, visit.actor.name, visit.now)
                return response
            case Sent():
                headers = {"content-security-policy": CSP, **answer.headers}
                if answer.name:
                    headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(answer.name)}"
                if not isinstance(answer.content, str | bytes):
                    return StreamingResponse(answer.content, 200, headers, answer.media)
                return Response(answer.content, 200, headers, answer.media)
            case Ask():
                values = {"ask": answer, **answer.values}
                shown = Shown("ask.html.j2", answer.heading, answer.here, status=answer.status, **values)
                return await self._page(visit.request, shown, visit)
        return await self._page(visit.request, answer, visit)

    async def _page(self, request: Request, shown: Shown, visit: Visit | None = None) -> Response:
        now, actor = self._house.parts.clock.now(), getattr(request.state, "actor", None)
        # What a page asks by itself is not what a person looks at: the sentence is for them.
        told = request.cookies.get(self._said.name) if BY_ITSELF not in request.headers else None
        said = self._said.read(told, actor.name, now) if actor is not None else None
        around: dict[str, Any] = {
            "title": shown.title,
            "here": shown.here,
            "now": now,
            "lang": texts.LANGUAGE.get(),
            "who": _name(actor),
            "role": role_with(actor.may) if actor is not None else "",
            "local": actor is not None and actor.name == LOOPBACK,
            "may": sorted(right.value for right in actor.may) if actor is not None else [],
            "bar": await self._counts(actor, visit),
            "said": said,
            "static": files.url,
            "request_id": request.state.request_id,
            "live": visit is not None,
            "url": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        }
        # A page's own value that is named as one of these is a fault, and said at once.
        html = self._templates.html(shown.template, **around, **shown.values)
        headers = {
            "content-security-policy": CSP,
            # With `no-referrer` a browser would say `Origin: null` of its own form.
            "referrer-policy": "same-origin",
            "vary": "HX-Request, Cookie",
        }
        response = Response(html, shown.status, headers, "text/html")
        if said is not None:
            self._said.forget(response)
        return response

    async def _counts(self, actor: Actor | None, visit: Visit | None) -> Counts:
        if actor is None or visit is None:  # on an error's page nothing more is asked
            return Counts()
        return await self._bar.counts(actor, visit.now)

    # -- what goes wrong --------------------------------------------------------------------------

    async def _trouble(self, request: Request, error: Exception) -> Response:
        """Say what happened, what did not, and what to do."""
        if isinstance(error, NotAdmitted) and error.code in SIGN_IN:
            return _to_sign_in(request)
        status, actor = status_of(error), getattr(request.state, "actor", None)
        if status == 500:
            log.error("console.failed", request=request.state.request_id, error=type(error).__name__)
        posted = request.method == "POST"
        values: dict[str, Any] = {
            "code": status,
            "sentence": sentence_of(error, actor),
            "advice": advice_of(error, posted=posted),
            "beside": await self._beside(request, actor, error),
            "again": wait_of(error) if not posted else None,
            "removed_at": removed_at(request.url.path, actor) if status == 404 else "",
            "back": _back(request),
            "address": str(request.url),
        }
        shown = Shown("error.html.j2", _title(status), status=status, **values)
        response = await self._page(request, shown)
        if (after := wait_of(error)) is not None:
            response.headers["retry-after"] = str(after)
        return response

    async def _beside(self, request: Request, actor: Actor | None, error: Exception) -> Beside:
        """Return what helps, where it can be had: the error is told in any case."""
        if actor is None:
            return Beside()
        try:
            return await self._house.pulse.within(beside(self._house.parts, actor, error, request.url.path))
        except Exception as failed:
            if isinstance(failed, TokenHealthError) or unwell(failed):
                return Beside()
            raise


def _readable(request: Request, form: FormData) -> None:
    """Let pass what is text: no name has a NUL in it, and no database takes one. Raises HTTPException."""
    pairs = [*request.path_params.items(), *request.query_params.multi_items(), *form.multi_items()]
    if any(isinstance(text, str) and "\0" in text for _, text in pairs):
        raise HTTPException(400)


def _to_sign_in(request: Request) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    there = f"/sign-in?next={quote(here if request.method != 'POST' else '/', safe='/')}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"hx-redirect": there})
    return RedirectResponse(there, 303)


def _name(actor: Actor | None) -> str:
    return actor.name.partition(":")[2] or actor.name if actor is not None else ""


def _back(request: Request) -> str:
    """Return the page of ours that one came from, or the first one."""
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:  # `http://[bad` and the like
        return "/"
    path = came.path + (f"?{came.query}" if came.query else "")
    return path if is_path_of_ours(path) else "/"


def _title(status: int) -> str:
    _ = texts.gettext
    titles = {
        403: _("Not with your role"), 404: _("Not here"), 409: _("Changed meanwhile"), 413: _("Too large"),
        429: _("Too often"), 503: _("Not just now"),
    }  # fmt: skip
    return titles.get(status, _("Something went wrong"))
