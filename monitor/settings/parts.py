"""The settings, opened: database, vault, apps and clock, which everything works with."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from monitor.clock import Clock, SystemClock
from monitor.errors import KeyMissing, Remedy
from monitor.secret import Secret
from monitor.settings.loaded import Loaded
from monitor.store import schema, sealing
from monitor.store.engine import Database, database_trouble
from monitor.tokens.vault import KEYED, Cell, Vault, keyed, prefixes_of
from monitor.wire.apps import App

IMPORTS = "imports"


@dataclass(frozen=True)
class Parts:
    """The opened parts that every command works with."""

    loaded: Loaded
    database: Database
    vault: Vault
    apps: dict[str, App]
    clock: Clock
    import_key: Secret  # what hashes of imported tokens are under


@asynccontextmanager
async def opened(loaded: Loaded, clock: Clock | None = None) -> AsyncIterator[Parts]:
    """Open database and vault, and make sure that schema and keys fit, before anything is probed."""
    clock = clock or SystemClock()
    vault = Vault(loaded.keys(), loaded.keys, loaded.keys_stamp)
    database = Database(loaded.database_url(), clock=clock)
    try:
        await schema.ensure(database)
        checks = await sealing.key_checks(database)
        try:
            _verify(vault, checks)
        except KeyMissing as error:
            raise await explained(error, database, vault, checks) from None
        if vault.current not in checks:
            check = vault.check_text(vault.current)
            await sealing.add_key_check(database, vault.current, check, clock.now())
        import_key = await _import_key(database, vault)
        yield Parts(loaded, database, vault, loaded.apps(vault), clock, import_key)
    except SQLAlchemyError as error:
        raise database_trouble(error, database) or error from None
    finally:
        await database.close()


@asynccontextmanager
async def database_of(loaded: Loaded, clock: Clock | None = None) -> AsyncIterator[Database]:
    """Open the database alone, whether or not its schema and keys fit."""
    database = Database(loaded.database_url(), clock=clock)
    try:
        yield database
    finally:
        await database.close()


async def _import_key(database: Database, vault: Vault) -> Secret:
    """Return the secret that hashes of imported tokens are under; the first process to ask makes it.

    A secret of its own, sealed as tokens are: keys come and go, and the hashes have to stay comparable.
    """
    cell, made = Cell("own_secret", IMPORTS, "sealed"), Secret(secrets.token_urlsafe(32))
    while (sealed := await sealing.kept_secret(database, cell.row)) is None:
        await sealing.keep_secret_of_imports(
            database, cell.row, vault.seal(made, cell), lambda old: keyed(made, old), KEYED
        )
    return vault.open(sealed, cell)


async def explained(
    error: KeyMissing, database: Database, vault: Vault, checks: Mapping[str, str]
) -> KeyMissing:
    """Say to whoever lost a key whose tokens went with it, and what can be done."""
    said, remedies = [], list(error.remedies)
    for key_id in vault.missing(checks):
        sealed = await sealing.sealed_with(database, prefixes_of(key_id))
        said.append(
            f"Key {key_id!r} seals the tokens of {sealed}."
            if sealed.count
            else f"Nothing is sealed with key {key_id!r}."
        )
        gives_up = "gives them up, and their clients are asked to authorize again"
        remedies.append(Remedy("keys.forget", gives_up, key_id, when=f"If {key_id} is gone for good"))
    return KeyMissing(" ".join([str(error), *said]), *remedies)


def _verify(vault: Vault, checks: Mapping[str, str]) -> None:
    """Make sure that the keys at hand fit; a rotation may have added one since the file was read."""
    try:
        vault.verify(checks)
    except KeyMissing:
        vault.reread()
        vault.verify(checks)
