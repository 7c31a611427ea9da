"""Keys for programs: made by people for what they may do themselves, changed, given another text, ended.

A key never makes a key. The text is told once, to whoever made it; what is stored is its hash.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.errors import ConfigurationError, NotAdmitted
from monitor.health.restriction import UNRESTRICTED, Restriction
from monitor.operations.actor import MACHINES_ONLY, Actor, Right
from monitor.operations.roles import SCOPES
from monitor.secret import Secret
from monitor.settings.builders import build_doorbell
from monitor.settings.parts import Parts
from monitor.store import api_keys
from monitor.store.api_keys import ApiKey
from monitor.text import api_key
from monitor.text.ids import new_id
from monitor.text.names import unprintable

LASTS, LONGEST = timedelta(days=90), timedelta(days=400)
GRACE, LONGEST_GRACE = timedelta(hours=24), timedelta(days=7)
WARNED = (14, 3)  # days before its end that a key's end is told of
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Made:
    """A key, and its text: shown now and never again."""

    key: ApiKey
    secret: Secret


async def new(
    parts: Parts,
    actor: Actor,
    name: str,
    scopes: Collection[str],
    *,
    only: Restriction = UNRESTRICTED,
    expires_at: datetime | None = None,
) -> Made:
    """Make a key. Raises NotAdmitted (`beyond_own_rights`), ConfigurationError for what cannot be used."""
    actor.needs(Right.KEYS_WRITE)
    now = parts.clock.now()
    rights = _given(actor, scopes)
    handle = api_key.new_handle()
    secret = api_key.make(handle)
    key = ApiKey(
        id=new_id("key"), name=_name(name), hash=api_key.digest(secret.reveal()), old_hash=None,
        old_until=None,
        scopes=rights, only=_only(only), made_by=actor.name, created_at=now,
        expires_at=_end(expires_at or now + LASTS, now), last_used_at=None, revoked_at=None, exposed_at=None,
        revision=1,
    )  # fmt: skip
    await api_keys.add(parts.database, key, handle, now, build_doorbell(parts), _news(key, (), actor))
    return Made(key, secret)


async def every(
    parts: Parts, actor: Actor, limit: int = 500, *, after: str = "", ended: bool = True
) -> list[ApiKey]:
    """Return keys by their ids, from after one of them on; those that are revoked too, or not."""
    actor.needs(Right.KEYS_READ)
    return await api_keys.page(parts.database, limit, after=after, ended=ended)


async def show(parts: Parts, actor: Actor, key: str) -> ApiKey:
    """Return one key, by its id or its name. Raises NotFound."""
    actor.needs(Right.KEYS_READ)
    return await api_keys.show(parts.database, key)


async def change(
    parts: Parts,
    actor: Actor,
    key: str,
    *,
    name: str | None = None,
    scopes: Collection[str] | None = None,
    only: Restriction | None = None,
    expires_at: datetime | None = None,
    revision: int | None = None,
) -> ApiKey:
    """Change what is given of a key; its text stays.

    Raises NotFound, Conflict for one that is revoked, ChangedMeanwhile for another revision,
    NotAdmitted (`beyond_own_rights`), ConfigurationError.
    """
    actor.needs(Right.KEYS_WRITE)
    now, known = parts.clock.now(), await api_keys.show(parts.database, key)
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = _name(name)
    if scopes is not None:
        values["scopes"] = _given(actor, scopes)
    if only is not None:
        values["only"] = _only(only)
    if expires_at is not None:
        values["expires_at"] = _end(expires_at, now)
    why = _news(replace(known, **values), known.scopes, actor)
    return await api_keys.change(
        parts.database, known.id, values, now, actor.name, build_doorbell(parts), why, revision
    )


async def rotate(
    parts: Parts, actor: Actor, key: str, grace: timedelta = GRACE, *, revision: int | None = None
) -> Made:
    """Give a key another text; the one before is good for `grace` (7 days at most) yet.

    Raises NotFound, Conflict for one that is revoked, ChangedMeanwhile, ConfigurationError.
    """
    actor.needs(Right.KEYS_WRITE)
    if not timedelta(0) <= grace <= LONGEST_GRACE:
        raise ConfigurationError("The text before a rotation is good for 7 days more at most.")
    known = await api_keys.show(parts.database, key)
    secret = api_key.make(await api_keys.handle_of(parts.database, known.id))
    digest, now = api_key.digest(secret.reveal()), parts.clock.now()
    return Made(
        await api_keys.rotate(parts.database, known.id, digest, grace, now, actor.name, revision), secret
    )


async def revoke(parts: Parts, actor: Actor, key: str, *, revision: int | None = None) -> ApiKey:
    """End a key for good: refused in five seconds. Raises NotFound, Conflict, ChangedMeanwhile."""
    actor.needs(Right.KEYS_WRITE)
    return await api_keys.revoke(parts.database, key, parts.clock.now(), actor.name, revision)


async def warn_of_ends(parts: Parts) -> int:
    """Tell the operator, and programs by an event, which keys end soon; of how many that was news."""
    now, told = parts.clock.now(), 0
    soon = await api_keys.ending(parts.database, now + timedelta(days=max(WARNED)), now)
    for days in sorted(WARNED):
        due = [
            key
            for key, known in soon
            if key.expires_at <= now + timedelta(days=days) and (known is None or known > days)
        ]
        if due:
            told += await api_keys.warn(parts.database, due, days, now, build_doorbell(parts))
            soon = [(key, days if key in due else known) for key, known in soon]
    return told


def restricted(
    apps: Sequence[str] = (),
    labels: Mapping[str, Sequence[str]] | None = None,
    connections: Sequence[str] = (),
    networks: Sequence[str] = (),
) -> Restriction:
    """Return a restriction, checked. Raises ConfigurationError."""
    said = {name: tuple(values) for name, values in (labels or {}).items()}
    return _only(Restriction(tuple(apps), said, tuple(connections), tuple(networks)))


def _given(actor: Actor, scopes: Collection[str]) -> tuple[str, ...]:
    """Return the scopes that somebody gives a key, in order: those of the own role, and the machines' own."""
    if not scopes:
        raise ConfigurationError("A key without a scope may do nothing; give it one.")
    for scope in scopes:
        if scope not in {right.value for right in Right} - {Right.HOST.value}:
            near = difflib.get_close_matches(scope, [right.value for right in SCOPES], n=1)
            hint = f"; did you mean {near[0]!r}" if near else ""
            raise ConfigurationError(f"{scope!r} is no scope{hint}.")
    rights = {Right(scope) for scope in scopes}
    beyond = sorted(rights - SCOPES) or sorted(rights - actor.may - MACHINES_ONLY)
    if beyond:
        whose = "is for people only" if beyond[0] not in SCOPES else "is more than you may do yourself"
        raise NotAdmitted("beyond_own_rights", f"A key cannot get {beyond[0].value}: that {whose}.")
    return tuple(sorted(right.value for right in rights))


