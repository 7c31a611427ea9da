"""Where people sign in and out: by name and password, or at the agency's OpenID provider.

Works without JavaScript. What is posted has to come from these pages: else a stranger's page could sign a
visitor in as the stranger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from monitor.errors import NotAdmitted
from monitor.host.network import whose
from monitor.operations import people
from monitor.operations.people import SignedIn, Wrong
from monitor.secret import Secret
from monitor.settings.parts import Parts
from monitor.web import files
from monitor.web.doorkeeper import Doorkeeper, cookie_name, plain_here
from monitor.web.origin import is_path_of_ours, of_our_pages
from monitor.web.rates import Bounded
from monitor.web.templating import template

if TYPE_CHECKING:  # few have one, and its library is slow to load
    from monitor.operations.single_sign_on import SingleSignOn

HERE, FIRST = "/sign-in", "/"
TRIPS = RateLimitItemPerMinute(60)  # to the provider, from an address: each is written down for ten minutes
LONGEST = 2000  # characters of a target, or of what a provider sends back
_STATUS = {"too_many_requests": 429, "provider_unreachable": 503, "bad_credentials": 401}


@dataclass(frozen=True, slots=True)
class Said:
    """What a page says beside its form: why somebody did not come in, and what they had written."""

    trouble: str = ""
    left: int | None = None  # attempts that are looked at yet
    name: str = ""
    target: str = FIRST
    status: int = 200
    wait: int = 0  # seconds


class SignIn:
    """The pages, on the listener that serves the API and the console."""

    def __init__(self, parts: Parts, doorkeeper: Doorkeeper, single: SingleSignOn | None = None) -> None:
        self._parts, self._doorkeeper, self._single = parts, doorkeeper, single
        self._public_url = parts.loaded.settings.web.public_url
        self._session = cookie_name(self._public_url)
        self._plain = plain_here(self._public_url)
        self._limiter = FixedWindowRateLimiter(Bounded(parts.clock))
        self._template = template("sign_in.html.j2")

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(HERE, self.show, methods=["GET"]),
            Route(HERE, self.sign_in, methods=["POST"]),
            Route("/sign-in/oidc", self.set_out, methods=["GET"]),
            Route("/oidc/callback", self.come_back, methods=["GET"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            *files.routes(),
        ]

    async def show(self, request: Request) -> Response:
        """Show the form, or who is signed in."""
        return await self._page(request, Said(target=safe_target(request.query_params.get("next"))))

    async def sign_in(self, request: Request) -> Response:
        """Let somebody in by name and password."""
        form = await _form(request)
        said = Said(name=form.get("name", "")[:200], target=safe_target(form.get("next")))
        try:
            self._ours(request)
            password = Secret(form.get("password", ""))
            signed_in = await people.sign_in(
                self._parts, said.name, password, _address(request), before=self._cookie(request)
            )
        except NotAdmitted as refusal:
            await self._doorkeeper.write_down(request, refusal)
            return await self._page(request, _refused(refusal, said))
        return self._welcome(signed_in, said.target)

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        try:
            self._ours(request)
        except NotAdmitted as refusal:
            return await self._page(request, _refused(refusal, Said()))
        if cookie := self._cookie(request):
            people.came_from(_address(request))
            await people.sign_out(self._parts, cookie)
        answer = RedirectResponse(HERE, 303)
        answer.delete_cookie(self._session, path="/", secure=not self._plain, httponly=True, samesite="lax")
        return answer

    # -- at the provider --------------------------------------------------------------------------

    async def set_out(self, request: Request) -> Response:
        """Send a browser to the provider."""
        if self._single is None:
            return await self._page(request, Said(trouble="There is no other way to sign in.", status=404))
        from monitor.operations import single_sign_on

        target = safe_target(request.query_params.get("next"))
        try:
            if not self._limiter.hit(TRIPS, "trip", whose(_address(request))):
                raise NotAdmitted(
                    "too_many_requests", "Too many attempts to sign in. Wait a minute.", after=people.WITHIN
                )
            trip = await self._single.set_out(target)
        except NotAdmitted as refusal:
            return await self._page(request, _refused(refusal, Said(target=target)))
        answer = RedirectResponse(trip.url, 303)
        lasts = int(single_sign_on.TRIP_LASTS.total_seconds())
        self._set(answer, f"{self._session}-{trip.name}", trip.browser, lasts)
        return answer

    async def come_back(self, request: Request) -> Response:
        """Take the provider's answer."""
        if self._single is None:
            return await self._page(request, Said(trouble="There is no other way to sign in.", status=404))
        from monitor.operations import single_sign_on

        given = request.query_params.multi_items()
        params = dict(given)
        if len(params) < len(given) or any(len(value) > LONGEST for value in params.values()):
            return await self._page(request, Said(trouble="This is no answer of the provider's.", status=400))
        state, code = params.get("state", ""), params.get("code", "")
        trip = f"{self._session}-{single_sign_on.name_of(state)}"
        if not code:
            trouble = "The sign-in provider did not let you in."
            return await self._page(request, Said(trouble=trouble, status=403))
        people.came_from(_address(request))
        try:
            signed_in, target = await self._single.come_back(
                request.cookies.get(trip, ""), state, code, params.get("iss"),
                before=self._cookie(request),
            )  # fmt: skip
        except NotAdmitted as refusal:
            await self._doorkeeper.write_down(request, refusal)
            answer = await self._page(request, _refused(refusal, Said()))
        else:
            answer = self._welcome(signed_in, target)
        answer.delete_cookie(trip, path="/", secure=not self._plain, httponly=True, samesite="lax")
        return answer

    # -- what they share --------------------------------------------------------------------------

    def _ours(self, request: Request) -> None:
        if not of_our_pages(request, self._public_url):
            raise NotAdmitted("cross_site", "This was not sent from this page. Please try again here.")

    def _cookie(self, request: Request) -> str:
        return request.cookies.get(self._session, "")[:LONGEST]

    def _welcome(self, signed_in: SignedIn, target: str) -> Response:
        answer = RedirectResponse(target, 303)
        self._set(answer, self._session, signed_in.cookie, int(people.LONGEST.total_seconds()))
        return answer

    def _set(self, answer: Response, name: str, value: Secret, seconds: int) -> None:
        answer.set_cookie(
            name, value.reveal(), max_age=seconds, path="/", secure=not self._plain, httponly=True,
            samesite="lax",
        )  # fmt: skip

    async def _page(self, request: Request, said: Said) -> Response:
        cookie, oidc = self._cookie(request), self._parts.loaded.settings.oidc
        actor = await people.who_is(self._parts, cookie) if cookie else None
        html = self._template.render(
            said=said,
            who=actor.name.removeprefix("user:") if actor is not None else "",
            single_sign_on=oidc.name if self._single is not None else "",
            oidc_url=f"/sign-in/oidc?next={quote(said.target, safe='/')}",
            anybody=await people.anybody(self._parts),
            unsafe=urlsplit(self._public_url).scheme != "https" and not self._plain,
        )
        headers = {
            "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            # With `no-referrer` a browser would say `Origin: null` of its own form.
            "referrer-policy": "same-origin",
        }
        if said.status == 401:
            headers["www-authenticate"] = 'Bearer realm="token-health"'
        if said.wait:
            headers["retry-after"] = str(said.wait)
        return Response(html, said.status, headers, "text/html")


def safe_target(wanted: str | None) -> str:
    """Return a path of this service, whatever was asked for: never another site's address."""
    text = wanted or ""
    return text if len(text) <= LONGEST and is_path_of_ours(text) else FIRST


def _refused(refusal: NotAdmitted, said: Said) -> Said:
    left = refusal.left if isinstance(refusal, Wrong) else None
    wait = int(refusal.after.total_seconds()) if refusal.after is not None else 0
    return Said(str(refusal), left, said.name, said.target, _STATUS.get(refusal.code, 403), wait)


async def _form(request: Request) -> Mapping[str, str]:
    """Return a form's fields; what is none has none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=10))
    except ValueError:
        return {}


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
