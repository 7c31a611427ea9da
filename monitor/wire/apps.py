"""An app registration with its provider's endpoints, ready to be asked; metadata read where needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.health.evidence import Fault, FaultKind
from monitor.health.incidents import Place
from monitor.health.rules import Rule
from monitor.providers.schema import Limits, Provider
from monitor.secret import Secret
from monitor.text.jsontext import read_json
from monitor.text.names import one_line
from monitor.wire import values as filling
from monitor.wire.targets import refused, resolved

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Reply, Wire


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Full URLs. An empty one is not offered, or lacks a value of the connection."""

    authorize: str
    token: str
    whoami: str
    revoke: str = ""
    introspect: str = ""
    iss_required: bool = False  # the server says that it sends `iss` back (RFC 9207 3)


@dataclass(frozen=True)
class App:
    """One registration of ours at a provider, in one region."""

    id: str
    provider: Provider
    region: str
    client_id: str
    client_secret: Secret
    scopes: frozenset[str]
    base_url: str
    auth_url: str
    limits: Limits
    rules: tuple[Rule, ...]
    endpoints: Endpoints | None  # None: to be discovered
    own_callback: bool = False  # its redirect URI is its own, /oauth/callback/ID
    hosts: Mapping[str, str] = field(default_factory=dict)  # further ones of the region
    # What stands in URLs and headers: the app's, or the default; a connection's, once it is `at` one.
    values: Mapping[str, str] = field(default_factory=dict)
    own: frozenset[str] = frozenset()  # addresses that [[apps]] itself names in the provider's place
    headers: Mapping[str, str] = field(default_factory=dict)  # more for each request to the API
    token_headers: Mapping[str, str] = field(default_factory=dict)  # more for the token endpoint
    lacks: tuple[str, ...] = ()  # values that its questions' URLs need, and this connection has not

    @property
    def place(self) -> Place:
        """What tokens of this app are sealed for."""
        return Place(self.id, self.provider.name, self.region)

    @property
    def issuer(self) -> str:
        """What `iss` on the callback has to be, where it is sent (RFC 9207 2.4)."""
        return self.provider.oauth.issuer or self.auth_url

    @property
    def callback(self) -> str:
        """The path of its redirect URI."""
        return f"/oauth/callback/{self.id}" if self.own_callback else "/oauth/callback"

    def checks(self, scope: str) -> bool:
        """Whether the provider's file has a check for a scope."""
        check = self.provider.scopes.get(scope)
        return check is not None and bool(check.probe)

    def scope_url(self, scope: str) -> str | None:
        """Return where a scope is checked, None where there is no check, or a value lacks that it needs."""
        check = self.provider.scopes.get(scope)
        if check is None or not check.probe:
            return None
        url = filling.below(self.base_url, check.probe, self.hosts)
        return filling.url_with(url, self.values, self._addresses) or None

    def at(self, values: Mapping[str, str], account: str | None = None) -> App:
        """Return the app as one connection asks it: its own values, the app's, the default, in this order.

        What is its account is the account on record. A header whose value lacks is not sent. What does not
        fit is as none, also where somebody wrote it into the database: tokens are sent there. It is this very
        app where nothing differs from connection to connection.
        """
        if not self._needs:
            return self
        mine = {**self.values, **{name: text for name, text in values.items() if self._fits(name, text)}}
        if account is not None:
            named = self.provider.whoami.account_value
            mine |= {n: account for n, value in self.provider.values.items() if value.account or n == named}

        def url(template: str) -> str:
            return filling.url_with(template, mine, self._addresses)

        def headers(some: Mapping[str, str]) -> dict[str, str]:
            return {name: full for name, text in some.items() if (full := filling.header_with(text, mine))}

        there = self.endpoints
        asked = filling.names_in(there.whoami, there.token) if there is not None else frozenset()
        return replace(
            self,
            values=mine,
            headers=headers(self.headers),
            token_headers=headers(self.token_headers),
            lacks=tuple(sorted(asked - mine.keys())),
            endpoints=there
            and replace(
                there, authorize=url(there.authorize), token=url(there.token), whoami=url(there.whoami),
                revoke=url(there.revoke), introspect=url(there.introspect),
            ),
        )  # fmt: skip

    def _fits(self, name: str, text: str) -> bool:
        value = self.provider.values.get(name)
        return value is not None and filling.why_not(name, value, text, self.own) is None

    def in_our_words(self, granted: frozenset[str]) -> frozenset[str]:
        """Return the scopes of a grant with our names for those that its provider names otherwise."""
        if not self._aliases:
            return granted
        return granted | {name for name, others in self._aliases if not granted.isdisjoint(others)}

    @cached_property
    def _aliases(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return tuple((name, check.also) for name, check in self.provider.scopes.items() if check.also)

    @cached_property
    def _addresses(self) -> frozenset[str]:
        return frozenset(name for name, value in self.provider.values.items() if value.hosts)

    @cached_property
    def _needs(self) -> bool:
        return bool(self.provider.values) and bool(
            filling.names_in(*(text for _, text in self.provider.templates()))
        )


def endpoints_of(
    provider: Provider, base_url: str, auth_url: str, hosts: Mapping[str, str] | None = None
) -> Endpoints | None:
    """Return the endpoints that the provider's file says, None where they have to be discovered."""
    oauth = provider.oauth
    if oauth.discover:
        return None

    def url(base: str, path: str) -> str:
        return filling.below(base, path, hosts or {}) if path else ""

    return Endpoints(
        authorize=url(auth_url, oauth.authorize),
        token=url(auth_url, oauth.token),
        whoami=url(base_url, provider.whoami.path),
        revoke=url(auth_url, oauth.revoke),
        introspect=url(auth_url, oauth.introspect),
    )


async def discover(app: App, wire: Wire) -> App | Fault | Reply:
    """Read an app's endpoints from its server's metadata (RFC 8414, OpenID Connect Discovery 1.0).

    Returns the app with them, or what came back instead. The issuer has to be the configured one, and every
    endpoint where tokens may be sent (`wire.targets`); else nothing is taken.
    """
    reply = await wire.get(app.auth_url + app.provider.oauth.discover)
    if isinstance(reply, Fault) or reply.status != 200:
        return reply
    try:
        document = read_json(reply.body)
    except ValueError as error:
        return Fault(FaultKind.TRUNCATED, f"the server's metadata is not JSON that can be read: {error}")
    if not isinstance(document, dict) or str(document.get("issuer", "")).rstrip("/") != app.auth_url:
        return Fault(FaultKind.OURS, "the server's metadata names another issuer than base_url")
    oauth, whoami = app.provider.oauth, app.provider.whoami
    found = Endpoints(
        authorize=_endpoint(document, "authorization_endpoint", app, app.auth_url, oauth.authorize),
        token=_endpoint(document, "token_endpoint", app, app.auth_url, oauth.token),
        whoami=_endpoint(document, "userinfo_endpoint", app, app.base_url, whoami.path),
        revoke=_endpoint(document, "revocation_endpoint", app, app.auth_url, oauth.revoke),
        introspect=_endpoint(document, "introspection_endpoint", app, app.auth_url, oauth.introspect),
        iss_required=document.get("authorization_response_iss_parameter_supported") is True,
    )
    if not (found.token and found.whoami):
        return Fault(FaultKind.OURS, "the server's metadata has no token or userinfo endpoint")
    private = wire.settings.private_endpoints
    for what in ("authorize", "token", "whoami", "revoke", "introspect"):
        url = getattr(found, what)
        if url.startswith("{values."):
            continue  # the provider's own file says so, and what stands there is checked when it is taken
        why = refused(url, app.auth_url, private=private) if url else None
        if url and why is None and not wire.settings.proxy:  # a proxy has names of its own
            why = await resolved(url, app.auth_url, private=private)
        if why is not None:
            shown = one_line(_host(url))
            return Fault(FaultKind.OURS, f"the server's metadata names {what} at {shown}, which {why}")
    return replace(app, endpoints=found)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url[:100]
    except ValueError:
        return url[:100]


def _endpoint(document: dict[str, object], key: str, app: App, base: str, path: str) -> str:
    if path:
        return filling.below(base, path, app.hosts)
    url = document.get(key)
    # What looks like one of our placeholders is none: only the provider's file writes them.
    return url if isinstance(url, str) and "{" not in url else ""
