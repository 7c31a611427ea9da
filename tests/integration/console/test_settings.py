"""Settings as loaded, without any secret, and what a checkup says with its remedies; for admins alone."""

from __future__ import annotations

import pytest

from monitor.operations import configured
from monitor.operations.configured import Origin
from tests.conftest import ME, rigged
from tests.integration.console.conftest import MORE, served, words

CANARIES = ("canary-password", "canary-page", "canary-sealed")
MAIL = """
[smtp]
url = "smtp://canary-user:canary-password@127.0.0.1:9"
from = "TH <th@agency.example>"
[oncall]
urls = ["json://canary-page:canary-word@pages.example/"]
[email]
operator = "ops@agency.example"
quiet_hours = ""
"""


@pytest.fixture
async def console(tmp_path, sandbox, database_url):
    """A service whose configuration is full of secrets."""
    more = MORE.partition("[smtp]")[0] + MAIL
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig, served(rig) as found:
        yield found


async def test_it_shows_what_was_loaded_and_where_from_and_no_secret(console):
    console.parts.loaded._environ |= {"TOKEN_HEALTH__LOG__LEVEL": "debug"}
    page = await (await console.admin()).get("/settings")
    said = words(page)
    assert page.status_code == 200
    assert "[smtp] url set file from TH <th@agency.example> file" in said
    assert "operator ops@agency.example file" in said
    assert "level info environment" in said
    assert "[[apps]] clio" in said
    assert "Not set:" in said
    assert not any(canary in page.text for canary in CANARIES)
    assert console.parts.apps["clio"].client_secret.reveal() not in page.text


async def test_checks_say_what_to_do_in_the_console_s_words(console):
    page = await (await console.admin()).get("/settings")
    said = words(page)
    assert "connections worth knowing: None is watched yet." in said
    assert "links worth knowing: web.public_url is http://127.0.0.1:8080" in said
    assert "users well:" in said


async def test_the_whole_checkup_asks_outside_and_shows_no_secret(console):
    page = await (await console.admin()).get("/settings/checkup")
    said = words(page)
    assert page.status_code == 200
    assert "smtp trouble: 127.0.0.1:9" in said
    assert "found trouble." in said
    assert not any(canary in page.text for canary in CANARIES)


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("path", ["/settings", "/settings/checkup"])
async def test_who_is_no_admin_sees_neither(small, role, path):
    somebody = await small.as_(role)
    assert (await somebody.get(path)).status_code == 403
    assert 'href="/settings"' not in (await somebody.get("/calendar")).text


async def test_origins_are_of_each_setting(small):
    found = configured.origins(small.parts, ME)
    assert found["web.public_url"] is Origin.FILE
    assert found["smtp.from"] is Origin.FILE
    assert found["schedule.jitter"] is Origin.DEFAULT
    assert found["apps"] is Origin.FILE
    assert {place.partition(".")[0] for place in found} == set(type(small.parts.loaded.settings).model_fields)
