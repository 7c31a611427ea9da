"""Apps and providers: how often they are asked, what that takes, what they last answered, and what is known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.health.doors import Door, Outcome, Seen, Standing
from monitor.operations import connections
from monitor.providers import catalogue
from monitor.store import app_checks
from tests.conftest import ME, START, rigged
from tests.integration.console.conftest import MORE, served, words

DAY = timedelta(days=1)


@pytest.fixture
async def console(tmp_path, sandbox, database_url):
    """An app whose secret ends soon and whose limit is the app's, and one of which nobody knows the end."""
    ends = (START + 10 * DAY).date()
    clio = {"extra": f'secret_expires = {ends}\nteam = "legal"\ncallback = "own"'}
    apps = {"clio": clio, "other": {}}
    async with rigged(tmp_path, sandbox, database_url, apps=apps, more=MORE) as rig, served(rig) as found:
        await rig.add("acme", "bolt", "clay", scopes=("contacts",))
        await rig.look()
        await connections.pause(rig.parts, ME, ["clay"])
        yield found


async def refused(console, times=2):
    one = Standing(
        Seen(Door.TOKEN, Outcome.REFUSED, "The token endpoint refuses our app: 401 invalid_client."),
        START, times, START - DAY, START - 2 * DAY,
    )  # fmt: skip
    await app_checks.keep(console.parts.database, "clio", [one], START + DAY)


async def test_the_list_says_how_each_app_is(console):
    page = await (await console.viewer()).get("/apps")
    said = words(page)
    assert "2 apps have 3 connections." in said
    assert "1 Paused" in said
    assert "every 5 min" in said
    assert "Thu 3 Dec in 10 days" in said
    assert "end unknown: set it" in said
    assert 'href="/?app=clio&amp;state=paused"' in page.text


async def test_an_app_that_is_refused_is_what_the_page_says_first(console):
    await refused(console)
    person = await console.viewer()
    assert "One app is refused at the door: nobody can connect." in words(await person.get("/apps"))
    said = words(await person.get("/apps/clio"))
    assert "App clio is refused at the door: nobody can connect to it." in said
    assert (
        "The token endpoint refuses our app: 401 invalid_client. refused 2 times in a row, since Sun 09:00"
        in said
    )


async def test_an_app_says_what_it_takes_what_it_may_and_what_is_registered(console):
    said = words(await (await console.viewer()).get("/apps/clio"))
    assert "App clio has 3 connections, asked every 5 min." in said
    assert "Every 5 min, as configured." in said
    assert "50 requests a minute for each token" in said
    assert "Rate limit of each token less than 1 %" in said
    assert "http://127.0.0.1:8080/oauth/callback/clio" in said
    assert "Team legal" in said
    assert "Probing 2 connections every 5 minutes takes about" in said
    assert "secret-of" not in said


async def test_what_is_not_well_stands_with_its_cause_and_leads_to_the_fleet(console):
    rig = console.rig
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "revoked")
    page = await (await console.viewer()).get("/apps/clio")
    assert "Access was withdrawn revoked 1" in words(page)
    assert 'href="/?app=clio&amp;cause=revoked&amp;state=any"' in page.text


async def test_an_interval_that_was_stretched_says_why(tmp_path, sandbox, sqlite_url):
    apps = {"clio": {"provider": "clio-platform", "extra": "requests_per_minute = 0.1"}}
    async with rigged(tmp_path, sandbox, sqlite_url, apps=apps, more=MORE) as rig, served(rig) as console:
        await rig.add("acme", "bolt", "clay")
        said = words(await (await console.viewer()).get("/apps/clio"))
        limits = rig.parts.apps["clio"].limits
        if limits.app_wide is None:
            pytest.skip("this provider's limit is each token's")
        assert "requests a minute for all of its connections allow no more." in said


async def test_an_app_that_is_gone_from_the_configuration_says_so(console):
    await console.rig.add("dora", app="other")
    del console.parts.apps["other"]
    person = await console.viewer()
    assert "One app is not configured, and nobody looks at its connections." in words(
        await person.get("/apps")
    )
    page = await person.get("/apps/other")
    assert page.status_code == 200
    assert "App other is not configured, so nobody looks at its connections." in words(page)


async def test_there_is_no_app_of_another_name(small):
    page = await (await small.viewer()).get("/apps/nothing")
    assert page.status_code == 404
    assert "There is no app 'nothing'." in words(page)


@pytest.mark.parametrize("name", catalogue.built_in())
async def test_every_provider_s_file_can_be_read(small, name):
    page = await (await small.viewer()).get(f"/providers/{name}")
    assert page.status_code == 200
    said = words(page)
    provider = catalogue.load(name)
    assert provider.title in said
    for scope in provider.scopes:
        assert scope in said
    for rule in provider.compiled_rules():
        assert rule.cause.value in said


async def test_there_is_no_provider_of_another_name(small):
    assert (await (await small.viewer()).get("/providers/acme")).status_code == 404
