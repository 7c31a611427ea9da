"""What a program is restricted to: a part of the fleet, by app, label or name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


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

    def within(self, larger: Restriction) -> bool:
        """Whether whatever is within this is within another, as far as it shows from how both are written."""
        return (
            _narrows(self.apps, larger.apps)
            and all(
                name in self.labels and _narrows(self.labels[name], values)
                for name, values in larger.labels.items()
            )
            and (
                not larger.connections
                or (
                    bool(self.connections)
                    and all(
                        any(fnmatchcase(one, glob_only_stars(wide)) for wide in larger.connections)
                        for one in self.connections
                    )
                )
            )
        )


def _narrows(some: Sequence[str], more: Sequence[str]) -> bool:
    return not more or (bool(some) and set(some) <= set(more))


def as_document(only: Restriction) -> dict[str, Any] | None:
    """Return a restriction as it is stored and shown, None where there is none."""
    said: dict[str, Any] = {
        "apps": list(only.apps),
        "labels": {name: list(values) for name, values in only.labels.items()},
        "connections": list(only.connections),
        "networks": list(only.networks),
    }
    return {name: value for name, value in said.items() if value} or None


def of_document(document: Mapping[str, Any] | None) -> Restriction:
    """Read what `as_document` wrote; a label may have one value, not in a list."""
    given = document or {}
    labels = {
        name: (values,) if isinstance(values, str) else tuple(values)
        for name, values in (given.get("labels") or {}).items()
    }
    return Restriction(
        tuple(given.get("apps") or ()),
        labels,
        tuple(given.get("connections") or ()),
        tuple(given.get("networks") or ()),
    )


def glob_only_stars(pattern: str) -> str:
    """Return a pattern of `fnmatch` in which nothing but `*` is special."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


UNRESTRICTED = Restriction()
