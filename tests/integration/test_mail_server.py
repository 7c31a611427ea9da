"""Promise 3, 'told at all': a mail server that is away, or drops what it is handed, costs no mail its patience."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import select
from starlette.applications import Starlette

from alerts.mails import refusals
from alerts.mails.mailserver import BACK_OFF, JITTER, on_record
from alerts.mails.standing import Slot
from alerts.mails.story import GIVE_UP
from alerts.outbox import listing
from alerts.outbox.tables import delivery, notice
from monitor.metrics.meters import Meters
from monitor.operations import checkup, mails
from monitor.operations.explain import story
from monitor.settings.builders import build_pump
from monitor.web.ops import Ops, Pulse
from tests.conftest import MAIL, ME, NO_GUARD, rigged


class Switch:
    """The mailbox's server with a switch: off, it refuses every connection. `greetings` counts the others."""

    def __init__(self, mailbox) -> None:
        self.mailbox, self.greetings, self._server, self._port = mailbox, 0, None, 0
        self.greeting: bytes | None = None  # in place of a session

    async def on(self) -> None:
        loop = asyncio.get_running_loop()

        def session():
            self.greetings += 1
            if self.greeting is not None:
                return Rude(self.greeting)
            return SMTP(self.mailbox, hostname="mail.example", enable_SMTPUTF8=True, loop=loop)

        self._server = await loop.create_server(session, "127.0.0.1", self._port)
        self._port = self.mailbox.port = self._server.sockets[0].getsockname()[1]

    def off(self) -> None:
        self._server.close()


