"""The web application and the server that runs it inside our loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.ops import Ops
from monitor.web.reauthorize import Reauthorize

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


def application(ops: Ops, pages: Reauthorize) -> Starlette:
    """Put the pages together."""
    return Starlette(routes=[*ops.routes(), *pages.routes()], middleware=[Middleware(SafeHeaders)])


class Server(uvicorn.Server):
    """A server that leaves the process's signals to the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing: uvicorn would raise them again at its end."""
        yield


def server(app: Starlette, host: str, port: int, proxies: Sequence[str] = ("127.0.0.1",)) -> Server:
    """Return a server, not yet serving. Its access log stays off: paths carry secrets.

    `proxies` are believed when they say who the client is (X-Forwarded-For).
    """
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            server_header=False,
            forwarded_allow_ips=list(proxies),
        )
    )
