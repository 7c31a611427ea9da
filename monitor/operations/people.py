"""People who use the API and the console: who they are, what they may, how they come in and go.

Whoever asks who somebody is, a stranger among them, learns the same in the same time whether or not there is
such a person.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.errors import ChangedMeanwhile, ConfigurationError, Conflict, NotAdmitted
from monitor.host.network import whose
from monitor.operations import passwords
from monitor.operations.actor import LOOPBACK, Actor, Door, Right
from monitor.operations.passwords import Passwords
from monitor.operations.roles import MAY, Role, role_of
from monitor.secret import Secret
from monitor.settings.parts import Parts
from monitor.store import audit, people
from monitor.store.people import Keeps, Person
from monitor.text.ids import new_id
from monitor.text.names import unprintable

IDLE, LONGEST = timedelta(hours=12), timedelta(days=7)  # of a session
PER_NAME, PER_ADDRESS, WITHIN = 5, 20, timedelta(minutes=1)  # attempts to sign in
ATTEMPTS_KEPT = timedelta(hours=1)
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who came in: what their browser shows from now on, and until when at most."""

    person: Person
    cookie: Secret
    until: datetime


# -- who there is -------------------------------------------------------------------------------------


async def add(parts: Parts, actor: Actor, name: str, role: str, password: Secret) -> Person:
    """Add somebody who signs in with a password. Raises Exists for a taken name, ConfigurationError."""
    actor.needs(Right.USERS_WRITE)
    said, words = role_of(role), _name(name)
    passwords.check(password)
    stored = await Passwords(parts.loaded.settings.people.argon2).hash(password)
    one = Person(new_id("usr"), words, said.value, stored, None, None, parts.clock.now(), None, 1)
    await people.add(parts.database, one, actor.name)
    return one


async def every(parts: Parts, actor: Actor) -> list[Person]:
    """Return everybody, by name."""
    actor.needs(Right.USERS_WRITE)
    return await people.every(parts.database)


async def page(parts: Parts, actor: Actor, limit: int, *, after: str = "") -> tuple[list[Person], str | None]:
    """Return people by name, from after a name on; and after which name the next page begins."""
    actor.needs(Right.USERS_WRITE)
    found = await people.page(parts.database, limit + 1, after=after)
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def who_may(parts: Parts, who: Actor, right: Right, limit: int = 5) -> list[str]:
    """Return the names of some who may do what a colleague may not; a program is told none."""
    if who.door is not Door.CONSOLE:
        return []
    roles = [role.value for role in Role if right in MAY[role]]
    return await people.of_roles(parts.database, roles, limit)


async def show(parts: Parts, actor: Actor, name: str) -> Person:
    """Return one person, by name or id. Raises NotFound."""
    actor.needs(Right.USERS_WRITE)
    found = await people.named(parts.database, name)
    if found is None:
        raise people.nobody(name)
    return found


async def change(
    parts: Parts,
    actor: Actor,
    name: str,
    *,
    role: str | None = None,
    password: Secret | None = None,
    revision: int | None = None,
) -> Person:
    """Give somebody another role or password; their sessions end.

    Raises NotFound, ChangedMeanwhile for another revision, Conflict for whom a provider names, for the own
    role and for the last admin's, ConfigurationError.
    """
    actor.needs(Right.USERS_WRITE)
    values = {"role": role_of(role).value} if role is not None else {}
    if password is not None:
        passwords.check(password)
    one = _as_read(await show(parts, actor, name), revision)
    if one.issuer is not None:
        raise Conflict(f"{one.name!r} signs in at {one.issuer}, which says who they are and what they may.")
    if values and values["role"] != one.role and is_self(actor, one):
        raise Conflict("Nobody changes their own role; another admin can.")
    if password is not None:
        values["password"] = await Passwords(parts.loaded.settings.people.argon2).hash(password)
    now, keeps = parts.clock.now(), _keeps(parts, actor)
    return await people.change(parts.database, one.id, values, now, actor.name, revision, keeps=keeps)


async def remove(parts: Parts, actor: Actor, name: str, *, revision: int | None = None) -> Person:
    """Forget somebody, and end their sessions.

    Raises NotFound, ChangedMeanwhile, Conflict for oneself and for the last admin.
    """
    actor.needs(Right.USERS_WRITE)
    one = _as_read(await show(parts, actor, name), revision)
    if is_self(actor, one):
        raise Conflict("Nobody removes themselves; another admin can.")
    now, keeps = parts.clock.now(), _keeps(parts, actor)
    return await people.remove(parts.database, one.id, now, actor.name, revision, keeps=keeps)


def is_self(who: Actor, one: Person) -> bool:
    """Whether somebody is who asks."""
    return who.name == f"user:{one.name}"


