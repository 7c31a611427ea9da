"""How grants are taken back: by RFC 7009, or with the access token as a bearer."""

from __future__ import annotations

from tests.standins.http import Reply, Request, reply
from tests.standins.server import StandIn


def by_rfc7009(standin: StandIn, request: Request) -> Reply:
    """Revoke by RFC 7009."""
    token = request.form.get("token", "")
    grant = standin.grant_of(refresh=token) or standin.grant_of(access=token)
    if grant is not None:
        standin.end(grant)
    return reply({})


def by_bearer(standin: StandIn, request: Request) -> Reply:
    grant = standin.grant_of(access=request.bearer)
    if grant is None:
        return standin.word("access")
    standin.end(grant)
    return reply({"ok": True, "revoked": True})
