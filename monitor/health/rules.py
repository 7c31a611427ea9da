"""Rules that read an answer, and the list of what the standards themselves say.

A provider's file adds rules of its own; they are tried first, and the first match wins. `revoked` is said of
the API's own JSON or Bearer challenge only: a firewall's page says nothing about a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from monitor.health.causes import Cause
from monitor.health.evidence import Answer, Content, Step


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@dataclass(frozen=True, slots=True)
class Rule:
    """What an answer has to look like, and the cause that it then speaks of. Empty fields match all."""

    name: str
    cause: Cause
    step: Step | None = None
    status: tuple[int, int] | None = None  # inclusive range
    error: frozenset[str] | None = None
    description: str | None = None  # a regular expression, searched
    content: Content | None = None
    challenge: str | None = None  # the error in WWW-Authenticate
    fields: tuple[tuple[str, frozenset[str]], ...] = ()  # a further field, and the texts of which it has one
    headers: tuple[tuple[str, str], ...] = ()  # a header by its lower-case name, and a regular expression
    text: str | None = None  # a regular expression, searched in a body that is not JSON
    wait: timedelta | None = None  # how long to leave it alone, where the answer does not say
    setting: str | None = None  # which setting of the client's administrator keeps us out
    weigh: bool = False  # the answer does not say which of several causes: hear memory and clock too

    @property
    def says(self) -> bool:
        """Whether it rests on the provider's own words; a bare status leaves open why."""
        words = (self.error, self.description, self.challenge)
        return not self.weigh and any(word is not None for word in words)

    def matches(self, step: Step, answer: Answer) -> bool:
        """Whether this rule speaks of that answer to that step."""
        if self.step is not None and self.step is not step:
            return False
        if self.status is not None and not self.status[0] <= answer.status <= self.status[1]:
            return False
        if self.content is not None and self.content is not answer.content:
            return False
        if self.error is not None and answer.error not in self.error:
            return False
        if self.challenge is not None and self.challenge != answer.challenge:
            return False
        if self.description is not None:
            return bool(_compiled(self.description).search(answer.description or ""))
        return True


def _one(status: int) -> tuple[int, int]:
    return (status, status)


def _lacks_scope(step: Step) -> tuple[Rule, ...]:
    """RFC 6750 3.1: 403 by the standard; some say it with another status, or with an error inside a 200."""
    name, code = "rfc6750.insufficient_scope", "insufficient_scope"
    cause = Cause.INSUFFICIENT_SCOPE
    return (
        Rule(name, cause, step, (400, 499), challenge=code),
        Rule(name, cause, step, (400, 499), error=frozenset({code}), content=Content.JSON),
        Rule(name, cause, step, _one(200), error=frozenset({code}), content=Content.JSON),
    )


STANDARDS: tuple[Rule, ...] = (
    # RFC 6585 4; before anything else, since some servers put an OAuth error in the same body.
    Rule("http.429", Cause.RATE_LIMITED, status=_one(429)),
    Rule("http.5xx", Cause.PROVIDER_OUTAGE, status=(500, 599)),
    # RFC 6749 4.1.2.1 has these two for the authorization endpoint; token endpoints use them too.
    Rule(
        "rfc6749.server_error",
        Cause.PROVIDER_OUTAGE,
        error=frozenset({"server_error", "temporarily_unavailable"}),
        content=Content.JSON,
    ),
    # RFC 6749 5.2, the token endpoint.
    Rule(
        "rfc6749.client",
        Cause.APP_MISCONFIGURED,
        step=Step.REFRESH,
        status=(400, 403),
        error=frozenset({"invalid_client", "unauthorized_client"}),
        content=Content.JSON,
    ),
    Rule(
        "rfc6749.request",
        Cause.APP_MISCONFIGURED,
        step=Step.REFRESH,
        status=(400, 403),
        error=frozenset({"invalid_request", "unsupported_grant_type", "invalid_scope"}),
        content=Content.JSON,
    ),
    Rule(
        "rfc6749.invalid_grant",
        Cause.REVOKED,
        step=Step.REFRESH,
        status=(400, 403),
        error=frozenset({"invalid_grant"}),
        content=Content.JSON,
        weigh=True,
    ),
    # The same of a code (RFC 6749 4.1.3): 'revoked' is the code's own end, and says that the client is good.
    # An `invalid_request` is left open here: some say so of a code that is not formed as theirs are.
    Rule(
        "rfc6749.code",
        Cause.REVOKED,
        step=Step.EXCHANGE,
        status=(400, 403),
        error=frozenset({"invalid_grant"}),
        content=Content.JSON,
    ),
    Rule(
        "rfc6749.client",
        Cause.APP_MISCONFIGURED,
        step=Step.EXCHANGE,
        status=(400, 403),
        error=frozenset({"invalid_client", "unauthorized_client", "redirect_uri_mismatch"}),
        content=Content.JSON,
    ),
    # RFC 6749 4.1.2.1: what a client is told by a redirect; servers that redirect nobody say it on a page.
    Rule(
        "rfc6749.authorize",
        Cause.APP_MISCONFIGURED,
        step=Step.AUTHORIZE,
        status=(300, 499),
        error=frozenset(
            {
                "invalid_client",
                "unauthorized_client",
                "invalid_scope",
                "unsupported_response_type",
                "redirect_uri_mismatch",
            }
        ),
    ),
    # RFC 6750 3.1, resources. A challenge is proof enough that the API itself spoke.
    *_lacks_scope(Step.WHOAMI),
    *_lacks_scope(Step.SCOPE),
    Rule("rfc6750.invalid_token", Cause.REVOKED, status=_one(401), challenge="invalid_token", weigh=True),
    Rule(
        "rfc6750.invalid_token",
        Cause.REVOKED,
        status=_one(401),
        error=frozenset({"invalid_token"}),
        content=Content.JSON,
        weigh=True,
    ),
)


def first_match(rules: tuple[Rule, ...], step: Step, answer: Answer) -> Rule | None:
    """Return the first of `rules`, then of the standards, that speaks of this answer."""
    for rule in rules:
        # A provider's rule that names no content means the API's own answer, never a proxy's page.
        if rule.content is None and answer.content is not Content.JSON:
            continue
        if rule.matches(step, answer):
            return rule
    return next((rule for rule in STANDARDS if rule.matches(step, answer)), None)
