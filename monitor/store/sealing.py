"""What the vault needs of the database: key checks, and every place where a sealed text stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health import incidents
from monitor.store import audit, gates
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.consent_tables import consent, held, link
from monitor.store.door_tables import idempotency, plan, webhook
from monitor.store.engine import Database
from monitor.store.fence import FENCED
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, key_check, secret, watch


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed texts. `row` is the name that a text is bound to its row by (`vault.Cell`).

    `apps`: a text is bound to its connection's app besides. `name` is the table that it is bound to, where
    it was not sealed for this one.
    """

    table: Table
    key: Column[Any]
    column: Column[Any]
    row: ColumnElement[str]
    apps: bool = False
    name: str = ""

    @property
    def bound_to(self) -> str:
        """The table that its texts are bound to."""
        return self.name or self.table.name

    @property
    def version(self) -> str:
        """How its texts begin."""
        return "v2" if self.apps else "v1"


def app_of(place: incidents.Place) -> str:
    """Return the name that a token is bound to its app by; neither an app's nor a provider's has a slash."""
    return f"{place.app}/{place.provider}/{place.region}"


_APP = connection.c.app + "/" + connection.c.provider + "/" + connection.c.region


# Every column that the vault seals for, but the key checks, which stay under their own keys. A rotation
# re-encrypts these, and no key is retired that one of these names; a test finds each that is missing.
PLACES = (
    SealedColumn(
        credential, credential.c.connection, credential.c.access, credential.c.connection, apps=True
    ),
    SealedColumn(
        credential, credential.c.connection, credential.c.refresh, credential.c.connection, apps=True
    ),
    SealedColumn(consent, consent.c.id, consent.c.verifier, func.substr(consent.c.state_hash, 1, 32)),
    SealedColumn(consent, consent.c.id, consent.c.leftover, cast(consent.c.id, Text)),
    SealedColumn(link, link.c.id, link.c.sealed, func.substr(link.c.hash, 1, 32)),
    # What waits for a person is sealed as the credential that it may become.
    SealedColumn(held, held.c.connection, held.c.access, held.c.connection, apps=True, name="credential"),
    SealedColumn(held, held.c.connection, held.c.refresh, held.c.connection, apps=True, name="credential"),
    SealedColumn(secret, secret.c.name, secret.c.sealed, secret.c.name),
    SealedColumn(idempotency, idempotency.c.id, idempotency.c.answer, idempotency.c.id),
    SealedColumn(webhook, webhook.c.id, webhook.c.secret, webhook.c.id),
    SealedColumn(webhook, webhook.c.id, webhook.c.old_secret, webhook.c.id),
    SealedColumn(plan, plan.c.id, plan.c.records, plan.c.id),
)


@dataclass(frozen=True, slots=True)
class SealedCell:
    """A sealed text: the primary key of its row, what it is bound to, and the text."""

    key: str | int
    row: str
    text: str
    app: str = ""


async def key_checks(database: Database) -> dict[str, str]:
    """Return the known text under each key that was ever used and not retired."""
    async with database.read() as conn:
        return await checks_of(conn)


async def checks_of(conn: AsyncConnection) -> dict[str, str]:
    """Return them as a transaction sees them."""
    rows = await conn.execute(select(key_check.c.key_id, key_check.c.sealed))
    return {row.key_id: row.sealed for row in rows}


async def keys_added(database: Database) -> dict[str, datetime]:
    """Return since when each key has been the one that seals, where that was written down."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(key_check.c.key_id, key_check.c.added_at).where(key_check.c.added_at.is_not(None))
        )
        return {row.key_id: row.added_at for row in rows}


@retried
async def add_key_check(database: Database, key_id: str, sealed: str, now: datetime) -> None:
    """Record a key at its first use."""
    try:
        async with database.write() as conn:
            await conn.execute(insert(key_check).values(key_id=key_id, sealed=sealed, added_at=now))
    except IntegrityError:
        pass  # another process recorded it at the same moment


@retried
async def retire_key(database: Database, key_id: str, prefixes: Sequence[str]) -> bool:
    """Forget a key, unless something is sealed with it: False, then."""
    async with database.write() as conn:
        if await _uses(conn, prefixes):
            return False
        await conn.execute(delete(key_check).where(key_check.c.key_id == key_id))
        return True


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a key seals: so many connections, and the first few of them."""

    count: int
    first: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first)} more" if self.count > len(self.first) else ""
        return f"{self.count} connection{'s' if self.count != 1 else ''} ({', '.join(self.first)}{more})"


def _begins(column: Any, prefixes: Sequence[str]) -> ColumnElement[bool]:
    return or_(*(column.startswith(prefix, autoescape=True) for prefix in prefixes))


def _sealed_with(prefixes: Sequence[str]) -> ColumnElement[bool]:
    return _begins(credential.c.access, prefixes) | _begins(credential.c.refresh, prefixes)


async def sealed_with(database: Database, prefixes: Sequence[str], limit: int = 3) -> Sealing:
    """Return whose tokens open with one key only."""
    async with database.read() as conn:
        count = select(func.count()).select_from(credential).where(_sealed_with(prefixes))
        names = (
            select(credential.c.connection).where(_sealed_with(prefixes)).order_by(credential.c.connection)
        )
        first = (await conn.execute(names.limit(limit))).scalars()
        return Sealing((await conn.execute(count)).scalar_one(), tuple(first))


