"""Encryption keys: made, sealed with, changed while everything runs, and given up where one is lost.

A rotation leaves no sealed text without its key:

1. One rotation at a time works on a database (`store.alone`).
2. The new key is in the file, durable, before a text is sealed with it; each change of the file begins with
   reading it anew.
3. Whoever seals looks first whether the file was changed (`Vault.seal`), so an older key seals nothing more
   than what was on its way when the newer one came.
4. A key leaves the file when nothing is sealed with it, it is neither the first nor the one before, and a
   newer one took over longer ago than anything can be on its way (`GRACE`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from monitor.clock import SystemClock
from monitor.errors import CannotDecrypt, Conflict, KeyMissing, NotFound, Remedy
from monitor.operations.actor import Actor, Right
from monitor.secret import Secret
from monitor.settings.loaded import Loaded, secret_cell
from monitor.settings.parts import Parts, database_of
from monitor.store import audit, sealing
from monitor.store.alone import Still, alone
from monitor.store.engine import Database
from monitor.store.sealing import SealedCell, SealedColumn, Sealing
from monitor.tokens.vault import (
    Cell,
    Key,
    Vault,
    change_key_file,
    new_key,
    prefix_of,
    prefixes_of,
    write_key_file,
)

# From sealing a pair to its commit it takes seconds, a few minutes where the database is gone just then.
GRACE = timedelta(days=1)
KEPT = 2  # the first key, and the one before
BATCH = 500
# A row that somebody was changing is met again; what does not open stays as it is, however often.
PASSES = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """Why a key stays, and what lets it go."""

    why: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Rotation:
    """What a rotation did. `kept` says of each older key why it stays, `broken` names what did not open."""

    current: str
    resealed: int
    retired: tuple[str, ...]
    kept: Mapping[str, Kept] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


def new(actor: Actor) -> str:
    """Return a fresh key, as a line of a key file or an entry of TOKEN_HEALTH_KEYS."""
    actor.needs(Right.HOST)
    return new_key().line()


def make_file(actor: Actor, path: Path) -> None:
    """Write a key file with one fresh key, readable by its owner only."""
    actor.needs(Right.HOST)
    write_key_file(path, [new_key()])


def seal(loaded: Loaded, actor: Actor, app: str, secret: Secret) -> str:
    """Seal an app's client secret, for `client_secret` in the configuration."""
    actor.needs(Right.HOST)
    return Vault(loaded.keys()).seal(secret, secret_cell(app))


async def lost(loaded: Loaded, actor: Actor, key: str) -> Sealing:
    """Return whose tokens are lost with a key that is gone.

    Raises NotFound for one that the database does not know, Conflict for one that is at hand.
    """
    actor.needs(Right.HOST)
    async with database_of(loaded) as database:
        await _must_be_gone(loaded, database, key)
        return await sealing.sealed_with(database, prefixes_of(key))


async def forget(loaded: Loaded, actor: Actor, key: str) -> int:
    """Give up a lost key and the tokens that it sealed; return of how many connections. Raises as `lost`."""
    actor.needs(Right.HOST)
    async with database_of(loaded) as database:
        await _must_be_gone(loaded, database, key)
        now = SystemClock().now()
        return await sealing.forget_key(database, key, prefixes_of(key), now, actor.name)


async def _must_be_gone(loaded: Loaded, database: Database, key: str) -> None:
    checks = await sealing.key_checks(database)
    if key not in checks:
        raise NotFound(f"The database knows no key {key!r}; it knows {', '.join(checks) or 'none'}.")
    if key not in Vault(loaded.keys()).missing(checks):
        raise Conflict(
            f"Key {key!r} is at hand and opens what it sealed.", Remedy("keys.rotate", "retires it")
        )


