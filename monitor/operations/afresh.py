"""The configuration file as it stands now, beside the settings that the service runs with."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.errors import TokenHealthError
from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.file import load
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts


@dataclass(frozen=True, slots=True)
class Afresh:
    """What came of reading the file once more. The service goes on with what it read when it started."""

    changed: bool = False  # it says something else by now
    mistakes: tuple[str, ...] = ()  # why the service would not start with it, one sentence each
    lacking: tuple[str, ...] = ()  # variables that it names and this process was started without


def read(parts: Parts, actor: Actor) -> Afresh:
    """Read the file once more, and check it as a start would; nothing is taken up."""
    actor.needs(Right.SETTINGS_READ)
    reach.whole(actor, "the settings are of everything")
    running = parts.loaded
    try:
        found = load(running.path, running.environ)
        if found.settings == running.settings:
            return Afresh()
        lacking = _lacking(found)
        # Whoever starts the service sets them then: that they are not here yet is no mistake of the file.
        there = {**running.environ, **dict.fromkeys(lacking, "set at the start")}
        Loaded(found.settings, found.path, there).apps(parts.vault)
    except TokenHealthError as error:
        lines = str(error).removeprefix(f"{running.path}: ").splitlines()
        return Afresh(True, tuple(one.strip() for one in lines if one.strip()))
    return Afresh(True, lacking=lacking)


def _lacking(found: Loaded) -> tuple[str, ...]:
    named = (app.client_secret_env for app in found.settings.apps)
    return tuple(dict.fromkeys(name for name in named if name and not found.environ.get(name)))