def _as_read(one: Person, revision: int | None) -> Person:
    """Let pass who is as whoever asks has read; it is looked at again, locked, where they are changed."""
    if revision is not None and one.revision != revision:
        raise ChangedMeanwhile(f"The user {one.name!r} was changed meanwhile.", one.revision)
    return one


def _keeps(parts: Parts, actor: Actor) -> Keeps | None:
    """Return that an admin has to be left; not for who is on this machine, and can add one."""
    if Right.HOST in actor.may or actor.name == LOOPBACK:
        return None
    return Keeps(Role.ADMIN.value, parts.loaded.settings.oidc.issuer)


def _name(name: str) -> str:
    said = name.strip()
    if not said or len(said) > LONGEST_NAME or unprintable(said) is not None or said.startswith("usr_"):
        raise ConfigurationError(f"A user's name is 1 to {LONGEST_NAME} characters in one line.")
    return said


# -- coming and going ---------------------------------------------------------------------------------


class Wrong(NotAdmitted):
    """Name and password do not belong together; `left` attempts more are looked at within a minute."""

    def __init__(self, left: int) -> None:
        super().__init__("bad_credentials", "That name and password do not belong together.")
        self.left = left


def came_from(address: str) -> None:
    """Note where this request came from, for the audit's lines."""
    audit.REQUEST.set({**(audit.REQUEST.get() or {}), "from": address})


async def sign_in(parts: Parts, name: str, password: Secret, address: str, *, before: str = "") -> SignedIn:
    """Let somebody in by name and password; a session that their browser had (`before`, its cookie) ends.

    Raises Wrong, and NotAdmitted (`too_many_requests`) where it was tried too often: 5 times a minute by a
    name, 20 times from an address, over all processes.
    """
    came_from(address)
    checks = Passwords(parts.loaded.settings.people.argon2)
    number = await people.try_once(parts.database, _of_name(name), _digest(whose(address)), parts.clock.now())
    left = await _within_limits(parts, number, name, address)
    found = await people.named(parts.database, name.strip())
    stored = found.password if found is not None else None
    fits = await checks.fits(password, stored)
    if not fits or found is None or stored is None:
        raise Wrong(left)
    if checks.outgrown(stored):
        await people.hash_again(parts.database, found, await checks.hash(password))
    return await begin(parts, found, before=before)


async def begin(parts: Parts, one: Person, *, before: str = "") -> SignedIn:
    """Begin a session of somebody who has shown who they are. Raises Wrong where they were changed."""
    now, cookie = parts.clock.now(), Secret(secrets.token_urlsafe(32))
    if before:
        await people.end(parts.database, _digest(before), now)
    if not await people.begin(parts.database, one, _digest(cookie.reveal()), now + LONGEST, now):
        raise Wrong(0)
    return SignedIn(one, cookie, now + LONGEST)


async def who_is(parts: Parts, cookie: str, *, by_itself: bool = False) -> Actor | None:
    """Return whose session a browser's cookie is, None where it is none, or is over.

    Whom a provider named that is not ours any more, nobody answers for. What a page asks by itself keeps no
    session alive: one that is left open all night would never end.
    """
    now, digest = parts.clock.now(), _digest(cookie)
    visit = await people.visit(parts.database, digest)
    if visit is None or now >= visit.expires_at or now >= visit.seen_at + IDLE:
        return None
    if visit.person.issuer not in (None, parts.loaded.settings.oidc.issuer):
        return None
    if not by_itself and now >= visit.seen_at + people.SEEN_EVERY:
        await people.seen(parts.database, digest, now)
    return Actor(f"user:{visit.person.name}", Door.CONSOLE, MAY[Role(visit.person.role)])


async def sign_out(parts: Parts, cookie: str) -> None:
    """End a session."""
    await people.end(parts.database, _digest(cookie), parts.clock.now())


async def anybody(parts: Parts) -> bool:
    """Whether anybody could sign in: with a password, or at a provider."""
    return bool(parts.loaded.settings.oidc.issuer) or await people.are_there_any(parts.database)


async def forget(parts: Parts) -> None:
    """Drop sessions that are over, old attempts, and who never came back from the provider."""
    await people.forget(parts.database, parts.clock.now(), IDLE, ATTEMPTS_KEPT)


async def _within_limits(parts: Parts, number: int, name: str, address: str) -> int:
    since = parts.clock.now() - WITHIN
    by_name, by_address = await people.tries(
        parts.database, number, _of_name(name), _digest(whose(address)), since
    )
    if by_name > PER_NAME or by_address > PER_ADDRESS:
        raise NotAdmitted("too_many_requests", "Too many attempts to sign in. Wait a minute.", after=WITHIN)
    return min(PER_NAME - by_name, PER_ADDRESS - by_address)


def _of_name(name: str) -> str:
    return _digest(name.strip().casefold())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
