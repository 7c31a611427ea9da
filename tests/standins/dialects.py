"""The dialects of ten providers, as tests/providers and the facts behind it have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.standins.dialect import Dialect, Grant
from tests.standins.http import Reply, Request, reply
from tests.standins.server import CLIENT, StandIn

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def _rfc7009(standin: StandIn, request: Request) -> Reply:
    """Revoke by RFC 7009."""
    token = request.form.get("token", "")
    grant = standin.grant_of(refresh=token) or standin.grant_of(access=token)
    if grant is not None:
        standin.end(grant)
    return reply({})


def _by_bearer(standin: StandIn, request: Request) -> Reply:
    grant = standin.grant_of(access=request.bearer)
    if grant is None:
        return standin.word("access")
    standin.end(grant)
    return reply({"ok": True, "revoked": True})


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
    calls={"POST oauth2.googleapis.com/revoke": _rfc7009},
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


# -- QuickBooks -----------------------------------------------------------------------------------------------


def _company(_: StandIn, request: Request, grant: Grant) -> Reply:
    return reply({"CompanyInfo": {"CompanyName": grant.account.name, "Id": "1"}})


def _intuit(standin: StandIn, request: Request, grant: Grant, document: dict[str, Any]) -> dict[str, Any]:
    told = {"x_refresh_token_expires_in": 8726400}
    if request.headers.get("x-include-refresh-token-hard-expires-in") == "true":
        left = grant.born + 1825 * DAY - standin.clock.now()
        told["x_refresh_token_hard_expires_in"] = int(left.total_seconds())
    del document["scope"]
    return document | told


def _of_the_company(request: Request, grant: Grant) -> str:
    if request.headers.get("accept") != "application/json":
        return "xml"
    company = request.place.split("/")[3]
    return "" if company == grant.account.id else "company"


def _revoke_intuit(standin: StandIn, request: Request) -> Reply:
    if request.basic != CLIENT:
        return standin.word("client")
    grant = standin.grant_of(refresh=request.document["token"])
    if grant is not None:
        standin.end(grant)
    return Reply(200)


QUICKBOOKS = Dialect(
    provider="quickbooks",
    authorize="appcenter.intuit.com/connect/oauth2",
    token="oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
    whoami=r"quickbooks.api.intuit.com/v3/company/(\d+)/companyinfo/\1",
    auth="basic",
    words={
        "client": "refresh-invalid-client",
        "revoked": "refresh-dead-described",
        "access": "whoami-token-revoked",
        "who rights": "whoami-user-lost-rights",
        "company": "whoami-another-company",
        "xml": "whoami-another-company",
        "scope": "scope-user-lost-rights",
        "read": "scope-good",
        "limit": "whoami-too-many-requests",
    },
    tells=_company,
    rotation="daily",
    answers=_intuit,
    callback=lambda grant: {"realmId": grant.account.id},
    api=_of_the_company,
    probes={r"quickbooks.api.intuit.com/v3/company/\d+/query": "com.intuit.quickbooks.accounting"},
    calls={"POST developer.api.intuit.com/v2/oauth2/tokens/revoke": _revoke_intuit},
)


# -- HubSpot --------------------------------------------------------------------------------------------------


def _portal(_: StandIn, __: Request, grant: Grant) -> Reply:
    return reply(
        {"portalId": int(grant.account.id), "uiDomain": "app.hubspot.com", "accountType": "STANDARD"}
    )


def _in_the_body(standin: StandIn, request: Request) -> bool:
    return (request.form.get("client_id"), request.form.get("client_secret")) == CLIENT


def _introspect_hubspot(standin: StandIn, request: Request) -> Reply:
    if not _in_the_body(standin, request) or not request.form.get("token_type_hint"):
        return standin.word("client")
    grant = standin.grant_of(refresh=request.form["token"])
    return reply({"active": grant is not None and not grant.refused})


def _revoke_hubspot(standin: StandIn, request: Request) -> Reply:
    if not _in_the_body(standin, request):
        return standin.word("client")
    return _rfc7009(standin, request)


HUBSPOT = Dialect(
    provider="hubspot",
    authorize="app.hubspot.com/oauth/authorize",
    token="api.hubapi.com/oauth/v3/token",
    whoami="api.hubapi.com/account-info/v3/details",
    words={
        "client": "refresh-bad-client-secret",
        "revoked": "refresh-dead-as-invalid-request",
        "hub": "refresh-bad-hub",
        "access": "whoami-access-expired",
        "scope": "scope-missing",
        "read": "scope-good",
        "limit": "whoami-migrating",
    },
    tells=_portal,
    access_life=30 * MINUTE,
    # The same value comes back.
    answers=lambda standin, request, grant, document: (
        document
        | {"refresh_token": request.form.get("refresh_token") or document["refresh_token"], "scope": ""}
    ),
    probes={"api.hubapi.com/crm/v3/objects/contacts": "crm.objects.contacts.read"},
    calls={
        "POST api.hubapi.com/oauth/2026-03/token/introspect": _introspect_hubspot,
        "POST api.hubapi.com/oauth/2026-03/token/revoke": _revoke_hubspot,
    },
)


# -- Salesforce -----------------------------------------------------------------------------------------------


def _user_info(_: StandIn, __: Request, grant: Grant) -> Reply:
    return reply(
        {"organization_id": grant.account.id, "user_id": "005", "preferred_username": grant.account.user}
    )


def _org(standin: StandIn, request: Request, grant: Grant, document: dict[str, Any]) -> dict[str, Any]:
    issued = str(int(standin.clock.now().timestamp() * 1000))
    return document | {"instance_url": standin.base, "issued_at": issued}


SALESFORCE = Dialect(
    provider="salesforce",
    authorize="login.salesforce.com/services/oauth2/authorize",
    token="login.salesforce.com/services/oauth2/token",
    whoami="services/oauth2/userinfo",
    wants={"code_challenge_method": "S256"},
    words={
        "client": "refresh-invalid-client",
        "revoked": "refresh-dead",
        "inactive": "refresh-inactive-user",
        "policy": "refresh-not-approved",
        "egress": "refresh-ip-restricted",
        "access": "whoami-dead-token",
        "scope": "scope-insufficient-access",
        "read": "scope-good",
        "limit": "scope-request-limit",
    },
    tells=_user_info,
    offline=lambda asked: "refresh_token" in asked.get("scope", "").split(),
    rotation="family",
    access_life=2 * HOUR,
    told=False,
    answers=_org,
    told_host=True,
    probes={"services/data/v62.0/": "api"},
    calls={"POST login.salesforce.com/services/oauth2/revoke": _rfc7009},
)


# -- Xero -----------------------------------------------------------------------------------------------------


def _connections(_: StandIn, __: Request, grant: Grant) -> Reply:
    kept = [] if grant.blocked == "removed" else ([grant.whose] if grant.whose else grant.accounts)
    return reply([{"id": f"c-{one.id}", "tenantId": one.id, "tenantName": one.name} for one in kept])


def _of_the_tenant(request: Request, grant: Grant) -> str:
    if request.place.endswith("/connections"):
        return ""
    return "" if request.headers.get("xero-tenant-id") in [one.id for one in grant.accounts] else "tenant"


XERO = Dialect(
    provider="xero",
    authorize="login.xero.com/identity/connect/authorize",
    token="identity.xero.com/connect/token",
    whoami="api.xero.com/connections",
    auth="basic",
    words={
        "client": "refresh-invalid-client",
        "revoked": "refresh-dead",
        "access": "whoami-access-expired",
        "scope": "scope-missing",
        "tenant": "scope-tenant-disconnected",
        "read": "scope-good",
        "limit": "whoami-too-many-requests",
    },
    tells=_connections,
    offline=lambda asked: "offline_access" in asked.get("scope", "").split(),
    rotation="grace",
    grace=30 * MINUTE,
    access_life=30 * MINUTE,
    api=_of_the_tenant,
    probes={"api.xero.com/api.xro/2.0/Organisation": "accounting.settings"},
    calls={"POST identity.xero.com/connect/revocation": _rfc7009},
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
    calls={"POST slack.com/api/auth.revoke": _by_bearer, "GET slack.com/api/auth.revoke": _by_bearer},
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


# -- Clio -----------------------------------------------------------------------------------------------------


def _who_am_i(_: StandIn, __: Request, grant: Grant) -> Reply:
    account = {"id": int(grant.account.id), "name": grant.account.name}
    return reply({"data": {"id": 1, "email": grant.account.user, "enabled": True, "account": account}})


CLIO = Dialect(
    provider="clio",
    authorize="app.clio.com/oauth/authorize",
    token="app.clio.com/oauth/token",
    whoami="app.clio.com/api/v4/users/who_am_i.json",
    words={
        "client": "refresh-invalid-client",
        "revoked": "refresh-dead",
        "access": "whoami-dead-token",
        "scope": "scope-forbidden",
        "read": "scope-good",
        "limit": "whoami-too-many-requests",
    },
    wants={"redirect_on_decline": "true"},
    tells=_who_am_i,
    access_life=7 * DAY,
    probes={"app.clio.com/api/v4/contacts.json": "contacts"},
    calls={"POST app.clio.com/oauth/deauthorize": _by_bearer},
)

CLIO_PLATFORM = Dialect(
    provider="clio-platform",
    authorize="auth.api.clio.com/oauth/authorize",
    token="auth.api.clio.com/oauth/token",
    whoami="api.clio.com/users/me",
    auth="basic",
    words={
        "client": "refresh-invalid-client",
        "revoked": "refresh-dead",
        "access": "whoami-dead-token",
        "limit": "whoami-too-many-requests",
    },
    tells=_who_am_i,
    rotation="strict",
    access_life=DAY,
    calls={"POST auth.api.clio.com/oauth/revoke": _rfc7009},
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
    calls={"POST api.dropboxapi.com/2/auth/token/revoke": _by_bearer},
)

_ALL = (CLIO, CLIO_PLATFORM, DROPBOX, GITHUB, GOOGLE, HUBSPOT, MICROSOFT, QUICKBOOKS, SALESFORCE, SLACK, XERO)
EVERY: Mapping[str, Dialect] = {dialect.provider: dialect for dialect in _ALL}
