"""A request to a provider that is no probe's GET."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from monitor.secret import Secret

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
NOTHING = Secret("")


class Request(NamedTuple):
    """What is sent. `secrets` are all that it carries, which whoever shows a word of the answer takes out.

    `query` goes behind the URL's path, where nobody is shown it.
    """

    method: str
    url: str
    content_type: str | None = None
    content: Secret = NOTHING
    authorization: Secret | None = None
    query: Secret = NOTHING
    headers: Mapping[str, str] = MappingProxyType({})
    secrets: tuple[Secret, ...] = ()

    @property
    def shown(self) -> str:
        """What was asked, without query or credentials."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.scheme}://{parts.netloc}{parts.path}"
