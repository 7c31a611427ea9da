"""The fleet in sums."""

from __future__ import annotations

from typing import Any

from monitor.operations import fleet, records
from monitor.operations.actor import Right
from monitor.web.api.declared import Routes
from monitor.web.api.route import Here, Who
from monitor.web.api.shapes_incidents import Fleet

ROUTES = Routes("Fleet")


@ROUTES.get("/fleet", needs=Right.CONNECTIONS_READ, shows=Fleet)
async def show_fleet(parts: Here, actor: Who) -> Any:
    """Say how many connections there are, by what they are, and what stands over them.

    What the scopes do not cover is null: `guards` and `incidents` need `incidents:read`, `fuse` needs
    `notices:read`, `silences` needs `silences:read`.
    """
    return records.for_eyes(actor, records.summary(await fleet.summary(parts, actor)))
