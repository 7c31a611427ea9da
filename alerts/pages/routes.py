"""Which on-call channel is told of what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from alerts.pages.matters import Matter
from monitor.secret import Secret


class Kind(StrEnum):
    """How a channel is spoken to."""

    ALERTMANAGER = "alertmanager"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class Route:
    """A channel and what goes over it; an empty condition is none.

    The address is a secret, since most services put their key into it; the name is what is stored, logged
    and exported. `labels` are those of the connections: what is about several has the labels they share.
    """

    name: str
    kind: Kind
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


def name_of(url: str) -> str:
    """Name a channel without telling its address: `slack-3f9a1c`."""
    scheme = urlsplit(url).scheme or "channel"
    return f"{scheme}-{hashlib.sha256(url.encode()).hexdigest()[:6]}"
