"""What a provider file may say, and the checked provider that comes of it.

A provider's oddity is a named trait here, which any provider may set; no code asks for a
provider by name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from monitor.health.rotation import AfterLost, Rotation
from monitor.health.rules import Rule
from monitor.providers.kinds import (
    BaseUrl,
    Localized,
    Name,
    OptionalUrl,
    Page,
    Path,
    Pattern,
    Query,
    ReadHeader,
    SentHeaders,
    holds_of_nothing,
    placeholders,
)
from monitor.providers.rule_entries import RuleEntry
from monitor.text.tomlfile import Duration, Place, Section, no_mistakes


class Region(Section):
    """Where a region of the provider lives. `auth_url` where OAuth has a host of its own.

    `hosts` are further ones by name, for paths that begin with `{hosts.NAME}`.
    """

    base_url: OptionalUrl = ""
    auth_url: OptionalUrl = ""
    hosts: dict[Name, BaseUrl] = Field(default_factory=dict)


_SAID = "{token}, {hint}, {client_id} and {client_secret}"
_WORD = re.compile(r"\{[a-z_]+\}")


def _unsaid(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if word not in _SAID]


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


class Call(Section):
    """How something is asked where it is not asked as the standards have it.

    `fields` go into a form, a JSON document or the query; `{token}`, `{hint}`, `{client_id}` and
    `{client_secret}` in them are what they say.
    """

    method: Literal["GET", "POST", "DELETE"] = "POST"
    auth: Literal["bearer", "basic", "none"] = "none"
    body: Literal["form", "json", "query", "none"] = "form"
    fields: dict[str, str] = Field(default_factory=dict)
    headers: SentHeaders = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_sent(self) -> Call:
        found: list[tuple[Place, str]] = []
        if self.method == "GET" and self.body in ("form", "json"):
            found.append((("body",), 'a GET has no body: say body = "query" or "none"'))
        for name, text in self.fields.items():
            if self.body == "query" and "{client_secret}" in text:
                found.append(
                    (("fields", name), "a client secret does not stand in a URL, where logs keep it")
                )
            found += [(("fields", name), f"has {word}, which is none of {_SAID}") for word in _unsaid(text)]
        no_mistakes(found)
        return self


class OAuth(Section):
    """The endpoints and habits of its OAuth server (RFC 6749, 7009, 7662, 7636)."""

    authorize: Path = ""
    token: Path = ""
    revoke: Path = ""
    introspect: Path = ""  # asked where a refusal leaves open whether a token ran out or was withdrawn
    discover: Path = ""  # RFC 8414 metadata; fills in whatever path above is empty
    pkce: bool = True  # RFC 7636, S256; a server that does not know it ignores it (RFC 6749 3.1)
    client_auth: Literal["body", "basic"] = "body"
    token_headers: SentHeaders = Field(default_factory=dict)  # more for the token endpoint
    nested: Query = ""  # where an answer to a code has its tokens, if not at the top
    # Whether it gives refresh tokens. Where it does, an access token that ends and no refresh token beside it
    # is a grant born dead: it is refused when a client comes back with it.
    gives_refresh_token: bool = True
    # What becomes of a refresh token at a refresh. "none": it stays. "overlapping": a new one comes, and old
    # ones live on. "grace": the old one is taken for `reuse_grace`. "strict": it is dead at once.
    # The keys below say it in pieces, and may say more than the word.
    rotation: Literal["none", "overlapping", "grace", "strict"] | None = None
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
    # Where an answer tells these lifetimes itself, in seconds from now (JMESPath); then it is obeyed.
    refresh_expires_in: Query = ""  # until the refresh token ends, unless it is used
    grant_expires_in: Query = ""  # until the grant ends whatever is done
    refresh_ahead: Duration | None = None  # how long before its end an access token is refreshed, at most
    scope_separator: str = " "
    default_scopes: tuple[str, ...] = ()
    sends_scopes: bool = True  # false where the app's registration alone says what is asked for
    granted_separator: str = ""  # of the scopes in an answer, where it is another than in the request
    scope_param: str = "scope"  # the authorize request's parameter for them
    authorize_params: dict[str, str] = Field(default_factory=dict)  # more for the authorize request
    login_hint: str = ""  # the parameter that takes who authorized last (OpenID Connect Core 3.1.2.1)
    issuer: str = ""  # what RFC 9207's `iss` has to be, where it is not the OAuth host
    revoke_with: Literal["token", "bearer"] = "token"  # RFC 7009, or the access token as a bearer
    # What revoking one token ends: its own grant, or all that the user granted to the app. The second is
    # assumed unless the provider says otherwise, since a new grant must not be ended with the old one.
    revoke_ends: Literal["grant", "user"] = "user"

    # How revoking and introspection are asked, where not by RFC 7009 and RFC 7662.
    revoke_call: Call | None = None
    introspect_call: Call | None = None
    introspect_kinds: tuple[Literal["access_token", "refresh_token"], ...] = ("refresh_token", "access_token")
    introspect_dead: tuple[int, ...] = ()  # statuses that say 'not active'
    introspect_active: Query = ""  # what is true while a token lives, where an answer has no `active`

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> OAuth:
        found: list[tuple[Place, str]] = []
        after = ("after_lost_answer",)
        if self.rotation is not None and "rotates_refresh_token" in self.model_fields_set:
            found.append(
                (("rotates_refresh_token",), "rotation says it all: leave rotates_refresh_token out")
            )
        if (self.rotation == "grace") != bool(self.reuse_grace) and self.rotation is not None:
            together = 'reuse_grace and rotation = "grace" go together: how long is the old one taken?'
            found.append((("reuse_grace",) if self.reuse_grace else ("rotation",), together))
        if self.rotation in ("none", "overlapping") and self.after_lost_answer not in (None, AfterLost.RETRY):
            alive = f'rotation = "{self.rotation}" leaves the old token alive: asking again is free'
            found.append((after, alive))
        if self.after_lost_answer is AfterLost.NEVER and self.reuse_grace:
            never = "reuse_grace says that a token may be sent again, after_lost_answer that it never is"
            found.append((after, never))
        no_mistakes(found)
        return self

    @property
    def habit(self) -> Rotation:
        """What may be done with a refresh token once the answer to it was lost."""
        rotates = self.rotates_refresh_token if self.rotation is None else self.rotation != "none"
        after = AfterLost.RETRY if self.rotation == "overlapping" else self.after_lost_answer
        return Rotation(rotates, self.reuse_grace, after)


class Whoami(Section):
    """The cheap question 'who am I', and where its answer has what (JMESPath).

    One of `account_id`; `accounts`, a list of ids of which the account on record has to be one, and
    `account_names`, their names; `account_value`, the value of the connection that is its account, where an
    answer at all proves it.
    """

    path: Path = ""
    call: Call | None = None  # how it is asked, where not by a GET with the bearer token
    account_id: Query = ""
    account_name: Query = ""
    accounts: Query = ""
    account_names: Query = ""
    account_value: str = ""
    user: Query = ""

    @model_validator(mode="after")
    def _names_the_account(self) -> Whoami:
        found: list[tuple[Place, str]] = []
        if sum(map(bool, (self.account_id, self.accounts, self.account_value))) != 1:
            found.append(((), "says with one of account_id, accounts and account_value whose token it is"))
        if self.account_names and not self.accounts:
            one = "account_names are those of accounts; the name of one account is account_name"
            found.append((("account_names",), one))
        no_mistakes(found)
        return self


class ScopeCheck(Section):
    """A scope that connections may need: a cheap read that works only with it, or nothing to check it by.

    `also` are other names that the provider has for it in its answers.
    """

    probe: Path = ""
    call: Call | None = None  # how it is asked, where not by a GET with the bearer token
    also: tuple[str, ...] = ()


class Limits(Section):
    """What the provider allows. `share` is the part of it that probing may use."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    per: Literal["token", "app"] = "token"
    share: float = Field(default=0.5, gt=0, le=1)
    least_interval: Duration | None = None  # no connection is probed more often, whatever [probe] says
    reads_per_month: int | None = Field(default=None, gt=0)  # of an app, where reads are metered
    live_access_tokens: int | None = Field(
        default=None, gt=0
    )  # of a grant; the oldest ends when one more comes
    grants_per_user: int | None = Field(default=None, gt=0)  # of an app; the oldest ends when one more comes

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
    refusal: Query = ""  # true in an answer that is a refusal whatever its status: "ok == `false`"
    fields: dict[Name, Query] = Field(default_factory=dict)  # further ones that rules look at
    headers: tuple[
        ReadHeader, ...
    ] = ()  # of an answer that is an error: kept as evidence, for rules to look at

    @model_validator(mode="after")
    def _find_nothing_in_nothing(self) -> Errors:
        """A good answer that a careless expression takes for a refusal may have a new pair in it."""
        found: list[tuple[Place, str]] = []
        for key in ("code", "refusal"):
            if holds_of_nothing(getattr(self, key)):
                careless = "is true of an answer that says nothing; name what a refusal has: ok == `false`"
                found.append(((key,), careless))
        no_mistakes(found)
        return self


