"""The API as a program asks it: with a key, from wherever it runs. The other commands need none of it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from monitor.errors import ConfigurationError, TokenHealthError

KEY, URL = "TOKEN_HEALTH_API_KEY", "TOKEN_HEALTH_URL"
LARGEST = 2**20  # bytes of an answer
LONGEST = 90  # seconds: above the longest wait of the API
PASSES = 503


class NotNow(TokenHealthError):
    """The API was asked as it wants to be, and says that there is nothing now."""

    exit_code = 1


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would take the key along to wherever it is sent."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


def address(url: str | None, config: Path | None) -> str:
    """Return where the API is: as given, or this configuration's public_url. Raises ConfigurationError."""
    if not url:
        from monitor.cli.root import loaded

        url = loaded(config).settings.web.public_url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ConfigurationError("--url is https://HOST[:PORT]; the key is passed apart, in " + KEY + ".")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigurationError(f"The key would go to {parts.hostname} unencrypted: give --url https://….")
    return url.rstrip("/")


def asked(
    base: str, connection: str, what: str, query: Mapping[str, str], body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Ask about a connection and return the answer. Raises NotNow, TokenHealthError, ConfigurationError."""
    named = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    url = f"{base}/api/v1/connections/{quote(connection, safe='')}/{what}" + (f"?{named}" if named else "")
    headers = {"Authorization": f"Bearer {_key()}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - its scheme was looked at
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=LONGEST) as answer:
            found = _document(answer.read(LARGEST))
            if found is None:
                _not_the_api(base, answer.status)
            return found
    except urllib.error.HTTPError as refusal:
        with refusal:
            problem = _document(refusal.read(LARGEST))
        if problem is None or "code" not in problem:
            _not_the_api(base, refusal.code)
        raise _error(problem, refusal.headers.get("Retry-After")) from None
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise TokenHealthError(f"{base} does not answer: {why}") from None


def _key() -> str:
    from monitor.host import confined

    key = confined.environment().get(KEY, "").strip()
    if not key.isascii() or not key.isprintable() or not key:
        raise ConfigurationError(f"{KEY} holds no API key; on the service's host 'api keys new' makes one.")
    confined.take_out([KEY])
    return key


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _not_the_api(base: str, status: int) -> NoReturn:
    raise TokenHealthError(
        f"{base} answered {status}, and not as the API does: give the API's own address by --url or {URL}."
    )


def _error(problem: Mapping[str, Any], retry_after: str | None) -> TokenHealthError:
    """Say a problem (RFC 9457) in one line."""
    said = f"{problem.get('title')} ({problem['code']})"
    if problem["code"] == "needs_person":
        who = f"{problem.get('cause')}, the {problem.get('owner')} acts. {problem.get('next_step')}"
        return NotNow(f"{said}: {who}")
    if problem.get("status") == PASSES:
        return NotNow(f"{said}. Again in {retry_after or 'some'} s.")
    detail = problem.get("detail")
    return TokenHealthError(f"{said}: {detail}" if detail else f"{said}.")
