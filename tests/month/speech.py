"""How each provider says what is true: its whoami, its tokens, and its refusals, in the words of the stand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from monitor.clock import Clock
from monitor.providers import catalogue
from monitor.wire.client import Reply
from tests.standins.dialect import Account, Grant
from tests.standins.dialects import EVERY
from tests.standins.http import Reply as Said
from tests.standins.http import Request
from tests.standins.server import said

# The limit that is waited for a day would hide what a month is for.
_LIMITS = {"hubspot": "whoami-too-many-requests"}
LIFE = 604_800  # seconds: with half an hour, a month of a thousand firms would be refreshes alone


@dataclass(frozen=True)
class _Here:
    """What a dialect wants to know of where it is spoken."""

    clock: Clock
    base: str = "https:/"


def account(connection: str) -> str:
    """Return the number of a connection's account, which is one everywhere."""
    firm, _, nth = connection.removeprefix("firm-").partition(".")
    return str(100_000 + int(firm) * 100 + int(nth))


def whoami(provider: str, connection: str, url: str, clock: Clock) -> Reply:
    """Say who a token speaks for."""
    request = _request("GET", url)
    return _reply(EVERY[provider].tells(_Here(clock), request, _grant(connection, clock.now())))  # type: ignore[arg-type]


def tokens(provider: str, connection: str, pair: tuple[str, str], url: str, form: str, clock: Clock) -> Reply:
    """Answer with tokens."""
    dialect = EVERY[provider]
    document: dict[str, Any] = {
        "access_token": pair[0],
        "refresh_token": pair[1],
        "token_type": "bearer",
        "expires_in": LIFE,
        "scope": "",
    }
    request = _request("POST", url, form.encode())
    told = dialect.answers(_Here(clock), request, _grant(connection, clock.now()), document)  # type: ignore[arg-type]
    return Reply(200, _JSON, json.dumps(told).encode())


def comes_with(provider: str, connection: str, at: datetime) -> dict[str, str]:
    """Return what stands in the callback beside code and state."""
    return dict(EVERY[provider].callback(_grant(connection, at)))


def values(provider: str, connection: str) -> dict[str, str]:
    """Return what of a connection stands in URLs, as an import has it."""
    held = catalogue.load(provider).whoami.account_value
    return {held: account(connection)} if held else {}


def refuses(provider: str, *, token: bool) -> Reply:
    """Refuse a refresh token, or an access token."""
    return _reply(said(provider, EVERY[provider].words["revoked" if token else "access"]))


def limits(provider: str) -> Reply:
    """Ask to be asked less."""
    return _reply(said(provider, _LIMITS.get(provider) or EVERY[provider].words["limit"]))


@cache
def region(provider: str) -> str:
    """Return where a fleet of that provider lives."""
    return next(iter(catalogue.load(provider).regions))


_JSON = ((b"content-type", b"application/json"),)


def _grant(connection: str, at: datetime) -> Grant:
    firm = int(connection.removeprefix("firm-").partition(".")[0])
    return Grant([Account(account(connection), f"firm{firm}", f"it@{firm}.example")], set(), at)


def _request(method: str, url: str, body: bytes = b"") -> Request:
    parts = urlsplit(url)
    return Request(method, f"{parts.netloc}{parts.path}", dict(parse_qsl(parts.query)), {}, body)


def _reply(given: Said) -> Reply:
    return Reply(given.status, tuple((n.encode(), t.encode()) for n, t in given.headers.items()), given.body)
