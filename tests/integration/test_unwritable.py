"""Promise 3, 'told at all': one mail's fault, one page's or one client's, is its own, and is shown."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from alerts.mails.standing import Slot
from alerts.mails.told import remedies
from alerts.outbox import listing
from alerts.outbox.tables import delivery, notice
from alerts.pages import reconcile
from alerts.pages.story import Slot as PageSlot
from monitor.cli import mail
from monitor.errors import ConfigurationError, Remedy
from monitor.operations import notices
from monitor.operations.explain import story
from monitor.store import audit
from monitor.store.tables import connection
from tests.conftest import MAIL, ME, NO_GUARD, rigged

# Ordinary ways to spoil a template, for one client only.
FAULTS = {
    "{{ 1 / 0 }}": "ZeroDivisionError: division by zero",
    "{{ client + 1 }}": "TypeError",
    "{{ client | wordwrap('x') }}": "TypeError",
    "{{ item.nothing.like.it }}": "has no attribute 'nothing'",
    "{% include 'kinds/revoked/body.txt' %}": "it loops",
}


@pytest.fixture
def templates(tmp_path):
    """A folder of the operator's own with one template in it."""
    folder = tmp_path / "mails" / "kinds" / "revoked"
    folder.mkdir(parents=True)

    def write(fault: str) -> None:
        (folder / "body.txt").write_text(f'Ours\n{{% if client == "Firm acme" %}}\n{fault}\n{{% endif %}}\n')

    write("{{ 1 / 0 }}")
    return write


@pytest.fixture
async def own(tmp_path, sandbox, mailbox, database_url, templates):
    """A rig with those templates, on SQLite and on PostgreSQL."""
    async with rigged(tmp_path, sandbox, database_url, more=_config(mailbox)) as rig:
        yield rig


def _config(mailbox) -> str:
    return MAIL.format(url=mailbox.url).replace('"10m"', '"0s"') + 'templates = "mails"\n' + NO_GUARD


async def _break(rig, *names):
    await rig.look()
    for name in names:
        rig.sandbox.do(rig.grants[name], "revoke")
    await rig.after(minutes=8)
    for name in names:
        assert (await rig.settle(name))[0] == "broken"


async def _asks(rig):
    return {
        t.client: t
        for t in await listing.listing(rig.parts.database, 50, everything=True)
        if t.slot == Slot.ASK
    }


async def _listed(rig, capsys) -> str:
    mail.print_outbox(await notices.every(rig.parts, ME, 50), False)
    return " ".join(capsys.readouterr().out.split())


async def test_one_unwritable_mail_ends_as_failed_and_the_others_of_its_batch_go_out(own, mailbox, capsys):
    await own.add("acme", "birch", "cedar")
    await _break(own, "acme", "birch", "cedar")
    await own.pump.plan()
    await own.pump.pump()
    assert sorted(m["To"] for m in mailbox.taken) == ["it@birch.example", "it@cedar.example"], "the same tick"
    failed = (await _asks(own))["Firm acme"]
    why = "it could not be written: kinds/revoked/body.txt, line 3: this mail template cannot be used: "
    why += "ZeroDivisionError: division by zero"
    assert (failed.state, failed.outcome) == ("failed", why)
    assert [(e.state, e.attempts) for e in failed.envelopes] == [("failed", 1)]
    assert own.meters.notifications.labels("email", "revoked", "failed")._value.get() == 1
    told = (await story(own.parts, ME, "acme")).said
    assert any("line 3" in line for line in told), told
    assert remedies(failed) == (Remedy("notices.retry", "tries again", str(failed.id)),)
    shown = await _listed(own, capsys)
    assert f"Failed {failed.id}: it could not be written: kinds/revoked/body.txt, line 3" in shown
    assert f"token-health notices retry {failed.id}" in shown
    # The operator is told that nobody was asked, and why; the mail itself is not tried for days.
    for _ in range(10):
        await own.mails(hours=1)
    assert mailbox.subjects()[2:] == ["Over to you: Firm acme does not answer (1 broken)"]
    assert "line 3" in mailbox.taken[2].get_body(("plain",)).get_content().replace("\n", " ")
    assert (await _asks(own))["Firm acme"].envelopes[0].attempts == 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_a_template_raises_is_one_mails_own(
    tmp_path, sqlite_url, sandbox, mailbox, templates, fault
):
    templates(fault)
    async with rigged(tmp_path, sandbox, sqlite_url, more=_config(mailbox)) as rig:
        await rig.add("acme", "birch")
        await _break(rig, "acme", "birch")
        await rig.mails()
        assert mailbox.taken[0]["To"] == "it@birch.example"
        outcome = (await _asks(rig))["Firm acme"].outcome
        assert "kinds/revoked/body.txt, line 3" in outcome and FAULTS[fault] in outcome


