"""What a provider's answer says about a token, taken from whatever HTTP library brought it.

Read are `status_code`, `status` or `code`; `headers`; `content`, `text` or `body`; and of the request its
method and its URL without query. Nothing is read that would take the answer from its owner.
"""

from __future__ import annotations

import re
from typing import Any, Optional
from urllib.parse import urlsplit

from token_health_client._token import Token

BODY_BYTES = 4_096
LINE = 500  # characters
_HEADERS = re.compile(r"www-authenticate|retry-after|date|content-type|x-ratelimit-[a-z0-9-]{1,40}")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_KINDS = {401: "unauthorized", 403: "forbidden", 429: "rate_limited"}


def kind_of(answer: object) -> Optional[str]:
    """Return the kind of signal an answer is worth, or None; an exception without answer is `unreachable`."""
    status = status_of(answer)
    if status is None:
        return "unreachable" if isinstance(answer, BaseException) else None
    if 200 <= status < 300 or status == 304:
        return "success"
    return _KINDS.get(status) or ("unreachable" if status >= 500 else None)


def status_of(answer: object) -> Optional[int]:
    """Return the HTTP status of an answer, of an exception that carries one, or of a plain number."""
    answer = _unwrapped(answer)
    for value in (answer, *(_get(answer, name) for name in ("status_code", "status", "code"))):
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value) if 100 <= value <= 599 else None
    return None


def signal_of(kind: str, token: Token, answer: object, scope: Optional[str] = None) -> dict[str, Any]:
    """Return a signal about a token, without what is secret; a success says no more than its status."""
    answer = _unwrapped(answer)
    signal: dict[str, Any] = {"kind": kind, "generation": token.generation}
    if scope is not None:
        signal["scope"] = _line(str(scope), LINE)
    status = status_of(answer)
    if status is None:
        return signal
    told: dict[str, Any] = {"status": status}
    signal["answer"] = told
    if kind == "success" or isinstance(answer, int):
        return signal
    asked = _asked(answer)
    if asked:
        signal["asked"] = asked
    headers, body = _headers(answer, token), _clean(_body(answer), token)
    if headers:
        told["headers"] = headers
    if body:
        told["body"] = body.encode("utf-8")[:BODY_BYTES].decode("utf-8", "ignore")
    return signal


def _unwrapped(answer: object) -> object:
    """Return the answer that an exception of requests or httpx carries, else what was given."""
    if isinstance(answer, BaseException) and not isinstance(_get(answer, "code"), int):
        inner = _get(answer, "response")
        return answer if inner is None else inner
    return answer


def _get(thing: object, name: str) -> Any:
    """Return an attribute; None where a library computes it and fails."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def _asked(answer: object) -> str:
    request = _get(answer, "request")
    method = _get(request, "method")
    url = urlsplit(str(_get(answer, "url") or _get(request, "url") or ""))
    if not isinstance(method, str) or not url.hostname:
        return ""
    return _line(f"{method} {url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}", LINE)


def _headers(answer: object, token: Token) -> dict[str, str]:
    headers = _get(answer, "headers")
    try:
        pairs = [(str(name).lower(), str(value)) for name, value in headers.items()]
    except Exception:
        return {}
    kept = [(name, value) for name, value in pairs if _HEADERS.fullmatch(name)]
    return {name: _line(_clean(value, token), LINE) for name, value in kept[:20]}


def _body(answer: object) -> str:
    if _get(answer, "_content") is False:  # requests: a stream that nobody has read yet
        return ""
    for name in ("content", "text", "body"):
        value = _get(answer, name)
        if isinstance(value, (bytes, bytearray)):
            return bytes(value[: 2 * BODY_BYTES]).decode("utf-8", "replace")
        if isinstance(value, str):
            return value[: 2 * BODY_BYTES]
    peek = _get(answer, "peek")  # urllib: what has come already, left for its owner
    try:
        return bytes(peek(BODY_BYTES)[: 2 * BODY_BYTES]).decode("utf-8", "replace")
    except Exception:
        return ""


def _clean(text: str, token: Token) -> str:
    """Without the token, should an answer echo it, and without what Token Health refuses in a text."""
    text = text.replace(token.access_token, "…").encode("utf-8", "replace").decode("utf-8")
    return _CONTROLS.sub(" ", text)


def _line(text: str, most: int) -> str:
    return "".join(one if one.isprintable() else " " for one in text)[:most]
