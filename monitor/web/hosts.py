"""The names that the service answers to, so that no page elsewhere reads it by a name of its own.

A page of a stranger's may let its own name point to this machine once it is loaded (DNS rebinding): the
visitor's browser then takes our answers for that page's, `/metrics` with every client's name too. It sends
the stranger's name as Host, and that gives it away. Addresses cannot be rebound, nor can names that nobody
owns in public: those without a dot, and those under the reserved endings.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# RFC 6761 and RFC 2606, RFC 6762, RFC 8375, ICANN's resolution of 2024-07-29; `svc` is Kubernetes' own.
NOBODYS = (".localhost", ".test", ".example", ".invalid", ".local", ".home.arpa", ".internal", ".svc")

# What a Host header can be (RFC 9110 7.2, RFC 3986 3.2.2): with a slash in it, what comes after would be read
# for the path of the request.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[\w.~%!$&'()*+,;=-]*)(:[0-9]*)?", re.ASCII)


def known(host: str, names: Collection[str]) -> bool:
    """Whether a Host header names this service: by `names`, by an address, or by a name that nobody owns."""
    if not _HOST.fullmatch(host):
        return False
    name = _without_port(host).rstrip(".").lower()
    return name in names or "." not in name or name.endswith(NOBODYS) or _is_address(name)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    if not (colon and port.isdigit()):
        name = host
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class KnownHosts:
    """Answers 421 to requests for another name (RFC 9110 15.5.20), before anything is done."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app, self.names = app, frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is meant for us."""
        if scope["type"] == "http":
            given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if not all(known(host, self.names) for host in given):
                said = "This service does not answer to that name. If it should, add it to [web] hosts.\n"
                await PlainTextResponse(said, 421)(scope, receive, send)
                return
        await self.app(scope, receive, send)
