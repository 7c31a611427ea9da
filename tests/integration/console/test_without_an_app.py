"""A service that has no app yet: each page and each route stands, and the first page says what to do."""

from __future__ import annotations

import html
import re

import pytest

from monitor.errors import Invalid, NotFound
from monitor.operations import afresh, checkup, first_app
from monitor.operations.first_app import Wanted
from monitor.operations.listening import elsewhere
from monitor.providers import catalogue
from monitor.settings.file import load
from monitor.settings.sections import WebSettings
from monitor.web.api.app import declared as routes
from monitor.web.console.contents import declared
from tests.conftest import ME, environ, rigged
from tests.integration.console.conftest import MORE, served, words

PAGES = sorted(one.path for one in declared() if (not one.acts or one.asks) and "{" not in one.path)
ROUTES = sorted(
    one.path for one in routes() if one.method == "GET" and "{" not in one.path and "stream" not in one.path
)
# What is asked of something that nobody named is the asker's mistake, and said so.
ASKED = {"/bulk", "/bulk/do", "/outbox/release"}


@pytest.fixture
async def bare(tmp_path, sandbox, sqlite_url):
    """No app, no connection: as after `init`."""
    async with rigged(tmp_path, sandbox, sqlite_url, more=MORE, apps={}) as rig, served(rig) as found:
        assert not found.parts.apps
        yield found


def lines(page) -> str:
    """The lines for the file, as somebody copies them off the page."""
    return html.unescape(re.search(r'<pre[^>]*id="first-lines"[^>]*>(.*?)</pre>', page.text, re.S)[1])


async def test_every_page_stands_without_an_app(bare):
    person = await bare.admin()
    for path in PAGES:
        answer = await person.get(path)
        assert answer.status_code in ((200, 303) if path not in ASKED else (200, 303, 400, 404, 422)), path


async def test_every_route_stands_without_an_app(bare):
    person = await bare.admin()
    for path in ROUTES:
        answer = await person.get(f"/api/v1{path}")
        assert answer.status_code in (200, 422), (path, answer.text)  # 422: it has to be asked for something


async def test_a_look_finds_nothing_to_do_and_fails_at_nothing(bare):
    await bare.rig.look()
    assert [one for one in await checkup.at_hand(bare.parts, ME) if one.ok is False] == []
    (said,) = [one for one in await checkup.at_hand(bare.parts, ME) if one.name == "apps"]
    assert said.ok is None and said.says.startswith("No app yet, so nothing is watched.")


async def test_the_page_asks_which_provider_and_shows_what_an_app_takes_there(bare):
    person = await bare.admin()
    page = await person.get("/")
    assert "At which provider?" in words(page) and "Show what it takes" in words(page)
    for name, title in (("clio", "Clio Manage"), ("oidc", "OpenID Connect"), ("xero", "Xero")):
        assert f'<option value="{name}">{title}</option>' in page.text
    chosen = await person.get("/?add=clio&region=eu&client_id=abc%22%5C")
    assert 'region = "eu"' in lines(chosen) and 'client_id = "abc\\"\\\\"' in lines(chosen)
    assert "http://127.0.0.1:8080/oauth/callback" in words(chosen)
    assert "export CLIO_SECRET=" in words(chosen) and "https://docs.developers.clio.com" in chosen.text
    other = await person.get("/?add=google&of=clio&region=eu&client_id=abc")
    assert (
        'provider = "google"' in lines(other) and "region" not in lines(other) and "abc" not in lines(other)
    )


@pytest.mark.parametrize("name", sorted(catalogue.built_in()))
async def test_the_lines_of_each_provider_are_a_configuration(bare, tmp_path, name):
    for region in catalogue.load(name).regions:
        made = first_app.entry(bare.parts, ME, Wanted(name, region))
        path = tmp_path / "other.toml"
        path.write_text(made.text)
        (app,) = load(path, {made.variable: "s"}).settings.apps
        assert (app.provider, app.client_secret_env) == (name, made.variable)
        ready = load(path, {made.variable: "s"}).apps(bare.parts.vault)[app.id]
        assert ready.region == region
        path.write_text(re.sub(r"(?m)^# (?!What)", "", made.text))
        load(path, {made.variable: "s"}).apps(bare.parts.vault)


