"""Who stands in the door of the API, and whether they are let in.

A program shows a key, a person the cookie of a session. On this machine alone, while nobody else can reach
it, whoever is there is its administrator without signing in. Each refusal has its word (`NotAdmitted.code`).
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import Request

from monitor.errors import NotAdmitted, Remedy
from monitor.host.network import loopback, whose, within
from monitor.operations import people
from monitor.operations.actor import LOOPBACK, Actor, Door
from monitor.operations.callers import Callers, actor_of, is_for_machines, may_come_from
from monitor.operations.people import WITHIN
from monitor.operations.roles import MAY, Role
from monitor.settings.parts import Parts
from monitor.text import api_key
from monitor.web.origin import of_our_pages
from monitor.web.paths import LIVE
from monitor.web.rates import Bounded

FAILURES = RateLimitItemPerMinute(20)  # of a bearer check, from an address
TOLD = RateLimitItemPerMinute(1)  # lines of the audit about who has no leave, from an address
TOLD_OF_ONE = RateLimitItemPerMinute(20)  # of who is known, and may not
_SAFE = ("GET", "HEAD", "OPTIONS")
# Whatever stands before us leaves one of these, or asks by HTTP/1.0 as nginx does that was told nothing; who
# comes through it is not on this machine.
_FORWARDED = frozenset(
    {
        "forwarded", "x-real-ip", "via", "x-client-ip", "x-cluster-client-ip", "true-client-ip",
        "cf-connecting-ip", "cdn-loop", "x-original-host", "x-envoy-external-address",
    }
)  # fmt: skip
_FORWARDED_TOO = "x-forwarded"  # -for, -host, -proto, -port, -server, …
_HERE = ("localhost", "127.0.0.1", "[::1]")
BY_ITSELF = "th-by-itself"  # a header: nobody pressed anything, an open page looks what is so by now


class Doorkeeper:
    """Admits whoever asks something of the API on one listener."""

    def __init__(self, parts: Parts, listen: str) -> None:
        web = parts.loaded.settings.web
        self._parts, self._callers = parts, Callers(parts)
        self._public_url, self._insecure = web.public_url, web.insecure_networks
        self._listens_here = loopback(listen)
        self._public_here = loopback(urlsplit(web.public_url).hostname or "")
        self._limiter = FixedWindowRateLimiter(Bounded(parts.clock))
        self._anybody = False

    async def admit(self, request: Request) -> Actor:
        """Return who asks, and what they may. Raises NotAdmitted with the word for why not."""
        try:
            return await self._admit(request)
        except NotAdmitted as refusal:
            await self.write_down(request, refusal)
            raise

    async def write_down(self, request: Request, refusal: NotAdmitted) -> None:
        """Note that somebody was not let in; a stranger once a minute, or they fill the audit.

        So would a program that is refused a hundred times a second for its network: of those, some are noted.
        """
        address, who = _address(request), getattr(request.state, "who", "")
        limit, whom = (TOLD_OF_ONE, who) if who else (TOLD, whose(address))
        if self._limiter.hit(limit, "told", whom):
            await self._callers.refused(who, address, refusal.code)

    async def _admit(self, request: Request) -> Actor:
        await self._no_key_in_the_url(request)
        shown = request.headers.getlist("authorization")
        if shown:
            return await self._program(request, shown)
        cookie = request.cookies.get(cookie_name(self._public_url))
        by_itself = BY_ITSELF in request.headers or request.url.path == LIVE
        if cookie and (actor := await people.who_is(self._parts, cookie, by_itself=by_itself)) is not None:
            request.state.who = actor.name
            self._from_our_pages(request)
            return actor
        if self._is_here(request):
            return self._administrator(request)
        raise await self._nobody()

    # -- programs ---------------------------------------------------------------------------------

    async def _no_key_in_the_url(self, request: Request) -> None:
        """Refuse a URL with a key in it: it stands in logs, histories and referrers by now."""
        url = request.scope.get("raw_path", b"") + b"?" + request.scope.get("query_string", b"")
        text = url.decode("latin-1")
        found = {*api_key.found_in(text), *api_key.found_in(unquote(text))}
        if found:
            await self._callers.exposed(found, _address(request))
            raise NotAdmitted(
                "key_in_url",
                "A key stands in the URL, and so in logs. Send it as Authorization: Bearer, and rotate it.",
            )

    async def _program(self, request: Request, shown: list[str]) -> Actor:
        scheme, _, text = shown[0].strip().partition(" ")
        key = None
        if len(shown) == 1 and scheme.lower() == "bearer":
            key = await self._callers.key(text.strip())
        if key is None:
            self._count_failure(request)
            raise NotAdmitted("bad_credentials", "This key is not good: unknown, ended, or mistyped.")
        actor, address = actor_of(key), _address(request)
        request.state.who = actor.name
        if not may_come_from(actor, address):
            raise NotAdmitted("wrong_network", "This key is not for the network that this comes from.")
        if is_for_machines(actor) and not self._is_private(request):
            raise NotAdmitted(
                "insecure_transport", "A key for tokens or signals goes over HTTPS, or stays on this machine."
            )
        await self._callers.used(key)
        return actor

    def _count_failure(self, request: Request) -> None:
        """Count a bearer check that failed. Good keys are let in all the same: others share their address."""
        if not self._limiter.hit(FAILURES, "failed", whose(_address(request))):
            raise NotAdmitted(
                "too_many_failures", "Too many keys that are not good. Wait a minute.", after=WITHIN
            )

    def _is_private(self, request: Request) -> bool:
        """Whether nobody can have listened: TLS to us or our proxy, this machine, or said to be so."""
        if request.url.scheme == "https":
            return True
        address = _address(request)
        return (loopback(address) and not _forwarded(request)) or within(address, self._insecure)

    # -- people -----------------------------------------------------------------------------------

    def _from_our_pages(self, request: Request) -> None:
        """Refuse what a page of somebody else's lets a visitor's browser send."""
        if request.method not in _SAFE and not of_our_pages(request, self._public_url):
            raise NotAdmitted("cross_site", "This was not sent by a page of this service.")

    def _is_here(self, request: Request) -> bool:
        """Whether only somebody on this machine can have sent this, to nobody's name but this machine's."""
        host = request.headers.get("host", "").lower()
        name = (
            host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        )
        return (
            self._listens_here
            and self._public_here
            and loopback(_address(request))
            and not _forwarded(request)
            and name in _HERE
        )

    def _administrator(self, request: Request) -> Actor:
        """Let in whoever is on this machine; a page in their browser is not they."""
        from_a_browser = "origin" in request.headers or "sec-fetch-site" in request.headers
        if from_a_browser:
            self._from_our_pages(request)
        return Actor(LOOPBACK, Door.API, MAY[Role.ADMIN])

    async def _nobody(self) -> NotAdmitted:
        """Return why somebody without credentials is not let in."""
        # Once there is somebody there is nothing more to say; until then it is asked each time.
        self._anybody = self._anybody or await people.anybody(self._parts)
        if self._anybody:
            return NotAdmitted("no_credentials", "Send a key as Authorization: Bearer, or sign in.")
        return NotAdmitted(
            "sign_in_first", "Nobody can sign in yet.", Remedy("people.add", "adds the first user", "NAME")
        )


def _forwarded(request: Request) -> bool:
    """Whether something that stands before us sent this on."""
    names = request.headers.keys()
    return request.scope.get("http_version") == "1.0" or any(
        name in _FORWARDED or name.startswith(_FORWARDED_TOO) for name in names
    )


def cookie_name(public_url: str) -> str:
    """Return what the cookie of a session is called: no other host can set it; over http, here alone, any."""
    return "th" if plain_here(public_url) else "__Host-th"


def plain_here(public_url: str) -> bool:
    """Whether people come without TLS, and from this machine alone."""
    parts = urlsplit(public_url)
    return parts.scheme == "http" and loopback(parts.hostname or "")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
