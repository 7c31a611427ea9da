"""Which parts of a request were secret: what must not come back to us in an error's words. Pure."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

from monitor.secret import Secret

# Fields of OAuth's forms that say nothing anybody may not know (RFC 6749 A, RFC 7009 2.1, RFC 7662 2.1).
_PUBLIC = frozenset(
    {"grant_type", "client_id", "redirect_uri", "scope", "token_type_hint", "response_type", "state"}
)


def sent(form: Secret, authorization: Secret | None = None) -> tuple[Secret, ...]:
    """Return the secrets of a request: the form's values, and what its Authorization header carries."""
    values = [v for name, v in parse_qsl(form.reveal(), max_num_fields=50) if name not in _PUBLIC]
    if authorization is not None:
        values += _carried(authorization.reveal())
    return tuple(map(Secret, dict.fromkeys(values)))


def _carried(header: str) -> list[str]:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return [credentials]
    try:
        pair = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return [credentials]
    password = pair.partition(":")[2]
    # Form-encoded before they were joined (RFC 6749 2.3.1): a server shows either.
    return [credentials, password, unquote_plus(password)]
