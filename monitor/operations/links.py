"""Links on which clients authorize again: handed over by a person, or mailed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.mails import asking
from alerts.mails.language import tongue
from alerts.mails.letters import Unwritable, Writer
from alerts.mails.voice import Post
from monitor.errors import ConfigurationError, Conflict
from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_post
from monitor.settings.parts import Parts
from monitor.store import connections, incidents, links
from monitor.store.connections import Known
from monitor.store.links import Link


@dataclass(frozen=True, slots=True)
class Made:
    """A link that was made; whoever has the URL may authorize the connection."""

    name: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Some links, newest first. The next page is that `before` the number, None after the last."""

    links: tuple[Link, ...]
    before: int | None


async def of(parts: Parts, actor: Actor, connection_id: str, limit: int, before: int | None = None) -> Page:
    """Return the links of a connection, never what opens them. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    known = await _known(parts, actor, connection_id)
    found = await links.of_connection(parts.database, known.id, limit + 1, before)
    return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


async def new(parts: Parts, actor: Actor, connection_id: str) -> str:
    """Make a link that an operator hands over; return its URL."""
    return (await make(parts, actor, connection_id)).url


async def make(parts: Parts, actor: Actor, connection_id: str) -> Made:
    """Make a link that an operator hands over; it starts whatever the connection's state is."""
    actor.needs(Right.LINKS_CREATE)
    known = await _known(parts, actor, connection_id)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    settings, now = parts.loaded.settings, parts.clock.now()
    open_ones = await incidents.of_connection(parts.database, connection_id)
    until = now + settings.email.link_lifetime
    secret = await links.issue(
        parts.database,
        connection_id,
        locale=known.locale,
        now=now,
        expires_at=until,
        incident=open_ones[0].id if open_ones else None,
        cause="pending" if known.newcomer else known.health.cause.value,
        always=True,
        by=actor.name,
    )
    url = f"{settings.web.public_url}/r/{secret.reveal()}"
    return Made(links.name_of(links.hashed(secret)), url, until)


async def mail(parts: Parts, actor: Actor, connection_id: str) -> int:
    """Have the client mailed now; return the notice's number. Raises where it would mend nothing."""
    actor.needs(Right.LINKS_CREATE)
    known = await _known(parts, actor, connection_id)
    post = _post(parts)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    return await asking.request(parts.database, post.voice, known, parts.clock.now(), actor.name)


@dataclass(frozen=True, slots=True)
class Letter:
    """The mail that a client would get: its words, the language they are in, and who gets it."""

    subject: str
    text: str
    language: str  # its English name
    to: tuple[str, ...]


async def preview(parts: Parts, actor: Actor, connection_id: str) -> Letter:
    """Return what `mail` would send now; its link leads nowhere, and nothing is written.

    Raises NotFound, Conflict where it cannot be written, and what `mail` raises.
    """
    actor.needs(Right.CONNECTIONS_READ)
    known = await _known(parts, actor, connection_id)
    post = _post(parts)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    envelope = await asking.unsent(parts.database, known, parts.clock.now())
    try:
        written = await Writer(parts.database, post, parts.clock, previews=True).words(envelope)
    except Unwritable as error:
        raise Conflict(f"The mail cannot be written: {error}.") from None
    language = tongue(known.locale, known.timezone).locale.english_name or known.locale
    return Letter(written.subject, written.text, language, known.contacts)


def _post(parts: Parts) -> Post:
    post = build_post(parts)
    if post is None:
        raise ConfigurationError(
            f"{parts.loaded.path}: set smtp.from (and smtp.url) first; then mails go out."
        )
    return post


async def _known(parts: Parts, actor: Actor, connection_id: str) -> Known:
    known = await connections.show(parts.database, connection_id)
    reach.one(actor, known)
    return known
