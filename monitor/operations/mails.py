"""Mails: how they look, whether the server takes one, and since when it takes none."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from alerts.channels.smtp import Interrupted, Letter, Sender, Session, Unreachable
from alerts.mails.language import languages
from alerts.mails.mailserver import on_record
from alerts.mails.message import LOGO, Logo, build
from alerts.mails.occasions import Occasion, occasion
from alerts.mails.samples import sample
from alerts.mails.standing import KINDS
from alerts.mails.templates import own_files
from alerts.outbox.envelope import Outcome
from monitor.clock import SystemClock
from monitor.errors import ConfigurationError, NotFound
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_composer, templates_trouble
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts
from monitor.text import addresses

# Any day will do, and always the same one makes previews comparable.
A_DAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Preview:
    """A sample of a mail, in one language; its HTML has the logo inside, since a file has no attachments."""

    kind: str
    language: str
    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a test mail: which server, whether it took it, and what it answered."""

    server: str
    taken: bool
    outcome: str
    answer: str


def previews(loaded: Loaded, actor: Actor, kind: str = "", language: str = "") -> list[Preview]:
    """Return samples of mails: of one kind or of all, in one language or in all.

    Raises NotFound, and ConfigurationError for a template of one's own that cannot be used.
    """
    actor.needs(Right.NOTICES_READ)
    if kind and kind not in KINDS:
        raise NotFound(f"{kind}: there is no such mail; there are {', '.join(KINDS)}.")
    composer, logo = build_composer(loaded)
    found = []
    for name in [kind] if kind else KINDS:
        for spoken in [language] if language else languages():
            mail = sample(composer, name, spoken, A_DAY)
            found.append(Preview(name, spoken, mail.subject, whole(mail.html, logo), mail.text))
    return found


def preview(loaded: Loaded, actor: Actor, kind: str, language: str) -> Preview:
    """Return a sample of one mail in one language that there is. Raises as `previews` does."""
    actor.needs(Right.NOTICES_READ)
    if language not in languages():
        raise NotFound(f"{language}: no mail is written in it; there are {', '.join(languages())}.")
    return previews(loaded, actor, kind or KINDS[0], language)[0]


@dataclass(frozen=True, slots=True)
class Mail:
    """A kind of mail: who gets it and when, and which of its files are one's own."""

    kind: str
    occasion: Occasion
    own: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mails:
    """Every kind of mail, in which languages; the folder of one's own templates, and what is wrong there."""

    mails: tuple[Mail, ...]
    languages: tuple[str, ...]
    folder: str
    trouble: str
    configured: bool
    operator: str


def every(loaded: Loaded, actor: Actor) -> Mails:
    """Return every kind of mail there is."""
    actor.needs(Right.NOTICES_READ)
    settings = loaded.settings
    folder = loaded.directory / settings.email.templates if settings.email.templates else None
    found = [
        Mail(kind, occasion(kind, settings.mail_policy), own_files(folder, kind) if folder else ())
        for kind in KINDS
    ]
    return Mails(
        tuple(found), languages(), str(folder or ""), templates_trouble(loaded) or "" if folder else "",
        bool(settings.smtp.sender), settings.email.operator,
    )  # fmt: skip


def whole(html: str, logo: Logo | None) -> str:
    """Return the HTML of a mail with its logo inside, since what is only looked at has no attachments."""
    if logo is None:
        return html
    data = base64.b64encode(logo.data).decode()
    return html.replace(f"cid:{LOGO}", f"data:image/{logo.subtype};base64,{data}")


async def test(loaded: Loaded, actor: Actor, address: str) -> Tried:
    """Send a sample mail past the outbox. It needs no database, is about nobody, and so is in no audit.

    Raises ConfigurationError where no sender is configured, or the address is none.
    """
    actor.needs(Right.NOTICES_OPERATE)
    smtp = loaded.settings.smtp
    if not smtp.sender:
        raise ConfigurationError(f"{loaded.path}: set smtp.from (and smtp.url) first; then mails go out.")
    try:
        to = addresses.read(address)
    except ValueError as error:
        raise ConfigurationError(f"{address}: {error}") from None
    server, now = loaded.mail_server(), SystemClock().now()
    composer, logo = build_composer(loaded)
    sender = Sender.parse(smtp.sender, loaded.settings.brand.reply_to)
    message = build(
        sample(composer, KINDS[0], "en", now),
        sender,
        to,
        f"<th.test.{secrets.token_hex(8)}@{sender.domain}>",
        now,
        logo=logo,
    )
    message.replace_header("Subject", f"[Test] {message['Subject']}")

    async def always() -> bool:
        return True

    try:
        async with Session(server) as session:
            outcome, answer = await session.send(Letter.of(message), always)
    except (Unreachable, Interrupted) as error:
        outcome, answer = Outcome.LATER, str(error)
    return Tried(server.name, outcome is Outcome.SENT, outcome.value, answer)


async def server_trouble(parts: Parts, actor: Actor) -> str:
    """Say since when the service has found that the mail server takes nothing; empty where it does."""
    actor.needs(Right.NOTICES_READ)
    if not parts.loaded.settings.smtp.sender:
        return ""
    name = parts.loaded.mail_server().name
    return (await on_record(parts.database, name)).sentence(name, parts.clock.now())
