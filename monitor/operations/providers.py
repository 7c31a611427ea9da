"""Providers: those that are known, and files that describe more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monitor.operations.actor import Actor, Right
from monitor.providers import catalogue
from monitor.providers.schema import Provider
from monitor.settings.parts import Parts

if TYPE_CHECKING:  # commands that try no answers need not load what reads them
    from monitor.operations.recorded import Tried


def every(actor: Actor) -> list[Provider]:
    """Return the built-in providers, by name."""
    actor.needs(Right.CATALOGUE_READ)
    return [catalogue.load(name) for name in catalogue.built_in()]


def show(actor: Actor, name: str) -> Provider:
    """Return a built-in provider, as its file is understood. Raises NotFound."""
    actor.needs(Right.CATALOGUE_READ)
    return catalogue.load(name)


def used(parts: Parts, actor: Actor, name: str) -> Provider:
    """Return a provider that an app of ours is at, by its own file where it has one, or a built-in one.

    Raises NotFound.
    """
    actor.needs(Right.CATALOGUE_READ)
    ours = (app.provider for app in parts.apps.values() if app.provider.name == name)
    return next(ours, None) or catalogue.load(name)


def text(actor: Actor, name: str) -> str:
    """Return a built-in provider's file as it is written. Raises NotFound."""
    actor.needs(Right.CATALOGUE_READ)
    catalogue.load(name)
    return catalogue.built_in()[name].read_text(encoding="utf-8")


def check(actor: Actor, path: Path) -> tuple[Provider, list[str]]:
    """Read a provider file of this machine, and say what stands in it in vain.

    Raises ConfigurationError that names each mistake's line.
    """
    actor.needs(Right.HOST)
    return catalogue.review(path)


def try_answers(actor: Actor, path: Path, directory: Path) -> tuple[Provider, list[Tried]]:
    """Put the recorded answers of a directory through a provider file, as if they came on the wire.

    Raises ConfigurationError that names each mistake of either by its line.
    """
    from monitor.operations.recorded import tried
    from monitor.wire.recorded import read_directory

    provider, _ = check(actor, path)
    return provider, [tried(provider, one) for one in read_directory(directory)]
