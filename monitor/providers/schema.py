"""What a provider file may say, and the checked provider that comes of it.

A provider's oddity is a named trait here, which any provider may set; no code asks for a
provider by name.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

import jmespath
import jmespath.exceptions
from pydantic import AfterValidator, Field, model_validator

from monitor.health.causes import Cause
from monitor.health.evidence import Content, Step
from monitor.health.rotation import AfterLost, Rotation
from monitor.health.rules import Rule
from monitor.text.tomlfile import Duration, Section


def _https(url: str) -> str:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise ValueError("is a URL that starts with https://")
    if parts.scheme == "http" and not local:
        raise ValueError("has to start with https://, since bearer tokens are sent there")
    if parts.query or parts.fragment:
        raise ValueError("is a URL without ? or #")
    return url.rstrip("/")


def _path(path: str) -> str:
    if path and not path.startswith("/"):
        raise ValueError("is a path that starts with /, below the region's base_url")
    return path


def _jmespath(expression: str) -> str:
    try:
        if expression:
            jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"is no JMESPath expression: {first}") from None
    return expression


def _pattern(expression: str) -> str:
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return expression


BaseUrl = Annotated[str, AfterValidator(_https)]
OptionalUrl = Annotated[str, AfterValidator(lambda url: _https(url) if url else url)]
Path = Annotated[str, AfterValidator(_path)]
Query = Annotated[str, AfterValidator(_jmespath)]


class Region(Section):
    """Where a region of the provider lives. `auth_url` where OAuth has a host of its own."""

    base_url: OptionalUrl = ""
    auth_url: OptionalUrl = ""


class OAuth(Section):
    """The endpoints and habits of its OAuth server (RFC 6749, 7009, 7662, 7636)."""

    authorize: Path = ""
    token: Path = ""
    revoke: Path = ""
    introspect: Path = ""  # asked where a refusal leaves open whether a token ran out or was withdrawn
    discover: Path = ""  # RFC 8414 metadata; fills in whatever path above is empty
    pkce: bool = True  # RFC 7636, S256; a server that does not know it ignores it (RFC 6749 3.1)
    client_auth: Literal["body", "basic"] = "body"
    rotates_refresh_token: bool = False
    reuse_grace: Duration = timedelta(0)  # how long a replaced refresh token is still taken
    # What may be done with a refresh token after the answer to it was lost. "retry": send it again, at any
    # time (where tokens do not rotate, or old ones stay good). "last_try": not while the access token lives,
    # since reuse may end the grant; once more when nothing is left to lose. "never": it is lost at once.
    # Left out, it follows from `rotates_refresh_token`: false is "retry", true is "last_try".
    after_lost_answer: AfterLost | None = None
    access_lifetime: Duration | None = None  # used only where an answer has no expires_in
    refresh_idle_lifetime: Duration | None = None
    refresh_absolute_lifetime: Duration | None = None
    scope_separator: str = " "
    default_scopes: tuple[str, ...] = ()
    sends_scopes: bool = True  # false where the app's registration alone says what is asked for
    authorize_params: dict[str, str] = Field(default_factory=dict)  # more for the authorize request
    issuer: str = ""  # what RFC 9207's `iss` has to be, where it is not the OAuth host
    revoke_with: Literal["token", "bearer"] = "token"  # RFC 7009, or the access token as a bearer
    # What revoking one token ends: its own grant, or all that the user granted to the app. The second is
    # assumed unless the provider says otherwise, since a new grant must not be ended with the old one.
    revoke_ends: Literal["grant", "user"] = "user"

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> OAuth:
        if self.after_lost_answer is AfterLost.NEVER and self.reuse_grace:
            raise ValueError(
                "reuse_grace says that a token may be sent again, after_lost_answer that it never is"
            )
        return self

    @property
    def rotation(self) -> Rotation:
        return Rotation(self.rotates_refresh_token, self.reuse_grace, self.after_lost_answer)


class Whoami(Section):
    """The cheap question 'who am I', and where its answer has what (JMESPath)."""

    path: Path = ""
    account_id: Query
    account_name: Query = ""
    user: Query = ""


class ScopeCheck(Section):
    """A cheap read that works only with a scope."""

    probe: Path = Field(min_length=1)


class Limits(Section):
    """What the provider allows. `share` is the part of it that probing may use."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    per: Literal["token", "app"] = "token"
    share: float = Field(default=0.5, gt=0, le=1)

    @property
    def app_wide(self) -> float | None:
        """Requests per minute for the whole app, or None where the limit is each token's own."""
        if self.per != "app" or self.requests_per_minute is None:
            return None
        return self.requests_per_minute * self.share

    @property
    def left_over(self) -> float | None:
        """What of an app-wide limit probing leaves, requests per minute; None where that is nothing."""
        if self.per != "app" or self.requests_per_minute is None or self.share == 1:
            return None
        return self.requests_per_minute * (1 - self.share)


