"""Which on-call channel is told of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.channels import registry
from alerts.channels.channel import Around, Channel, Read
from alerts.pages.matters import Matter
from alerts.pages.settings import OncallSettings, RouteSettings
from monitor.secret import Secret


@dataclass(frozen=True, slots=True)
class Route:
    """A channel and what goes over it; an empty condition is none.

    The address is a secret, since most services put their key into it; the name is what is stored, logged
    and exported. `labels` are those of the connections: what is about several has the labels they share.
    """

    name: str
    channel: str  # its name in the registry
    url: Secret
    severities: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)

    def takes(self, matter: Matter) -> bool:
        """Whether this matter goes over this channel."""
        asked = (
            (self.severities, matter.alert.severity.value),
            (self.owners, matter.alert.owner),
            (self.providers, matter.provider),
            (self.apps, matter.app),
            (self.teams, matter.team),
        )
        return all(not wanted or found in wanted for wanted, found in asked) and all(
            matter.marks.get(name) == value for name, value in self.labels.items()
        )


def routes_of(settings: OncallSettings, read: Read) -> tuple[Route, ...]:
    """Return on-call's routes: what channels are given by themselves, and what is said of single addresses.

    Raises ConfigurationError for an address that is not there.
    """
    by_themselves = [
        Route(given.name, name, given.url, given.severities)
        for name, channel in sorted(registry.PAGING.items())
        for given in channel.given(settings, read)
    ]
    return (*by_themselves, *(_route(entry, read) for entry in settings.routes))


def _route(entry: RouteSettings, read: Read) -> Route:
    what = f"route {entry.name!r}"
    url = read(f"oncall {what}: url", entry.url, entry.url_env, entry.url_file) or Secret("")
    return Route(
        entry.name,
        registry.claiming(what, url.reveal()),
        url,
        frozenset(one.value for one in entry.severity),
        frozenset(one.value for one in entry.owner),
        frozenset(entry.provider),
        frozenset(entry.app),
        frozenset(entry.team),
        entry.labels,
    )


def opened(route: Route, around: Around) -> Channel:
    """Open the channel of a route. Raises ConfigurationError for an address that it cannot use."""
    return registry.PAGING[route.channel].opened(route.name, route.url, around)