@retried
async def forget_key(
    database: Database, key_id: str, prefixes: Sequence[str], now: datetime, actor: str
) -> int:
    """Give up a key that is gone and every pair that it sealed; return how many connections that were.

    Their pairs are lost, as if a refresh had spent them: the next probe says so, and their clients are asked.
    """
    async with database.write() as conn:
        theirs = select(credential.c.connection).where(_sealed_with(prefixes))
        ids = await gates.lock_where(conn, watch.c.connection.in_(theirs))
        own = watch.c.connection.in_(theirs)
        await conn.execute(update(watch).where(own).values(**FENCED))
        await conn.execute(
            update(watch).where(own, watch.c.next_probe_at.is_not(None)).values(next_probe_at=now)
        )
        await conn.execute(
            update(credential)
            .where(_sealed_with(prefixes))
            .values(lost=True, version=credential.c.version + 1)
        )
        # Trips and held grants that no longer open end, too, and the secret that hashes of imports are under.
        for column in (consent.c.verifier, consent.c.leftover):
            await conn.execute(update(consent).where(_begins(column, prefixes)).values({column.name: None}))
        await conn.execute(delete(held).where(_begins(held.c.access, prefixes)))
        await conn.execute(delete(secret).where(_begins(secret.c.sealed, prefixes)))
        # Endpoints get nothing until their secret is rotated: nobody could sign for it.
        for column in (webhook.c.secret, webhook.c.old_secret):
            await conn.execute(update(webhook).where(_begins(column, prefixes)).values({column.name: None}))
        await conn.execute(delete(key_check).where(key_check.c.key_id == key_id))
        await audit.record(conn, now, actor, "keys.forget", key_id, connections=len(ids))
        return len(ids)


async def uses_key(database: Database, prefixes: Sequence[str]) -> bool:
    """Whether any text is sealed with the key of these prefixes."""
    async with database.read() as conn:
        return await _uses(conn, prefixes)


async def _uses(conn: AsyncConnection, prefixes: Sequence[str]) -> bool:
    for place in PLACES:
        found = select(place.key).where(_begins(place.column, prefixes)).limit(1)
        if (await conn.execute(found)).first() is not None:
            return True
    return False


async def sealed_otherwise(
    database: Database, place: SealedColumn, prefix: str, after: str | int | None, limit: int
) -> list[SealedCell]:
    """Return texts of a place that do not begin with this prefix, by key, from one on."""
    wanted = select(place.key, place.row, place.column, _APP if place.apps else literal("")).where(
        place.column.is_not(None), ~place.column.startswith(prefix, autoescape=True)
    )
    if place.apps:
        wanted = wanted.join(connection, connection.c.id == place.key)
    if after is not None:
        wanted = wanted.where(place.key > after)
    async with database.read() as conn:
        rows = await conn.execute(wanted.order_by(place.key).limit(limit))
        return [SealedCell(*row) for row in rows]


@retried
async def replace(database: Database, place: SealedColumn, changes: Sequence[tuple[SealedCell, str]]) -> int:
    """Put re-encrypted texts in the place of exactly the old ones; return how many rows took it.

    A row that was changed meanwhile is left alone: what it has is newer than ours. One that somebody is
    changing just now is passed over, so that this waits for nobody and nobody can wait in a circle.
    """
    kind: type[Any] = Integer if isinstance(changes[0][0].key, int) else Text
    columns: Columns = {"key": kind, "old": Text, "new": Text}
    async with database.write() as conn:
        if place.apps:
            await gates.lock(conn, [str(old.key) for old, _ in changes])
        ours = select(place.key).where(place.key.in_([old.key for old, _ in changes]))
        free = set((await conn.execute(ours.with_for_update(skip_locked=True))).scalars())
        rows = [(old.key, old.text, new) for old, new in changes if old.key in free]
        if not rows:
            return 0
        given = unpacked(columns, database.is_sqlite)
        done = await conn.execute(
            update(place.table)
            .where(place.key == given.c.key, place.column == given.c.old)
            .values({place.column: given.c.new}),
            packed(columns, rows, database.is_sqlite),
        )
        return done.rowcount


async def bound_to_row_alone(database: Database) -> int:
    """Return of how many connections a token is sealed as before tokens were bound to their app."""
    old = or_(*(column.startswith("v1.") for column in (credential.c.access, credential.c.refresh)))
    async with database.read() as conn:
        found = await conn.execute(select(func.count()).select_from(credential).where(old))
        return int(found.scalar_one())


async def kept_secret(database: Database, name: str) -> str | None:
    """Return a secret of the service's own, sealed, None where it was never made."""
    async with database.read() as conn:
        found = await conn.execute(select(secret.c.sealed).where(secret.c.name == name))
        return found.scalar_one_or_none()


@retried
async def keep_secret_of_imports(
    database: Database, name: str, sealed: str, under_key: Callable[[str], str], now_begins: str
) -> bool:
    """Keep the secret that hashes of imported tokens are under, and put those that there are under it.

    False where another process made one at the same moment: then nothing is changed.
    """
    bare = credential.c.imported.is_not(None) & ~credential.c.imported.startswith(now_begins)
    try:
        async with database.write() as conn:
            rows = await conn.execute(select(credential.c.connection, credential.c.imported).where(bare))
            found = [(row.connection, row.imported) for row in rows]
            await gates.lock(conn, [connection_id for connection_id, _ in found])
            await conn.execute(insert(secret).values(name=name, sealed=sealed))
            for connection_id, old in found:
                await conn.execute(
                    update(credential)
                    .where(credential.c.connection == connection_id, credential.c.imported == old)
                    .values(imported=under_key(old))
                )
    except IntegrityError:
        return False
    return True
