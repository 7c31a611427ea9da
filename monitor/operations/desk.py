"""What people do with a fleet beside running it: take in, export, explain, ask a client, try a channel.

The commands here are the command line's today, and the API's when it comes.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from alerts.channels.smtp import Interrupted, Letter, Sender, Session, Unreachable
from alerts.mails import again, fuse, reconcile
from alerts.mails.mailserver import on_record
from alerts.mails.message import build
from alerts.mails.samples import sample
from alerts.mails.standing import KINDS
from alerts.outbox.envelope import Outcome
from alerts.pages import wording
from alerts.pages.settings import WAYS
from monitor.clock import SystemClock
from monitor.errors import ConfigurationError
from monitor.settings.builders import build_channel, build_composer, build_post
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts
from monitor.store import waves
from monitor.text import addresses


async def mail_server_trouble(parts: Parts) -> str:
    """Say since when the service has found that the mail server takes nothing; empty where it does."""
    if not parts.loaded.settings.smtp.sender:
        return ""
    name = parts.loaded.mail_server().name
    return (await on_record(parts.database, name)).sentence(name, parts.clock.now())


async def decide_guard(parts: Parts, name: str, mails: str, actor: str) -> int:
    """Release or drop what a wave holds; return of how many connections. Raises NotFound."""
    count = await waves.decide(parts.database, name, mails, parts.clock.now(), actor)
    await _plan_now(parts)
    return count


async def ask_first(parts: Parts, name: str, count: int, actor: str) -> tuple[str, ...]:
    """Have a few clients of a wave asked first; return which. Raises NotFound."""
    asked = await waves.ask_first(parts.database, name, count, parts.clock.now(), actor)
    await _plan_now(parts)
    return asked


async def _plan_now(parts: Parts) -> None:
    """Bring the waiting mails in line with what a person has just said; the service sends them."""
    if (post := build_post(parts)) is not None:
        await reconcile.plan_all(parts.database, post.voice, parts.clock.now())


async def retry_mails(parts: Parts, numbers: Sequence[int], actor: str) -> list[int]:
    """Have failed mails tried again, all of them without numbers; return which."""
    return await again.retry(parts.database, numbers, parts.clock.now(), actor)


async def release_fuse(parts: Parts, actor: str) -> None:
    """Let first mails out for an hour, however many."""
    await fuse.release(parts.database, parts.clock.now(), timedelta(hours=1), actor)


async def send_sample(loaded: Loaded, address: str) -> tuple[Outcome, str, str]:
    """Send a sample mail past the outbox: outcome, the server's words, and where it was sent."""
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
            return outcome, answer, server.name
    except (Unreachable, Interrupted) as error:
        return Outcome.LATER, str(error), server.name


async def try_channels(loaded: Loaded) -> AsyncIterator[tuple[str, Outcome, str]]:
    """Send a test message over each of on-call's channels, and that it is over: name, outcome, answer."""
    now = SystemClock().now()
    routes = loaded.routes()
    if not routes:
        raise ConfigurationError(
            f"{loaded.path}: on-call has no channel; set {', '.join(WAYS)} or [[oncall.routes]]."
        )
    matter = wording.trial(loaded.settings.oncall.team, loaded.settings.oncall.runbooks, now)
    for route in routes:
        channel = build_channel(loaded, route)
        outcome, answer = await channel.send("test", matter, over=False, now=now)
        if outcome is Outcome.SENT:
            over, said = await channel.send("test", matter, over=True, now=now + timedelta(seconds=2))
            outcome, answer = (outcome, answer) if over is Outcome.SENT else (over, said)
        yield route.name, outcome, answer
