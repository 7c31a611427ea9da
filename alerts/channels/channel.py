"""What a channel is: a file of this room that has all that is asked for here.

A channel sends one message and says what became of it. Whoever configures or opens one finds it by its name
(`registry`), so that a new one is a new file and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from alerts.outbox.envelope import Outcome
from monitor.secret import Secret
from monitor.text.tomlfile import Section

# Reads a setting that may stand in the environment or a file: what it is called, its value, the variable, the
# file. None where it is not set.
Read = Callable[[str, str, str | None, Path | None], Secret | None]


class Channel(Protocol):
    """What takes pages: told that a matter stands, and that it is over. Its errors name no secret.

    `matter` is a document of `pages.wording`; `key` is the same for as long as the matter lasts, for services
    that tell repetitions by it.
    """

    async def send(
        self, key: str, matter: dict[str, Any], *, over: bool, now: datetime
    ) -> tuple[Outcome, str]:
        """Send one message; return what became of it, and the other side's words."""
        ...


@runtime_checkable
class KeptAlive(Protocol):
    """A channel that forgets what it is not told again and again."""

    async def keep_alive(self, matters: Iterable[dict[str, Any]], now: datetime) -> tuple[Outcome, str]:
        """Say once more what stands."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """An address that the settings give to a channel; `severities`: what goes there, empty for all."""

    name: str
    url: Secret
    severities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Around:
    """What a channel may need beside its address: its settings, where their files are, and who we are."""

    settings: Any
    directory: Path
    public_url: str


class Pages(Protocol):
    """A file of this room whose channel takes pages; its settings stand in [oncall]."""

    NAME: str
    SECTION: str
    TAKES_ANY: bool  # it claims whatever no other channel does
    Settings: type[Section]

    def given(self, settings: Any, read: Read) -> Sequence[Given]:
        """Return the addresses that stand in its own settings. Raises ConfigurationError."""
        ...

    def claims(self, url: str) -> bool:
        """Whether an address is its own, as far as one can see."""
        ...

    def opened(self, name: str, url: Secret, around: Around) -> Channel:
        """Open it at an address. Raises ConfigurationError for one that it cannot use."""
        ...


def http_address(url: str) -> str:
    """Refuse what is no web address (a validator)."""
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise ValueError("is a URL such as http://alertmanager.example:9093")
    return url.rstrip("/")
