"""What an answer means. What is not Token Health's own says nothing about a connection."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Optional

from token_health_client._errors import Problem
from token_health_client._token import Token
from token_health_client._values import Heard, Lost, Reply

# Bounds of what is believed, in seconds: longer lives are no use, longer waits look like a mistake.
LONGEST_LIFE = 10 * 365 * 86_400
LONGEST_WAIT = 3_600.0
UNSAID_WAIT = 10.0
# What a header may carry (RFC 9110, section 5.5), so that no token brings lines of its own.
_VISIBLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Unchanged:
    """304: the token at hand is still the one."""


@dataclass(frozen=True)
class Look:
    """What came of a signal: the generation after it, and what Token Health saw, if it looked."""

    generation: Optional[int]
    looked: Optional[Mapping[str, Any]]

    @property
    def fine(self) -> bool:
        """Whether the provider takes the token when Token Health shows it."""
        return self.looked is not None and self.looked.get("cause") == "ok"


def token_or_problem(
    connection: str, heard: Heard, asked_at: float, clock: Callable[[], float]
) -> Token | Unchanged | Problem:
    """Read an answer of `/connections/{id}/token`; life counts from asking, which is never too long."""
    if isinstance(heard, Reply) and heard.status == 304:
        return Unchanged()
    if isinstance(heard, Reply) and heard.status == 200:
        token = _token(connection, heard, asked_at, clock)
        return token or _not_ours(connection, heard, "without a token of this connection")
    return problem_of(connection, heard)


def look_or_problem(connection: str, heard: Heard) -> Look | Problem:
    """Read an answer of `/connections/{id}/signals`."""
    if isinstance(heard, Reply) and heard.status in (200, 202):
        told = _object(heard.body)
        looked = told.get("looked")
        if told:
            return Look(_whole(told.get("generation")), looked if isinstance(looked, dict) else None)
        return _not_ours(connection, heard, "which is no answer to a signal")
    return problem_of(connection, heard)


def problem_of(connection: str, heard: Heard) -> Problem:
    """Read an answer that is no success (RFC 9457)."""
    if isinstance(heard, Lost):
        return Problem(0, "unreachable", "Token Health is not reached", heard.why, connection=connection)
    media = heard.headers.get("content-type", "").partition(";")[0].strip().lower()
    told = _object(heard.body) if media == "application/problem+json" and heard.status >= 400 else {}
    if not (isinstance(told.get("code"), str) and told["code"]):
        return _not_ours(connection, heard, f"{media or 'nothing'}, which is not Token Health's")
    return Problem(
        heard.status,
        _line(told["code"]),
        _line(told.get("title")) or "Token Health says no",
        _line(told.get("detail")),
        _request_id(heard, told),
        connection,
        _wait(heard) if heard.status >= 500 or heard.status == 429 else None,
        told,
    )


def date_of(heard: Heard) -> Optional[datetime]:
    """Return the time by the answer's own clock."""
    return _date(heard.headers.get("date", "")) if isinstance(heard, Reply) else None


def _token(connection: str, reply: Reply, asked_at: float, clock: Callable[[], float]) -> Optional[Token]:
    told = _object(reply.body)
    text, generation, kind = told.get("access_token"), _whole(told.get("generation")), told.get("token_type")
    if told.get("connection") != connection or generation is None:
        return None
    if not (isinstance(text, str) and _VISIBLE.fullmatch(text)):
        return None
    life = told.get("expires_in")
    if life is not None and not (isinstance(life, (int, float)) and not isinstance(life, bool) and life >= 0):
        return None
    named = isinstance(kind, str) and _VISIBLE.fullmatch(kind) and kind.lower() != "bearer"
    base_url, scopes = told.get("base_url"), told.get("scopes")
    return Token(
        connection=connection,
        generation=generation,
        base_url=base_url if isinstance(base_url, str) else "",
        account=_mapping(told.get("account")),
        values=_mapping(told.get("values")) or {},
        scopes=tuple(one for one in scopes if isinstance(one, str)) if isinstance(scopes, list) else (),
        health=_mapping(told.get("health")) or {},
        shortfall=_mapping(told.get("shortfall")),
        _access_token=text,
        _token_type=kind if named else "Bearer",
        _ends=None if life is None else asked_at + min(life, LONGEST_LIFE),
        _etag=reply.headers.get("etag"),
        _clock=clock,
    )


def _not_ours(connection: str, reply: Reply, what: str) -> Problem:
    """Somebody in between answered, or something is broken: as good as no answer."""
    return Problem(
        reply.status,
        "unreachable",
        "Token Health is not reached",
        f"answered {reply.status} {what}",
        _request_id(reply, {}),
        connection,
        _wait(reply) if "retry-after" in reply.headers else None,
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _mapping(value: object) -> Optional[Mapping[str, Any]]:
    return value if isinstance(value, dict) else None


def _whole(value: object) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _line(value: object) -> str:
    """One printable line, bounded: it ends up in logs."""
    text = value if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else " " for one in text[:300])


def _request_id(reply: Reply, told: Mapping[str, Any]) -> str:
    said = reply.headers.get("x-request-id") or str(told.get("instance", "")).rpartition(":")[2]
    return _line(said)[:64]


def _wait(reply: Reply) -> float:
    """Retry-After in seconds; a date counts from the answer's own `Date`, since our clock may be wrong."""
    said = reply.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        return min(max(float(said), 1.0), LONGEST_WAIT)
    until, now = _date(said), _date(reply.headers.get("date", ""))
    if until is None or now is None:
        return UNSAID_WAIT
    return min(max((until - now).total_seconds(), 1.0), LONGEST_WAIT)


def _date(text: str) -> Optional[datetime]:
    try:
        said = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return said if said.tzinfo is not None else None