async def test_a_corrected_template_is_sent_again_by_a_person_where_it_is_still_true(own, mailbox, templates):
    await own.add("acme")
    await _break(own, "acme")
    await own.pump.plan()
    await own.pump.pump()
    number = (await _asks(own))["Firm acme"].id
    templates("Corrected")
    await own.mails(minutes=1)
    assert "it@acme.example" not in [m["To"] for m in mailbox.taken], "a person says when"
    assert await notices.retry(own.parts, ME, [number]) == [number]
    await own.mails(minutes=1)
    sent = [m for m in mailbox.taken if m["To"] == "it@acme.example"]
    assert len(sent) == 1 and "Corrected" in sent[0].get_body(("plain",)).get_content()
    assert (await _asks(own))["Firm acme"].state == "sent"
    line = (await audit.of_subject(own.parts.database, f"notice {number}"))[0]
    assert (line.action, line.actor) == ("mail.retry", "me")
    with pytest.raises(ConfigurationError, match=f"Notice {number} is no mail that failed"):
        await notices.retry(own.parts, ME, [number])
    assert await notices.retry(own.parts, ME, []) == []


async def test_what_healed_meanwhile_is_not_sent_again(own, mailbox, templates):
    await own.add("acme")
    await _break(own, "acme")
    await own.pump.plan()
    await own.pump.pump()
    own.sandbox.do(own.grants["acme"], "restore")
    await own.after(minutes=20)
    assert (await own.settle("acme"))[0] == "healthy"
    templates("Corrected")
    (number,) = await notices.retry(own.parts, ME, [])
    for _ in range(4):
        await own.mails(minutes=1)
    assert [m["To"] for m in mailbox.taken if m["To"] == "it@acme.example"] == []
    ask = (await _asks(own))["Firm acme"]
    assert (ask.id, ask.state) == (number, "withdrawn")


async def test_a_send_that_is_cut_off_leaves_no_lease_behind(own, mailbox):
    """The service is stopped in the middle of a batch: another process need not wait for the lease's end."""
    await own.add("birch", "cedar")
    await _break(own, "birch", "cedar")
    await own.pump.plan()
    asked = asyncio.Event()

    async def silence(server, session, envelope, address, options):
        asked.set()
        await asyncio.Event().wait()

    mailbox.handle_RCPT = silence
    sending = asyncio.create_task(own.pump.pump())
    await asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with own.parts.database.read() as conn:
        rows = (await conn.execute(select(delivery))).all()
    assert [(r.state, r.attempts, r.lease_by) for r in rows] == [("waiting", 0, None)] * 2


async def test_one_client_that_cannot_be_planned_for_stops_no_other(own, mailbox):
    """A time zone that the machine has lost: no verdict of the batch may be lost with it, and no mail."""
    await own.add("birch", "cedar")
    await own.look()
    async with own.parts.database.write() as conn:
        await conn.execute(
            update(connection).where(connection.c.id == "birch").values(timezone="Mars/Olympus")
        )
    await _break(own, "birch", "cedar")
    await own.mails()
    assert [m["To"] for m in mailbox.taken] == ["it@cedar.example"]
    assert own.meters.tick_errors.labels("mails.plan")._value.get() > 0, "and an alert tells of it"
    async with own.parts.database.write() as conn:
        await conn.execute(update(connection).values(timezone="Europe/Berlin"))
    await own.mails(minutes=1)
    assert [m["To"] for m in mailbox.taken][1:] == ["it@birch.example"]


PAGES = """
[oncall]
alertmanager_url = "http://{where}/am"
"""


async def test_one_unwritable_page_stops_no_other_and_is_tried_again(
    tmp_path, sqlite_url, sandbox, httpserver
):
    told = []

    def take(request):
        from werkzeug import Response

        told.extend(alert["labels"]["alertname"] for alert in request.get_json())
        return Response("{}", 200)

    httpserver.expect_request("/am/api/v2/alerts").respond_with_handler(take)
    more = PAGES.format(where=f"127.0.0.1:{httpserver.port}")
    whole = {
        "labels": {"alertname": "Whole"}, "summary": "s", "description": "d", "runbook": "r",
        "since": "2026-11-23T09:00:00+00:00",
    }  # fmt: skip
    # As an older version may have written it.
    spoiled = {"labels": {"alertname": "Spoiled"}, "summary": "s"}
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        now = rig.clock.now()
        async with rig.parts.database.write() as conn:
            for document in (spoiled, whole):
                name = document["labels"]["alertname"]
                await reconcile.write(conn, PageSlot.PAGE, name, ["alertmanager"], document, now, now)
            await conn.execute(update(notice).values(state="sending", settled_at=now))
        assert await rig.pager.pump() == 2
        assert told == ["Whole"]
        async with rig.parts.database.read() as conn:
            rows = (await conn.execute(select(delivery).order_by(delivery.c.id))).all()
        assert [(row.state, row.lease_by) for row in rows] == [("waiting", None), ("sent", None)]
        assert rows[0].answer.startswith("it could not be written: KeyError in alertmanager.py, line ")
