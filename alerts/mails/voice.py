"""How we speak to clients: the policy, and all that writing and sending a mail needs beside the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from alerts.channels.smtp import Sender, Server
from alerts.mails.compose import Composer
from alerts.mails.message import Logo
from alerts.mails.plan import MailPolicy
from alerts.silences.windows import Window
from monitor.providers.schema import Provider


@dataclass(frozen=True, slots=True)
class Voice:
    """How we speak: the policy, the operator's address, and the domain of our Message-IDs.

    `lifetimes` has the apps whose authorizations end on a known day, with how long they last in all; `apps`
    are those that are configured: of others nobody knows how they are, so their clients are told nothing.
    """

    policy: MailPolicy
    operator: str = ""
    domain: str = "localhost"
    lifetimes: Mapping[str, timedelta] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    apps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Registration:
    """An app as mails tell of it: its provider, and the id by which an administrator finds it there."""

    provider: Provider
    client_id: str


@dataclass(frozen=True)
class Post:
    """All that sending mail needs beside the database."""

    voice: Voice
    composer: Composer
    sender: Sender
    server: Server
    apps: Mapping[str, Registration]
    public_url: str
    link_lifetime: timedelta
    max_per_hour: int
    logo: Logo | None = None
