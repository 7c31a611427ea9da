"""From nothing to the first connection: three steps, ticked from facts."""

from __future__ import annotations

import re

import pytest

from monitor.operations import first_run
from tests.conftest import ME, rigged
from tests.integration.console.conftest import MORE, served, words
from tests.integration.console.test_import import HEAD, send

NO_MAILS = MORE.partition("[smtp]")[0]


@pytest.fixture
async def unmailed(tmp_path, sandbox, database_url):
    """A service that no sender of mails was configured for."""
    async with rigged(tmp_path, sandbox, database_url, more=NO_MAILS) as rig, served(rig) as found:
        yield found


def now_at(page) -> str:
    """The heading of the step that is next."""
    return re.search(r'class="now".*?<h2>(.*?)</h2>', page.text, re.S)[1]


async def test_a_newcomer_gets_from_nothing_to_the_first_probed_connection(unmailed):
    person = await unmailed.operator()
    page = await person.get("/")
    assert "Nothing is watched yet. Three steps, about ten minutes." in words(page)
    assert "clio is here. Clio Manage was not asked about it yet." in words(page)
    assert now_at(page) == "Add your app"
    asked = await person.follow(await person.post("/apps/clio/ask"))
    assert "clio is taken: clients can connect." in words(asked)
    assert "clio is here, and Clio Manage answers to it." in words(asked)
    assert now_at(asked) == "Bring your connections"
    (made,) = unmailed.rig.sandbox.grants([{"client_id": "clio", "account_id": 7, "account_name": "Acme"}])
    row = f"acme,clio,Acme LLP,it@acme.example,{made['tokens']['access_token']}\n"
    shown = await person.follow(await send(person, HEAD + row))
    done = await person.post(re.search(r'action="(/import/[^"]+/apply)"', shown.text)[1])
    await unmailed.rig.look()
    fleet = await person.follow(done)
    assert "Done: 1 added." in words(fleet) and "Acme LLP" in words(fleet)
    assert "no sender of mails is configured" in words(fleet), "the third step stays as a note"
    assert (await unmailed.rig.state("acme"))[0] == "healthy"


async def test_the_note_goes_once_mails_are_configured(small):
    await small.rig.add("a")
    assert "no sender of mails" not in words(await (await small.operator()).get("/?state=any"))


async def test_with_a_sender_the_third_step_is_done(small):
    page = await (await small.operator()).get("/")
    assert "A sender is configured: mails go out." in words(page)


async def test_an_app_that_is_refused_says_so_in_the_providers_words(small):
    small.rig.sandbox.app("clio", secret="another")
    person = await small.operator()
    page = await person.follow(await person.post("/apps/clio/ask"))
    assert "clio is here, and Clio Manage refuses it." in words(page)
    assert now_at(page) == "Add your app" and "Ask Clio Manage again" in words(page)


async def test_who_may_only_look_sees_the_steps_and_what_they_need(small):
    page = await (await small.viewer()).get("/")
    assert "needs the role operator" in words(page) and "Ask Clio Manage now" not in words(page)
    assert (await (await small.viewer()).post("/apps/clio/ask")).status_code == 403
    assert (await (await small.operator()).post("/apps/zoho/ask")).status_code == 404


async def test_the_steps_are_values(console):
    found = await first_run.first_run(console.parts, ME)
    assert (found.step, found.app_taken, found.connections, found.mails) == (1, False, 0, True)
    await console.rig.add("a")
    await console.rig.look()
    found = await first_run.first_run(console.parts, ME)
    assert (found.step, found.connections) == (4, 1)
