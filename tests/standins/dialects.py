"""The dialects of all providers, as tests/providers has them; those of books, customers and cases in `books`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.standins.books import CLIO, CLIO_PLATFORM, HUBSPOT, QUICKBOOKS, SALESFORCE, XERO
from tests.standins.dialect import Dialect, Grant
from tests.standins.http import Reply, Request, reply
from tests.standins.revoking import by_bearer, by_rfc7009
from tests.standins.server import CLIENT, StandIn

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


# -- Google ---------------------------------------------------------------------------------------------------


def _google_user(_: StandIn, request: Request, grant: Grant) -> Reply:
    return reply({"sub": grant.account.id, "name": grant.account.name, "email": grant.account.user})


GOOGLE = Dialect(
    provider="google",
    authorize="accounts.google.com/o/oauth2/v2/auth",
    token="oauth2.googleapis.com/token",
    whoami="openidconnect.googleapis.com/v1/userinfo",
    words={
        "client": "refresh-invalid-client",
        "revoked": "refresh-expired-or-revoked",
        "policy": "refresh-reauth",
        "access": "whoami-dead-token",
        "scope": "scope-insufficient",
        "read": "scope-good",
        "limit": "scope-user-rate-limit",
    },
    tells=_google_user,
    # Without both of them an access token comes alone.
    offline=lambda asked: asked.get("access_type") == "offline" and asked.get("prompt") == "consent",
    probes={
        "www.googleapis.com/calendar/v3/users/me/calendarList": "https://www.googleapis.com/auth/calendar.readonly"
    },
    calls={"POST oauth2.googleapis.com/revoke": by_rfc7009},
)


# -- Microsoft ------------------------------------------------------------------------------------------------


def _graph_me(_: StandIn, request: Request, grant: Grant) -> Reply:
    known = {
        "id": grant.account.id,
        "displayName": grant.account.name,
        "userPrincipalName": grant.account.user,
    }
    return reply({name: known[name] for name in request.query.get("$select", "id").split(",")})


def _entra(_: StandIn, __: Request, ___: Grant, document: dict[str, Any]) -> dict[str, Any]:
    scopes = [name for name in document["scope"].split() if name != "offline_access"]
    return document | {"scope": " ".join(f"https://graph.microsoft.com/{name}" for name in scopes)}


MICROSOFT = Dialect(
    provider="microsoft",
    authorize="login.microsoftonline.com/organizations/oauth2/v2.0/authorize",
    token="login.microsoftonline.com/organizations/oauth2/v2.0/token",
    whoami=r"graph.microsoft.com/v1.0/me",
    words={
        "client": "refresh-7000222-our-app",
        "revoked": "refresh-50173-password-or-revoked",
        "policy": "refresh-53003-conditional-access",
        "expired": "refresh-700082-idle",
        "access": "whoami-dead-token",
        "scope": "scope-denied",
        "read": "scope-good",
        "limit": "scope-throttled",
    },
    tells=_graph_me,
    offline=lambda asked: "offline_access" in asked.get("scope", "").split(),
    rotation="overlapping",
    answers=_entra,
    probes={"graph.microsoft.com/v1.0/me/mailFolders": "Mail.Read"},
)


# -- Slack ----------------------------------------------------------------------------------------------------


def _team(_: StandIn, __: Request, grant: Grant) -> Reply:
    return reply({"ok": True, "team_id": grant.account.id, "team": grant.account.name, "user": "agency-bot"})


def _installed(_: StandIn, __: Request, grant: Grant, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "ok": True,
        **document,
        "token_type": "bot",
        "team": {"id": grant.account.id, "name": grant.account.name},
    }


SLACK = Dialect(
    provider="slack",
    authorize="slack.com/oauth/v2/authorize",
    token="slack.com/api/oauth.v2.access",
    whoami="slack.com/api/auth.test",
    separator=",",
    words={
        "client": "refresh-bad-client-secret",
        "revoked": "refresh-dead",
        "access": "whoami-token-expired",
        "gone": "whoami-account-inactive",
        "who policy": "whoami-ekm-access-denied",
        "scope": "scope-missing",
        "read": "scope-good",
        "limit": "whoami-ratelimited",
    },
    tells=_team,
    rotation="strict",
    access_life=12 * HOUR,
    live=2,
    answers=_installed,
    probes={"slack.com/api/conversations.list": "channels:read"},
    calls={"POST slack.com/api/auth.revoke": by_bearer, "GET slack.com/api/auth.revoke": by_bearer},
)


def _for_a_user(_: StandIn, request: Request, grant: Grant, document: dict[str, Any]) -> dict[str, Any]:
    """A user's token: below `authed_user` where a code was exchanged, at the top of a refresh."""
    if "code" not in request.form:
        return {"ok": True, **document, "token_type": "user"}
    return {
        "ok": True,
        "authed_user": {"id": "U1", **document, "token_type": "user"},
        "team": {"id": grant.account.id},
    }


