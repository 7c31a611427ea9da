"""The database: brought to this version, backed up, and restored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitor.clock import SystemClock
from monitor.health.rotation import AfterLost
from monitor.operations import backup as file
from monitor.operations.actor import Actor, Right
from monitor.operations.backup import Done
from monitor.settings.loaded import Loaded
from monitor.settings.parts import database_of
from monitor.store import schema
from monitor.store.engine import UNWELL, ours
from monitor.tokens.vault import Vault


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did: the revisions of the schema, None before the first."""

    database: str
    before: str | None
    after: str


async def upgrade(loaded: Loaded, actor: Actor) -> Upgraded:
    """Bring the schema to this version; safe to repeat."""
    actor.needs(Right.HOST)
    async with database_of(loaded) as database:
        before, after = await schema.upgrade(database, actor.name, SystemClock().now())
        return Upgraded(database.name, before, after)


async def backup(loaded: Loaded, actor: Actor, path: Path) -> Done:
    """Back everything up but the keys, while services run. Raises Conflict over a file that is there."""
    actor.needs(Right.HOST)
    async with database_of(loaded) as database:
        return await file.backup(database, path, SystemClock(), actor.name)


async def restore(loaded: Loaded, actor: Actor, path: Path, *, replace: bool) -> Done:
    """Put a backup into the database, an empty one unless `replace`, while no service runs.

    Raises as `operations.backup.restore`.
    """
    actor.needs(Right.HOST)
    habits = {entry.id: loaded.provider(entry).oauth.habit.habit for entry in loaded.settings.apps}
    reused = [app for app, habit in habits.items() if habit is AfterLost.RETRY]
    vault = Vault(loaded.keys())
    async with database_of(loaded) as database:
        return await file.restore(
            database, path, vault, SystemClock(), actor.name, replace=replace, reused=reused
        )


def unwell(error: Exception) -> bool:
    """Whether an error is the database's, which cannot be reached or does not do what it is asked."""
    return isinstance(error, (*UNWELL, TimeoutError)) and not ours(error)
