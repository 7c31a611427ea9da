"""Addresses with letters beyond ASCII, over a mail server that offers SMTPUTF8 and over one that does not."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
from aiosmtpd.smtp import SMTP

from alerts.mails import refusals
from alerts.outbox import listing
from monitor.cli import main
from monitor.operations import checkup
from tests.conftest import MAIL, ME, NO_GUARD, rigged


@pytest.fixture
async def plain(mailbox):
    """A second door to the mailbox, to a server without SMTPUTF8; yields its URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="mail.example", loop=loop), "127.0.0.1", 0
    )
    yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


def _rig(tmp_path, sandbox, url, sender="integrations@agency.example"):
    more = (
        MAIL.format(url=url).replace("integrations@agency.example", sender).replace('"10m"', '"0s"')
        + NO_GUARD
    )
    return rigged(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", more=more)


async def _ask(rig, **contacts):
    """Break one connection a contact, and let the mails go out."""
    for name, contact in contacts.items():
        await rig.add(name, client={"name": f"Firm {name}", "contacts": [contact]})
    await rig.look()
    for name in contacts:
        rig.sandbox.do(rig.grants[name], "revoke")
    await rig.after(minutes=8)
    for name in contacts:
        assert (await rig.settle(name))[0] == "broken"
    await rig.mails()


async def test_a_domain_beyond_ascii_is_mailed_over_any_server(tmp_path, sandbox, mailbox, plain):
    async with _rig(tmp_path, sandbox, plain, "post@grüße.example") as rig:
        await _ask(rig, acme="it@müller.example")
        (mail,) = mailbox.taken
        assert mail["X-Envelope-To"] == mail["To"] == "it@xn--mller-kva.example"
        assert mail["From"].addresses[0].addr_spec == "post@xn--gre-6ka8l.example"
        assert mail["Message-ID"].endswith("@xn--gre-6ka8l.example>")
        told = await listing.about_connection(rig.parts.database, "acme")
        assert told[-1].envelopes[0].address == "it@müller.example", "people see it as they wrote it"


async def test_letters_before_the_at_are_mailed_where_the_server_offers_smtputf8(tmp_path, sandbox, mailbox):
    async with _rig(tmp_path, sandbox, mailbox.url) as rig:
        await _ask(rig, acme="müller@müller.example", birch="it@birch.example")
        by_name = {m["X-Envelope-To"]: m for m in mailbox.taken}
        assert set(by_name) == {"müller@xn--mller-kva.example", "it@birch.example"}
        mail = by_name["müller@xn--mller-kva.example"]
        assert mail["To"].encode("utf-8", "surrogateescape").decode() == "müller@xn--mller-kva.example"
        assert await refusals.undeliverable(rig.parts.database) == []


async def test_where_it_does_not_the_address_is_undeliverable_and_the_operator_is_told(
    tmp_path, sandbox, mailbox, plain
):
    async with _rig(tmp_path, sandbox, plain) as rig:
        await _ask(rig, acme="müller@acme.example", birch="it@birch.example")
        assert [m["X-Envelope-To"] for m in mailbox.taken] == ["it@birch.example"], "the others go out"
        ((address, _, why),) = await refusals.undeliverable(rig.parts.database)
        assert address == "müller@acme.example" and "offers no SMTPUTF8" in why
        await rig.mails(minutes=1)
        assert mailbox.subjects()[1:] == ["Over to you: Firm acme does not answer (1 broken)"]


async def test_a_sender_of_ours_that_the_server_cannot_take_fails_no_clients_mail(
    tmp_path, sandbox, mailbox, plain
):
    async with _rig(tmp_path, sandbox, plain, "grüße@agency.example") as rig:
        await _ask(rig, acme="it@acme.example")
        assert mailbox.taken == [] and await refusals.undeliverable(rig.parts.database) == []
        assert "offers no SMTPUTF8), and our own has such letters" in rig.pump.mail_server.trouble


@pytest.mark.parametrize(("offers", "ok"), [(True, True), (False, False)])
async def test_doctor_says_whether_the_server_takes_such_addresses(
    tmp_path, sandbox, mailbox, plain, monkeypatch, offers, ok
):
    monkeypatch.setenv("clio_SECRET", "s3cret")
    async with _rig(tmp_path, sandbox, mailbox.url if offers else plain) as rig:
        await rig.add("acme", client={"name": "A", "contacts": ["müller@acme.example", "it@müller.example"]})
        checks = {c.name: c for c in await checkup.checkup(rig.parts.loaded.path, ME)}
        assert checks["smtp"].ok and "takes mail from integrations@agency.example" in checks["smtp"].says
        assert checks["addresses"].ok is ok
        assert checks["addresses"].says.startswith("müller@acme.example (acme)")
        assert "and 1 more" not in checks["addresses"].says, "a domain needs nothing of the server"


def test_an_import_says_which_addresses_need_more_of_the_mail_server(
    tmp_path, sqlite_url, sandbox, monkeypatch, capsys
):
    from tests.conftest import write_config

    monkeypatch.setenv("clio_SECRET", "s3cret")
    path = write_config(tmp_path, sandbox.url, sqlite_url)
    client = {"name": "A", "contacts": ["müller@acme.example", "it@müller.example"]}
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "acme", "app": "clio", "client": client}))

    def run(*more):
        words = ["token-health", "connections", "import", str(tmp_path / "in.jsonl"), "--config", str(path)]
        monkeypatch.setattr(sys, "argv", [*words, *more])
        with pytest.raises(SystemExit) as left:
            main.main()
        assert left.value.code == 0
        return " ".join(capsys.readouterr().out.split())

    assert (
        "Note: müller@acme.example (acme): letters beyond ASCII before the @ reach only those whose" in run()
    )
    needing = json.loads(run("--json"))["needing_smtputf8"]
    assert needing == [{"connection": "acme", "address": "müller@acme.example"}]
