"""What people may do, by their role: the one table, which docs/access.md shows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from monitor.errors import ConfigurationError
from monitor.operations.actor import PEOPLE_ONLY, Right


class Role(StrEnum):
    """What a person is here, least first."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = frozenset(
    {
        Right.CONNECTIONS_READ,
        Right.INCIDENTS_READ,
        Right.NOTICES_READ,
        Right.SILENCES_READ,
        Right.CATALOGUE_READ,
        Right.EVENTS_READ,
    }
)
_OPERATOR = _VIEWER | {
    Right.CONNECTIONS_OPERATE,
    Right.CONNECTIONS_WRITE,
    Right.LINKS_CREATE,
    Right.INCIDENTS_OPERATE,
    Right.NOTICES_OPERATE,
    Right.SILENCES_WRITE,
}
_ADMIN = _OPERATOR | {
    Right.AUDIT_READ,
    Right.WEBHOOKS_READ,
    Right.WEBHOOKS_WRITE,
    Right.KEYS_READ,
    Right.SETTINGS_READ,
    *PEOPLE_ONLY,
}
MAY: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: frozenset(_OPERATOR),
    Role.ADMIN: frozenset(_ADMIN),
}
# What a key may be given. The rest is for people, or for who has a shell on the host.
SCOPES = frozenset(Right) - PEOPLE_ONLY - {Right.HOST}


def role_of(word: str) -> Role:
    """Read a role. Raises ConfigurationError."""
    try:
        return Role(word)
    except ValueError:
        known = ", ".join(one.value for one in Role)
        raise ConfigurationError(f"{word!r} is no role; those are {known}.") from None


def role_with(may: frozenset[Right]) -> str:
    """Return the highest role whose rights somebody has, empty for none."""
    return next((role.value for role in reversed(Role) if MAY[role] <= may), "")


def least(right: Right) -> Role | None:
    """Return the least role that has a right, None for one that no person has."""
    return next((role for role in Role if right in MAY[role]), None)
