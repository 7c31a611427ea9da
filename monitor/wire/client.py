"""One request to a provider: a reply, or a fault said exactly.

Two transports, for two askeds:

* Probes go over aiohttp's transport behind httpx's request objects, which costs a tenth of httpx's
  own pool at a hundred requests at once.
* The OAuth endpoints get httpx's own transport and a new connection each time: at the token endpoint 'was
  it sent?' decides whether a refresh token may be used again, and a connection of its own leaves no doubt.

Both are watched while they work (`departure`), and that alone says whether a request was sent; what a fault
is called is decided by the causes below the exception (`faults`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from monitor.errors import ConfigurationError
from monitor.health.evidence import Fault, FaultKind
from monitor.host.trust import trusted
from monitor.secret import Secret
from monitor.text.spans import span
from monitor.wire.departure import Departure, aiohttp_trace
from monitor.wire.faults import fault_of, timed_out
from monitor.wire.request import FORM, Request
from monitor.wire.sent import sent
from monitor.wire.settings import USER_AGENT, HttpSettings

LARGEST_BODY = 64 * 1024
MOST_URLS = 4096  # parsed and kept


class Reply(NamedTuple):
    """What came back: a status, the headers as sent, and at most LARGEST_BODY bytes.

    `sent` are the secrets that this answers, which whoever shows a word of it takes out.
    """

    status: int
    raw_headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    sent: tuple[Secret, ...] = ()

    def header(self, name: bytes) -> str | None:
        """Return a header by its lower-case name. Few are ever asked for, so none is decoded before."""
        for key, value in self.raw_headers:
            if key.lower() == name:
                return value.decode("latin-1")
        return None

    def headers(self, name: bytes) -> list[str]:
        """Return every header of a lower-case name: some may stand there more than once."""
        return [value.decode("latin-1") for key, value in self.raw_headers if key.lower() == name]


class Wire:
    """The open connections to providers; made inside the running loop, closed at the end."""

    def __init__(
        self,
        settings: HttpSettings,
        *,
        timeout: timedelta,
        concurrency: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.settings = settings
        context = tls or _tls(settings.ca_file)
        self._deadline = timeout.total_seconds()
        proxy = httpx.Proxy(settings.proxy) if settings.proxy else None
        self._probes = _ProbeTransport(
            verify=context, trust_env=False, proxy=proxy, client=lambda: _session(context, concurrency)
        )
        self._tokens = httpx.AsyncHTTPTransport(
            verify=context, trust_env=False, proxy=proxy, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._urls: dict[str, httpx.URL] = {}
        # Connecting gives up before the deadline around it does, since "never connected" is the one
        # time-out after which a refresh token is certainly unused.
        connect = httpx.Timeout(self._deadline, connect=self._deadline * 0.8, pool=None)
        self._timeouts = connect.as_dict()

    async def get(
        self, url: str, token: Secret | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply | Fault:
        """Ask a resource of the provider, with a bearer token if there is one (RFC 6750 2.1).

        `headers` are more than those of every request, or stand in the place of one. Redirects are not
        followed, and no cookie is kept: it would travel from one client to the next.
        """
        parsed = self._urls.get(url)
        if parsed is None:
            if len(self._urls) >= MOST_URLS:  # those with a connection's own values are as many as it has
                self._urls.clear()
            parsed = self._urls[url] = httpx.URL(url)
        if token is not None and not token.reveal().isprintable():
            return Fault(FaultKind.OURS, "the token cannot stand in a header", False)
        departure = Departure()
        reply = await self._send(self._probes, _Probe(parsed, token, departure, headers), departure)
        return reply if token is None or isinstance(reply, Fault) else reply._replace(sent=(token,))

    async def page(self, url: str) -> Reply | Fault:
        """Open a page that is meant for browsers, and return what it begins with.

        Nobody is signed in: no token, no cookie, a connection of its own; redirects are not followed.
        """
        headers = {
            "User-Agent": USER_AGENT,
            "Accept": "text/html,application/xhtml+xml",
            "Accept-Encoding": "identity",
        }
        departure = Departure()
        request = httpx.Request(
            "GET", url, headers=headers, extensions={"timeout": self._timeouts, "trace": departure.trace}
        )
        return await self._send(self._tokens, request, departure, cut=True)

    async def post_form(
        self,
        url: str,
        form: Secret,
        authorization: Secret | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | Fault:
        """Post a form to an OAuth endpoint on a connection of its own."""
        secrets = sent(form, authorization)
        return await self.send(
            Request("POST", url, FORM, form, authorization, headers=headers or {}, secrets=secrets)
        )

    async def send(self, asked: Request) -> Reply | Fault:
        """Send a request on a connection of its own. Redirects are not followed, and no cookie is kept."""
        headers = _with({"User-Agent": USER_AGENT, "Accept": "application/json"}, asked.headers)
        if asked.content_type is not None:
            headers["Content-Type"] = asked.content_type
        if asked.authorization is not None:
            text = asked.authorization.reveal()
            if not text.isprintable() or not text.isascii():
                return Fault(FaultKind.OURS, "the token cannot stand in a header", False)
            headers["Authorization"] = text
        url = asked.url
        if asked.query:
            url += ("&" if "?" in url else "?") + asked.query.reveal()
        departure = Departure()
        request = httpx.Request(
            asked.method,
            url,
            headers=headers,
            content=asked.content.reveal().encode("ascii"),
            extensions={"timeout": self._timeouts, "trace": departure.trace},
        )
        reply = await self._send(self._tokens, request, departure)
        return reply if isinstance(reply, Fault) else reply._replace(sent=asked.secrets)

    async def _send(
        self,
        transport: httpx.AsyncBaseTransport,
        request: httpx.Request,
        departure: Departure,
        *,
        cut: bool = False,
    ) -> Reply | Fault:
        answered = False
        try:
            async with asyncio.timeout(self._deadline):
                response = await transport.handle_async_request(request)
                answered = True
                try:
                    return await _read(response, cut=cut)
                finally:
                    await response.stream.aclose()  # type: ignore[union-attr]
        except TimeoutError:
            return timed_out(span(timedelta(seconds=self._deadline)), left=departure.left)
        except Exception as error:
            # A value, and nothing of the exception: it keeps its request, and that its bearer token.
            return fault_of(error, left=departure.left, answered=answered)

    async def close(self) -> None:
        """Close all connections."""
        await self._probes.aclose()
        await self._tokens.aclose()


class _ProbeTransport(AiohttpTransport):
    """httpx-aiohttp's transport, cut to the one kind of request that probes make.

    A GET without a body, its answer read at once and capped; a fifth cheaper, measured. Errors stay
    aiohttp's own, which say exactly what happened.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a GET, and return the answer with its body."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        proxy = str(self.proxy.url) if self.proxy is not None else None
        async with self.client.get(
            str(request.url),
            headers=request.headers,
            allow_redirects=False,
            timeout=_NO_TIMEOUT,
            proxy=proxy,
            trace_request_ctx=request.departure if isinstance(request, _Probe) else None,
        ) as answer:
            body = await answer.content.read(LARGEST_BODY + 1)
            while not answer.content.at_eof() and len(body) <= LARGEST_BODY:
                body += await answer.content.read(LARGEST_BODY + 1)
            return httpx.Response(answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(body))


