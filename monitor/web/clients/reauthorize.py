"""The client's road: the link's page, the trip to the provider, and back.

GET changes nothing (mail scanners follow links), but for noting the first opening in the statistics; POST
starts. Every page is in the client's language, works without JavaScript, and loads nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from alerts.mails.language import Tongue, accepted, tongue
from monitor.clock import Clock
from monitor.operations.road import (
    BROWSER_LASTS,
    End,
    Ended,
    Road,
    Standing,
    Stop,
    Traveller,
    Way,
    name_of,
)
from monitor.text.names import one_line
from monitor.web.clients import asking, pages, unkept
from monitor.web.clients.asking import Ahead
from monitor.web.clients.page import About, Page
from monitor.web.origin import same_origin
from monitor.web.rates import Rates
from monitor.web.templating import template

LONGEST_REASON = 300  # characters of a campaign's sentence
LONGEST = 4096  # characters of a parameter of a callback
_CSS = (Path(__file__).parents[1] / "static" / "pages.css").read_text(encoding="utf-8")


# The pages that say nothing but what a trip's end says; of the rest, `Reauthorize._end` knows more.
_PLAIN = {
    End.SAVED: pages.saved,
    End.FORBIDDEN: asking.forbidden,
    End.DECLINED: pages.declined,
    End.LATE: pages.late,
    End.UNREACHABLE: pages.unreachable,
    End.REUSED: pages.reused,
}


@dataclass(frozen=True, slots=True)
class Look:
    """What the pages look like. `logo` is the image and its type."""

    name: str
    colour: str = "#16324f"
    on_colour: str = "#ffffff"
    logo: tuple[bytes, str] | None = None
    footer: str = ""
    support: str = ""


class Reauthorize:
    """The pages, over the road that they walk."""

    def __init__(
        self, road: Road, clock: Clock, look: Look, public_url: str, plain_targets: Collection[str] = ()
    ) -> None:
        self.road, self.look, self.public_url = road, look, public_url
        self._plain_targets = "".join(f" {origin}" for origin in sorted(plain_targets))
        self._rates = Rates(clock)
        self._template = template("page.html.j2")

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/r/{link}", self.open, methods=["GET"]),
            Route("/r/{link}", self.start, methods=["POST"]),
            Route("/again/{trip}", self.open, methods=["GET"]),
            Route("/again/{trip}", self.start, methods=["POST"]),
            Route("/oauth/callback", self.callback, methods=["GET"]),
            Route("/oauth/callback/{app}", self.callback, methods=["GET"]),
            Route("/static/pages.css", self.css, methods=["GET"]),
            Route("/static/logo", self.logo, methods=["GET"]),
        ]

    # -- the three steps --------------------------------------------------------------------------

    async def open(self, request: Request) -> Response:
        """Show what is asked and why. Changes nothing."""
        found = await self._asked(request)
        if isinstance(found, Response):
            return found
        standing = await self.road.open(found, note=request.method == "GET")
        speak = _speak(request, standing.traveller)
        if standing.stop is not None:
            return self._page(self._stopped(standing, speak), speak)
        about, ahead = self._about(standing.traveller), self._ahead(standing, speak)
        return self._page(asking.ask(about, standing.cause, speak, ahead), speak)

    async def start(self, request: Request) -> Response:
        """Begin a trip to the provider."""
        if not same_origin(request, self.public_url):
            return self._page(pages.tampered(self.look.support, _speak(request)), _speak(request))
        found = await self._asked(request)
        if isinstance(found, Response):
            return found
        standing = await self.road.stand(found)
        speak = _speak(request, standing.traveller)
        if standing.stop is not None:
            return self._page(self._stopped(standing, speak), speak)
        trip = await self.road.start(found)
        if trip is None:
            return self._page(
                pages.unreachable(self._about(standing.traveller), speak), speak, _here(request)
            )
        answer = RedirectResponse(trip.url, status_code=303)
        answer.set_cookie(
            self._cookie(trip.name),
            trip.browser.reveal(),
            max_age=int(BROWSER_LASTS.total_seconds()),
            path="/",
            secure=self._https,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def callback(self, request: Request) -> Response:
        """Take the provider's answer."""
        if not self._rates.address(_host(request)):
            return self._too_many(request)
        given = request.query_params.multi_items()
        params = dict(given)
        if len(params) < len(given) or any(len(value) > LONGEST for value in params.values()):
            # No parameter stands there twice (RFC 6749 3.1): which one is meant is not for us to guess.
            return self._page(pages.tampered(self.look.support, _speak(request)), _speak(request))
        state = params.pop("state", "")
        name = name_of(state)
        browser = request.cookies.get(self._cookie(name), "")
        ended = await self.road.finish(state, browser, params, request.url.path)
        speak = _speak(request, ended.traveller)
        # The cookie stays until it runs out: whoever reloads this page in this browser sees the same again.
        again = f"/again/{name}" if browser and ended.traveller is not None else ""
        return self._page(self._end(ended, speak), speak, again)

    def _end(self, ended: Ended, speak: Tongue) -> Page:
        """Return the page that says how a trip ended."""
        if ended.traveller is None:
            page = pages.other_browser if ended.end is End.OTHER_BROWSER else pages.tampered
            return page(self.look.support, speak)
        about = self._about(ended.traveller)
        match ended.end:
            case End.DONE:
                return pages.done(about, speak, ended.approved_by)
            case End.LACKING:
                return pages.lacking(about, ended.role, ended.missing, speak)
            case End.HELD:
                return pages.held(about, ended.account, speak)
            case End.WRONG_ACCOUNT | End.BORN_DEAD | End.NARROWER:
                return _not_kept(ended, about, speak)
            case End.MIXED_UP:
                return pages.mixed_up(self.look.support, speak)
            case plain:
                return _PLAIN.get(plain, pages.refused)(about, speak)

    # -- what they share --------------------------------------------------------------------------

    def _stopped(self, standing: Standing, speak: Tongue) -> Page:
        """Return the page that says why a link does not start."""
        about = self._about(standing.traveller)
        match standing.stop:
            case Stop.WORKS:
                return pages.works(about, speak)
            case Stop.USED:
                return pages.used(about, speak)
            case Stop.EXPIRED:
                return pages.expired(about, speak)
            case Stop.HELD:
                return pages.held(about, standing.account, speak)
            case _:
                return pages.paused(about, speak)

    def _ahead(self, standing: Standing, speak: Tongue) -> Ahead | None:
        part = standing.campaign
        if part is None:
            return None
        return Ahead(one_line(part.reason, LONGEST_REASON), speak.date(part.until))

    def _about(self, whose: Traveller) -> About:
        support = one_line(self.look.support)
        return About(
            whose.client, whose.provider, whose.account, whose.scopes, support,
            whose.client_id, whose.refusal, whose.phrases,
        )  # fmt: skip

    async def _asked(self, request: Request) -> Way | Response:
        """Return the link that is asked for: by its secret, or by the cookie of a trip that began from it."""
        if not self._rates.address(_host(request)):
            return self._too_many(request)
        if "trip" in request.path_params:
            name = request.path_params["trip"]
            found = await self.road.by_trip(name, request.cookies.get(self._cookie(name), ""))
        else:
            found = await self.road.by_link(request.path_params["link"])
        if found is None:
            return self._page(pages.unknown(self.look.support, _speak(request)), _speak(request))
        return found if self._rates.link(found.id) else self._too_many(request)

    @property
    def _https(self) -> bool:
        return urlsplit(self.public_url).scheme == "https"

    def _cookie(self, state_hash: str) -> str:
        """One cookie a trip, so that two tabs do not spoil each other; over TLS no other host can set it.

        It holds a secret of its own: neither the link's nor the state's is in it.
        """
        return f"{'__Host-' if self._https else ''}th_{state_hash[:16]}"

    def _too_many(self, request: Request) -> Response:
        answer = self._page(pages.too_many(self.look.support, _speak(request)), _speak(request))
        answer.headers["Retry-After"] = "60"
        return answer

    def _page(self, page: Page, speak: Tongue, link: str = "") -> Response:
        look = self.look
        html = self._template.render(
            page=page, lang=speak.language, brand=look.name, logo=look.logo is not None,
            footer=look.footer, link=link,
        )  # fmt: skip
        return Response(
            html,
            page.status,
            {
                # Browsers hold every redirect of a form's answer against form-action, and where a provider
                # sends its users to sign in is not ours to know; hence any https target.
                "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
                f"form-action 'self' https:{self._plain_targets}; frame-ancestors 'none'; base-uri 'none'",
                "content-language": speak.language,
            },
            "text/html",
        )

    async def css(self, request: Request) -> Response:
        """The style, in the brand's colours."""
        text = _CSS.replace("--brand: #16324f", f"--brand: {self.look.colour}")
        text = text.replace("--on-brand: #ffffff", f"--on-brand: {self.look.on_colour}")
        return Response(text, media_type="text/css")

    async def logo(self, request: Request) -> Response:
        """The brand's logo."""
        if self.look.logo is None:
            return Response(status_code=404)
        return Response(self.look.logo[0], media_type=f"image/{self.look.logo[1]}")


def _not_kept(ended: Ended, about: About, speak: Tongue) -> Page:
    """Return the page of an approval that was not kept."""
    match ended.end:
        case End.BORN_DEAD:
            return unkept.born_dead(about, speak)
        case End.NARROWER:
            return unkept.narrower(about, ended.missing, speak)
        case _:
            return unkept.wrong_account(about, ended.account, speak)


def _speak(request: Request, whose: Traveller | None = None) -> Tongue:
    if whose is not None:
        return tongue(whose.locale, whose.timezone)
    return tongue(accepted(request.headers.get("accept-language", "")))


def _host(request: Request) -> str | None:
    return request.client.host if request.client else None


def _here(request: Request) -> str:
    """Return the page's own path. It is for the holder of the link, whose browser has it already."""
    trip = request.path_params.get("trip")
    return f"/again/{trip}" if trip is not None else f"/r/{request.path_params['link']}"
