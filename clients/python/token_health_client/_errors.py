"""Why there is no token, as exceptions that say who has to act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional


@dataclass(frozen=True)
class Problem:
    """A problem as Token Health told it (RFC 9457), or as this library found it.

    `code` is what programs compare. `members` are all that came along; take what you know, ignore the rest.
    `status` is 0 where nobody answered. `retry_after` is in seconds, None where trying again is no cure.
    """

    status: int
    code: str
    title: str
    detail: str = ""
    request_id: str = ""
    connection: str = ""
    retry_after: Optional[float] = None
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        about = f"{self.connection}: " if self.connection else ""
        detail = f": {self.detail}" if self.detail else ""
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{about}{self.title}{detail} ({self.code}{request})"


class TokenHealthError(Exception):
    """Something stands between you and a token; `problem` is all that is known of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem

    def __reduce__(self) -> tuple[type[TokenHealthError], tuple[Problem]]:
        return type(self), (self.problem,)

    @property
    def connection(self) -> str:
        """Whose token was asked for."""
        return self.problem.connection

    @property
    def code(self) -> str:
        """The word that programs compare."""
        return self.problem.code

    @property
    def title(self) -> str:
        """One line for people."""
        return self.problem.title

    @property
    def detail(self) -> str:
        """What is special about this case; may be empty."""
        return self.problem.detail

    @property
    def status(self) -> int:
        """The HTTP status of the answer; 0 where nobody answered."""
        return self.problem.status

    @property
    def request_id(self) -> str:
        """What Token Health's logs name this request by."""
        return self.problem.request_id

    def _text(self, name: str) -> str:
        value = self.problem.members.get(name)
        return value if isinstance(value, str) else ""


class NeedsPerson(TokenHealthError):
    """409: no token until a person acts. Park the work until `connection.recovered`."""

    @property
    def state(self) -> str:
        """The connection's state, such as `broken`."""
        return self._text("state")

    @property
    def cause(self) -> str:
        """Why, such as `revoked`. New causes may come: do not assume to know all."""
        return self._text("cause")

    @property
    def owner(self) -> str:
        """Who can mend it: `client`, `operator` or `provider`."""
        return self._text("owner")

    @property
    def since(self) -> str:
        """Since when, RFC 3339."""
        return self._text("since")

    @property
    def next_step(self) -> str:
        """What that person does, as a sentence."""
        return self._text("next_step")

    @property
    def confidence(self) -> Optional[float]:
        """How sure Token Health is of the cause, 0 to 1."""
        value = self.problem.members.get("confidence")
        return float(value) if isinstance(value, (int, float)) else None

    @property
    def incident(self) -> Optional[int]:
        """The number of the incident."""
        value = self.problem.members.get("incident")
        return value if isinstance(value, int) else None

    @property
    def told(self) -> Sequence[Mapping[str, Any]]:
        """Who was told already."""
        value = self.problem.members.get("told")
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

    @property
    def reconnect_url(self) -> Optional[str]:
        """The link that mends it, if the client can and the key may see it (`links:create`)."""
        reconnect = self.problem.members.get("reconnect")
        url = reconnect.get("url") if isinstance(reconnect, dict) else None
        return url if isinstance(url, str) else None


class TryLater(TokenHealthError):
    """503, 429: it passes by itself. Try again in `seconds`."""

    @property
    def seconds(self) -> float:
        """How long from the moment of raising; until then calls are answered from memory."""
        return self.problem.retry_after or 0.0


class Unreachable(TryLater):
    """Token Health did not answer, or another did in its place: nothing is said about the connection."""


class StillRefused(TokenHealthError):
    """The provider refused this token, and there is no other one."""

    @property
    def looked(self) -> Optional[Mapping[str, Any]]:
        """What Token Health saw just now; its `cause` is `ok` where the token works. None: no look."""
        value = self.problem.members.get("looked")
        return value if isinstance(value, dict) else None


class Rejected(TokenHealthError):
    """The request cannot be granted as it is; trying again is no cure."""


class Unauthorized(Rejected):
    """401: the key is unknown, expired or revoked."""


class Forbidden(Rejected):
    """403: this key may not, here or in this way; `problem.members` may name what it `needs`."""


class NotFound(Rejected):
    """404: no such connection, or outside what the key may see."""


class NotCustodian(Rejected):
    """409: another system keeps this connection's tokens."""


_BY_CODE: Mapping[str, type[TokenHealthError]] = {
    "needs_person": NeedsPerson,
    "not_custodian": NotCustodian,
    "still_refused": StillRefused,
    "unreachable": Unreachable,
}
_BY_STATUS: Mapping[int, type[TokenHealthError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    429: TryLater,
}


def error_of(problem: Problem) -> TokenHealthError:
    """Return the exception of a problem; a new one for each caller, since tracebacks grow on them."""
    kind = _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status)
    if kind is None:
        kind = TryLater if problem.status >= 500 else Rejected
    return kind(problem)
