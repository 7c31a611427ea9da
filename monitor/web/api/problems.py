"""What goes wrong, as programs are told it: `application/problem+json` (RFC 9457), from one list of codes.

`code` is what programs compare. A problem never holds the value that was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.responses import Response

from monitor.errors import Remedy
from monitor.operations import documents
from monitor.web.api.json import compact
from monitor.web.paths import of_api

MEDIA_TYPE = "application/problem+json"
URN = "urn:token-health:problem:"


class Kind(NamedTuple):
    """One code: its status, what it means, and what to do about it."""

    status: int
    title: str
    cure: str


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(400, "The request cannot be read", "Send JSON in UTF-8, and each escape whole."),
    "repeated_parameter": Kind(
        400,
        "A parameter is given twice",
        "Give each name once; several values are written `a,b`.",
    ),
    "bad_cursor": Kind(
        400,
        "The cursor is of another list",
        "Begin again without a cursor; a cursor is good for its own path, filters, order and key.",
    ),
    "key_in_url": Kind(
        400,
        "A key stood in the URL",
        "Send it as `Authorization: Bearer`. Rotate this key: URLs stand in logs.",
    ),
    "no_credentials": Kind(
        401,
        "Nobody is signed in",
        "Send an API key as `Authorization: Bearer`, or sign in.",
    ),
    "bad_credentials": Kind(
        401,
        "The credentials are not good",
        "The key is unknown, expired or revoked, or the session is over: make another.",
    ),
    "missing_scope": Kind(403, "The scope is missing", "Use a key with the scope that `needs` names."),
    "wrong_network": Kind(
        403,
        "The key is not good from here",
        "Send from one of the key's networks, or change them.",
    ),
    "insecure_transport": Kind(
        403,
        "The connection is not encrypted",
        "Use https, or name the network in [web] insecure_networks.",
    ),
    "cross_site": Kind(403, "Another site sent this", "Send it from a page of the service itself."),
    "handout_off": Kind(
        403,
        "The connection's tokens are not handed out",
        "An operator switched it off, and can switch it on again.",
    ),
    "beyond_own_rights": Kind(
        403,
        "It would give more than one has",
        "Ask somebody whose role has it; a key never makes a key.",
    ),
    "sign_in_first": Kind(
        403,
        "Nobody can sign in yet",
        "Whoever runs the service adds the first user on its host.",
    ),
    "not_found": Kind(
        404,
        "There is no such thing",
        "Look at the list it should be in; what lies outside of a key's restriction is not there for it.",
    ),
    "not_allowed": Kind(405, "The method is not for this", "Use one of those that `Allow` names."),
    "needs_person": Kind(
        409,
        "No token until a person acts",
        "Park the work. `connection.recovered` tells when it goes on.",
    ),
    "not_custodian": Kind(409, "Token Health does not hold these tokens", "Ask whoever refreshes them."),
    "exists": Kind(409, "It is there already", "Change it, or choose another name."),
    "wrong_state": Kind(
        409,
        "It does not go with what stands",
        "Look how it stands, and what `detail` says.",
    ),
    "selection_changed": Kind(
        409,
        "Another number of connections than expected",
        "Look at the selection again; nothing was done.",
    ),
    "idempotency_in_progress": Kind(
        409,
        "The same request is running",
        "Ask again after a second, with the same key.",
    ),
    "idempotency_answer_lost": Kind(
        409,
        "It was done, and its answer was lost",
        "Look how it stands: the process ended between doing it and saying so.",
    ),
    "changed_meanwhile": Kind(
        412,
        "It was changed meanwhile",
        "Read it again: `revision` says where it is now.",
    ),
    "too_large": Kind(413, "The request is too large", "Send less at once."),
    "not_json": Kind(415, "The body is not of the right type", "Send the Content-Type that `detail` names."),
    "invalid": Kind(422, "The request cannot be used as written", "`errors` says where, and what is wrong."),
    "idempotency_reused": Kind(
        422,
        "The Idempotency-Key was used for another request",
        "Use a new one for each request.",
    ),
    "precondition_required": Kind(428, "It takes If-Match", "Send the ETag that GET answered as If-Match."),
    "too_many_requests": Kind(429, "Too many requests", "Wait for Retry-After."),
    "too_many_failures": Kind(
        429,
        "Too many failed attempts",
        "Wait for Retry-After, and look at the credentials.",
    ),
    "internal": Kind(
        500,
        "A fault of the service",
        "Report it with the request's id, which the log has, too.",
    ),
    "cannot_renew_now": Kind(
        503,
        "The token cannot be renewed just now",
        "Ask again after Retry-After: it passes.",
    ),
    "refresh_under_way": Kind(503, "The token is being renewed", "Ask again after Retry-After."),
    "refresh_refused_once": Kind(
        503,
        "The provider refused once; it is looked at again",
        "Ask again after Retry-After: it passes, or a person is asked.",
    ),
    "database_unavailable": Kind(503, "The database cannot be reached", "Ask again after Retry-After."),
    "clock_skewed": Kind(
        503,
        "The process's clock is wrong",
        "Ask again after Retry-After; another process may answer.",
    ),
    "too_many_waiters": Kind(503, "Too many wait already", "Ask again after Retry-After."),
    "stopping": Kind(503, "The process is stopping", "Ask again: another process answers."),
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong: a JSON pointer (RFC 6901), or `?name` of a query, and what."""

    at: str
    said: str


class Problem(Exception):
    """What a request comes to instead of an answer. `more` are members beside those of every problem."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Iterable[Wrong] = (),
        after: float | None = None,
        headers: Mapping[str, str] | None = None,
        remedies: Iterable[Remedy] = (),
        **more: Any,
    ) -> None:
        super().__init__(detail or KINDS[code].title)
        self.code, self.detail = code, detail
        self.errors, self.after = tuple(errors), after
        self.headers, self.remedies, self.more = dict(headers or {}), tuple(remedies), more

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.code].status

    def document(self, request_id: str) -> dict[str, Any]:
        """Return what is answered."""
        kind = KINDS[self.code]
        found: dict[str, Any] = {
            "type": URN + self.code,
            "code": self.code,
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail or kind.cure,
            "instance": f"urn:token-health:request:{request_id}",
            "help": of_api("problems", self.code),
        }
        if self.errors:
            found["errors"] = [{"at": one.at, "said": one.said} for one in self.errors]
        if self.remedies:
            found["remedies"] = [documents.remedy(one) for one in self.remedies]
        return found | self.more

    def response(self, request_id: str) -> Response:
        """Return the answer. Every 503 and 429 says when to ask again (RFC 9110 10.2.3)."""
        headers = dict(self.headers)
        after = self.after if self.after is not None else _AFTER.get(self.status)
        if after is not None:
            headers["Retry-After"] = str(max(1, int(after + 0.999)))
        if self.status == 401:
            error = ', error="invalid_token"' if self.code == "bad_credentials" else ""
            headers["WWW-Authenticate"] = f'Bearer realm="token-health"{error}'
        return Response(compact(self.document(request_id)), self.status, headers, MEDIA_TYPE)


_AFTER = {503: 5.0, 429: 5.0}


def catalogue() -> list[dict[str, Any]]:
    """Return every code, with its meaning and cure."""
    return [
        {"code": code, "status": kind.status, "title": kind.title, "cure": kind.cure, "type": URN + code}
        for code, kind in KINDS.items()
    ]
