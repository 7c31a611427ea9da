"""Rules that read an answer, and the list of what the standards themselves say.

A provider's file adds rules of its own; they are tried first, and the first match wins. `revoked` is said of
the API's own JSON or Bearer challenge only: a firewall's page says nothing about a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from monitor.health.causes import Cause, Owner, consequence
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
        words = (self.error, self.description, self.challenge, self.text)
        spoken = any(word is not None for word in words) or bool(self.fields or self.headers)
        return not self.weigh and spoken

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
        if self.description is not None and not _found(self.description, answer.description):
            return False
        # What has a tag in it is somebody's page, whatever it begins with.
        if self.text is not None and (_TAG.search(answer.sample) or not _found(self.text, answer.sample)):
            return False
        return self._fits_further(answer)

    def _fits_further(self, answer: Answer) -> bool:
        if self.fields:
            said = dict(answer.fields)
            if not all(texts.intersection(said.get(name, ())) for name, texts in self.fields):
                return False
        if self.headers:
            headers = dict(answer.headers)
            return all(name in headers and _found(wanted, headers[name]) for name, wanted in self.headers)
        return True


_TAG = re.compile(r"<[!/?A-Za-z]")


def _found(pattern: str, text: str | None) -> bool:
    return bool(_compiled(pattern).search(text or ""))


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


def refused_by_policy(rules: tuple[Rule, ...], step: Step, answer: Answer) -> Rule | None:
    """Return the provider's own rule that says that a setting of the client's administrator refuses us.

    At the callback only a rule that is written for it speaks: the same words mean other things elsewhere.
    """
    if step is Step.CALLBACK:
        rules = tuple(rule for rule in rules if rule.step is step)
    rule = _own_match(rules, step, answer)
    return rule if rule is not None and rule.cause is Cause.POLICY_BLOCKED else None


def first_match(rules: tuple[Rule, ...], step: Step, answer: Answer) -> Rule | None:
    """Return the first of `rules`, then of the standards, that speaks of this answer."""
    own = _own_match(rules, step, answer)
    if own is not None:
        return own
    return next((rule for rule in STANDARDS if rule.matches(step, answer)), None)


def _own_match(rules: tuple[Rule, ...], step: Step, answer: Answer) -> Rule | None:
    for rule in rules:
        # A provider's rule that names no content means the API's own answer, never a proxy's page.
        if rule.content is None and answer.content is not Content.JSON:
            continue
        if rule.matches(step, answer):
            return rule
    return None


def refuses_token(rules: tuple[Rule, ...], step: Step, answer: Answer) -> bool:
    """Whether the API itself says that the access token is no good: where a refresh may mend it.

    A provider's rule decides: one whose cause ends the grant says so with any status, one of another cause
    never does. Else it is RFC 6750 3.1; a token whose scope does not reach is good, also where that is said
    with a 401.
    """
    if answer.ok:
        return False
    own = _own_match(rules, step, answer)
    if own is not None:
        return consequence(own.cause).ends_grant
    spoken = answer.challenge == "invalid_token" or answer.content is Content.JSON
    lacks_scope = "insufficient_scope" in (answer.error, answer.challenge)
    return answer.status == 401 and spoken and not lacks_scope


def limited(rules: tuple[Rule, ...], step: Step, answer: Answer) -> bool:
    """Whether an answer says that we ask too often, with whatever status it does."""
    if answer.ok:
        return False
    rule = first_match(rules, step, answer)
    return rule is not None and rule.cause is Cause.RATE_LIMITED


def bad_weather(rules: tuple[Rule, ...], step: Step, answer: Answer) -> bool:
    """Whether an answer is a limit or an outage: the provider's to mend, and the next request's, too."""
    rule = None if answer.ok else first_match(rules, step, answer)
    return rule is not None and consequence(rule.cause).owner is Owner.PROVIDER


def with_wait(rules: tuple[Rule, ...], step: Step, answer: Answer, now: datetime) -> Answer:
    """Return an answer with the wait of the rule that knows it, where it names none itself."""
    if answer.ok or answer.retry_at is not None:
        return answer
    rule = first_match(rules, step, answer)
    return answer if rule is None or rule.wait is None else replace(answer, retry_at=now + rule.wait)
