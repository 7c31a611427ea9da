"""The client's road: the link's page, the trip to the provider, and back.

GET changes nothing (mail scanners follow links), but for noting the first opening in the statistics; POST
starts. Every page is in the client's language, works without JavaScript, and loads nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from alerts.mails.language import Tongue, accepted, tongue
from monitor.clock import Clock
from monitor.errors import NotFound
from monitor.health.causes import Cause, consequence
from monitor.health.lifecycle import State
from monitor.metrics.meters import Meters
from monitor.secret import Secret
from monitor.store import bindings, connections, links
from monitor.store.bindings import Account
from monitor.store.connections import Known
from monitor.store.engine import Database
from monitor.store.links import Link, Trip, hashed
from monitor.text.names import one_line
from monitor.tokens.grant import TRIP_LASTS, Arrival, Arrived, Granter
from monitor.web.clients import pages
from monitor.web.clients.pages import About, Page
from monitor.web.origin import same_origin
from monitor.web.rates import Rates
from monitor.wire.apps import App

LONGEST = 4096  # characters of a parameter of a callback
_CSS = (Path(__file__).parents[1] / "static" / "pages.css").read_text(encoding="utf-8")


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
    """The pages, and what they need. `probe_now` looks at one connection with every scope."""

    def __init__(
        self,
        database: Database,
        granter: Granter,
        apps: Mapping[str, App],
        clock: Clock,
        meters: Meters,
        look: Look,
        public_url: str,
        probe_now: Callable[[str], Awaitable[None]],
    ) -> None:
        self.database, self.granter, self.apps = database, granter, apps
        self.clock, self.meters, self.look = clock, meters, look
        self.public_url, self.probe_now = public_url, probe_now
        self._rates = Rates(clock)
        env = Environment(loader=PackageLoader("monitor.web"), autoescape=True, undefined=StrictUndefined)
        self._template = env.get_template("page.html.j2")

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
        if request.method == "GET" and await links.note_opened(self.database, found.id, self.clock.now()):
            self._step("opened", found)
        known = await connections.show(self.database, found.connection)
        speak = _speak(request, known)
        stop = self._stopped(found, known, speak)
        if stop is not None:
            if stop.status == 410 and found.used_at is None:
                self._step("expired", found)
            return self._page(stop, speak)
        if (grant := await bindings.of_connection(self.database, known.id)) is not None:
            return self._page(pages.held(self._about(known), _named(grant.account), speak), speak)
        return self._page(pages.ask(self._about(known), self._cause(found, known), speak), speak)

    async def start(self, request: Request) -> Response:
        """Begin a trip to the provider."""
        if not same_origin(request, self.public_url):
            return self._page(pages.tampered(self.look.support, _speak(request)), _speak(request))
        found = await self._asked(request)
        if isinstance(found, Response):
            return found
        known = await connections.show(self.database, found.connection)
        speak = _speak(request, known)
        stop = self._stopped(found, known, speak)
        if stop is not None:
            return self._page(stop, speak)
        departure = await self.granter.start(found)
        if departure is None:
            return self._page(pages.unreachable(self._about(known), speak), speak, _here(request))
        if found.started_at is None:
            self._step("started", found)
        answer = RedirectResponse(departure.url, status_code=303)
        answer.set_cookie(
            self._cookie(hashed(departure.state)),
            departure.browser.reveal(),
            max_age=int(TRIP_LASTS.total_seconds()),
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
        state = Secret(params.pop("state", ""))
        browser = request.cookies.get(self._cookie(hashed(state)), "")
        again = f"/again/{hashed(state)}" if browser else ""
        try:
            arrived = await self.granter.finish(
                state, Secret(browser) if browser else None, params, request.url.path
            )
        except NotFound:
            arrived = Arrived(Arrival.TAMPERED)
        return await self._arrived(request, arrived, again)

    async def _arrived(self, request: Request, arrived: Arrived, again: str) -> Response:
        trip, speak = arrived.trip, _speak(request)
        if trip is None:
            return self._page(pages.tampered(self.look.support, speak), speak)
        if arrived.arrival is Arrival.OTHER_BROWSER:
            return self._page(pages.other_browser(self.look.support, speak), speak)
        try:
            known = await connections.show(self.database, trip.connection)
        except NotFound:
            return self._page(pages.tampered(self.look.support, speak), speak)
        speak = _speak(request, known)
        link = await links.by_id(self.database, trip.link)
        if link is not None and arrived.arrival.value in ("declined", "wrong_account"):
            self._step(arrived.arrival.value, link)
        page = await self._page_of(arrived, trip, known, link, speak)
        # The cookie stays until it runs out: whoever reloads this page in this browser sees the same again.
        return self._page(page, speak, again)

    async def _page_of(
        self, arrived: Arrived, trip: Trip, known: Known, link: Link | None, speak: Tongue
    ) -> Page:
        about = self._about(known)
        match arrived.arrival:
            case Arrival.STORED:
                if link is not None:
                    self._step("completed", link)
                await self.probe_now(trip.connection)
                known = await connections.show(self.database, trip.connection)
                return await self._after_storing(known, speak, one_line(arrived.user or ""))
            case Arrival.REUSED if trip.outcome == Arrival.STORED.value:
                return await self._after_storing(known, speak)
            case Arrival.HELD:
                return pages.held(about, one_line(arrived.account or ""), speak)
            case Arrival.REUSED if trip.outcome == Arrival.HELD.value:
                return pages.held(about, one_line(trip.account_name or trip.account_id or ""), speak)
            case Arrival.WRONG_ACCOUNT:
                return pages.wrong_account(about, one_line(arrived.account or ""), speak)
            case Arrival.DECLINED:
                return pages.declined(about, speak)
            case Arrival.LATE:
                return pages.late(about, speak)
            case Arrival.MIXED_UP:
                return pages.mixed_up(self.look.support, speak)
            case Arrival.UNREACHABLE:
                return pages.unreachable(about, speak)
            case Arrival.REUSED:
                return pages.reused(about, speak)
            case _:
                return pages.refused(about, speak)

    async def _after_storing(self, known: Known, speak: Tongue, approved_by: str = "") -> Page:
        about, health = self._about(known), known.health
        if health.state is State.HEALTHY:
            return pages.done(about, speak, approved_by)
        seen = health.candidate if health.streak else health.cause
        if consequence(seen).about_scopes:
            app, good = self.apps.get(known.place.app), known.reads.keys()
            asked = [scope for scope in known.scopes if app is None or app.scope_url(scope) is not None]
            missing = [_readable(scope) for scope in asked if scope not in good]
            return pages.lacking(about, seen is Cause.ROLE_RESTRICTED, missing, speak)
        return pages.saved(about, speak)

    # -- what they share --------------------------------------------------------------------------

    def _stopped(self, link: Link, known: Known, speak: Tongue) -> Page | None:
        """Return the page that says why a link does not start, None where it does."""
        about, health = self._about(known), known.health
        app = self.apps.get(known.place.app)
        if health.state is State.PAUSED or app is None or app.place != known.place:
            return pages.paused(about, speak)
        if link.used_at is not None:
            return pages.works(about, speak) if health.state is State.HEALTHY else pages.used(about, speak)
        if link.expires_at <= self.clock.now():
            return pages.expired(about, speak)
        if health.state is State.HEALTHY and not link.always:
            return pages.works(about, speak)
        return None

    @staticmethod
    def _cause(link: Link, known: Known) -> str:
        if known.newcomer:
            return "pending"
        if known.health.state is State.HEALTHY:
            return link.cause
        return known.health.cause.value

    def _about(self, known: Known) -> About:
        app = self.apps.get(known.place.app)
        return About(
            one_line(known.client_name),
            one_line(app.provider.title if app else known.place.provider),
            one_line(known.account_name or known.account_id or ""),
            tuple(_readable(scope) for scope in known.scopes),
            one_line(self.look.support),
        )

    def _step(self, step: str, link: Link) -> None:
        """Count a step of the funnel, and how long after the mail it came."""
        seconds = (self.clock.now() - link.made_at).total_seconds()
        self.meters.funnel(link.provider, step, link.cause, link.locale, seconds)

    async def _asked(self, request: Request) -> Link | Response:
        """Return the link that is asked for: by its secret, or by the cookie of a trip that began from it."""
        if not self._rates.address(_host(request)):
            return self._too_many(request)
        if "trip" in request.path_params:
            found = await self._link_of_trip(request)
        else:
            found = await links.find(self.database, Secret(request.path_params["link"]))
        if found is None:
            return self._page(pages.unknown(self.look.support, _speak(request)), _speak(request))
        return found if self._rates.link(found.id) else self._too_many(request)

    async def _link_of_trip(self, request: Request) -> Link | None:
        """Return where a trip began. The browser that made it may begin another, as long as it lasts."""
        state_hash = request.path_params["trip"]
        browser = request.cookies.get(self._cookie(state_hash), "")
        trip = await links.trip_of(self.database, state_hash) if browser else None
        if trip is None or trip.expires_at <= self.clock.now():
            return None
        if not compare_digest(hashed(Secret(browser)), trip.browser_hash):
            return None
        return await links.by_id(self.database, trip.link)

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
                f"form-action 'self' https:{self._plain_targets()}; frame-ancestors 'none'; base-uri 'none'",
                "content-language": speak.language,
            },
            "text/html",
        )

    def _plain_targets(self) -> str:
        origins = {
            f"{parts.scheme}://{parts.netloc}"
            for app in self.apps.values()
            if (parts := urlsplit(app.auth_url)).scheme == "http"
        }
        return "".join(f" {origin}" for origin in sorted(origins))

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


def _speak(request: Request, known: Known | None = None) -> Tongue:
    if known is not None:
        return tongue(known.locale, known.timezone)
    return tongue(accepted(request.headers.get("accept-language", "")))


def _host(request: Request) -> str | None:
    return request.client.host if request.client else None


def _here(request: Request) -> str:
    """Return the page's own path. It is for the holder of the link, whose browser has it already."""
    trip = request.path_params.get("trip")
    return f"/again/{trip}" if trip is not None else f"/r/{request.path_params['link']}"


def _named(account: Account) -> str:
    return one_line(account.name or account.id)


def _readable(scope: str) -> str:
    return one_line(scope.replace("_", " "))
