"""What a program is restricted to: a part of the fleet, by app, label or name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Restriction:
    """Which connections: each member that is given has to hold, and of its several values one.

    `connections` are names with `*` for anything. `networks`, from where requests may come (CIDR), is the
    door's to look at.
    """

    apps: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    connections: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every connection is within."""
        return not (self.apps or self.labels or self.connections)

    def covers(self, connection: str, app: str, labels: Mapping[str, str]) -> bool:
        """Whether a connection is within."""
        return (
            (not self.apps or app in self.apps)
            and all(labels.get(name) in values for name, values in self.labels.items())
            and (
                not self.connections
                or any(fnmatchcase(connection, glob_only_stars(one)) for one in self.connections)
            )
        )


def glob_only_stars(pattern: str) -> str:
    """Return a pattern of `fnmatch` in which nothing but `*` is special."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


UNRESTRICTED = Restriction()