class Errors(Section):
    """Where an answer that is an error says so, if not in the usual places (JMESPath)."""

    code: Query = ""
    description: Query = ""


_STATUS = re.compile(r"^[1-5](\d\d|xx)$")


class RuleEntry(Section):
    """A rule of the provider's own; the first match wins, before the rules of the standards."""

    step: Literal[Step.REFRESH, Step.WHOAMI, Step.SCOPE] | None = None
    status: int | str | None = None
    error: str | tuple[str, ...] | None = None
    description: Annotated[str, AfterValidator(_pattern)] | None = None
    challenge: str | None = None
    content: Content | None = None
    weigh: bool = False
    cause: Cause

    @model_validator(mode="after")
    def _says_something(self) -> RuleEntry:
        if self.cause is Cause.OK:
            raise ValueError("a rule names a failure; 'ok' is what remains when none matches")
        if self.status is not None and not _STATUS.match(str(self.status)):
            raise ValueError(f"status {self.status!r} is a number such as 403, or a class such as '4xx'")
        if all(v is None for v in (self.status, self.error, self.description, self.challenge, self.content)):
            raise ValueError("a rule has to name a status, error, description, challenge or content")
        return self

    def rule(self, name: str) -> Rule:
        """Return the rule that this entry means."""
        text = str(self.status) if self.status is not None else ""
        low = int(text.replace("xx", "00")) if text else 0
        high = int(text.replace("xx", "99")) if text else 0
        errors = (self.error,) if isinstance(self.error, str) else self.error
        return Rule(
            name=name,
            cause=self.cause,
            step=self.step,
            status=(low, high) if text else None,
            error=frozenset(errors) if errors is not None else None,
            description=self.description,
            content=self.content,
            challenge=self.challenge,
            weigh=self.weigh,
        )


class Provider(Section):
    """One provider, as its file says."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    documentation: str = ""
    regions: dict[str, Region] = Field(min_length=1)
    oauth: OAuth
    whoami: Whoami
    scopes: dict[str, ScopeCheck] = Field(default_factory=dict)
    limits: Limits = Limits()
    errors: Errors = Errors()
    rules: tuple[RuleEntry, ...] = ()

    @model_validator(mode="after")
    def _has_endpoints(self) -> Provider:
        if self.oauth.discover:
            return self
        missing = [
            name
            for name, value in (
                ("oauth.authorize", self.oauth.authorize),
                ("oauth.token", self.oauth.token),
                ("whoami.path", self.whoami.path),
            )
            if not value
        ]
        if missing:
            raise ValueError(f"{', '.join(missing)}: needed, since there is no oauth.discover")
        return self

    def compiled_rules(self) -> tuple[Rule, ...]:
        """Return the provider's rules, named `clio.rules[0]` and so on, as evidence shows them."""
        return tuple(entry.rule(f"{self.name}.rules[{index}]") for index, entry in enumerate(self.rules))
