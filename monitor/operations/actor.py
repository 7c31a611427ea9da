"""Who does something, over which door, and what they may."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from monitor.errors import NotFound, Refused, Remedy
from monitor.health.restriction import UNRESTRICTED, Restriction

LOOPBACK = "loopback"  # the name of whoever is on this machine, where nobody has to sign in


class Door(StrEnum):
    """Where somebody comes in."""

    CLI = "cli"
    API = "api"
    CONSOLE = "console"


class Right(StrEnum):
    """What one may do; programs get each by itself, people by their role."""

    CONNECTIONS_READ = "connections:read"
    CONNECTIONS_OPERATE = "connections:operate"
    CONNECTIONS_WRITE = "connections:write"
    LINKS_CREATE = "links:create"
    INCIDENTS_READ = "incidents:read"
    INCIDENTS_OPERATE = "incidents:operate"
    NOTICES_READ = "notices:read"
    NOTICES_OPERATE = "notices:operate"
    SILENCES_READ = "silences:read"
    SILENCES_WRITE = "silences:write"
    CATALOGUE_READ = "catalogue:read"
    AUDIT_READ = "audit:read"
    SETTINGS_READ = "settings:read"
    EVENTS_READ = "events:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_READ = "keys:read"
    # People only: no key has these, whatever it is given.
    KEYS_WRITE = "keys:write"
    USERS_WRITE = "users:write"
    # Programs only: no session, role or loopback ever has these.
    TOKENS_READ = "tokens:read"
    SIGNALS_WRITE = "signals:write"
    # What only whoever has a shell beside the key file can do: tokens in clear, keys, the database.
    HOST = "host"


MACHINES_ONLY = frozenset({Right.TOKENS_READ, Right.SIGNALS_WRITE})
PEOPLE_ONLY = frozenset({Right.KEYS_WRITE, Right.USERS_WRITE})


class MayNot(Refused):
    """Whoever asked has not the right that this needs."""

    def __init__(self, who: str, right: Right) -> None:
        super().__init__(f"{who} may not do this: it needs {right.value}.")
        self.right = right


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts, by the name that the audit has of them: `cli:anna`, `key:key_…`, `user:anna`.

    `only` is the part of the fleet that there is for them; whatever is outside, is not there.
    """

    name: str
    door: Door
    may: frozenset[Right]
    only: Restriction = UNRESTRICTED

    @property
    def reads_addresses(self) -> bool:
        """Whether they see the addresses of contacts whole: who may only look does not.

        Who writes them does: what was hidden would be written back.
        """
        return bool(self.may & {Right.CONNECTIONS_OPERATE, Right.CONNECTIONS_WRITE})

    def needs(self, right: Right) -> None:
        """Let pass who may. Raises MayNot."""
        if right not in self.may:
            raise MayNot(self.name, right)

    def sees(self, connection: str, app: str, labels: Mapping[str, str]) -> None:
        """Let pass where a connection is within what there is for them. Raises NotFound, as for none."""
        if not self.only.covers(connection, app, labels):
            raise no_connection(connection)


def no_connection(connection: str) -> NotFound:
    """Return what is said of a connection that is not there."""
    return NotFound(
        f"There is no connection {connection!r}.", Remedy("connections.list", "shows those there are")
    )


def on_this_host() -> Actor:
    """Return whoever runs this command: who has the key file may do everything."""
    try:
        name = f"{Door.CLI.value}:{os.environ.get('SUDO_USER') or getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name, as in containers
        name = f"{Door.CLI.value}:uid {os.getuid()}"
    return Actor(name, Door.CLI, frozenset(Right) - MACHINES_ONLY)
