"""Puts the doors of one process together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp

from monitor.metrics.meters import Meters
from monitor.operations.road import Road
from monitor.settings.builders import build_openid_provider
from monitor.settings.parts import Parts
from monitor.settings.sections import Listener
from monitor.tokens.grant import Granter
from monitor.watching.rounds import Rounds
from monitor.web.clients.reauthorize import Look, Reauthorize
from monitor.web.doorkeeper import Doorkeeper
from monitor.web.signin import SignIn
from monitor.wire.client import Wire

if TYPE_CHECKING:  # few have a provider, and its library is slow to load
    from monitor.operations.single_sign_on import SingleSignOn
    from monitor.web.console.app import Console

log = structlog.get_logger("monitor.service")


def build_pages(parts: Parts, granter: Granter, rounds: Rounds, meters: Meters) -> Reauthorize:
    """Put the client's pages together."""
    settings = parts.loaded.settings
    logo = settings.brand.read_logo(parts.loaded.directory)
    brand = settings.brand.brand(settings.smtp.sender, logo=False)

    async def probe_now(connection: str) -> None:
        try:
            await rounds.one(connection)
        except Exception as error:
            # The approval is stored; the loop probes again in a moment, and the page says so.
            log.error("probe.failed", connection=connection, error=type(error).__name__)

    road = Road(parts.database, granter, parts.apps, parts.clock, meters, probe_now)
    plain = {
        f"{target.scheme}://{target.netloc}"
        for app in parts.apps.values()
        if (target := urlsplit(app.auth_url)).scheme == "http"
    }
    return Reauthorize(
        road,
        parts.clock,
        Look(
            brand.name,
            brand.colour,
            brand.on_colour,
            (logo.data, logo.subtype) if logo else None,
            brand.footer,
            brand.support,
        ),
        settings.web.public_url,
        plain,
    )


class Access(NamedTuple):
    """What the API's listener serves beside the rest, and what ends its streams before its server ends."""

    sign_in: SignIn | None = None
    api: ASGIApp | None = None
    console: Console | None = None
    stop: Callable[[], None] = lambda: None


def build_api(parts: Parts, wire: Wire, on: Listener, meters: Meters, *works: object) -> Access:
    """Put together what programs ask and where people sign in; loaded only where it is served."""
    from monitor.service.api import build_around, build_console
    from monitor.web.api.app import build
    from monitor.web.api.streams import Streams

    doorkeeper, provider = Doorkeeper(parts, on.host), build_openid_provider(parts, wire)
    single: SingleSignOn | None = None
    if provider is not None:
        from monitor.operations import single_sign_on

        single = single_sign_on.SingleSignOn(parts, provider)
    streams = Streams(parts.loaded.settings.web.connections)
    around = build_around(parts, doorkeeper, meters, streams, *works)
    console = build_console(around, doorkeeper)
    return Access(SignIn(parts, doorkeeper, single), build(around), console, streams.stop)
