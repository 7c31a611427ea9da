"""The recorded answers of the built-in providers, and what comes of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from monitor.operations.recorded import Tried, tried
from monitor.providers import catalogue
from monitor.wire.recorded import Recorded, read_directory

ROOM = Path(__file__).parent


def recorded(provider: str) -> list[Recorded]:
    """Return the answers of a provider."""
    return read_directory(ROOM / provider)


def of_all() -> Iterator[tuple[str, Recorded]]:
    """Yield every answer with its provider."""
    for provider in catalogue.built_in():
        for one in recorded(provider):
            yield provider, one


def tried_all(provider: str) -> list[Tried]:
    """Put a provider's answers through its file."""
    known = catalogue.load(provider)
    return [tried(known, one) for one in recorded(provider)]