def _name(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME or unprintable(name) is not None:
        raise ConfigurationError(f"A key's name is 1 to {LONGEST_NAME} characters in one line.")
    return name.strip()


def _end(end: datetime, now: datetime) -> datetime:
    if end <= now:
        raise ConfigurationError("A key's end is yet to come.")
    if end > now + LONGEST:
        raise ConfigurationError(
            f"A key lasts {LONGEST.days} days at most; rotate it and give it another end."
        )
    return end.replace(microsecond=0)


def _only(only: Restriction) -> Restriction:
    for network in only.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ConfigurationError(f"{network!r} is no network; write 10.0.0.0/8.") from None
    if any(not values for values in only.labels.values()):
        raise ConfigurationError("A label that a key is restricted to needs a value.")
    texts = [*only.apps, *only.connections, *only.labels, *(v for vs in only.labels.values() for v in vs)]
    if any(not text or len(text) > 200 or unprintable(text) is not None for text in texts):
        raise ConfigurationError("What a key is restricted to is one line each, 200 characters at most.")
    return only


def _news(key: ApiKey, before: Sequence[str], actor: Actor) -> str:
    """Return what the operator hears of a key's scopes; empty for what is not worth a mail."""
    if Right.TOKENS_READ.value not in key.scopes or Right.TOKENS_READ.value in before:
        return ""
    return (
        f"{actor.name} let the key {key.name!r} ({key.id}) read access tokens of {_extent(key.only)}, "
        f"until {key.expires_at:%Y-%m-%d}"
    )


def _extent(only: Restriction) -> str:
    return "every connection" if only.whole else "the connections that it is restricted to"
