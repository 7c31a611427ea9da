"""What was asked of a provider, and what came back: the facts a finding rests on.

Nothing secret gets in here. Text from outside passes `redact` where the value is made, a name `plain`, so a
log line, a page or a mail may show any evidence as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from monitor.health.causes import Cause
from monitor.secret import Secret
from monitor.text.echoes import REMOVED, without

SAMPLE_LENGTH = 400

# Long unbroken runs of token alphabet, and the values of the fields that carry secrets in OAuth
# answers (RFC 6749 5.1, RFC 7636 4.5).
_SECRET_FIELD = re.compile(
    r"""(["']?(?:access_token|refresh_token|id_token|client_secret|code|code_verifier|assertion|password|token)["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s&,;}<]+)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_LONG_RUN = re.compile(r"[A-Za-z0-9_~+/-][A-Za-z0-9._~+/=-]{31,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_EMAIL = re.compile(r"\b([A-Za-z0-9])[A-Za-z0-9._%+-]*@([A-Za-z0-9.-]+\.[A-Za-z]{2,})")


def redact(text: str, limit: int = SAMPLE_LENGTH, sent: Iterable[Secret] = (), *, ids: bool = False) -> str:
    """Return `text` without tokens, addresses and control characters, at most `limit` characters.

    `sent` are the secrets of the very request that this answers: they go first, in every encoding. `ids`
    leaves long runs of letters and digits, where a provider's support asks for the id of a request.
    """
    # Cut generously first, so that a 60 KB page costs no regular expression over all of it; a secret
    # cut in two at this edge is known by its beginning.
    text = without(_encodable(text[: limit * 4]), sent)
    text = _SECRET_FIELD.sub(rf"\1{REMOVED}", text)
    text = _BEARER.sub(rf"\1 {REMOVED}", text)
    text = (_JWT if ids else _LONG_RUN).sub(REMOVED, text)
    text = _EMAIL.sub(r"\1…@\2", text)
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def without_tokens(text: str) -> str:
    """Return a sentence of ours without what may be a token: a file may have it in another column."""
    return _LONG_RUN.sub(REMOVED, _BEARER.sub(rf"\1 {REMOVED}", text))


LONGEST_ACCOUNT = 255


def account_number(text: str | None) -> str | None:
    """Return an account's id as it is compared, or None for what cannot be one.

    Never cut: two accounts that begin alike would become one. OpenID Connect Core 2 has 255 characters.
    """
    if text is None or not text.strip() or len(text) > LONGEST_ACCOUNT or _CONTROL.search(text):
        return None
    return _encodable(text).strip()


def _encodable(text: str) -> str:
    # JSON may bring half of a surrogate pair, which no database and no terminal takes.
    return text.encode("utf-8", "replace").decode("utf-8")


class Step(StrEnum):
    """What a request of ours was for."""

    REFRESH = "refresh"
    WHOAMI = "whoami"
    SCOPE = "scope"
    INTROSPECT = "introspect"
    EXCHANGE = "exchange"  # of a code for tokens: at the token endpoint, as a refresh
    AUTHORIZE = "authorize"  # what a browser is sent to, nobody signed in
    CALLBACK = "callback"  # the browser's, on its way back from the provider (RFC 6749 4.1.2.1)


class FaultKind(StrEnum):
    """How a request ended without an answer."""

    DNS = "dns"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    READ_TIMEOUT = "read_timeout"
    RESET = "reset"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    OURS = "ours"  # our own pool, configuration or code; never the provider's
    EXHAUSTED = (
        "exhausted"  # we had no descriptor, memory or thread left for it; says nothing of anybody else
    )


# Where the request certainly did not reach the provider, an unused refresh token is still unused.
CERTAINLY_NOT_SENT = frozenset(
    {FaultKind.DNS, FaultKind.UNREACHABLE, FaultKind.REFUSED, FaultKind.TLS, FaultKind.CONNECT_TIMEOUT}
)


class Content(StrEnum):
    """What kind of body an answer had, by what it parses as, not by what its header claims."""

    JSON = "json"
    HTML = "html"
    OTHER = "other"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, reduced to what a rule can match and a person can read."""

    status: int
    content: Content = Content.JSON
    error: str | None = None
    description: str | None = None
    challenge: str | None = None  # the error of WWW-Authenticate's Bearer challenge (RFC 6750 3)
    sample: str = ""
    retry_at: datetime | None = None
    redirect: str | None = None  # the host a 3xx points at
    refusal: bool = False  # it refuses, by what the provider's file calls a refusal, whatever its status
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()  # further ones that the file names, of an error
    headers: tuple[tuple[str, str], ...] = ()  # those that the file names, of an error; lower-case names

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.content is Content.JSON and self.accepted

    @property
    def accepted(self) -> bool:
        """Whether it says yes: a status of success, and no word of an error in it."""
        return 200 <= self.status < 300 and self.error is None and not self.refusal


@dataclass(frozen=True, slots=True)
class Fault:
    """A request that got no usable answer.

    `left` is what the transport saw: whether a byte of the request may have been sent. None where nobody
    watched, so that its kind has to tell.
    """

    kind: FaultKind
    detail: str = ""
    left: bool | None = None

    @property
    def ok(self) -> bool:
        return False

    @property
    def perhaps_sent(self) -> bool:
        """Whether the provider may have acted on the request all the same."""
        if self.left is not None:
            return self.left
        return self.kind not in CERTAINLY_NOT_SENT | {FaultKind.OURS, FaultKind.EXHAUSTED}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its outcome. `seconds` is the time it took; `scope` is set for scope checks."""

    step: Step
    asked: str  # "GET https://host/path", without query or credentials
    host: str
    at: datetime
    seconds: float
    outcome: Answer | Fault
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the token speaks for, as whoami says.

    `accounts`, ids and names, where one token reaches several: the account is the one on record, or the only
    one, else none.
    """

    account_id: str | None
    account_name: str | None = None
    user: str | None = None
    accounts: tuple[tuple[str, str], ...] | None = None

    @property
    def choice(self) -> tuple[tuple[str, str], ...]:
        """The accounts of which a person has to name one, where none of them is known to be meant."""
        return (self.accounts or ()) if self.account_id is None else ()


@dataclass(frozen=True, slots=True)
class Introspection:
    """What the provider's introspection endpoint says of a refused token (RFC 7662 2.2)."""

    active: bool
    expires_at: datetime | None


class RefreshNote(StrEnum):
    """What became of a refresh that this probe wanted, beside what the provider answered."""

    DONE = "done"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"  # an answer was lost; the refresh token is sent again when nothing is left to lose
    LOST = "lost"  # an answer was lost, and nothing is left to try
    BUSY = "busy"  # another refresh of this connection is under way, or may not be begun just now
    ELSEWHERE = "elsewhere"  # another process refreshed; its pair was used
    NO_TOKEN = "no_refresh_token"
    UNREADABLE = "unreadable"  # a stored credential does not decrypt
    OTHER_APP = "other_app"  # it was given to what its app was before: another provider, or region


@dataclass(frozen=True, slots=True)
class Grant:
    """What is known of the grant before asking: the clock's side of the evidence.

    Lifetimes are the provider's, as configured; `None` means unknown, never 'for ever'.
    """

    account_id: str | None = None
    needed: tuple[str, ...] = ()
    granted: frozenset[str] | None = None  # RFC 6749 5.1 `scope`, where the provider says it
    app_scopes: frozenset[str] | None = None  # what our registration has, as configured
    read_before: Mapping[str, datetime] = field(default_factory=dict)  # scope -> last good read
    authorized_at: datetime | None = None
    refresh_used_at: datetime | None = None  # or, not known, since we have it
    issued_at: datetime | None = None  # when the provider gave this pair to us, so that both worked
    access_expires_at: datetime | None = None
    idle_lifetime: timedelta | None = None
    absolute_lifetime: timedelta | None = None
    # As the provider itself told, which is stronger than these lifetimes.
    refresh_ends_at: datetime | None = None  # unless the refresh token is used before
    grant_ends_at: datetime | None = None  # whatever is done
    has_refresh_token: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was found out about one connection at one time, by a probe or by who works with it."""

    at: datetime
    exchanges: tuple[Exchange, ...] = ()
    identity: Identity | None = None
    refresh: RefreshNote | None = None
    grant: Grant = field(default_factory=Grant)
    # Earlier refreshes whose answers were lost, where they count again; as evidence is kept (`explain`).
    unanswered: tuple[Mapping[str, Any], ...] = ()
    introspection: Introspection | None = None
    told_before: Cause | None = None  # what introspection said of these tokens when their trouble began
    complete: bool = True  # False: scopes that had to be checked were not
    held: bool = False  # a first account that has to wait for a person
    lacks: tuple[str, ...] = ()  # values of the connection without which nothing could be asked

    @property
    def retry_at(self) -> datetime | None:
        """When the provider takes the next request, by what it said last of all; None when it may come.

        An introspection endpoint that wants to be left alone does not put off the next look.
        """
        asked = [
            e.outcome.retry_at
            for e in self.exchanges
            if isinstance(e.outcome, Answer) and e.step is not Step.INTROSPECT
        ]
        return max((at for at in asked if at is not None), default=None)

    def last(self, step: Step) -> Exchange | None:
        """Return the last exchange of a step, if there was one."""
        for exchange in reversed(self.exchanges):
            if exchange.step is step:
                return exchange
        return None
