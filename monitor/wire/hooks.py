"""JSON posted to services of our own side, such as Alertmanager: no proxy, no bearer token of a client.

The HTTP client is loaded where one is made: most commands know of a hook and post nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from monitor.errors import ConfigurationError
from monitor.host.trust import trusted
from monitor.secret import Secret
from monitor.text.echoes import without
from monitor.wire.settings import USER_AGENT

LARGEST_ANSWER = 2000  # characters of an error that are worth keeping


class Hook:
    """One address that takes JSON; a user and password in its URL go into the header (RFC 7617)."""

    def __init__(self, url: Secret, *, ca_file: Path | None = None, timeout: float = 10.0) -> None:
        import httpx

        parts = urlsplit(url.reveal())
        host = parts.netloc.rpartition("@")[2]
        self.host = host
        self._url = Secret(urlunsplit((parts.scheme, host, parts.path, parts.query, "")))
        self._auth = (
            httpx.BasicAuth(unquote(parts.username or ""), unquote(parts.password or ""))
            if parts.username or parts.password
            else None
        )
        # What of the address nobody may read: a service may show it in its error.
        hidden = [parts.password, parts.password and unquote(parts.password)]
        hidden += [value for _, value in parse_qsl(parts.query)]
        self._secrets = tuple(Secret(text) for text in hidden if text)
        self._timeout = timeout
        try:
            self._tls = trusted(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"{ca_file}: its certificates cannot be read: {error}.") from None

    async def post(self, path: str, document: Any) -> tuple[int | None, str]:
        """Post a document below the address; return the status, None without an answer, and why not."""
        import httpx

        headers = {"User-Agent": USER_AGENT}
        try:
            async with (
                asyncio.timeout(self._timeout),
                httpx.AsyncClient(
                    verify=self._tls, trust_env=False, timeout=self._timeout, headers=headers, auth=self._auth
                ) as client,
            ):
                answer = await client.post(self._url.reveal().rstrip("/") + path, json=document)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            # `from None` in spirit: the error keeps the request, and that the address.
            return None, f"{self.host}: {type(error).__name__}"
        said = without(answer.text[:LARGEST_ANSWER], self._secrets)
        return answer.status_code, " ".join(said.split())