@pytest.mark.parametrize(
    ("web", "there"),
    [
        ({}, ""),
        ({"listen": "127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ({"clients_listen": "127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ({"listen": "127.0.0.1:9000", "public_url": "http://localhost:9000"}, ""),
        ({"listen": "127.0.0.1:9000", "public_url": "https://localhost"}, ""),
        ({"listen": "127.0.0.1:9000", "public_url": "https://th.example"}, ""),
        ({"listen": "0.0.0.0:9000"}, ""),
        ({"listen": "127.0.0.1:80", "public_url": "http://127.0.0.1"}, ""),
    ],
)
def test_links_that_would_lead_to_another_port_are_said(web, there):
    assert elsewhere(WebSettings(**web)) == there


async def test_what_is_asked_for_wrongly_has_one_sentence_beside_it(bare):
    person = await bare.admin()
    assert "There is no provider 'zoho'; built in are" in words(await person.get("/?add=zoho"))
    assert "Clio Manage has no 'mars'; it has us, eu, ca, au." in words(
        await person.get("/?add=clio&region=mars")
    )
    assert "is no client id" in words(await person.get("/?add=clio&client_id=a%0Ab"))
    for wanted, error in ((Wanted("zoho"), NotFound), (Wanted("clio", "us", "x" * 501), Invalid)):
        with pytest.raises(error):
            first_app.entry(bare.parts, ME, wanted)


async def test_a_changed_file_is_checked_and_waits_for_a_start(bare):
    person, path = await bare.admin(), bare.parts.loaded.path
    before = path.read_text()
    assert "was changed" not in words(await person.get("/"))
    path.write_text(f"{before}\n[[apps]]\nid = 'x'\nprovider = 'clio'\nregion = 'mars'\nclient_id = 'a'\n"
                    "client_secret_env = 'NOT_HERE'\n")  # fmt: skip
    said = words(await person.get("/"))
    assert "token-health.toml was changed, and cannot be used as it stands:" in said
    assert (
        "app 'x': Clio Manage has no region 'mars'" in said and "The settings from before still hold." in said
    )
    path.write_text(path.read_text().replace("mars", "us"))
    said = words(await person.get("/"))
    assert "was changed, and nothing is wrong with it. Start the service again" in said
    assert "It was started without NOT_HERE: set that first." in said
    path.write_text(before + "\n[wbe]\nlisten = 'secret'\n")
    found = afresh.read(bare.parts, ME)
    assert found.changed and "wbe" in found.mistakes[-1] and "secret" not in str(found)
    path.unlink()
    assert afresh.read(bare.parts, ME).mistakes == ("there is no such configuration file.",)


async def test_who_may_not_see_settings_sees_who_has_to_do_it(bare):
    bare.parts.loaded.path.write_text("[wbe]\n")
    for person in (await bare.operator(), await bare.viewer()):
        page = await person.get("/")
        assert "An admin adds it, on the machine where the service runs." in words(page)
        assert "wbe" not in page.text
    assert "needs the role operator" in words(await (await bare.viewer()).get("/"))


async def test_adding_a_connection_says_that_an_app_comes_first(bare):
    page = await (await bare.operator()).get("/import/one")
    assert page.status_code == 200 and "No app is configured yet." in words(page)


async def test_with_the_lines_in_the_file_the_service_has_the_app(bare, tmp_path):
    page = await (await bare.admin()).get("/?add=clio&client_id=clio")
    path = bare.parts.loaded.path
    path.write_text(path.read_text() + "\n" + lines(page))
    assert load(path, environ() | {"CLIO_SECRET": "s"}).apps(bare.parts.vault)["clio-us"].client_id == "clio"