# Wire's deadline is around all of a request; aiohttp's own would leave out a body that drips.
_NO_TIMEOUT = aiohttp.ClientTimeout()


class _Probe(httpx.Request):
    """A GET without what `httpx.Request` does for all kinds of requests: a fifth of its cost, measured.

    It goes to a transport directly, so no client, no cookie and no redirect ever sees it.
    """

    def __init__(
        self, url: httpx.URL, token: Secret | None, departure: Departure, more: Mapping[str, str] | None
    ) -> None:
        self.method, self.url, self.departure = "GET", url, departure
        # A plain mapping: aiohttp's own headers are made of it, with Host and the rest.
        self.headers = _with(_GET_HEADERS, more) if more else _GET_HEADERS.copy()  # type: ignore[assignment]
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token.reveal()}"


# `identity`: a whoami is a few hundred bytes, and what is not compressed cannot be a bomb.
_GET_HEADERS = {
    "User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity",
}  # fmt: skip


def _with(usual: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return headers with more of them, each name once (RFC 9110 5.1: it has no case)."""
    named = {name.lower() for name in more}
    return {name: text for name, text in usual.items() if name.lower() not in named} | dict(more)


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return trusted(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"http.ca_file: {ca_file}: cannot be read: {error}.") from None


def _session(context: ssl.SSLContext, concurrency: int) -> aiohttp.ClientSession:
    # The loop's workers are the bound; a pool at least as large never makes a probe wait.
    connector = _Pool(
        ssl=context, limit=concurrency * 2, most_idle=concurrency, keepalive_timeout=330, ttl_dns_cache=60
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trace_configs=[aiohttp_trace()],
    )


class _Pool(aiohttp.TCPConnector):
    """aiohttp's pool, with a bound for what lies idle over all hosts; its own is for what is in use.

    Idle connections to many hosts would else add up to more descriptors than were counted at the start.
    """

    def __init__(self, *, most_idle: int, **options: Any) -> None:
        super().__init__(**options)
        self._most_idle = most_idle

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        idle = sum(len(waiting) for waiting in self._conns.values())
        super()._release(key, protocol, should_close=should_close or idle >= self._most_idle)


async def _read(response: httpx.Response, *, cut: bool) -> Reply | Fault:
    # The stream itself: httpx's own iterators around it count and decode what we asked not to be encoded.
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - both transports answer with one
    body = b""
    async for chunk in stream:
        body = chunk if not body else body + chunk
        if len(body) > LARGEST_BODY:
            if cut:
                return Reply(response.status_code, response.headers.raw, body[:LARGEST_BODY])
            return Fault(FaultKind.TOO_LARGE, f"more than {LARGEST_BODY // 1024} KiB", True)
    return Reply(response.status_code, response.headers.raw, body)
