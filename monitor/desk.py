"""What people do with a fleet beside running it: take in, rotate keys, export, explain.

The commands here are the command line's today, and the API's when it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.health.cadence import stretched
from monitor.health.explain import Story
from monitor.health.incidents import Place
from monitor.intake import Record, utc
from monitor.probe import next_refresh
from monitor.secret import Secret
from monitor.service import Parts
from monitor.settings import secret_cell
from monitor.store import audit, connections, history, incidents, sealing
from monitor.store.connections import Imported, Known, NewConnection
from monitor.store.incidents import OpenIncident
from monitor.store.sealing import Cells
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.vault import Cell, Key, Vault, fingerprint, new_key, prefix_of, write_key_file


async def take_in(parts: Parts, records: list[Record], actor: str, *, dry_run: bool = False) -> Imported:
    """Seal the tokens of imported records and store them, all or nothing."""
    now = parts.clock.now()
    interval = parts.loaded.settings.schedule.interval.total_seconds()
    rate = max(float(parts.loaded.settings.schedule.concurrency), len(records) / interval)
    new = [
        _new_connection(parts, record, now + timedelta(seconds=index / rate))
        for index, record in enumerate(records)
    ]
    return await connections.put(parts.database, new, now, actor, dry_run=dry_run)


def _new_connection(parts: Parts, record: Record, first_probe_at: datetime) -> NewConnection:
    app, tokens = parts.apps[record.app], record.tokens
    access = Secret(tokens.access_token.get_secret_value()) if tokens else None
    given = tokens.refresh_token.get_secret_value() if tokens and tokens.refresh_token else ""
    refresh = Secret(given) if given else None
    return NewConnection(
        id=record.id,
        place=Place(app.id, app.provider.name, app.region),
        client_name=record.client.name,
        contacts=record.client.contacts,
        locale=record.client.locale,
        timezone=record.client.timezone,
        scopes=record.scopes,
        account_id=record.account_id,
        labels=record.labels,
        access=parts.vault.seal(access, access_cell(record.id)) if access else None,
        refresh=parts.vault.seal(refresh, refresh_cell(record.id)) if refresh else None,
        access_expires_at=utc(tokens.expires_at) if tokens else None,
        imported=fingerprint(access, refresh) if tokens else None,
        first_probe_at=first_probe_at,
    )


@dataclass(frozen=True)
class Rotation:
    """What a rotation of the encryption keys did."""

    current: str
    resealed: int
    retired: tuple[str, ...]


async def rotate_keys(parts: Parts, progress: Callable[[int], None] = lambda _n: None) -> Rotation:
    """Seal everything with the newest key, while the service runs, and retire keys out of use.

    With a key file a fresh key is made first; with TOKEN_HEALTH_KEYS the first one there is taken.
    A row that is refreshed meanwhile keeps its new pair, and is looked at again in the next round.
    """
    vault, loaded = parts.vault, parts.loaded
    keys = loaded.keys()
    if not loaded.keys_from_environment:
        keys = [new_key(), *keys]
        # Both keys are on disk before a cell is sealed with the new one, so that a crash loses nothing.
        write_key_file(loaded.key_file, keys)
        vault.use(keys)
    await sealing.add_key_check(parts.database, vault.current, vault.check_text(vault.current))
    resealed = 0
    while cells := await sealing.sealed_otherwise(parts.database, vault.prefix, 500):
        done = await sealing.replace_cells(parts.database, [(old, _resealed(vault, old)) for old in cells])
        resealed += done
        progress(resealed)
        if not done:
            break
    async with parts.database.write() as conn:
        await audit.record(
            conn,
            parts.clock.now(),
            audit.person(),
            "keys.rotate",
            "keys",
            current=vault.current,
            resealed=resealed,
        )
    return Rotation(vault.current, resealed, await _retire(parts, keys))


def _resealed(vault: Vault, old: Cells) -> Cells:
    def again(text: str | None, cell: Cell) -> str | None:
        return vault.seal(vault.open(text, cell), cell) if text is not None else None

    name = old.connection
    return Cells(name, again(old.access, access_cell(name)), again(old.refresh, refresh_cell(name)))


async def _retire(parts: Parts, keys: list[Key]) -> tuple[str, ...]:
    """Forget keys that nothing is sealed with, but not the one before the current.

    A running service takes up the new key within seconds, and may seal with the old one until then.
    """
    sealed_in_file = {
        app.client_secret.split(".")[1] for app in parts.loaded.settings.apps if app.client_secret
    }
    gone = [
        key.id
        for key in keys[2:]
        if key.id not in sealed_in_file and not await sealing.uses_key(parts.database, prefix_of(key.id))
    ]
    for key_id in gone:
        await sealing.retire_key(parts.database, key_id)
    if gone and not parts.loaded.keys_from_environment:
        write_key_file(parts.loaded.key_file, [key for key in keys if key.id not in gone])
    return tuple(gone)


def seal_client_secret(parts: Parts, app: str, secret: Secret) -> str:
    """Return an app's client secret as the configuration file may hold it."""
    return parts.vault.seal(secret, secret_cell(app))


def export_tokens(parts: Parts, known: Known) -> dict[str, str]:
    """Open a connection's tokens for an export that was asked to contain them."""
    tokens = {}
    if known.sealed.access is not None:
        tokens["access_token"] = parts.vault.open(known.sealed.access, access_cell(known.id)).reveal()
    if known.sealed.refresh is not None:
        tokens["refresh_token"] = parts.vault.open(known.sealed.refresh, refresh_cell(known.id)).reveal()
    if known.sealed.access_expires_at is not None:
        tokens["expires_at"] = known.sealed.access_expires_at.isoformat()
    return tokens


async def story(parts: Parts, connection_id: str) -> Story:
    """Gather everything that explains one connection. Raises NotFound."""
    known = await connections.show(parts.database, connection_id)
    newest = await history.timeline(parts.database, connection_id, 1)
    open_ones = await incidents.of_connection(parts.database, connection_id)
    larger = open_ones[1] if len(open_ones) > 1 else None
    app, change = parts.apps.get(known.place.app), newest[0] if newest else None
    settings = parts.loaded.settings
    return Story(
        id=known.id,
        client=known.client_name,
        provider=app.provider.title if app else known.place.provider,
        app=known.place.app,
        health=known.health,
        reasons=change.reasons if change else (),
        rule=known.health.rule,
        evidence=change.evidence if change else (),
        evidence_at=change.at if change else None,
        scope=change.scope if change else None,
        last_probe_at=known.last_probe_at,
        last_success_at=known.last_success_at,
        next_probe_at=known.next_probe_at,
        next_refresh_at=next_refresh(known.id, known.sealed, app, settings.cadence) if app else None,
        incident_since=open_ones[0].opened_at if open_ones else None,
        larger=_larger(larger) if larger else None,
        held=larger.guard if larger else False,
        policy=settings.policy,
    )


def _larger(found: OpenIncident) -> str:
    return found.reasons[0] if found.guard and found.reasons else f"{found.cause.value} of {found.about}."


async def stretched_apps(parts: Parts) -> list[tuple[str, timedelta, timedelta]]:
    """Return the apps whose limit makes their interval longer: id, the interval, the configured one."""
    wanted = parts.loaded.settings.schedule.interval
    sizes = await connections.per_app(parts.database)
    found = []
    for app in parts.apps.values():
        interval = stretched(wanted, sizes.get(app.id, 0), app.limits.app_wide)
        if interval > wanted:
            found.append((app.id, timedelta(seconds=round(interval.total_seconds())), wanted))
    return found
