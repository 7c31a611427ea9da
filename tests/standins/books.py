"""The dialects of those who keep books, customers and cases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.standins.dialect import Dialect, Grant
from tests.standins.http import Reply, Request, reply
from tests.standins.revoking import by_bearer, by_rfc7009
from tests.standins.server import CLIENT, StandIn

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


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
    return by_rfc7009(standin, request)


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
    calls={"POST login.salesforce.com/services/oauth2/revoke": by_rfc7009},
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
    calls={"POST identity.xero.com/connect/revocation": by_rfc7009},
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
    calls={"POST app.clio.com/oauth/deauthorize": by_bearer},
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
    calls={"POST auth.api.clio.com/oauth/revoke": by_rfc7009},
)
