"""Access tokens for programs, and for nobody else: whoever keeps a grant's refresh token hands these out.

The warm path is one look at the books; what a person has to do, who was told of it, and the client's link are
gathered only where there is no token.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from alerts.outbox import listing
from monitor.errors import CannotDecrypt, KeyMissing
from monitor.health.causes import Owner, consequence
from monitor.health.handout import (
    Give,
    HandoutOff,
    Later,
    NeedsPerson,
    NotCustodian,
    NotNow,
    Renew,
    Wish,
    applied,
    decided,
)
from monitor.health.lifecycle import State
from monitor.operations.actor import Actor, Right, no_connection
from monitor.operations.documents import iso
from monitor.secret import Secret
from monitor.settings.builders import Watching
from monitor.settings.parts import Parts
from monitor.store import connections, incidents, links, told_links
from monitor.store.custody import Held
from monitor.tokens.custody import Handed
from monitor.tokens.vault import Cell

USUAL_WAIT, LONGEST_WAIT = timedelta(seconds=15), timedelta(seconds=60)
LARGEST_MIN_TTL = timedelta(hours=24)
USUAL = Wish()
_FIRST = "An administrator of the client authorizes the connection."


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that is handed out, with what a program has to know to use it."""

    held: Held
    access: Secret
    etag: str
    base_url: str | None
    refreshed: bool
    shortfall: NotNow | None
    at: datetime

    def document(self) -> dict[str, Any]:
        """Return it as JSON; the one place where an access token leaves for a program."""
        held, books = self.held, self.held.books
        ends = books.expires_at
        return {
            "connection": held.id,
            "access_token": self.access.reveal(),
            "token_type": "Bearer",
            "expires_at": iso(ends),
            "expires_in": max(0, int((ends - self.at).total_seconds())) if ends is not None else None,
            "expiry": "unknown" if ends is None else "assumed" if held.assumed else "said",
            "generation": books.generation,
            "refreshed": self.refreshed,
            "base_url": self.base_url,
            "account": {"id": held.account_id, "name": held.account_name},
            "values": dict(held.values),
            "scopes": sorted(held.granted if held.granted is not None else held.scopes),
            "health": _health(held),
            "shortfall": _not_now(self.shortfall) if self.shortfall is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The program has the token already that it would get."""

    etag: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """No token: `code` says why in the word that programs compare, `members` what else they are told.

    `after`: it passes by itself, and is worth another try then; None: a person has to act.
    """

    code: str
    members: dict[str, Any] = field(default_factory=dict)
    after: timedelta | None = None


async def hand_out(
    parts: Parts,
    watching: Watching,
    actor: Actor,
    connection_id: str,
    wish: Wish = USUAL,
    *,
    wait: timedelta | None = None,
    seen: Collection[str] = (),
    address: str = "",
) -> Token | Unchanged | Withheld:
    """Answer a program that asks for a connection's access token, renewing it first where that is due.

    `wait` is how long a renewal is waited for, `USUAL_WAIT` if unsaid; with the etag of the current token
    among `seen` it is how long another one is waited for. `address` is where the program asks from. Raises
    NotFound, Unavailable.
    """
    actor.needs(Right.TOKENS_READ)
    began = parts.clock.now()
    held = await _visible(watching, actor, connection_id)
    polled = False
    if seen and etag(held) in seen and _good(held, wish, began):
        if wait:
            held, polled = await _another(parts, watching, actor, held, wish, began + wait), True
        if etag(held) in seen and _good(held, wish, parts.clock.now()):
            _count(watching, held, "unchanged")
            return Unchanged(etag(held))
    handed = await watching.custody.have(held, wish, USUAL_WAIT if wait is None else wait)
    if handed is None:
        raise no_connection(connection_id)
    answer = await _answer(parts, actor, handed)
    result = "given" if isinstance(answer, Token) else answer.code
    _count(watching, held, "shortfall" if isinstance(answer, Token) and answer.shortfall else result)
    if not polled:
        watching.meters.token_wait.observe((parts.clock.now() - began).total_seconds())
    if isinstance(answer, Token):
        generation = answer.held.books.generation
        key = actor.name.partition(":")[2]
        await watching.uses.note(key, actor.name, connection_id, generation, address)
    return answer


def etag(held: Held) -> str:
    """Return what stands for this very token: another one, or a connection made anew, has another."""
    made = hashlib.sha256(f"{held.id}\x1f{held.created_at.isoformat()}".encode()).digest()
    return f"{base64.b32encode(made).decode()[:8].lower()}.{held.books.generation}"


async def _visible(watching: Watching, actor: Actor, connection_id: str) -> Held:
    held = await watching.custody.read(connection_id)
    if held is None:
        raise no_connection(connection_id)
    actor.sees(held.id, held.place.app, held.labels)
    return held


def _good(held: Held, wish: Wish, now: datetime) -> bool:
    return decided(held.books, wish, now) == Give()


async def _another(
    parts: Parts, watching: Watching, actor: Actor, held: Held, wish: Wish, until: datetime
) -> Held:
    """Wait for another token than this one, a dead grant, the end of its life, or the time."""
    first = etag(held)
    while (now := parts.clock.now()) < until and etag(held) == first and _good(held, wish, now):
        ends = held.books.expires_at
        renewed = ends - applied(held.books, wish) if ends is not None else until
        await watching.custody.changed(held, min(until, max(renewed, now + timedelta(milliseconds=10))))
        held = await _visible(watching, actor, held.id)
    return held


async def _answer(parts: Parts, actor: Actor, handed: Handed) -> Token | Withheld:
    held, now = handed.held, parts.clock.now()
    match handed.decision:
        case Give(shortfall=shortfall):
            assert handed.access is not None  # noqa: S101 - a token that is given is there
            app = parts.apps.get(held.place.app)
            base_url = app.base_url if app is not None else None
            return Token(held, handed.access, etag(held), base_url, handed.refreshed, shortfall, now)
        case NeedsPerson() as why:
            return Withheld("needs_person", await _needs_person(parts, actor, held, why))
        case Later(why=why_not):
            after = why_not.retry_at - now if why_not.retry_at is not None else timedelta(seconds=5)
            members = {"connection": held.id, "cause": _word(why_not), "retry_at": iso(why_not.retry_at)}
            return Withheld(why_not.trouble.value, members, timedelta(seconds=ceil(after.total_seconds())))
        case NotCustodian():
            return Withheld("not_custodian", {"connection": held.id})
        case HandoutOff():
            return Withheld("handout_off", {"connection": held.id})
        case Renew():
            raise AssertionError("a renewal was tried, or is not answered with")


async def _needs_person(parts: Parts, actor: Actor, held: Held, why: NeedsPerson) -> dict[str, Any]:
    """Gather what a person has to do, who was told of it, and where the client does it."""
    open_ones = await incidents.of_connection(parts.database, held.id)
    own = open_ones[0] if open_ones else None
    told = await listing.about_incident(parts.database, held.id, own.id) if own is not None else []
    members: dict[str, Any] = {
        "connection": held.id,
        "state": held.books.health.state.value,
        "cause": why.cause,
        "owner": why.owner.value,
        "since": iso(why.since),
        "confidence": why.confidence,
        "incident": own.id if own is not None else None,
        "next_step": consequence(why.why).advice if why.why is not None else _FIRST,
        "told": [
            {"notice": one.id, "kind": one.kind, "state": one.state, "at": iso(one.settled_at or one.due_at)}
            for one in told
        ],
    }
    if why.owner is Owner.CLIENT and Right.LINKS_CREATE in actor.may:
        members["reconnect"] = await _reconnect(parts, actor, held, own.id if own is not None else None)
    return members


async def _reconnect(parts: Parts, actor: Actor, held: Held, incident: int | None) -> dict[str, Any] | None:
    """Return the link on which the client mends it: the same for whoever asks while it lives."""
    app = parts.apps.get(held.place.app)
    if app is None:
        return None
    now, settings, secret = parts.clock.now(), parts.loaded.settings, links.fresh_secret()
    known = await connections.show(parts.database, held.id)
    found = await told_links.standing_or(
        parts.database,
        held.id,
        secret,
        parts.vault.seal(secret, _link_cell(links.hashed(secret))),
        locale=known.locale,
        now=now,
        expires_at=now + settings.email.link_lifetime,
        incident=incident,
        cause="pending" if known.newcomer else known.health.cause.value,
        actor=actor.name,
    )
    if found is None:
        return None
    sealed, link = found
    try:
        told = parts.vault.open(sealed, _link_cell(link.hash))
    except (CannotDecrypt, KeyMissing):
        return None
    return {"url": f"{settings.web.public_url}/r/{told.reveal()}", "expires_at": iso(link.expires_at)}


def _link_cell(link_hash: str) -> Cell:
    return Cell("link", link_hash[:32], "sealed")


def _health(held: Held) -> dict[str, Any]:
    health = held.books.health
    resting = health.state in (State.PENDING, State.PAUSED)
    return {
        "state": health.state.value,
        "cause": None if resting else health.cause.value,
        "owner": health.owner.value,
        "since": iso(health.since),
    }


def _not_now(why: NotNow) -> dict[str, Any]:
    return {"code": why.trouble.value, "cause": _word(why), "retry_at": iso(why.retry_at)}


def _word(why: NotNow) -> str | None:
    return why.cause.value if why.cause is not None else None


def _count(watching: Watching, held: Held, result: str) -> None:
    watching.meters.token_requests.labels(held.place.provider, held.place.app, result).inc()
