"""Providers and apps: what is asked, and how often."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from starlette.requests import Request

from monitor.operations import apps, documents, doors, providers, records
from monitor.operations.actor import Right
from monitor.web.api import shapes_service as shapes
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, sliced
from monitor.web.api.route import Here, Who
from monitor.web.api.strict import Given, Name

ROUTES = Routes("Catalogue")


@ROUTES.get("/providers", needs=Right.CATALOGUE_READ, shows=shapes.Providers, problems=("bad_cursor",))
async def list_providers(
    request: Request, response: Response, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List the providers that are known, by name."""
    rows = [documents.provider(one) for one in providers.every(actor)]
    return sliced(request, response, actor, rows, "name", limit, cursor)


@ROUTES.get("/providers/{provider}", needs=Right.CATALOGUE_READ, shows=shapes.ProviderWhole)
async def show_provider(actor: Who, provider: Name) -> Any:
    """Show all that is understood of a provider's file."""
    return documents.provider_whole(providers.show(actor, provider))


@ROUTES.get("/apps", needs=Right.CATALOGUE_READ, shows=shapes.Apps, problems=("bad_cursor",))
async def list_apps(
    request: Request, response: Response, parts: Here, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List the apps that are configured, or have connections, with how often they are asked."""
    rows = [records.app(one) for one in await apps.every(parts, actor)]
    return sliced(request, response, actor, rows, "id", limit, cursor)


@ROUTES.get("/apps/{app}", needs=Right.CATALOGUE_READ, shows=shapes.App)
async def show_app(parts: Here, actor: Who, app: Name) -> Any:
    """Show an app: its interval, its budget, and when it last answered."""
    return records.app(await apps.show(parts, actor, app))


@ROUTES.post("/apps/{app}/ask", needs=Right.CONNECTIONS_OPERATE, takes=Given, shows=shapes.App)
async def ask_app(parts: Here, actor: Who, app: Name) -> Any:
    """Ask the provider now whether anybody could still connect to an app: no token and no code is spent."""
    await doors.ask(parts, actor, app)
    return records.app(await apps.show(parts, actor, app))
