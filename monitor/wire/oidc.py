"""An OpenID provider that people sign in at: where to send them, and who came back (OpenID Connect Core 1.0).

Authlib says what an ID token has to claim, joserfc whether its signature is good. Authlib's own client is not
used: it speaks through httpx or whatever has taken its place, without a deadline and without a bound, where
`Wire` has both.

What the provider's metadata says is believed where it cannot do harm: endpoints are https (or the issuer's
own on this machine), and algorithms are those that only the provider's private key can make. With a symmetric
one, or `none`, whoever knows the public keys could say who anybody is.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from monitor.clock import Clock
from monitor.health.evidence import Fault
from monitor.secret import Secret
from monitor.text.jsontext import read_json
from monitor.text.names import one_line
from monitor.wire.client import Wire

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
LEEWAY = timedelta(seconds=60)  # between the provider's clock and ours
METADATA_LASTS = timedelta(hours=1)


class OidcTrouble(Exception):
    """The provider cannot be asked, or its word does not say who somebody is. Has no secret in it."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Who we are at a provider, and what we ask it."""

    issuer: str
    client_id: str
    client_secret: Secret
    redirect_uri: str
    scopes: tuple[str, ...]
    groups: str = "groups"
    called: str = "preferred_username"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, by the provider's word: `subject` is the one thing that never changes."""

    subject: str
    name: str
    groups: tuple[str, ...]


@dataclass(slots=True)
class _Known:
    """What the provider says of itself, for an hour."""

    at: datetime
    metadata: dict[str, Any]
    keys: KeySet | None = None
    algorithms: Sequence[str] = field(default=("RS256",))


