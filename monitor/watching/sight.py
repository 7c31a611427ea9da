"""Whether a provider refuses this process alone: what it was refused, held against what others are given.

A new replica on a new address meets `invalid_grant` for every client at once. The connections say nothing of
that; what another process finds at the very same ones does. So each process keeps what it was refused since a
provider last gave it something good, and `comparing` asks how those connections look from elsewhere. Nothing
here waits or reads a clock.

The two doors of a provider are kept apart, since an address may be barred from one of them: what refreshes
says nothing of what is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from monitor.health.causes import Cause, Subject, consequence, is_definite
from monitor.health.evidence import Evidence, RefreshNote, Step
from monitor.health.finding import Finding
from monitor.store.due import Lease

LEAST = 3  # connections that we were refused, and others were not
MEMORY = timedelta(minutes=30)
CANARY_EVERY = timedelta(minutes=1)
UNDECIDED = timedelta(minutes=15)  # so long we hold back while no canary tells


class Door(Enum):
    """What of a provider is asked."""

    GRANT = "grant"  # the token endpoint
    API = "api"


class View(NamedTuple):
    """One door of one provider."""

    provider: str
    door: Door


class Refusal(NamedTuple):
    """When we were refused, and with which pair."""

    at: datetime
    version: int


@dataclass(slots=True)
class Suspicion:
    """What we were refused at a door since it last gave us something good.

    `elsewhere` are those of `refused` that another process found good. From `held_at` on we claim nothing of
    this provider, and look at a `canary` now and then; `sure_at` is when the first of them was refused, which
    another process had found good: from then on it is known.
    """

    refused: dict[str, Refusal] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    held_at: datetime | None = None
    sure_at: datetime | None = None
    canary: str = ""
    tried_at: datetime | None = None


class Sight:
    """This process's eyes. `alone`: no other process probes, so that nothing can be compared."""

    def __init__(self) -> None:
        self.views: dict[View, Suspicion] = {}
        self.alone = True

    def believes(self, lease: Lease, evidence: Evidence, finding: Finding, now: datetime) -> bool:
        """Take in what one look found; return whether it says anything of the connection."""
        provider = lease.place.provider
        for door in _opened(evidence):
            self.views.pop(View(provider, door), None)
        if not _refusal(finding.cause):
            return True
        known = self.views.setdefault(View(provider, _closed(evidence)), Suspicion())
        if known.held_at is not None:
            if lease.id == known.canary and known.sure_at is None:
                known.sure_at = now
            return False
        # What others had doubts about before us is no sight of ours alone.
        if lease.id in known.refused or lease.health.candidate is Cause.OK:
            known.refused[lease.id] = Refusal(now, lease.sealed.version)
        return True

    def rests(self, provider: str) -> bool:
        """Whether nothing of a provider is claimed here: others look at it. Alone, we have to go on."""
        return not self.alone and any(
            view.provider == provider and known.held_at is not None for view, known in self.views.items()
        )

    def doubts(self, now: datetime) -> list[tuple[View, Suspicion]]:
        """Return the doors at which we were refused often enough, and only that."""
        for known in self.views.values():
            if known.held_at is None:
                known.refused = {name: r for name, r in known.refused.items() if now - r.at < MEMORY}
                known.elsewhere &= known.refused.keys()
        return [
            (view, known)
            for view, known in self.views.items()
            if known.held_at is None and len(known.refused) >= LEAST
        ]

    def held(self, now: datetime) -> list[tuple[View, Suspicion]]:
        """Return the doors that are held; one that no canary told anything about for long is held no more."""
        for view, known in list(self.views.items()):
            if known.held_at is not None and known.sure_at is None and now - known.held_at >= UNDECIDED:
                del self.views[view]
        return [(view, known) for view, known in self.views.items() if known.held_at is not None]

    def blocked(self) -> Mapping[str, datetime]:
        """Return the providers that refuse this process for certain, and since when."""
        found: dict[str, datetime] = {}
        for view, known in self.views.items():
            if known.sure_at is not None:
                found[view.provider] = min(known.sure_at, found.get(view.provider, known.sure_at))
        return found


def _opened(evidence: Evidence) -> set[Door]:
    """Return the doors that gave something good."""
    whoami = evidence.last(Step.WHOAMI)
    found = {Door.API} if whoami is not None and whoami.outcome.ok else set()
    return found | ({Door.GRANT} if evidence.refresh is RefreshNote.DONE else set())


def _closed(evidence: Evidence) -> Door:
    """Return the door that refused us: the API, unless it was not asked or has answered well."""
    whoami = evidence.last(Step.WHOAMI)
    read = whoami is not None and not whoami.outcome.ok
    return Door.GRANT if evidence.refresh is RefreshNote.FAILED and not read else Door.API


def _refusal(cause: Cause) -> bool:
    """Whether a cause is one that a barred address brings about, or looks like."""
    row = consequence(cause)
    return (
        is_definite(cause)
        and not row.about_scopes
        and row.subject in (Subject.CONNECTION, Subject.PROVIDER)
        and cause is not Cause.OK
    )
