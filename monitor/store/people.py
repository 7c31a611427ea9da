"""People who may sign in, their sessions, and how often it was tried. No password and no cookie is stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ChangedMeanwhile, Conflict, Exists, NotFound, Remedy
from monitor.store import audit
from monitor.store.door_tables import attempt, person, session, trip
from monitor.store.engine import Database
from monitor.store.retry import retried

SEEN_EVERY = timedelta(minutes=1)  # how exactly it is known when a session was last used


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. `password` is the hash of it; `issuer`, who says who they are instead."""

    id: str
    name: str
    role: str
    password: str | None
    issuer: str | None
    subject: str | None
    created_at: datetime
    signed_in_at: datetime | None
    revision: int


@dataclass(frozen=True, slots=True)
class Keeps:
    """Of which role somebody has to be left who can come in: by a password, or named by `issuer`."""

    role: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A session that is good: whose, and since when."""

    person: Person
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


# -- people -------------------------------------------------------------------------------------------


@retried
async def add(database: Database, one: Person, by: str) -> None:
    """Write a new person. Raises Exists where there is one of that name."""
    try:
        async with database.write() as conn:
            await _insert(conn, one, by)
    except IntegrityError:
        if await named(database, one.name) is None:
            raise
        raise Exists(
            f"There is a user {one.name!r} already.", Remedy("people.list", "shows those there are")
        ) from None


async def _insert(conn: AsyncConnection, one: Person, by: str) -> None:
    await conn.execute(
        insert(person).values(
            id=one.id, name=one.name, role=one.role, password=one.password, issuer=one.issuer,
            subject=one.subject, created_at=one.created_at,
        )
    )  # fmt: skip
    await audit.record(
        conn, one.created_at, by, "user.create", one.name, role=one.role, issuer=one.issuer or "local"
    )


async def every(database: Database) -> list[Person]:
    """Return everybody, by name."""
    async with database.read() as conn:
        return [_person(row) for row in await conn.execute(select(person).order_by(person.c.name))]


async def page(database: Database, limit: int, *, after: str = "") -> list[Person]:
    """Return people by their names, from after one of them on."""
    query = select(person).where(person.c.name > after).order_by(person.c.name).limit(limit)
    async with database.read() as conn:
        return [_person(row) for row in await conn.execute(query)]


async def of_roles(database: Database, roles: Collection[str], limit: int) -> list[str]:
    """Return the names of some people of these roles."""
    query = select(person.c.name).where(person.c.role.in_(sorted(roles))).order_by(person.c.name).limit(limit)
    async with database.read() as conn:
        return list((await conn.execute(query)).scalars())


async def are_there_any(database: Database) -> bool:
    """Whether anybody could sign in with a password."""
    async with database.read() as conn:
        found = await conn.execute(select(person.c.id).where(person.c.password.is_not(None)).limit(1))
        return found.first() is not None


async def named(database: Database, name: str) -> Person | None:
    """Return who has this name or id."""
    async with database.read() as conn:
        row = (await conn.execute(select(person).where(_called(name)))).first()
    return _person(row) if row is not None else None


@retried
async def change(
    database: Database,
    name: str,
    values: Mapping[str, str],
    now: datetime,
    by: str,
    revision: int | None = None,
    *,
    keeps: Keeps | None = None,
) -> Person:
    """Change a person's role or password, and end their sessions.

    Raises NotFound, ChangedMeanwhile, and Conflict where nobody of the role that is kept would be left.
    """
    async with database.write() as conn:
        if keeps is not None and values.get("role", keeps.role) != keeps.role:
            await _kept(conn, name, keeps)
        row = await _held(conn, name, revision)
        await conn.execute(
            update(person).where(person.c.id == row.id).values(revision=person.c.revision + 1, **values)
        )
        await conn.execute(delete(session).where(session.c.person == row.id))
        said = {key: value if key != "password" else "another" for key, value in values.items()}
        await audit.record(conn, now, by, "user.change", row.name, **said)
        return _person((await conn.execute(select(person).where(person.c.id == row.id))).one())


@retried
async def hash_again(database: Database, one: Person, password: str) -> None:
    """Store the same password under another hash, unless it was changed meanwhile."""
    mine = (person.c.id == one.id) & (person.c.password == one.password)
    async with database.write() as conn:
        await conn.execute(update(person).where(mine).values(password=password))


@retried
async def remove(
    database: Database,
    name: str,
    now: datetime,
    by: str,
    revision: int | None = None,
    *,
    keeps: Keeps | None = None,
) -> Person:
    """Forget a person, and end their sessions. Raises as `change` does."""
    async with database.write() as conn:
        if keeps is not None:
            await _kept(conn, name, keeps)
        row = await _held(conn, name, revision)
        await conn.execute(delete(session).where(session.c.person == row.id))
        await conn.execute(delete(person).where(person.c.id == row.id))
        await audit.record(conn, now, by, "user.remove", row.name, role=row.role)
        return _person(row)


async def from_provider(database: Database, one: Person, now: datetime) -> Person:
    """Return who the provider says has come, with the role that it says; new ones are written down.

    Another role than before ends their other sessions. A name that somebody else has is not theirs: they are
    called by their id, too, then.
    """
    try:
        return await _as_the_provider_says(database, one, now)
    except IntegrityError:  # they came for the first time twice at once, or somebody of their name did
        return await _as_the_provider_says(database, one, now)


@retried
async def _as_the_provider_says(database: Database, one: Person, now: datetime) -> Person:
    async with database.write() as conn:
        mine = (person.c.issuer == one.issuer) & (person.c.subject == one.subject)
        row = (await conn.execute(select(person).where(mine).with_for_update())).one_or_none()
        if row is None:
            taken = await conn.execute(
                select(person.c.id).where(func.lower(person.c.name) == one.name.lower())
            )
            name = one.name if taken.first() is None else f"{one.name} ({one.id})"
            await _insert(conn, _with_name(one, name), audit.SERVICE)
        elif row.role != one.role:
            await conn.execute(delete(session).where(session.c.person == row.id))
            await conn.execute(
                update(person).where(mine).values(role=one.role, revision=person.c.revision + 1)
            )
            await audit.record(conn, now, audit.SERVICE, "user.role", row.name, role=one.role)
        return _person((await conn.execute(select(person).where(mine))).one())


@retried
async def shut_out(database: Database, issuer: str, subject: str, now: datetime) -> None:
    """End the sessions of somebody whom the provider puts in no group of ours any more."""
    async with database.write() as conn:
        mine = (person.c.issuer == issuer) & (person.c.subject == subject)
        row = (await conn.execute(select(person).where(mine).with_for_update())).one_or_none()
        if row is not None:
            await conn.execute(delete(session).where(session.c.person == row.id))
            await audit.record(conn, now, audit.SERVICE, "user.shut_out", row.name)


# -- sessions -----------------------------------------------------------------------------------------


@retried
async def begin(database: Database, one: Person, digest: str, until: datetime, now: datetime) -> bool:
    """Begin a session of somebody as they were looked at; False where they were changed or removed since."""
    async with database.write() as conn:
        mine = (person.c.id == one.id) & (person.c.revision == one.revision)
        done = await conn.execute(update(person).where(mine).values(signed_in_at=now))
        if not done.rowcount:
            return False
        await conn.execute(
            insert(session).values(
                hash=digest, person=one.id, role=one.role, created_at=now, seen_at=now, expires_at=until
            )
        )
        await audit.record(conn, now, f"user:{one.name}", "user.sign_in", one.name, role=one.role)
    return True


async def visit(database: Database, digest: str) -> Visit | None:
    """Return the session of a cookie, good or not."""
    query = (
        select(person, session.c.created_at.label("began"), session.c.seen_at, session.c.expires_at)
        .join(session, session.c.person == person.c.id)
        .where(session.c.hash == digest)
    )
    async with database.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    return Visit(_person(row), row.began, row.seen_at, row.expires_at) if row is not None else None


@retried
async def seen(database: Database, digest: str, now: datetime) -> None:
    """Note that a session is in use, unless that was noted a moment ago."""
    long_ago = (session.c.hash == digest) & (session.c.seen_at < now - SEEN_EVERY)
    async with database.write() as conn:
        await conn.execute(update(session).where(long_ago).values(seen_at=now))


@retried
async def end(database: Database, digest: str, now: datetime) -> None:
    """End a session."""
    async with database.write() as conn:
        whose = select(person.c.name).join(session, session.c.person == person.c.id)
        name = (await conn.execute(whose.where(session.c.hash == digest))).scalar_one_or_none()
        await conn.execute(delete(session).where(session.c.hash == digest))
        if name is not None:
            await audit.record(conn, now, f"user:{name}", "user.sign_out", name)


# -- attempts -----------------------------------------------------------------------------------------


@retried
async def try_once(database: Database, name: str, address: str, now: datetime) -> int:
    """Write down one more attempt to sign in; return its number. `name` and `address` are hashes."""
    async with database.write() as conn:
        made = await conn.execute(
            insert(attempt).values(at=now, name=name, address=address).returning(attempt.c.id)
        )
        return int(made.scalar_one())


async def tries(database: Database, number: int, name: str, address: str, since: datetime) -> tuple[int, int]:
    """Return how many attempts there were since a time up to this one: with the name, from the address.

    They are written before they are counted, so that of many at once none goes uncounted.
    """
    upto = (attempt.c.at > since) & (attempt.c.id <= number)
    async with database.read() as conn:
        by_name = select(func.count()).select_from(attempt).where(upto, attempt.c.name == name)
        by_address = select(func.count()).select_from(attempt).where(upto, attempt.c.address == address)
        return int((await conn.execute(by_name)).scalar_one()), int(
            (await conn.execute(by_address)).scalar_one()
        )


# -- on the way to the provider -----------------------------------------------------------------------


@retried
async def set_out(database: Database, state: str, browser: str, target: str, until: datetime) -> None:
    """Note that somebody is under way to the provider. `state` and `browser` are hashes."""
    async with database.write() as conn:
        await conn.execute(insert(trip).values(state=state, browser=browser, target=target, expires_at=until))


@retried
async def arrive(database: Database, state: str, browser: str, now: datetime) -> str | None:
    """Return which page somebody wanted who came back, in the browser that set out; once.

    None for a state that there is not, that was used, is too old, or is another browser's.
    """
    async with database.write() as conn:
        mine = (trip.c.state == state) & (trip.c.browser == browser)
        row = (await conn.execute(select(trip).where(mine).with_for_update())).one_or_none()
        if row is None:
            return None
        await conn.execute(delete(trip).where(mine))
        return str(row.target) if now < row.expires_at else None


@retried
async def forget(database: Database, now: datetime, idle: timedelta, attempts: timedelta) -> None:
    """Drop sessions that are over, old attempts, and who never came back."""
    async with database.write() as conn:
        over = or_(session.c.expires_at <= now, session.c.seen_at <= now - idle)
        old = select(session.c.hash).where(over).with_for_update(skip_locked=True)
        await conn.execute(delete(session).where(session.c.hash.in_(old)))
        await conn.execute(delete(attempt).where(attempt.c.at <= now - attempts))
        await conn.execute(delete(trip).where(trip.c.expires_at <= now))


def nobody(name: str) -> NotFound:
    """Return what is said of somebody who is not there."""
    return NotFound(f"There is no user {name!r}.", Remedy("people.list", "shows those there are"))


async def _held(conn: AsyncConnection, name: str, revision: int | None) -> Row[Any]:
    row = (await conn.execute(select(person).where(_called(name)).with_for_update())).first()
    if row is None:
        raise nobody(name)
    if revision is not None and row.revision != revision:
        raise ChangedMeanwhile(f"The user {row.name!r} was changed meanwhile.", row.revision)
    return row


async def _kept(conn: AsyncConnection, name: str, keeps: Keeps) -> None:
    """Refuse to take the last one. All of them are locked, by id: of two who remove each other, one waits."""
    comes_in: ColumnElement[bool] = person.c.password.is_not(None)
    if keeps.issuer:
        comes_in = or_(comes_in, person.c.issuer == keeps.issuer)
    query = select(person.c.id, person.c.name).where(person.c.role == keeps.role, comes_in)
    rows = (await conn.execute(query.order_by(person.c.id).with_for_update())).all()
    if len(rows) == 1 and name in rows[0]:
        raise Conflict(f"{rows[0].name!r} is the last {keeps.role}: make another one first.")


def _called(name: str) -> Any:
    return or_(person.c.id == name, person.c.name == name)


def _with_name(one: Person, name: str) -> Person:
    return Person(
        one.id, name, one.role, one.password, one.issuer, one.subject, one.created_at, one.signed_in_at,
        one.revision,
    )  # fmt: skip


def _person(row: Row[Any]) -> Person:
    return Person(
        row.id, row.name, row.role, row.password, row.issuer, row.subject, row.created_at, row.signed_in_at,
        row.revision,
    )  # fmt: skip
