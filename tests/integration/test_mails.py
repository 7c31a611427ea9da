"""Promises 1 and 3, 'no wrong e-mail' and 'told once': what reaches a real mailbox, and what does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.mails import refusals
from alerts.outbox import listing
from alerts.silences import silences
from alerts.silences.windows import Over
from monitor.operations import notices
from monitor.store import fleet, incidents
from tests.conftest import ME


async def _break(rig, *names, how="revoke"):
    await rig.look()
    for name in names:
        rig.sandbox.do(rig.grants[name], how)
    await rig.after(minutes=8)
    for name in names:
        assert (await rig.settle(name))[0] == "broken"


async def test_a_revoked_connection_gets_one_mail_with_a_link_after_the_delay(mailrig, mailbox):
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    await mailrig.mails(minutes=5)
    assert mailbox.taken == [], "the guard has to have seen a whole round first"
    await mailrig.mails(minutes=6)
    assert len(mailbox.taken) == 1
    mail = mailbox.taken[0]
    assert mail["To"] == "it@acme.example" and mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"] == "Action needed: reconnect Clio Manage for Firm acme"
    assert mailbox.link().startswith("http://127.0.0.1:8080/r/")
    assert mailbox.link() in mail.get_body(("html",)).get_content()
    for _ in range(20):
        await mailrig.mails(minutes=60)
    assert len(mailbox.taken) == 1


async def test_reminders_thread_and_end_with_the_operator(mailrig, mailbox):
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    for _ in range(30):
        await mailrig.mails(hours=12)
    kinds = [message["Subject"].split(":")[0] for message in mailbox.taken]
    assert kinds == ["Action needed", "Reminder", "Reminder", "Reminder", "Over to you"]
    first = mailbox.taken[0]["Message-ID"]
    assert [m["In-Reply-To"] for m in mailbox.taken[1:4]] == [first] * 3
    assert mailbox.taken[4]["To"] == "ops@agency.example"
    assert len({mailbox.link(index) for index in range(4)}) == 4, "a link of its own in each"


async def test_what_heals_by_itself_in_time_is_never_mailed_and_who_was_asked_is_thanked(mailrig, mailbox):
    await mailrig.add("quick", "slow")
    await _break(mailrig, "quick")
    mailrig.sandbox.do(mailrig.grants["quick"], "restore")
    await mailrig.mails(minutes=8)
    for _ in range(4):
        await mailrig.mails(minutes=30)
    assert mailbox.taken == []
    await mailrig.after(hours=25)  # until then, what healed by itself makes the next break doubtful
    await _break(mailrig, "slow")
    await mailrig.mails(minutes=11)
    assert len(mailbox.taken) == 1
    mailrig.sandbox.do(mailrig.grants["slow"], "restore")
    for _ in range(3):
        await mailrig.mails(minutes=60)
    assert mailbox.subjects()[1:] == ["Thank you: Clio Manage for Firm slow works"]
    assert mailbox.taken[1]["In-Reply-To"] == mailbox.taken[0]["Message-ID"]


async def test_a_client_with_several_breaks_gets_one_digest(mailrig, mailbox):
    client = {"name": "Whitfield LLP", "contacts": ["it@whitfield.example"]}
    await mailrig.add("w1", "w2", client=client)
    await _break(mailrig, "w1", "w2")
    await mailrig.mails(minutes=11)
    assert mailbox.subjects() == ["Action needed: 2 connections of Whitfield LLP"]
    assert mailbox.link(nth=0) != mailbox.link(nth=1)


async def test_operators_causes_and_outages_reach_no_client(mailrig, mailbox):
    await mailrig.add("acme", "birch")
    await mailrig.look()
    mailrig.sandbox.app("clio", suspended=True)
    mailrig.sandbox.do(mailrig.grants["acme"], "expire_access")
    mailrig.sandbox.weather("down")
    for _ in range(40):
        await mailrig.mails(minutes=15)
    assert mailbox.taken == []


async def test_a_wave_is_held_by_the_guard_until_it_is_released_or_heals(mailrig, mailbox):
    names = [f"firm{n:02}" for n in range(10)]
    await mailrig.add(*names)
    await mailrig.look()
    for name in names:
        mailrig.sandbox.do(mailrig.grants[name], "revoke")
    for _ in range(12):
        await mailrig.mails(minutes=10)
    assert mailbox.taken == []
    assert [held for *_, held in await fleet.held(mailrig.parts.database)] == [10]
    mailrig.sandbox.do(mailrig.grants["firm00"], "restore")
    for _ in range(3):
        await mailrig.mails(minutes=40)
    guard = next(i for i in await incidents.open_now(mailrig.parts.database) if i.guard)
    count = await notices.release(mailrig.parts, ME, guard.about.name)
    assert count == 9
    for _ in range(3):
        await mailrig.mails(minutes=20)
    assert len(mailbox.taken) == 9, "one each, and none to the one that healed"


async def test_what_is_dropped_stays_unsaid(mailrig, mailbox):
    names = [f"firm{n:02}" for n in range(6)]
    await mailrig.add(*names)
    await _break(mailrig, *names)
    guard = next(i for i in await incidents.open_now(mailrig.parts.database) if i.guard)
    assert await notices.drop(mailrig.parts, ME, guard.about.name) == 6
    for _ in range(20):
        await mailrig.mails(hours=6)
    assert mailbox.taken == []


async def test_holds_keep_mails_back_and_release_them(mailrig, mailbox):
    await mailrig.add("acme")
    database, now = mailrig.parts.database, mailrig.clock.now()
    await silences.begin(database, Over.CLIENT, "Firm acme", "on holiday", now + timedelta(days=3), now, "me")
    await _break(mailrig, "acme")
    for _ in range(5):
        await mailrig.mails(hours=12)
    assert mailbox.taken == []
    await mailrig.mails(hours=13)
    assert len(mailbox.taken) == 1


async def test_the_fuse_holds_a_wave_that_the_guard_let_through(tmp_path, sqlite_url, sandbox, mailbox):
    from tests.conftest import MAIL, rigged

    more = MAIL.format(url=mailbox.url) + 'max_per_hour = 3\n[guard]\nonce_in = "never"\n'
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        names = [f"firm{n}" for n in range(5)]
        await rig.add(*names)
        await _break(rig, *names)
        for _ in range(6):
            await rig.mails(minutes=10)
        assert mailbox.subjects() == ["Mails to clients are held: 5 first mails want out, the cap is 3"]
        assert rig.meters.fuse._value.get() == 1
        for name in names[:2]:
            rig.sandbox.do(rig.grants[name], "restore")
        for _ in range(8):
            await rig.mails(minutes=20)
        assert len(mailbox.taken) == 4, "what healed needs no mail, and the rest fits the cap again"


async def test_a_refused_address_is_marked_shown_and_tried_again(mailrig, mailbox):
    mailbox.recipients["it@acme.example"] = "550 no such user"
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    await mailrig.mails(minutes=11)
    refused = await refusals.undeliverable(mailrig.parts.database)
    assert [(address, answer) for address, _, answer in refused] == [("it@acme.example", "550 no such user")]
    await mailrig.mails(minutes=1)
    assert mailbox.subjects() == ["Over to you: Firm acme does not answer (1 broken)"], "at once"
    del mailbox.recipients["it@acme.example"]
    await mailrig.mails(days=2)
    assert len(mailbox.taken) == 2 and await refusals.undeliverable(mailrig.parts.database) == []


async def test_a_mail_server_that_is_busy_is_asked_again_later(mailrig, mailbox):
    mailbox.data_answer = "451 try later"
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    await mailrig.mails(minutes=11)
    assert mailbox.taken == []
    mailbox.data_answer = "250 taken"
    await mailrig.mails(minutes=2)
    assert len(mailbox.taken) == 1
    told = await listing.about_connection(mailrig.parts.database, "acme")
    assert [(t.state, t.envelopes[0].attempts) for t in told if t.slot == "ask"] == [("sent", 2)]


async def test_old_notices_and_links_are_forgotten(mailrig, mailbox):
    from alerts.outbox import notices
    from monitor.store import links

    await mailrig.add("acme")
    await _break(mailrig, "acme")
    await mailrig.mails(minutes=11)
    await mailrig.pump.plan()
    database, now = mailrig.parts.database, mailrig.clock.now()
    assert (await notices.forget(database, now - timedelta(days=1)), await links.forget(database, now)) == (
        0,
        0,
    )
    later = now + timedelta(days=400)
    assert (await notices.forget(database, later), await links.forget(database, later)) == (1, 1)
    waiting = await listing.about_connection(database, "acme")
    assert [told.state for told in waiting] == ["waiting"], "what still waits is kept"


async def test_a_fresh_probe_stands_behind_every_mail(mailrig, mailbox):
    """A provider that refused everybody and recovered: no mail rests on what was seen before."""
    await mailrig.add("acme")
    await _break(mailrig, "acme")
    database, now = mailrig.parts.database, mailrig.clock.now()
    await silences.begin(database, Over.ALL, "", "", now + timedelta(hours=5), now, "me")
    for _ in range(4):
        await mailrig.after(hours=1)
    mailrig.sandbox.do(mailrig.grants["acme"], "restore")
    mailrig.clock.tick(hours=1, minutes=1)
    await mailrig.pump.plan()
    await mailrig.pump.pump()
    assert mailbox.taken == [], "the last probe is old: it is made anew before anything is said"
    for _ in range(4):
        await mailrig.mails(minutes=1)
    assert mailbox.taken == []
    assert await mailrig.state("acme") == ("healthy", "ok")


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the TLS is around it
async def test_tls_and_a_password_go_before_the_mail(tmp_path, mailbox):
    """STARTTLS with a certificate that is checked, implicit TLS, and AUTH that is refused."""
    import asyncio
    import ssl
    import subprocess

    from aiosmtpd.smtp import SMTP, AuthResult

    from alerts.channels.smtp import Letter, Sender, Server, Session, Unreachable
    from alerts.mails.compose import Written
    from alerts.mails.message import build
    from alerts.outbox.envelope import Outcome
    from monitor.secret import Secret
    from tests.conftest import START

    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip

    def context() -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.load_cert_chain(certificate, key)
        return made

    def signed_in(server, session, envelope, mechanism, data):
        return AuthResult(success=data.password == b"right", handled=False)

    async def always():
        return True

    loop = asyncio.get_running_loop()

    def server(**more):
        return SMTP(mailbox, hostname="mail.example", loop=loop, authenticator=signed_in, **more)

    upgraded = await loop.create_server(
        lambda: server(tls_context=context(), require_starttls=True, auth_required=True), "127.0.0.1", 0
    )
    wrapped = await loop.create_server(
        lambda: server(auth_require_tls=False, auth_required=True), "127.0.0.1", 0, ssl=context()
    )
    mail = Letter.of(
        build(
            Written("s", "t\n.\n..x\n", "<p>t</p>"),
            Sender.parse("a@b.example"),
            "c@d.example",
            "<1@b>",
            START,
        )
    )
    for listening, scheme in ((upgraded, "smtp"), (wrapped, "smtps")):
        url = f"{scheme}://localhost:{listening.sockets[0].getsockname()[1]}"
        more = {"starttls": "always", "username": "me", "timeout": 5.0}
        known = Server.parse(url, password=Secret("right"), ca_file=certificate, **more)
        async with Session(known) as session:
            outcome, answer = await session.send(mail, always)
        assert outcome is Outcome.SENT, answer
        wrong = Server.parse(url, password=Secret("wrong"), ca_file=certificate, **more)
        with pytest.raises(Unreachable, match="535") as refused:
            async with Session(wrong):
                pass
        assert "wrong" not in str(refused.value)
        listening.close()
    text = mailbox.taken[0].get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == "t\n.\n..x\n", "lines that begin with a dot arrive as they were written"


async def test_a_mail_names_the_access_that_the_provider_refused_and_not_what_was_never_asked(
    mailrig, mailbox
):
    """`tasks` has no check, so that no probe ever read it: that is no reason to name it, and it only."""
    mailrig.sandbox.app("clio", challenges=True, permissions=["contacts", "matters"])
    await mailrig.add("acme", scopes=("contacts", "matters", "tasks"))
    await mailrig.look()
    mailrig.sandbox.do(mailrig.grants["acme"], "narrow", resources=["matters"])
    for _ in range(20):
        await mailrig.mails(minutes=5)
    text = " ".join(mailbox.taken[0].get_body(("plain",)).get_content().split())
    assert "something that we need is not shared with us: matters" in text
    assert "tasks" not in text
