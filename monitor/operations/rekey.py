"""Changes the encryption keys while everything runs, so that no sealed text is ever without its key.

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

from monitor.errors import CannotDecrypt, KeyMissing
from monitor.settings.parts import Parts
from monitor.store import audit, sealing
from monitor.store.alone import Still, alone
from monitor.store.sealing import SealedCell, SealedColumn
from monitor.tokens.vault import Cell, Key, Vault, change_key_file, new_key, prefix_of, prefixes_of

# From sealing a pair to its commit it takes seconds, a few minutes where the database is gone just then.
GRACE = timedelta(days=1)
KEPT = 2  # the first key, and the one before
BATCH = 500
# A row that somebody was changing is met again; what does not open stays as it is, however often.
PASSES = 3


@dataclass(frozen=True)
class Rotation:
    """What a rotation did. `kept` says of each older key why it stays, `broken` names what did not open."""

    current: str
    resealed: int
    retired: tuple[str, ...]
    kept: Mapping[str, str] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


async def rotate_keys(parts: Parts, progress: Callable[[int], None] = lambda _n: None) -> Rotation:
    """Seal everything with the newest key, while the service runs, and retire keys out of use.

    With a key file a fresh key is made first; with TOKEN_HEALTH_KEYS the first one there is taken. Raises
    AlreadyRunning while another rotation is at work.
    """
    async with alone(parts.database, "keys rotate") as still:
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
            audit.person(),
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


async def _retire(parts: Parts, keys: Sequence[Key], now: datetime) -> tuple[list[str], dict[str, str]]:
    """Take keys out of use out of the database and the file; return them, and why the others stay."""
    added = await sealing.keys_added(parts.database)
    retired, kept = [], {}
    for index, key in enumerate(keys):
        if index < KEPT:
            continue
        why = _in_configuration(parts, key.id) or _too_young(superseded(keys, added, index), now)
        if why is None and not await sealing.retire_key(parts.database, key.id, prefixes_of(key.id)):
            why = "something is sealed with it"
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


def _in_configuration(parts: Parts, key_id: str) -> str | None:
    for app in parts.loaded.settings.apps:
        if app.client_secret and app.client_secret.startswith(prefix_of(key_id)):
            return f"client_secret of app {app.id!r} is sealed with it; 'keys seal {app.id}' makes another"
    return None


def _too_young(since: datetime | None, now: datetime) -> str | None:
    if since is not None and now - since >= GRACE:
        return None
    return "a newer key took over less than a day ago"