# For tokens of users, as the file's own comment has it.
SLACK_OF_USERS = replace(
    SLACK,
    scope_param="user_scope",
    file={
        'scope_separator = ","': 'scope_separator = ","\nscope_param = "user_scope"\nnested = "authed_user"'
    },
    answers=_for_a_user,
)


# -- GitHub ---------------------------------------------------------------------------------------------------


def _octocat(_: StandIn, request: Request, grant: Grant) -> Reply:
    return reply({"id": int(grant.account.id), "login": grant.account.name, "type": "User"})


def _polite(request: Request, _: Grant) -> str:
    known = request.headers.get("x-github-api-version") and request.headers.get("user-agent")
    return "" if known else "rude"


def _check_token(standin: StandIn, request: Request) -> Reply:
    if request.basic != CLIENT:
        return standin.word("access")
    grant = standin.grant_of(access=request.document["access_token"])
    return (
        reply({"message": "Not Found"}, 404)
        if grant is None
        else reply({"id": 1, "user": {"id": grant.account.id}})
    )


def _delete_token(standin: StandIn, request: Request) -> Reply:
    if request.basic != CLIENT:
        return standin.word("access")
    grant = standin.grant_of(access=request.document["access_token"])
    if grant is not None:
        standin.end(grant)
    return Reply(204)


GITHUB = Dialect(
    provider="github",
    authorize="github.com/login/oauth/authorize",
    token="github.com/login/oauth/access_token",
    whoami="api.github.com/user",
    words={
        "client": "refresh-incorrect-client",
        "revoked": "refresh-dead",
        "policy": "scope-saml",
        "restricted": "scope-app-restrictions",
        "access": "whoami-dead-token",
        "rude": "whoami-suspended-user",
        "scope": "scope-not-accessible",
        "read": "scope-good",
        "limit": "whoami-secondary-limit",
    },
    tells=_octocat,
    rotation="strict",
    access_life=8 * HOUR,
    ends_access=True,
    answers=lambda standin, request, grant, document: (
        document | {"refresh_token_expires_in": 15897600, "scope": document["scope"].replace(" ", ",")}
    ),
    api=_polite,
    probes={"api.github.com/user/orgs": "read:org"},
    calls={
        f"POST api.github.com/applications/{CLIENT[0]}/token": _check_token,
        f"DELETE api.github.com/applications/{CLIENT[0]}/token": _delete_token,
    },
)


# -- Dropbox --------------------------------------------------------------------------------------------------


def _current_account(_: StandIn, __: Request, grant: Grant) -> Reply:
    name = {"display_name": grant.account.name}
    return reply({"account_id": grant.account.id, "name": name, "email": grant.account.user})


def _posts(request: Request, _: Grant) -> str:
    """A POST; without a body it has no kind of body either."""
    listing = request.place.endswith("/list_folder")
    right = (
        request.document == {"path": ""}
        if listing
        else not request.body and "content-type" not in request.headers
    )
    return "" if request.method == "POST" and right else "wrong"


DROPBOX = Dialect(
    provider="dropbox",
    authorize="www.dropbox.com/oauth2/authorize",
    token="api.dropboxapi.com/oauth2/token",
    whoami="api.dropboxapi.com/2/users/get_current_account",
    words={
        "client": "refresh-invalid-client",
        "revoked": "refresh-dead",
        "access": "whoami-access-expired",
        "who policy": "whoami-user-suspended",
        "wrong": "whoami-other-member",
        "scope": "scope-missing",
        "read": "scope-good",
        "limit": "whoami-too-many-requests",
    },
    tells=_current_account,
    offline=lambda asked: asked.get("token_access_type") == "offline",
    access_life=4 * HOUR,
    api=_posts,
    probes={"api.dropboxapi.com/2/files/list_folder": "files.metadata.read"},
    calls={"POST api.dropboxapi.com/2/auth/token/revoke": by_bearer},
)

_ALL = (CLIO, CLIO_PLATFORM, DROPBOX, GITHUB, GOOGLE, HUBSPOT, MICROSOFT, QUICKBOOKS, SALESFORCE, SLACK, XERO)
EVERY: Mapping[str, Dialect] = {dialect.provider: dialect for dialect in _ALL}
