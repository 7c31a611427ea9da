"""Everything that the console has: what the modules of `pages` declare."""

from __future__ import annotations

import importlib
import pkgutil

from monitor.web.console import pages
from monitor.web.console.declared import Declared, so_far


def declared() -> tuple[Declared, ...]:
    """Return every page and every action there is."""
    for module in pkgutil.iter_modules(pages.__path__, f"{pages.__name__}."):
        importlib.import_module(module.name)
    return so_far()
