"""Who does something, over which door, and what they may."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from enum import StrEnum

from monitor.errors import Refused


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
    # What only whoever has a shell beside the key file can do: tokens in clear, keys, the database.
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts, by the name that the audit has of them."""

    name: str
    door: Door
    may: frozenset[Right]

    def needs(self, right: Right) -> None:
        """Let pass who may. Raises Refused."""
        if right not in self.may:
            raise Refused(f"{self.name} may not do this: it needs {right.value}.")


def on_this_host() -> Actor:
    """Return whoever runs this command: who has the key file may do everything."""
    try:
        name = f"{Door.CLI.value}:{os.environ.get('SUDO_USER') or getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name, as in containers
        name = f"{Door.CLI.value}:uid {os.getuid()}"
    return Actor(name, Door.CLI, frozenset(Right))
