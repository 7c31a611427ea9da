"""What an incident is about, and which larger incident it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.health.causes import Cause, Subject, consequence


@dataclass(frozen=True, slots=True, order=True)
class About:
    """The subject of an incident: its kind and name (a connection's id, an app's, `clio/eu`, …)."""

    kind: Subject
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}" if self.kind is not Subject.NETWORK else "our network"


OUR_NETWORK = About(Subject.NETWORK, "egress")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection stands in the fleet: the groups that can fail together."""

    app: str
    provider: str
    region: str

    def groups(self) -> tuple[About, About, About]:
        """Return its provider, region and app, widest first."""
        return (
            About(Subject.PROVIDER, self.provider),
            About(Subject.REGION, f"{self.provider}/{self.region}"),
            About(Subject.APP, self.app),
        )


def shared_subject(cause: Cause, place: Place) -> About | None:
    """Return the one larger thing that this cause is about, or None where it is the connection's own.

    One outage is one incident of the provider, however many connections show it.
    """
    match consequence(cause).subject:
        case Subject.CONNECTION:
            return None
        case Subject.APP:
            return About(Subject.APP, place.app)
        case Subject.REGION:
            return About(Subject.REGION, f"{place.provider}/{place.region}")
        case Subject.PROVIDER:
            return About(Subject.PROVIDER, place.provider)
        case Subject.NETWORK:
            return OUR_NETWORK
