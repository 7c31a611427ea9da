"""What stands beside an incident that several share: how it goes, what was answered, who is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.pages import called
from alerts.pages.called import Called
from alerts.pages.matters import Trouble
from monitor.health.causes import Subject
from monitor.health.growth import Growth, moments
from monitor.health.incidents import About, Place
from monitor.health.lifecycle import State
from monitor.operations.incidents import Shown
from monitor.settings.builders import build_oncall
from monitor.settings.parts import Parts
from monitor.store import incident_details as details
from monitor.store.incident_details import Share, Tally
from monitor.store.incident_pages import Seen


@dataclass(frozen=True, slots=True)
class Sample:
    """What was asked and answered at one of the connections: evidence as it is kept, and its rule."""

    connection: str
    at: datetime
    rule: str
    evidence: Sequence[Mapping[str, Any]]

    @property
    def telling(self) -> Mapping[str, Any] | None:
        """The last request that went wrong, else the last one."""
        bad = [one for one in self.evidence if _is_bad(one)]
        return next(reversed(bad or [*self.evidence]), None)


def _is_bad(one: Mapping[str, Any]) -> bool:
    return bool(one.get("fault") or one.get("error") or one.get("status", 0) >= 400)


@dataclass(frozen=True, slots=True)
class Beside:
    """How many connections there are where an incident is, and how many of these are broken."""

    connections: int
    broken: int
    elsewhere: int = 0  # at the same provider, but not where it is
    broken_elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """An incident that several connections share, with what one has to know of it."""

    shown: Shown
    title: str  # of its provider; empty for our network
    status_page: str
    tally: Tally
    growth: Growth | None
    shares: tuple[Share, ...]  # the connections of its provider, by place and state
    sample: Sample | None
    call: Called | None

    @property
    def number(self) -> int:
        """Its number."""
        return self.shown.seen.id

    @property
    def beside(self) -> Beside:
        """How many connections there are where it is, and elsewhere at its provider."""
        return beside(self.shown.seen.about, self.shares)


async def blocks(parts: Parts, found: Sequence[Shown]) -> list[Block]:
    """Return these incidents with what stands beside them, in as many queries for one as for a hundred."""
    numbers = [one.seen.id for one in found]
    tallies = await details.tallies(parts.database, numbers)
    grown = await details.growth(parts.database, _moments(parts, found, tallies))
    shares = await details.spread(parts.database, *_places(found))
    samples = await samples_of(parts, await details.some_of(parts.database, numbers))
    calls = await calls_of(parts, {one.seen.id: _trouble(parts, one.seen) for one in found})
    return [
        Block(
            one,
            title_of(parts, provider_of(parts, one.seen.about, shares)),
            _status_page(parts, one.seen.about),
            tallies.get(one.seen.id, Tally()),
            grown.get(one.seen.id),
            _of_provider(shares, provider_of(parts, one.seen.about, shares)),
            samples.get(one.seen.id),
            calls.get(one.seen.id),
        )
        for one in found
    ]


def _moments(
    parts: Parts, found: Sequence[Shown], tallies: Mapping[int, Tally]
) -> dict[int, Sequence[datetime]]:
    now = parts.clock.now()
    return {
        one.seen.id: moments(first, one.seen.closed_at or now)
        for one in found
        if (first := tallies.get(one.seen.id, Tally()).first_at) is not None
    }


def beside(about: About, shares: Collection[Share]) -> Beside:
    """Count the connections where an incident is, and those of the same provider elsewhere."""
    here, there = _counted(about, shares, inside=True), _counted(about, shares, inside=False)
    return Beside(*here, *there)


def _counted(about: About, shares: Collection[Share], *, inside: bool) -> tuple[int, int]:
    mine = [one for one in shares if (about in one.place.groups()) is inside]
    broken = sum(one.connections for one in mine if one.state == State.BROKEN.value)
    return sum(one.connections for one in mine), broken


def _places(found: Sequence[Shown]) -> tuple[set[str], set[str]]:
    """Return the providers that incidents are at, and the apps whose provider has to be found."""
    abouts = [one.seen.about for one in found]
    named = (Subject.PROVIDER, Subject.REGION)
    providers = {one.name.partition("/")[0] for one in abouts if one.kind in named}
    return providers, {one.name for one in abouts if one.kind is Subject.APP}


def _of_provider(shares: Collection[Share], provider: str) -> tuple[Share, ...]:
    return tuple(one for one in shares if one.place.provider == provider)


def provider_of(parts: Parts, about: About, shares: Collection[Share] = ()) -> str:
    """Return the name of the provider that an incident is at; empty for our network, and where none is known.

    An app that is not configured has one all the same: that of its connections.
    """
    match about.kind:
        case Subject.APP:
            if about.name in parts.apps:
                return parts.apps[about.name].provider.name
            return next((one.place.provider for one in shares if one.place.app == about.name), "")
        case Subject.PROVIDER | Subject.REGION:
            return about.name.partition("/")[0]
    return ""


def title_of(parts: Parts, provider: str) -> str:
    """Return how a provider is called; its name where no app of it is configured."""
    titles = (app.provider.title for app in parts.apps.values() if app.provider.name == provider)
    return next(titles, provider)


def _status_page(parts: Parts, about: About) -> str:
    name = provider_of(parts, about)
    pages = (app.provider.status_page for app in parts.apps.values() if app.provider.name == name)
    return next(pages, None) or ""


async def samples_of(parts: Parts, connections: Mapping[int, str]) -> dict[int, Sample]:
    """Return what was answered at these connections, by the number of the incident that it is told of."""
    changes = await details.newest_changes(parts.database, set(connections.values()))
    return {
        number: Sample(name, change.at, change.rule, change.evidence)
        for number, name in connections.items()
        if (change := changes.get(name)) is not None
    }


async def calls_of(parts: Parts, troubles: Mapping[int, Trouble]) -> dict[int, Called]:
    """Return how on-call is told of incidents, by their numbers."""
    oncall, now = build_oncall(parts), parts.clock.now()
    async with parts.database.read() as conn:
        return await called.called(conn, oncall, troubles, now)


def _trouble(parts: Parts, seen: Seen) -> Trouble:
    app = seen.about.name if seen.about.kind is Subject.APP else ""
    return Trouble(
        seen.about.kind,
        seen.about.name,
        seen.cause,
        seen.owner,
        seen.opened_at,
        seen.wave,
        # A wave that is open holds something, as far as its alert is concerned.
        held=int(seen.wave and seen.closed_at is None),
        members=max(seen.members, 1),
        provider=provider_of(parts, seen.about),
        app=app,
    )


def trouble_of(seen: Seen, place: Place, client: str) -> Trouble:
    """Return a single connection's incident as on-call is concerned with it."""
    return Trouble(
        seen.about.kind,
        seen.about.name,
        seen.cause,
        seen.owner,
        seen.opened_at,
        members=1,
        provider=place.provider,
        app=place.app,
        client=client,
    )