async def rotate(parts: Parts, actor: Actor, progress: Callable[[int], None] = lambda _n: None) -> Rotation:
    """Seal everything with the newest key, while the service runs, and retire keys out of use.

    With a key file a fresh key is made first; with TOKEN_HEALTH_KEYS the first one there is taken. Raises
    AlreadyRunning while another rotation is at work.
    """
    actor.needs(Right.HOST)
    async with alone(parts.database, "rotation of keys") as still:
        vault, loaded, now = parts.vault, parts.loaded, parts.clock.now()
        if not loaded.keys_from_environment:
            change_key_file(loaded.key_file, lambda keys: [new_key(), *keys])
        vault.reread()
        check = vault.check_text(vault.current)
        await sealing.add_key_check(parts.database, vault.current, check, now)
        work = _Resealing(parts, still, progress)
        for place in sealing.PLACES:
            await work.reseal(place)
        retired, kept = await _retire(parts, loaded.keys(), now)
        await audit.write_down(
            parts.database,
            now,
            actor.name,
            "keys.rotate",
            "keys",
            current=vault.current,
            resealed=work.done,
            retired=retired,
        )
        return Rotation(vault.current, work.done, tuple(retired), kept, tuple(sorted(work.broken)))


class _Resealing:
    """Re-encrypts, place by place; what does not open is left as it is, and named."""

    def __init__(self, parts: Parts, still: Still, progress: Callable[[int], None]) -> None:
        self._parts, self._still, self._progress = parts, still, progress
        self.done, self.broken = 0, set[str]()

    async def reseal(self, place: SealedColumn) -> None:
        """Seal all texts of a place with the current key."""
        for _ in range(PASSES):
            if not await self._once(place):
                return

    async def _once(self, place: SealedColumn) -> int:
        """Go through a place once; return how many rows took a new text."""
        database, vault = self._parts.database, self._parts.vault
        prefix, taken, after = prefix_of(vault.current, place.version), 0, None
        while found := await sealing.sealed_otherwise(database, place, prefix, after, BATCH):
            await self._still()
            after = found[-1].key
            changes = [(old, new) for old in found if (new := self._again(vault, place, old)) is not None]
            if changes:
                taken += await sealing.replace(database, place, changes)
                self._progress(self.done + taken)
        self.done += taken
        return taken

    def _again(self, vault: Vault, place: SealedColumn, old: SealedCell) -> str | None:
        cell = Cell(place.bound_to, old.row, place.column.name, old.app)
        try:
            return vault.seal(vault.open(old.text, cell), cell)
        except (CannotDecrypt, KeyMissing) as error:
            self.broken.add(str(error))
            return None


def superseded(keys: Sequence[Key], added: Mapping[str, datetime], index: int) -> datetime | None:
    """Return since when a newer key than that at `index` has sealed; None where nobody wrote it down."""
    return min((added[key.id] for key in keys[:index] if key.id in added), default=None)


async def _retire(parts: Parts, keys: Sequence[Key], now: datetime) -> tuple[list[str], dict[str, Kept]]:
    """Take keys out of use out of the database and the file; return them, and why the others stay."""
    added = await sealing.keys_added(parts.database)
    retired, kept = [], dict[str, Kept]()
    for index, key in enumerate(keys):
        if index < KEPT:
            continue
        why = _in_configuration(parts, key.id) or _too_young(superseded(keys, added, index), now)
        if why is None and not await sealing.retire_key(parts.database, key.id, prefixes_of(key.id)):
            why = Kept("something is sealed with it")
        if why is None:
            retired.append(key.id)
        else:
            kept[key.id] = why
    if retired and not parts.loaded.keys_from_environment:
        change_key_file(
            parts.loaded.key_file,
            lambda current: [k for n, k in enumerate(current) if n < KEPT or k.id not in retired],
        )
    return retired, kept


def _in_configuration(parts: Parts, key_id: str) -> Kept | None:
    for app in parts.loaded.settings.apps:
        if app.client_secret and app.client_secret.startswith(prefix_of(key_id)):
            return Kept(
                f"client_secret of app {app.id!r} is sealed with it",
                (Remedy("keys.seal", "makes another", app.id),),
            )
    return None


def _too_young(since: datetime | None, now: datetime) -> Kept | None:
    if since is not None and now - since >= GRACE:
        return None
    return Kept("a newer key took over less than a day ago")
