"""Every channel by its name: the files of this room that say which section their settings stand in."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from alerts.channels.channel import Pages
from monitor.errors import ConfigurationError


def _found() -> dict[str, ModuleType]:
    names = sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"{__package__}.{name}") for name in names if name != "registry"]
    return {module.NAME: module for module in modules if hasattr(module, "SECTION")}


CHANNELS = _found()
# Those that take pages; whoever claims any address is asked last.
PAGING: dict[str, Pages] = dict(
    sorted(
        ((name, module) for name, module in CHANNELS.items() if module.SECTION == "oncall"),
        key=lambda item: item[1].TAKES_ANY,
    )
)


def claiming(what: str, url: str) -> str:
    """Return the name of the channel that an address belongs to. Raises ConfigurationError."""
    for name, channel in PAGING.items():
        if channel.claims(url):
            return name
    raise ConfigurationError(f"oncall: {what}: no channel knows this address.")
