"""Requests as a provider's file has them asked, as the standards have it where the file says nothing.

Revocation is RFC 7009 and introspection RFC 7662, posted as forms, unless the file has a call of its own.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from monitor.health.evidence import Fault
from monitor.providers.schema import Call
from monitor.secret import Secret
from monitor.tokens.messages import basic_authorization, introspection_form, revoke_form
from monitor.wire.apps import App
from monitor.wire.request import FORM, JSON, NOTHING, Request
from monitor.wire.sent import sent
from monitor.wire.values import header_with, with_hosts

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Reply, Wire


def asking(
    wire: Wire, app: App, url: str, token: Secret, call: Call | None
) -> Coroutine[Any, Any, Reply | Fault]:
    """Return what asks the API something: a GET with the token as a bearer, unless there is a call for it."""
    if call is None:
        return wire.get(url, token, app.headers)
    return wire.send(called(app, call, url, token, more=app.headers))


def revocation(app: App, url: str, token: Secret) -> Request:
    """Return the request that revokes a token: by the file's call, as a bearer, or by RFC 7009 2.1."""
    oauth = app.provider.oauth
    if oauth.revoke_call is not None:
        kind = "access_token" if oauth.revoke_with == "bearer" else "refresh_token"
        return called(app, oauth.revoke_call, url, token, kind)
    if oauth.revoke_with == "bearer":
        bearer = Secret(f"Bearer {token.reveal()}")
        return Request("POST", _there(app, url), FORM, NOTHING, bearer, secrets=(token,))
    form, authorization = revoke_form(app.client_id, app.client_secret, token, oauth.client_auth)
    return _form(app, url, form, authorization)


def introspection(app: App, url: str, token: Secret, kind: str) -> Request:
    """Return the question what became of a token: by the file's call, or by RFC 7662 2.1."""
    oauth = app.provider.oauth
    if oauth.introspect_call is not None:
        return called(app, oauth.introspect_call, url, token, kind)
    form, authorization = introspection_form(app.client_id, app.client_secret, token, kind, oauth.client_auth)
    return _form(app, url, form, authorization)


def called(
    app: App,
    call: Call,
    url: str,
    token: Secret,
    kind: str = "access_token",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Request:
    """Return what a call of a provider's file sends about a token; `more` are headers besides the call's."""
    fields = {name: _said(app, text, token, kind) for name, text in call.fields.items()}
    authorization = None
    if call.auth == "bearer":
        authorization = Secret(f"Bearer {token.reveal()}")
    elif call.auth == "basic":
        authorization = basic_authorization(app.client_id, app.client_secret)
    form = Secret(urlencode(fields))
    content = {"form": form, "json": Secret(json.dumps(fields)), "query": NOTHING, "none": NOTHING}
    return Request(
        method=call.method,
        url=_there(app, url),
        content_type={"form": FORM, "json": JSON}.get(call.body),
        content=content[call.body],
        authorization=authorization,
        query=form if call.body == "query" else NOTHING,
        headers={**more, **_headers(app, call)},
        secrets=(token, *sent(NOTHING, authorization), *_own(app, call)),
    )


def _headers(app: App, call: Call) -> dict[str, str]:
    """Return a call's headers with the connection's values in them; one whose value lacks is not sent."""
    said = {name: with_hosts(text, app.hosts) for name, text in call.headers.items()}
    return {name: full for name, text in said.items() if (full := header_with(text, app.values))}


def _own(app: App, call: Call) -> tuple[Secret, ...]:
    uses = any("{client_secret}" in text for text in call.fields.values())
    return (app.client_secret,) if uses else ()


def _said(app: App, text: str, token: Secret, kind: str) -> str:
    """Return a field's value: what stands in braces is put in once, whatever it has in it itself."""
    known = {"token": token, "client_secret": app.client_secret}
    public = {"hint": kind, "client_id": app.client_id}
    parts = text.split("{")
    whole = parts[0]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        if brace and name in known:
            whole += known[name].reveal() + rest
        elif brace and name in public:
            whole += public[name] + rest
        else:
            whole += "{" + part
    return whole


def _there(app: App, url: str) -> str:
    return url.replace("{client_id}", quote(app.client_id, safe=""))


def _form(app: App, url: str, form: Secret, authorization: Secret | None) -> Request:
    return Request("POST", _there(app, url), FORM, form, authorization, secrets=sent(form, authorization))
