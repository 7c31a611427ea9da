"""What many ask for within a moment, and what is read once for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from monitor.operations.actor import Actor
from monitor.settings.parts import Parts
from monitor.store.engine import Database

T = TypeVar("T")
MOMENT = timedelta(seconds=2)
MOST = 64  # values of a database, so that nothing grows with what is asked

_KEPT: WeakKeyDictionary[Database, dict[Hashable, tuple[datetime, Any]]] = WeakKeyDictionary()


async def kept(
    parts: Parts, who: Actor, key: Hashable, read: Callable[[], Awaitable[T]], length: timedelta = MOMENT
) -> T:
    """Return what was read lately, or read it; for whoever sees a part of the fleet only, always."""
    if not who.only.whole:
        return await read()
    values, now = _KEPT.setdefault(parts.database, {}), parts.clock.now()
    if key in values and timedelta(0) <= now - values[key][0] < length:
        found: T = values[key][1]
        return found
    found = await read()
    values.pop(key, None)
    if len(values) >= MOST:
        values.pop(next(iter(values)))
    values[key] = (now, found)
    return found