class OpenIdProvider:
    """One provider, as long as the process lasts."""

    def __init__(self, registration: Registration, wire: Wire, clock: Clock) -> None:
        self._me, self._wire, self._clock = registration, wire, clock
        self._known: _Known | None = None

    @property
    def issuer(self) -> str:
        """Who it is."""
        return self._me.issuer

    async def authorize_url(self, state: str, nonce: str, verifier: Secret) -> str:
        """Return where a browser is sent (Core 3.1.2.1, RFC 7636 4.3). Raises OidcTrouble."""
        endpoint = self._endpoint((await self._load()).metadata, "authorization_endpoint")
        return str(
            prepare_grant_uri(
                endpoint, self._me.client_id, "code", self._me.redirect_uri, list(self._me.scopes), state,
                nonce=nonce, code_challenge=create_s256_code_challenge(verifier.reveal()),
                code_challenge_method="S256",
            )
        )  # fmt: skip

    async def identify(self, code: str, nonce: str, verifier: Secret, issuer: str | None = None) -> Identity:
        """Exchange a code, and return whom the provider says has signed in. Raises OidcTrouble.

        `issuer` is what the answer to the browser says (RFC 9207): another's is not ours to exchange.
        """
        if issuer is not None and issuer != self._me.issuer:
            raise OidcTrouble("another provider answered")
        known = await self._load()
        answer = await self._exchange(known.metadata, code, verifier)
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise OidcTrouble("the provider sent no ID token")
        claims = await self._claims(known, id_token, answer.get("access_token"), nonce)
        if self._me.groups not in claims and isinstance(answer.get("access_token"), str):
            claims = await self._more(known.metadata, claims, Secret(answer["access_token"])) | claims
        return self._identity(claims)

    async def check(self) -> None:
        """Ask the provider what it is; for doctor. Raises OidcTrouble."""
        known = await self._load()
        await self._keys(known, anew=True)
        for name in ("authorization_endpoint", "token_endpoint"):
            self._endpoint(known.metadata, name)

    # -- what it says of itself -------------------------------------------------------------------

    async def _load(self) -> _Known:
        now = self._clock.now()
        if self._known is not None and timedelta(0) <= now - self._known.at < METADATA_LASTS:
            return self._known
        metadata = await self._get(self._me.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if metadata.get("issuer") != self._me.issuer:  # Discovery 4.3
            raise OidcTrouble("its metadata is of another issuer than oidc.issuer says, to the letter")
        said = metadata.get("id_token_signing_alg_values_supported")
        offered = said if isinstance(said, list) else ["RS256"]
        algorithms = [one for one in ALGORITHMS if one in offered]
        if not algorithms:
            raise OidcTrouble("it signs ID tokens by no algorithm that is safe")
        self._known = _Known(now, metadata, algorithms=algorithms)
        return self._known

    async def _keys(self, known: _Known, *, anew: bool = False) -> KeySet:
        if known.keys is None or anew:
            document = await self._get(self._endpoint(known.metadata, "jwks_uri"))
            try:
                known.keys = KeySet.import_key_set(document)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError):
                raise OidcTrouble("its keys cannot be read") from None
        return known.keys

    def _endpoint(self, metadata: dict[str, Any], name: str) -> str:
        url = metadata.get(name)
        try:
            parts = urlsplit(url if isinstance(url, str) else "")
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        own = urlsplit(self._me.issuer)
        here = (parts.scheme, parts.hostname, port) == (own.scheme, own.hostname, own.port)
        if not parts.hostname or not (parts.scheme == "https" or here):
            raise OidcTrouble(f"its metadata has no {name} that is https")
        return str(url)

    # -- who has come ---------------------------------------------------------------------------

    async def _exchange(self, metadata: dict[str, Any], code: str, verifier: Secret) -> dict[str, Any]:
        me, authorization = self._me, None
        form = prepare_token_request(
            "authorization_code", "", me.redirect_uri, code=code, code_verifier=verifier.reveal()
        )
        methods = metadata.get("token_endpoint_auth_methods_supported")
        if isinstance(methods, list) and "client_secret_basic" not in methods:
            form += "&" + urlencode({"client_id": me.client_id, "client_secret": me.client_secret.reveal()})
        else:
            pair = f"{quote_plus(me.client_id)}:{quote_plus(me.client_secret.reveal())}"  # RFC 6749 2.3.1
            authorization = Secret("Basic " + base64.b64encode(pair.encode()).decode())
        reply = await self._wire.post_form(
            self._endpoint(metadata, "token_endpoint"), Secret(form), authorization
        )
        return _document(reply, "token endpoint")

    async def _claims(self, known: _Known, id_token: str, access_token: Any, nonce: str) -> dict[str, Any]:
        """Return what an ID token claims, if all of it holds (Core 3.1.3.7)."""
        try:
            try:
                token = jwt.decode(id_token, await self._keys(known), registry=_registry(known))
            except InvalidKeyIdError:  # it signs with a new key
                token = jwt.decode(id_token, await self._keys(known, anew=True), registry=_registry(known))
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self._me.issuer},
                    "aud": {"essential": True, "value": self._me.client_id},
                    "sub": {"essential": True},
                },
                {"nonce": nonce, "client_id": self._me.client_id, "access_token": access_token},
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=int(LEEWAY.total_seconds()))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OidcTrouble(f"its ID token does not hold: {_said(error)}") from None
        if not hmac.compare_digest(str(claims.get("nonce", "")), nonce):
            raise OidcTrouble("its ID token does not hold: nonce")
        return dict(claims)

    async def _more(
        self, metadata: dict[str, Any], claims: dict[str, Any], access_token: Secret
    ) -> dict[str, Any]:
        """Return what the provider says of somebody beside the ID token (Core 5.3)."""
        if "userinfo_endpoint" not in metadata:
            return {}
        found = await self._get(self._endpoint(metadata, "userinfo_endpoint"), access_token)
        if found.get("sub") != claims.get("sub"):
            raise OidcTrouble("its user info is of somebody else")
        return found

    def _identity(self, claims: dict[str, Any]) -> Identity:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise OidcTrouble("its ID token does not hold: sub")
        groups = claims.get(self._me.groups)
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        names = (claims.get(self._me.called), claims.get("email"), subject)
        name = next(said for said in names if isinstance(said, str) and one_line(said, 100))
        return Identity(subject, one_line(name, 100), tuple(one for one in listed if isinstance(one, str)))

    async def _get(self, url: str, token: Secret | None = None) -> dict[str, Any]:
        return _document(await self._wire.get(url, token), urlsplit(url).path)


def _registry(known: _Known) -> JWSRegistry:
    return JWSRegistry(algorithms=list(known.algorithms), strict_check_header=False)


def _document(reply: Any, what: str) -> dict[str, Any]:
    if isinstance(reply, Fault):
        raise OidcTrouble(f"it does not answer: {reply.kind.value}")
    if reply.status != 200:
        raise OidcTrouble(f"its {what} answers {reply.status}")
    try:
        document = read_json(reply.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise OidcTrouble(f"its {what} answers with no JSON object")
    return document


def _said(error: Exception) -> str:
    """Return what is wrong in a word: the name of the claim, or of the error; nothing that the token says."""
    claim = getattr(error, "claim", None)
    return claim if isinstance(claim, str) else getattr(error, "error", None) or type(error).__name__
