"""The fleet: which connections are not well, whose turn it is, and what changed."""

from __future__ import annotations

from monitor.operations import fleet
from monitor.operations.actor import Right
from monitor.web.console.answers import Shown
from monitor.web.console.declared import page
from monitor.web.console.texts import ngettext
from monitor.web.console.visit import Visit


@page("/", Right.CONNECTIONS_READ)
async def show_fleet(visit: Visit) -> Shown:
    """Show the fleet."""
    counts = await fleet.counts(visit.parts, visit.actor)
    verdict = ngettext("%(n)s connection.", "%(n)s connections.", counts.total)
    return Shown("fleet.html.j2", verdict, "/", counts=counts)
