"""An app registration with its provider's endpoints, ready to be asked; metadata read where needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.health.evidence import Fault, FaultKind
from monitor.health.incidents import Place
from monitor.health.rules import Rule
from monitor.providers.schema import Limits, Provider
from monitor.secret import Secret
from monitor.text.jsontext import read_json
from monitor.text.names import one_line
from monitor.wire.targets import refused, resolved

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Reply, Wire


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Full URLs. An empty one is not offered."""

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
    headers: Mapping[str, str] = field(default_factory=dict)  # more for each request to the API
    token_headers: Mapping[str, str] = field(default_factory=dict)  # more for the token endpoint

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

    def scope_url(self, scope: str) -> str | None:
        """Return where a scope is checked, None for one that the provider's file has no check for."""
        check = self.provider.scopes.get(scope)
        return self.base_url + check.probe if check is not None and check.probe else None


def endpoints_of(provider: Provider, base_url: str, auth_url: str) -> Endpoints | None:
    """Return the endpoints that the provider's file says, None where they have to be discovered."""
    oauth = provider.oauth
    if oauth.discover:
        return None
    return Endpoints(
        authorize=auth_url + oauth.authorize,
        token=auth_url + oauth.token,
        whoami=base_url + provider.whoami.path,
        revoke=auth_url + oauth.revoke if oauth.revoke else "",
        introspect=auth_url + oauth.introspect if oauth.introspect else "",
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
        authorize=_endpoint(document, "authorization_endpoint", app.auth_url, oauth.authorize),
        token=_endpoint(document, "token_endpoint", app.auth_url, oauth.token),
        whoami=_endpoint(document, "userinfo_endpoint", app.base_url, whoami.path),
        revoke=_endpoint(document, "revocation_endpoint", app.auth_url, oauth.revoke),
        introspect=_endpoint(document, "introspection_endpoint", app.auth_url, oauth.introspect),
        iss_required=document.get("authorization_response_iss_parameter_supported") is True,
    )
    if not (found.token and found.whoami):
        return Fault(FaultKind.OURS, "the server's metadata has no token or userinfo endpoint")
    private = wire.settings.private_endpoints
    for what in ("authorize", "token", "whoami", "revoke", "introspect"):
        url = getattr(found, what)
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


def _endpoint(document: dict[str, object], key: str, base: str, path: str) -> str:
    if path:
        return base + path
    url = document.get(key)
    return url if isinstance(url, str) else ""
