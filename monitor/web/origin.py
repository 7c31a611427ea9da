"""Whether a form was sent from a page of ours (RFC 6454; Fetch Metadata)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from monitor.text.names import unprintable


def same_origin(request: Request, public_url: str) -> bool:
    """Whether a form of ours sent this. Our pages send no referrer, so browsers may say `Origin: null`.

    The Host header says nothing here: whoever makes a request may write anything into it.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin in (None, "null") or _origin(origin) == _origin(public_url)


def of_our_pages(request: Request, public_url: str) -> bool:
    """Whether a page of ours, or nobody's page, let a browser that is signed in send this.

    Stricter than `same_origin`: who says nothing of where it comes from is not believed.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and _origin(origin) is not None and _origin(origin) == _origin(public_url)


def is_path_of_ours(text: str) -> bool:
    """Whether a browser that is sent there stays here.

    Browsers read a backslash as a slash, and leave out tabs and line ends.
    """
    return (
        text.startswith("/")
        and not text.startswith("//")
        and "\\" not in text
        and unprintable(text) is None
        and not urlsplit(text).netloc
    )


def _origin(url: str | None) -> tuple[str, str | None, int | None] | None:
    """Return scheme, host and port of a URL, None where it is none: `http://[bad` and the like."""
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)
