"""Where things stand on a listener: the one beginning of all that programs ask for."""

from __future__ import annotations

from urllib.parse import quote

API = "/api/v1"
LIVE = "/live"  # what open pages of the console hear


def of_api(*parts: str) -> str:
    """Return the path of a resource, its parts escaped (RFC 3986 3.3)."""
    return "/".join((API, *(quote(part, safe="") for part in parts)))
