"""What somebody may by now who asked for something that goes on without them.

Work on many may take an hour, and whoever asked for it may have another role by then, or be gone: what they
might when they asked is no leave to go on.
"""

from __future__ import annotations

from dataclasses import replace

from monitor.errors import NotFound
from monitor.operations.actor import Actor
from monitor.operations.callers import actor_of
from monitor.operations.roles import MAY, Role
from monitor.settings.parts import Parts
from monitor.store import api_keys, people


async def as_now(parts: Parts, asked: Actor) -> Actor | None:
    """Return who asked with what they may still, never more than then; None for who may come in no more."""
    kind, _, name = asked.name.partition(":")
    if kind == "user":
        return await _person(parts, asked, name)
    if kind == "key":
        return await _key(parts, asked, name)
    return asked  # whoever is on this machine


async def _person(parts: Parts, asked: Actor, name: str) -> Actor | None:
    found = await people.named(parts.database, name)
    if found is None or found.issuer not in (None, parts.loaded.settings.oidc.issuer):
        return None
    return replace(asked, may=asked.may & MAY[Role(found.role)])


async def _key(parts: Parts, asked: Actor, name: str) -> Actor | None:
    try:
        found = await api_keys.show(parts.database, name)
    except NotFound:
        return None
    if found.state(parts.clock.now()) != "active":
        return None
    now = actor_of(found)
    return replace(asked, may=asked.may & now.may, only=now.only)