class Rude(asyncio.Protocol):
    """Says one thing and hangs up."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting

    def connection_made(self, transport) -> None:
        transport.write(self._greeting + b"\r\n")
        transport.close()


@pytest.fixture
async def switch(mailbox):
    found = Switch(mailbox)
    await found.on()
    yield found
    found.off()


@pytest.fixture
async def post(tmp_path, sandbox, mailbox, switch, database_url):
    """A rig that mails at once, over a server that can be switched off."""
    more = MAIL.format(url=mailbox.url).replace('"10m"', '"0s"') + NO_GUARD
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig:
        yield rig


@pytest.fixture
async def small(tmp_path, sqlite_url, sandbox, mailbox, switch):
    """The same on SQLite only."""
    more = MAIL.format(url=mailbox.url).replace('"10m"', '"0s"') + NO_GUARD
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        yield rig


async def _break(rig, *names):
    await rig.add(*names)
    await rig.look()
    for name in names:
        rig.sandbox.do(rig.grants[name], "revoke")
    await rig.after(minutes=8)
    for name in names:
        assert (await rig.settle(name))[0] == "broken"


async def _heal(rig, name):
    rig.sandbox.do(rig.grants[name], "restore")
    for _ in range(10):
        await rig.after(minutes=20)
        if (await rig.state(name))[0] == "healthy":
            return
    raise AssertionError(name)


async def _envelopes(rig):
    async with rig.parts.database.read() as conn:
        asks = select(notice.c.id).where(notice.c.slot == Slot.ASK.value)
        rows = await conn.execute(select(delivery).where(delivery.c.notice.in_(asks)).order_by(delivery.c.id))
        return [(r.state, r.attempts, r.next_at, r.lease_by) for r in rows]


def _to(mailbox) -> list[str]:
    return sorted(m["To"] for m in mailbox.taken)


async def test_a_refused_connection_costs_no_mail_its_patience(post, mailbox, switch):
    await _break(post, "acme", "birch")
    switch.off()
    await post.pump.plan()
    await post.pump.pump()
    before = await _envelopes(post)
    assert [(state, attempts, lease) for state, attempts, _, lease in before] == [("waiting", 0, None)] * 2
    for _ in range(120):
        post.clock.tick(seconds=5)
        await post.pump.pump()
    assert await _envelopes(post) == before
    await switch.on()
    await post.pump.mail_server.watch(leads=True)
    await post.mails(seconds=5)
    assert _to(mailbox) == ["it@acme.example", "it@birch.example"], "everything at once"
    assert {e[:2] for e in await _envelopes(post)} == {("sent", 1)}


async def test_a_server_that_is_back_is_noticed_within_seconds_at_first_and_minutes_at_last(small, switch):
    """It is asked after 1, 2, 5, 10, 30, 60 … seconds, and not by every tick."""
    await _break(small, "acme")
    switch.greeting = b"421 shutting down"
    await small.pump.plan()
    asked, seen = [], switch.greetings
    for second in range(800):
        await small.pump.pump()
        if switch.greetings > seen:
            asked, seen = [*asked, second], switch.greetings
        small.clock.tick(seconds=1)
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    for gap, step in zip(gaps, BACK_OFF, strict=False):
        assert step.total_seconds() * (1 - JITTER) <= gap <= step.total_seconds() * (1 + JITTER) + 1
    assert len(gaps) > 7


REFUSALS = {
    "MAIL": ("550 5.7.1 we know no such sender", "takes no mail from integrations@agency.example: 550"),
    "AUTH": ("530 5.7.0 Must issue a STARTTLS command first", "530 5.7.0 Must issue a STARTTLS"),
    "RCPT": ("421 4.3.2 system shutting down", "421 4.3.2 system shutting down"),
}


@pytest.mark.parametrize("step", REFUSALS)
async def test_what_is_the_servers_or_ours_fails_no_mail(small, mailbox, step):
    """A sender that is refused, a login that is asked for, a server that shuts down: no address is to blame."""
    says, shown = REFUSALS[step]
    await _break(small, "acme", "birch")

    async def refuse(server, session, envelope, *more):
        return says

    setattr(mailbox, "handle_MAIL" if step == "MAIL" else "handle_RCPT", refuse)
    for _ in range(12):
        await small.mails(minutes=10)
    assert {(state, attempts) for state, attempts, *_ in await _envelopes(small)} == {("waiting", 0)}
    assert await refusals.undeliverable(small.parts.database) == []
    assert shown in small.pump.mail_server.trouble
    mailbox.__dict__.pop("handle_MAIL", None)
    mailbox.__dict__.pop("handle_RCPT", None)
    await small.mails(minutes=10)
    assert _to(mailbox) == ["it@acme.example", "it@birch.example"]


async def test_the_operator_sees_since_when_the_mail_server_takes_nothing(post, switch, monkeypatch):
    await _break(post, "acme")
    server = post.parts.loaded.mail_server().name
    switch.off()
    await post.pump.plan()
    await post.pump.pump()
    post.clock.tick(hours=3)
    known = await on_record(post.parts.database, server)
    assert known.down_since == post.clock.now() - timedelta(hours=3)
    sentence = known.sentence(server, post.clock.now())
    assert sentence.startswith("The mail server has taken no mail for 3 hours: 127.0.0.1:")
    assert sentence in (await story(post.parts, ME, "acme")).said
    assert await mails.server_trouble(post.parts, ME) == sentence
    gauge = post.meters.smtp_down_since.labels(server)._value.get()
    assert gauge == known.down_since.timestamp()

    async def fine():
        return None

    ops = Ops(None, lambda: Pulse(True, 0.0, 1, {}), fine, mail=lambda: post.pump.mail_server.trouble)
    transport = httpx.ASGITransport(Starlette(routes=ops.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://th.example") as probe:
        answer = await probe.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "mail": sentence})
    monkeypatch.setenv("clio_SECRET", "s3cret")
    found = {c.name: c for c in await checkup.checkup(post.parts.loaded.path, ME)}["smtp"]
    assert found.ok is False and "The service has found it so for " in found.says
    await switch.on()
    await post.pump.mail_server.watch(leads=True)
    assert (await on_record(post.parts.database, server)).down_since is None
    assert post.pump.mail_server.trouble == ""


def _dropping(mailbox, who: set[str], once: bool = False) -> Iterator[str]:
    """Let the server drop the connection over these addresses, after RCPT and before DATA."""

    async def drop(server, session, envelope, address, options):
        if address in who:
            if once:
                who.discard(address)
            server.transport.abort()
            return "250 never seen"
        return await type(mailbox).handle_RCPT(mailbox, server, session, envelope, address, options)

    mailbox.handle_RCPT = drop


async def test_a_connection_lost_once_in_the_middle_of_a_batch_is_no_attempt(post, mailbox):
    _dropping(mailbox, {"it@acme.example"}, once=True)
    await _break(post, "acme", "birch", "cedar")
    await post.pump.plan()
    await post.pump.pump()
    assert _to(mailbox) == ["it@acme.example", "it@birch.example", "it@cedar.example"], "in the same tick"
    assert {e[:2] for e in await _envelopes(post)} == {("sent", 1)}


async def test_a_mail_that_the_server_drops_every_connection_over_holds_up_no_other(post, mailbox):
    _dropping(mailbox, {"it@acme.example", "it@birch.example"})
    await _break(post, "acme", "birch", "cedar")
    await post.pump.plan()
    for _ in range(5):
        post.clock.tick(seconds=1)
        await post.pump.pump()
    assert _to(mailbox) == ["it@cedar.example"]
    await _break(post, "dover")
    post.clock.tick(minutes=2)
    await post.pump.plan()
    await post.pump.pump()
    assert _to(mailbox) == ["it@cedar.example", "it@dover.example"]
    envelopes = sorted(await _envelopes(post))
    assert [e[0] for e in envelopes] == ["sent"] * 2 + ["waiting"] * 2
    assert all(e[1] > 0 and e[2] > post.clock.now() for e in envelopes[2:]), "now it is their own"
    assert post.pump.mail_server.trouble == ""


async def test_a_server_that_drops_every_connection_costs_no_mail_an_attempt(small, mailbox):
    _dropping(mailbox, {"it@acme.example", "it@birch.example", "it@cedar.example"})
    await _break(small, "acme", "birch", "cedar")
    for _ in range(15):
        await small.mails(minutes=10)
    assert {e[:2] for e in await _envelopes(small)} == {("waiting", 0)}
    assert small.pump.mail_server.trouble.startswith("The mail server has taken no mail for ")
    del mailbox.handle_RCPT
    await small.mails(minutes=10)
    assert len(mailbox.taken) == 3


async def test_a_server_that_never_answers_the_last_dot_is_left_alone_after_two(small, mailbox):
    async def take_and_vanish(server, session, envelope):
        server.transport.abort()
        return "250 never seen"

    mailbox.handle_DATA = take_and_vanish
    await _break(small, "acme", "birch", "cedar")
    await small.pump.plan()
    await small.pump.pump()
    states = sorted(e[:2] for e in await _envelopes(small))
    assert states == [("unconfirmed", 1), ("unconfirmed", 1), ("waiting", 0)]


async def test_an_outage_of_four_days_fails_no_mail_and_sends_only_what_is_still_true(post, mailbox, switch):
    await _break(post, "acme", "birch")
    switch.off()
    for _ in range(24):
        await post.mails(hours=4)
    await _heal(post, "birch")
    await switch.on()
    for _ in range(4):
        await post.mails(minutes=5)
    # No reminder beside the first mail, no thanks for what nobody had been asked, nothing to whoever healed.
    assert mailbox.subjects() == ["Action needed: reconnect Clio Manage for Firm acme"]
    told = await listing.listing(post.parts.database, 50, everything=True)
    assert {t.state for t in told if t.client == "Firm birch"} == {"withdrawn"}
    assert [t.slot for t in told if t.state == "failed"] == []


async def test_a_mail_that_was_put_off_is_looked_at_again_before_it_goes_out(post, mailbox):
    mailbox.data_answer = "451 greylisted"
    await _break(post, "acme")
    await post.mails()
    await _heal(post, "acme")
    mailbox.data_answer = "250 taken"
    for _ in range(4):
        await post.mails(hours=1)
    assert mailbox.taken == []


async def test_a_mail_that_is_put_off_forty_times_is_given_up_and_says_so(small, mailbox):
    mailbox.data_answer = "451 not now"
    await _break(small, "acme")
    for _ in range(45):
        await small.mails(hours=2)
    (ask,) = [
        t for t in await listing.listing(small.parts.database, 50, everything=True) if t.slot == Slot.ASK
    ]
    assert ask.state == "failed" and ask.envelopes[0].attempts == GIVE_UP
    assert ask.outcome == "given up after 40 attempts: 451 not now"
    assert (small.clock.now() - ask.planned_at) > timedelta(days=3)


async def test_each_process_has_a_back_off_of_its_own_and_each_mail_goes_out_once(post, mailbox, switch):
    other = build_pump(post.parts, Meters(), "another")
    await _break(post, "acme", "birch")
    switch.off()
    await post.pump.plan()
    for _ in range(60):
        post.clock.tick(seconds=5)
        await post.pump.pump()
    await switch.on()
    await asyncio.gather(other.pump(), post.pump.pump())
    assert _to(mailbox) == ["it@acme.example", "it@birch.example"]
    await other.mail_server.watch(leads=True)
    assert (await on_record(post.parts.database, post.parts.loaded.mail_server().name)).down_since is None
