"""Who stands before the listener: the reverse proxies that are believed, and those that nobody named.

A proxy that is not in `[web] proxies` is taken for a client, and all clients share its one rate limit. It
cannot be believed without being named, since anyone may send X-Forwarded-For; but it can be noticed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger("monitor.web")

# Addresses that are told of, once each.
MOST_TOLD = 10


class Stranger:
    """Says in the log when a proxy that is not believed sends clients here."""

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        self.app = app
        self._known = [ipaddress.ip_network(one) for one in proxies]
        self._told: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at who connects, before uvicorn's middleware puts the client in its place."""
        client = scope.get("client")
        if client is not None and len(self._told) < MOST_TOLD:
            self._look(scope, client[0])
        await self.app(scope, receive, send)

    def _look(self, scope: Scope, host: str) -> None:
        if host in self._told or not any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            return
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return
        if not any(address in network for network in self._known):
            self._told.add(host)
            log.warning(
                "web.unknown_proxy",
                address=host,
                why="it sends X-Forwarded-For and is not in web.proxies, so all its clients share one limit",
            )
