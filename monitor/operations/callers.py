"""Who calls: which key a text is, believed for five seconds; and what becomes of one that stood in a URL."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from monitor.host.network import within
from monitor.operations.actor import MACHINES_ONLY, PEOPLE_ONLY, Actor, Door, Right
from monitor.settings.builders import build_doorbell
from monitor.settings.parts import Parts
from monitor.store import api_keys, audit
from monitor.store.api_keys import USED_EVERY, ApiKey
from monitor.text import api_key

log = structlog.get_logger("monitor.access")

BELIEVED = timedelta(seconds=5)
V = TypeVar("V")
MOST = 10_000  # keys
_RIGHTS = {right.value: right for right in Right if right is not Right.HOST and right not in PEOPLE_ONLY}


class Callers:
    """The keys that one process knows."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: OrderedDict[str, tuple[datetime, ApiKey]] = OrderedDict()
        self._noted: OrderedDict[str, datetime] = OrderedDict()  # when the use of which key was written down

    async def key(self, text: str) -> ApiKey | None:
        """Return the key that a text is, if it is good; None for all else alike."""
        handle = api_key.handle_of(text)
        if handle is None:
            return None
        now, digest = self._parts.clock.now(), api_key.digest(text)
        found = await self._believed(handle, now)
        if found is None or not found.is_text(digest, now):
            found = await self._read(handle, now)  # it may have been made, or rotated, a moment ago
        if found is None or not found.is_text(digest, now) or found.state(now) != "active":
            return None
        return found

    async def used(self, key: ApiKey) -> None:
        """Note that a key was used, once a minute."""
        now, last = self._parts.clock.now(), self._noted.get(key.id)
        if last is None or now >= last + USED_EVERY:
            _keep(self._noted, key.id, now)
            await api_keys.used(self._parts.database, key.id, now)

    async def exposed(self, texts: Iterable[str], address: str) -> None:
        """Mark the keys that stood in a URL, and tell the operator; what only looks like one marks none."""
        now = self._parts.clock.now()
        for text in texts:
            handle = api_key.handle_of(text)
            found = await api_keys.by_handle(self._parts.database, handle) if handle is not None else None
            if found is None or not found.is_text(api_key.digest(text), now) or found.exposed_at is not None:
                continue
            bell = build_doorbell(self._parts)
            if await api_keys.expose(self._parts.database, found, now, address, bell):
                log.warning("key.exposed", key=found.id, name=found.name)

    async def refused(self, who: str, address: str, code: str) -> None:
        """Write down that somebody was not let in; `who` they are, where that is known."""
        now, database = self._parts.clock.now(), self._parts.database
        await audit.write_down(database, now, who or audit.SERVICE, "access.refused", address, code=code)

    async def _believed(self, handle: str, now: datetime) -> ApiKey | None:
        read_at, known = self._known.get(handle, (None, None))
        if read_at is None or not timedelta(0) <= now - read_at < BELIEVED:
            return await self._read(handle, now)
        return known

    async def _read(self, handle: str, now: datetime) -> ApiKey | None:
        known = await api_keys.by_handle(self._parts.database, handle)
        if known is not None:
            _keep(self._known, handle, (now, known))
        else:
            self._known.pop(handle, None)
        return known


def actor_of(key: ApiKey) -> Actor:
    """Return who a key is, and what it may."""
    may = frozenset(_RIGHTS[scope] for scope in key.scopes if scope in _RIGHTS)
    return Actor(f"key:{key.id}", Door.API, may, key.only)


def is_for_machines(who: Actor) -> bool:
    """Whether somebody has a right that no person has: it must not travel where others listen."""
    return bool(who.may & MACHINES_ONLY)


def may_come_from(who: Actor, address: str) -> bool:
    """Whether somebody may come from an address."""
    return not who.only.networks or within(address, who.only.networks)


def _keep(of: OrderedDict[str, V], key: str, value: V) -> None:
    of[key] = value
    of.move_to_end(key)
    while len(of) > MOST:
        of.popitem(last=False)
