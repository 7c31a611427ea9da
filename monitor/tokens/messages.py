"""OAuth requests built and answers read. Pure: no client, no clock, no storage.

Requests are oauthlib's where it makes them. Its parser is not used: it raises after the answer was received
(a changed scope, a body that is no JSON), and a rotated pair would be thrown away with the exception.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

from oauthlib.common import add_params_to_uri
from oauthlib.oauth2 import WebApplicationClient

from monitor.health.evidence import Introspection
from monitor.providers.schema import OAuth
from monitor.secret import Secret
from monitor.wire.answers import find, pick

# An expiry further away than this is a mistake of units or worse; it is then treated as unknown.
LONGEST_LIFE = timedelta(days=3650)
# A moment after this is in other units than seconds: the year 5138.
LATEST = 1e11


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A token endpoint's good answer (RFC 6749 5.1). `refresh` is None where the old one stays."""

    access: Secret
    refresh: Secret | None
    expires_at: datetime | None
    granted: tuple[str, ...] | None
    assumed: bool = False  # the answer does not say when it ends; the provider's file does
    refresh_ends_at: datetime | None = None  # as the answer tells: unless it is used before
    grant_ends_at: datetime | None = None  # as the answer tells: whatever is done


def refresh_form(
    client_id: str, client_secret: Secret, refresh_token: Secret, client_auth: str
) -> tuple[Secret, Secret | None]:
    """Return the form of a refresh (RFC 6749 6), and the Authorization header where one is due."""
    client = WebApplicationClient(client_id)
    if client_auth == "basic":
        body = client.prepare_refresh_body(refresh_token=refresh_token.reveal())
        return Secret(body), basic_authorization(client_id, client_secret)
    body = client.prepare_refresh_body(
        refresh_token=refresh_token.reveal(), client_id=client_id, client_secret=client_secret.reveal()
    )
    return Secret(body), None


def new_verifier(client_id: str) -> Secret:
    """Make a PKCE code verifier (RFC 7636 4.1)."""
    return Secret(WebApplicationClient(client_id).create_code_verifier(64))


def authorize_url(
    endpoint: str,
    client_id: str,
    redirect_uri: str,
    state: Secret,
    *,
    scopes: Sequence[str] = (),
    separator: str = " ",
    scope_param: str = "scope",
    verifier: Secret | None = None,
    more: Mapping[str, str] | None = None,
) -> str:
    """Return where the browser goes to ask for consent (RFC 6749 4.1.1, RFC 7636 4.3)."""
    params = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("state", state.reveal()),
    ]
    if scopes:
        params.append((scope_param, separator.join(scopes)))
    if verifier is not None:
        challenge = WebApplicationClient(client_id).create_code_challenge(verifier.reveal(), "S256")
        params += [("code_challenge", challenge), ("code_challenge_method", "S256")]
    params += list((more or {}).items())
    return str(add_params_to_uri(endpoint, params))


def exchange_form(
    client_id: str,
    client_secret: Secret,
    code: Secret,
    redirect_uri: str,
    client_auth: str,
    verifier: Secret | None = None,
) -> tuple[Secret, Secret | None]:
    """Return the form that turns a code into tokens (RFC 6749 4.1.3), and the Authorization header."""
    client = WebApplicationClient(client_id)
    proof = verifier.reveal() if verifier is not None else None
    if client_auth == "basic":
        body = client.prepare_request_body(
            code=code.reveal(), redirect_uri=redirect_uri, include_client_id=False, code_verifier=proof
        )
        return Secret(body), basic_authorization(client_id, client_secret)
    body = client.prepare_request_body(
        code=code.reveal(),
        redirect_uri=redirect_uri,
        code_verifier=proof,
        client_secret=client_secret.reveal(),
    )
    return Secret(body), None


