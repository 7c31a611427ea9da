"""Writes a claimed mail as it goes over the wire, each with a link of its own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from alerts.channels.smtp import Letter
from alerts.mails.compose import Topic, Written
from alerts.mails.language import tongue
from alerts.mails.message import build
from alerts.mails.standing import Kind, Slot
from alerts.mails.threads import thread_of
from alerts.mails.voice import Post
from alerts.outbox.envelope import Envelope, Item
from monitor.clock import Clock
from monitor.errors import TokenHealthError
from monitor.health.causes import Cause, consequence
from monitor.health.explain import refusal, refused_scopes
from monitor.providers.phrases import Phrases, phrases
from monitor.store import campaigns, links, published
from monitor.store.engine import Database
from monitor.store.published import Described
from monitor.text.names import one_line

AHEAD = (Slot.EXPIRING, Slot.CAMPAIGN)  # asked while it works, by a day
LONGEST_REASON = 300  # characters of a campaign's sentence, as its door takes it


class Unwritable(TokenHealthError):
    """This mail cannot be written; the text says why, with the template and the line where it is one's."""


class Writer:
    """Writes letters. Links are made at each attempt: nothing that could open one is kept between two."""

    def __init__(self, database: Database, post: Post, clock: Clock, *, previews: bool = False) -> None:
        self._database, self._post, self._clock = database, post, clock
        self._previews = previews  # no link is made: what is written is for whoever looks at it

    async def letter(self, envelope: Envelope) -> Letter:
        """Write a mail. Raises Unwritable, whatever went wrong: one mail's fault is its own."""
        try:
            return await self._write(envelope)
        except (OperationalError, InterfaceError, OSError):
            raise  # the database's, and so every mail's
        except TokenHealthError as error:
            raise Unwritable(str(error)) from None
        except Exception as error:
            said = "" if isinstance(error, SQLAlchemyError) else f": {' '.join(str(error).split())[:200]}"
            raise Unwritable(f"{type(error).__name__}{said}") from None

    async def words(self, envelope: Envelope) -> Written:
        """Write what a mail says. Raises Unwritable where there is nothing to say any more."""
        post = self._post
        async with self._database.read() as conn:
            known = await published.described(conn, [item.connection for item in envelope.items])
        # One that was removed meanwhile is told nothing about.
        topics = [
            await self._topic(envelope, item, known[item.connection])
            for item in envelope.items
            if item.connection in known
        ]
        if envelope.items and not topics:
            raise Unwritable("its connections were removed")
        # What a campaign says is its operator's own sentence; of the rest, why it is told.
        reason = envelope.reason
        if envelope.slot == Slot.CAMPAIGN:
            reason = one_line(str(envelope.content.get("reason", "")), LONGEST_REASON)
        return post.composer.write(
            envelope.kind, envelope.client, topics, envelope.locale, envelope.timezone,
            reason=reason, reminds=envelope.number > 0,
        )  # fmt: skip

    async def _write(self, envelope: Envelope) -> Letter:
        post = self._post
        async with self._database.read() as conn:
            thread = await thread_of(conn, envelope)
        written = await self.words(envelope)
        return Letter.of(
            build(
                written,
                post.sender,
                envelope.address,
                envelope.message_id,
                self._clock.now(),
                language=envelope.locale,
                thread=thread,
                logo=post.logo,
            )
        )

    async def _topic(self, envelope: Envelope, item: Item, known: Described) -> Topic:
        cause = told_cause(envelope, item)
        # What the provider refused, not what we have no good read of: that may never have been asked for.
        lacking = consequence(Cause(item.cause)).about_scopes
        missing = (refused_scopes(known.evidence) if lacking else None) or known.scopes
        link, until = await self._link(envelope, item, cause)
        app, language = self._post.apps.get(known.app), tongue(envelope.locale).language
        return Topic(
            connection=item.connection,
            provider=app.provider.title if app is not None else known.provider,
            cause=cause,
            account=known.account,
            since=item.since if envelope.slot not in AHEAD else None,
            expires_at=item.since if envelope.slot in AHEAD else None,
            scopes=tuple(missing),
            link=link,
            link_until=until,
            contacts=", ".join(known.contacts) if envelope.slot == Slot.HANDOVER else "",
            client_id=app.client_id if app is not None else "",
            refusal=refusal(known.evidence) if cause == item.cause else "",
            phrases=phrases(app.provider, language, known.rule) if app is not None else Phrases(),
            authorized_by=known.authorized_by or "",
        )

    async def _link(self, envelope: Envelope, item: Item, cause: str) -> tuple[str, datetime | None]:
        if envelope.slot not in (Slot.ASK, Slot.REMINDER, *AHEAD):
            return "", None
        now = self._clock.now()
        until = now + self._post.link_lifetime
        if self._previews:
            return f"{self._post.public_url}/r/…", until
        secret = await links.issue(
            self._database,
            item.connection,
            locale=envelope.locale,
            now=now,
            expires_at=until,
            incident=item.incident,
            cause=cause,
            always=envelope.slot in AHEAD,
        )
        return f"{self._post.public_url}/r/{secret.reveal()}", until


def told_cause(envelope: Envelope, item: Item) -> str:
    """Return why a client is told about a connection: its cause, or that it is new or runs out."""
    if envelope.slot == Slot.EXPIRING:
        return "expiring"
    if envelope.slot == Slot.CAMPAIGN:
        return campaigns.LINKS
    if envelope.kind == Kind.FIRST_AUTHORIZATION or (item.incident is None and item.cause == Cause.OK):
        return "pending"
    return item.cause
