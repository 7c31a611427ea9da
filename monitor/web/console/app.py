"""The console's routes: each page and action that is declared, and what stands for the rest."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from monitor.web.console.contents import declared
from monitor.web.console.declared import Declared
from monitor.web.console.handling import Handling, House
from monitor.web.console.live import Live


class Console:
    """The console on one listener."""

    def __init__(self, house: House, live: Live) -> None:
        self._handling, self._live = Handling(house), live
        self.nowhere = self._handling.nowhere

    def routes(self) -> list[BaseRoute]:
        """Return the routes; those without a name in their path first, since the first that fits answers."""
        found = sorted(declared(), key=lambda one: one.path.count("{"))
        return [*self._live.routes(), *map(self._route, found)]

    def _route(self, one: Declared) -> Route:
        methods = ["GET"] if not one.acts else ["POST"] if one.asks is None else ["GET", "POST"]
        return Route(one.path, self._handling.of(one), methods=methods, name=f"console {one.name}")