def revoke_form(
    client_id: str, client_secret: Secret, token: Secret, client_auth: str
) -> tuple[Secret, Secret | None]:
    """Return the form of a revocation (RFC 7009 2.1), and the Authorization header where one is due."""
    fields = {"token": token.reveal()}
    if client_auth == "basic":
        return Secret(urlencode(fields)), basic_authorization(client_id, client_secret)
    fields |= {"client_id": client_id, "client_secret": client_secret.reveal()}
    return Secret(urlencode(fields)), None


def introspection_form(
    client_id: str, client_secret: Secret, token: Secret, hint: str, client_auth: str
) -> tuple[Secret, Secret | None]:
    """Return the form of an introspection (RFC 7662 2.1), and the Authorization header where one is due."""
    fields = {"token": token.reveal(), "token_type_hint": hint}
    if client_auth == "basic":
        return Secret(urlencode(fields)), basic_authorization(client_id, client_secret)
    fields |= {"client_id": client_id, "client_secret": client_secret.reveal()}
    return Secret(urlencode(fields)), None


def basic_authorization(client_id: str, client_secret: Secret) -> Secret:
    """Return the header's value; id and secret are form-encoded first (RFC 6749 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret.reveal())}"
    return Secret("Basic " + base64.b64encode(pair.encode()).decode())


def answer_of(
    oauth: OAuth, document: Any, sent_at: datetime, *, exchange: bool = False
) -> TokenAnswer | None:
    """Read a good answer as a provider's file says it is, or return None when there is no access token in it.

    `exchange`: it answers a code, so that its tokens may lie deeper in it.
    """
    if exchange and oauth.nested:
        document = find(oauth.nested, document)
    answer = read_token_answer(
        document, sent_at, oauth.access_lifetime, oauth.granted_separator or oauth.scope_separator
    )
    if answer is None:
        return None
    refresh, grant = (
        _life(pick(where, document)) for where in (oauth.refresh_expires_in, oauth.grant_expires_in)
    )
    return replace(
        answer,
        refresh_ends_at=sent_at + refresh if refresh is not None and refresh <= LONGEST_LIFE else None,
        grant_ends_at=sent_at + grant if grant is not None and grant <= LONGEST_LIFE else None,
    )


def read_token_answer(
    document: Any, sent_at: datetime, default_lifetime: timedelta | None = None, separator: str = " "
) -> TokenAnswer | None:
    """Read a good answer, or return None when there is no access token in it.

    `expires_in` is counted from when the request was sent: the provider began to count before we could.

    Everything else in it may be missing or odd without harm: `expires_in` as text, null, 0, negative
    or with a fraction; `scope` as text or a list.
    """
    if not isinstance(document, Mapping):
        return None
    access = document.get("access_token")
    if not isinstance(access, str) or not access:
        return None
    refresh = document.get("refresh_token")
    said = _life(document.get("expires_in"))
    life = said or default_lifetime
    return TokenAnswer(
        access=Secret(access),
        refresh=Secret(refresh) if isinstance(refresh, str) and refresh else None,
        expires_at=sent_at + life if life is not None and life <= LONGEST_LIFE else None,
        granted=_scopes(document.get("scope"), separator),
        assumed=said is None and life is not None,
    )


def _life(value: Any) -> timedelta | None:
    try:
        seconds = float(value) if value is not None and not isinstance(value, bool) else 0.0
        return timedelta(seconds=seconds) if seconds > 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _scopes(value: Any, separator: str) -> tuple[str, ...] | None:
    if isinstance(value, str) and value.strip():
        return tuple(value.replace(separator, " ").split())
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str)) or None
    return None


def read_introspection(document: Any) -> Introspection | None:
    """Read an introspection's answer (RFC 7662 2.2), or return None when it is none.

    `active` has to be there and a boolean: what is not said that plainly must not decide anything. An `exp`
    that no token has (0, negative, milliseconds) is as none.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("active"), bool):
        return None
    return Introspection(document["active"], end_of(document))


def end_of(document: Any) -> datetime | None:
    """Return the end that a token had, by `exp` (RFC 7662 2.2)."""
    return _moment(document.get("exp")) if isinstance(document, Mapping) else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < LATEST else None
    except (ValueError, OverflowError, OSError):
        return None