class Value(Section):
    """Something that differs from connection to connection and stands in URLs or headers, `{values.NAME}`.

    Taken from the callback's query, the token endpoint's answer or whoami's (JMESPath), in this order; people
    may set it, too, and `[[apps]] values` for all connections of an app. What does not fit `pattern` as a
    whole is not taken. One with `hosts` is an address (https://host) where bearer tokens are sent: its host
    has to be one of these, or below one that begins with a dot; `pattern` counts there only if it is said.
    """

    title: str = ""  # what people read; its name where it is left out
    callback: str = ""
    token: Query = ""
    whoami: Query = ""
    default: str = ""
    pattern: Pattern = r"[A-Za-z0-9._-]{1,200}"
    hosts: tuple[str, ...] = ()
    account: bool = False  # it is the account on record, wherever that came from

    @model_validator(mode="after")
    def _has_one_origin(self) -> Value:
        if self.account and (self.callback or self.token or self.whoami or self.default or self.hosts):
            raise ValueError("account = true: it is the account on record, and taken from nowhere else")
        return self


class Setting(Section):
    """A setting of the client's administrator that can keep us out, in the words of the provider's pages."""

    title: Localized
    page: Page | None = None  # where it is changed, or explained
    do: Localized | None = None  # what has to be set there, one sentence


