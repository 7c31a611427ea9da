"""Everything that the console has: what the modules of `pages` declare."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from monitor.web.console import pages
from monitor.web.console.declared import Declared


@lru_cache(maxsize=1)
def declared() -> tuple[Declared, ...]:
    """Return every page and every action there is."""
    found = []
    for module in pkgutil.iter_modules(pages.__path__, f"{pages.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            one = getattr(value, "declared", None)
            if isinstance(one, Declared) and one.endpoint.__module__ == module.name:
                found.append(one)
    return tuple(found)
