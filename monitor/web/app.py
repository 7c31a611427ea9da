"""The web applications and the servers that run them inside our loop."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from monitor.host.descriptors import BACKLOG
from monitor.web.clients.reauthorize import Reauthorize
from monitor.web.door import LARGEST_HEAD, LONGEST_LINE, MOST_HEADERS, Door, Keeper, body_of
from monitor.web.hosts import KnownHosts
from monitor.web.ops import Ops
from monitor.web.paths import API
from monitor.web.proxies import Stranger
from monitor.web.signin import SignIn

if TYPE_CHECKING:  # its pages are loaded only where it is served
    from monitor.web.console.app import Console

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class SafeHeaders:
    """Headers that every answer carries, unless its page says more."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add them to what the application answers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in _HEADERS if name not in given),
                ]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class Sizes:
    """Refuses what is larger than any request to us can be (RFC 9110 15.5.14, 15.5.15; RFC 6585 5)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is of ordinary size."""
        refusal = _too_large(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
            return
        status, words = refusal
        await PlainTextResponse(f"{words}\n", status, {"connection": "close"})(scope, receive, send)


def _too_large(scope: Scope) -> tuple[int, str] | None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > LONGEST_LINE:
        return 414, "The address is too long."
    if len(headers) > MOST_HEADERS or sum(len(n) + len(v) for n, v in headers) > LARGEST_HEAD:
        return 431, "The request's headers are too large."
    lengths = [value for name, value in headers if name == b"content-length"]
    if scope["path"].startswith("/api/"):
        return None  # its routes say what they take, as problems
    largest, _ = body_of(scope["path"])
    if any(not value.isdigit() or int(value[:20]) > largest for value in lengths):
        return 413, "The request is too large."
    return None


def application(
    ops: Ops | None,
    pages: Reauthorize | None,
    names: Collection[str] = (),
    *,
    sign_in: SignIn | None = None,
    api: ASGIApp | None = None,
    console: Console | None = None,
) -> Starlette:
    """Put one listener together: for operators, for clients, for who signs in, for programs, for people.

    `names` are those of this service, beside addresses and names that nobody owns.
    """
    parts = (ops, pages, sign_in, console)
    routes: list[BaseRoute] = [route for part in parts if part is not None for route in part.routes()]
    if api is not None:
        routes.append(Mount(API, app=api))
    app = Starlette(
        routes=routes,
        middleware=[Middleware(SafeHeaders), Middleware(KnownHosts, names=names), Middleware(Sizes)],
    )
    # A redirect to the same path without its slash would go to wherever the Host header says.
    app.router.redirect_slashes = False
    if console is not None:
        app.add_exception_handler(404, console.nowhere)
    return app


class Server(uvicorn.Server):
    """A server that leaves the process's signals to the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing: uvicorn would raise them again at its end."""
        yield


def server(
    app: ASGIApp,
    host: str,
    port: int,
    proxies: Sequence[str] = ("127.0.0.1",),
    connections: int = 100,
) -> Server:
    """Return a server, not yet serving. Its access log stays off: paths carry secrets.

    `proxies` are believed when they say who the client is (X-Forwarded-For); `connections` is how many it
    holds at once.
    """
    # What strangers send wrong is no trouble of ours, and would fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    known = Stranger(ProxyHeadersMiddleware(app, list(proxies)), proxies)  # type: ignore[arg-type]
    return Server(
        uvicorn.Config(
            known,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            server_header=False,
            proxy_headers=False,  # ours, above
            http=partial(Door, Keeper(connections)),  # type: ignore[arg-type]
            ws="none",
            backlog=BACKLOG,
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
    )