class Words(Section):
    """What mails and pages say of this provider, beside what they say of all."""

    leads_to: Localized | None = None  # where the button leads: "the sign-in page of Google"
    check: Localized | None = None  # what to look at before approving, one sentence
    admin_page: Page | None = None  # where an administrator sees which apps are connected


class End(Section):
    """An announced end of one of the provider's ways. `scopes`: of the connections that need one of these."""

    what: str = Field(min_length=1)
    on: date
    scopes: tuple[str, ...] = ()
    page: Page | None = None


class Provider(Section):
    """One provider, as its file says."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    documentation: str = ""
    status_page: Page | None = None  # where it says itself how it is
    regions: dict[str, Region] = Field(min_length=1)
    oauth: OAuth
    whoami: Whoami
    scopes: dict[str, ScopeCheck] = Field(default_factory=dict)
    more_scopes: bool = False  # there are others beside them, too many to name; they are not checked
    limits: Limits = Limits()
    errors: Errors = Errors()
    rules: tuple[RuleEntry, ...] = ()
    headers: SentHeaders = Field(default_factory=dict)  # more for each request to the API
    values: dict[Name, Value] = Field(default_factory=dict)
    settings: dict[Name, Setting] = Field(default_factory=dict)
    words: Words = Words()
    ends: tuple[End, ...] = ()

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> Provider:
        no_mistakes((*self._without_endpoints(), *self._without_names()))
        return self

    def _without_endpoints(self) -> Iterable[tuple[Place, str]]:
        needed = (("oauth", "authorize"), ("oauth", "token"), ("whoami", "path"))
        for table, key in needed:
            if not self.oauth.discover and not getattr(getattr(self, table), key):
                yield (table, key), "is needed, since there is no oauth.discover"

    def _without_names(self) -> Iterable[tuple[Place, str]]:
        for place, text in self.templates():
            for kind, name in sorted(placeholders(text)):
                if kind == "values" and name not in self.values:
                    yield place, f"{{values.{name}}} is not one of [values]{_near(name, self.values)}"
                for region, there in self.regions.items() if kind == "hosts" else ():
                    if name not in there.hosts:
                        yield place, f"regions.{region} has no host {name!r}{_near(name, there.hosts)}"
        account = self.whoami.account_value
        if account and account not in self.values:
            unknown = f"{account!r} is not one of [values]{_near(account, self.values)}"
            yield ("whoami", "account_value"), unknown
        for index, rule in enumerate(self.rules):
            named = (
                ("setting", [rule.setting] if rule.setting else [], "[settings]", self.settings),
                ("fields", rule.fields, "errors.fields", self.errors.fields),
                ("headers", rule.headers, "errors.headers", self.errors.headers),
            )
            for key, names, what, known in named:
                for name in names:
                    if name not in known:
                        yield ("rules", index, key), f"{name!r} is not one of {what}{_near(name, known)}"

    def templates(self) -> Iterable[tuple[Place, str]]:
        """Yield every text in which a value or a host may stand, and its place in the file."""
        oauth = self.oauth
        for name in ("authorize", "token", "revoke", "introspect"):
            yield ("oauth", name), getattr(oauth, name)
        yield ("whoami", "path"), self.whoami.path
        for name, check in self.scopes.items():
            yield ("scopes", name, "probe"), check.probe
        sent: list[tuple[Place, SentHeaders]] = [
            (("headers",), self.headers),
            (("oauth", "token_headers"), oauth.token_headers),
            *((("scopes", n, "call", "headers"), s.call.headers) for n, s in self.scopes.items() if s.call),
        ]
        calls = (("oauth", "revoke_call"), ("oauth", "introspect_call"), ("whoami", "call"))
        for table, key in calls:
            call = getattr(getattr(self, table), key)
            if call is not None:
                sent.append(((table, key, "headers"), call.headers))
        for place, headers in sent:
            for name, text in headers.items():
                yield (*place, name), text

    def unknown_scopes(self, names: Iterable[str]) -> list[str]:
        """Return which of these scopes the provider cannot have."""
        if not self.scopes or self.more_scopes:
            return []
        return [name for name in names if name not in self.scopes]

    def compiled_rules(self) -> tuple[Rule, ...]:
        """Return the provider's rules, named `clio.rules[0]` and so on, as evidence shows them."""
        return tuple(entry.rule(f"{self.name}.rules[{index}]") for index, entry in enumerate(self.rules))
