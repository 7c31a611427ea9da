"""The outbox's pages: what waits, is held, went out or wants a look, for whoever looks; on both databases."""

from __future__ import annotations

import pytest

from tests.conftest import rigged
from tests.integration.console.conftest import MORE, served, words
from tests.integration.test_sent_by_a_word import broken


@pytest.fixture
async def console(tmp_path, sandbox, database_url, mailbox):
    more = (
        MORE.replace("smtp://127.0.0.1:9", mailbox.url)
        + '[email]\ndelay = "10m"\noperator = "ops@agency.example"\nquiet_hours = ""\n'
    )
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig, served(rig) as found:
        yield found


async def test_nothing(console):
    page = await (await console.operator()).get("/outbox")
    assert page.status_code == 200, words(page)
    print(words(page))


async def test_all(console):
    rig = console.rig
    await rig.add("acme")
    await broken(rig, "acme")
    await rig.mails()
    person = await console.operator()
    for path in (
        "/outbox",
        "/outbox?is=waiting",
        "/outbox?is=held",
        "/outbox?is=sent",
        "/outbox?is=withdrawn",
        "/outbox/1",
        "/outbox/1/html",
        "/outbox/1/send-now",
        "/outbox/1/retry",
        "/outbox/hold?over=client&name=Firm+acme",
        "/outbox/test",
        "/outbox/fuse/release",
        "/mails",
        "/mails?kind=revoked&language=de",
        "/mails/revoked/de/html",
    ):
        page = await person.get(path)
        print(path, page.status_code, words(page)[:1500])
        assert page.status_code == 200
