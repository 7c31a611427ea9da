"""What is so on every page: who comes in, what a browser may do with it, and what goes wrong."""

from __future__ import annotations

import pytest

from monitor.operations import api_keys
from monitor.operations.actor import Right
from monitor.web.api.app import declared as routes
from monitor.web.console import extract
from monitor.web.console.contents import declared
from monitor.web.doorkeeper import Doorkeeper
from tests.conftest import ME
from tests.integration.console.conftest import words

PAGES = [one for one in declared() if not one.acts]
ACTIONS = [one for one in declared() if one.acts]


async def test_whoever_is_not_signed_in_is_sent_there_and_comes_back(console):
    stranger = await console.anybody(peer="203.0.113.9")
    answer = await stranger.get("/?state=broken&q=a%20b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/%3Fstate%3Dbroken%26q%3Da%2520b"
    piece = await stranger.get("/", headers={"hx-request": "true"})
    assert (piece.status_code, piece.headers["hx-redirect"]) == (401, "/sign-in?next=/")


async def test_on_this_machine_nobody_has_to_sign_in(small):
    page = await (await small.anybody()).get("/")
    assert page.status_code == 200
    assert "local admin" in words(page)


async def test_a_key_is_for_programs(small):
    made = await api_keys.new(small.parts, ME, "middleware", ["connections:read"])
    header = {"authorization": f"Bearer {made.secret.reveal()}"}
    page = await (await small.anybody()).get("/", headers=header)
    assert page.status_code == 403
    assert "A key is for programs; people sign in." in words(page)


async def test_a_page_lets_a_browser_do_nothing_but_show_it(small):
    page = await (await small.admin()).get("/")
    assert "'unsafe" not in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "no-store" in page.headers["cache-control"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert " style=" not in page.text
    assert " onclick=" not in page.text


async def test_a_path_that_is_none_says_nothing_of_a_console_to_a_stranger(small):
    answer = await (await small.anybody(peer="203.0.113.9")).get("/wp-admin")
    assert (answer.status_code, answer.text) == (404, "Not Found")
    page = await (await small.admin()).get("/wp-admin")
    assert page.status_code == 404
    assert "There is no page here." in words(page)


async def test_files_are_kept_by_their_hash(small):
    person = await small.anybody(peer="203.0.113.9")
    page = await (await small.admin()).get("/")
    path = page.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    style = await person.get(path)
    assert style.status_code == 200
    assert "immutable" in style.headers["cache-control"]
    again = await person.get("/static/console.css", headers={"if-none-match": style.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.name)
def test_each_page_needs_a_right(one):
    assert isinstance(one.needs, Right)


@pytest.mark.parametrize("one", ACTIONS, ids=lambda one: one.name)
async def test_an_action_from_a_page_of_somebody_else_is_refused(small, one):
    person = await small.admin()
    path = one.path.replace("{", "").replace("}", "").replace(":int", "").replace("number", "1")
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
    ):
        answer = await person.post(path, headers=headers)
        assert answer.status_code == 403, answer.text


def test_the_console_does_nothing_that_a_program_may_not():
    names = {one.endpoint.__name__ for one in routes()}
    for one in ACTIONS:
        assert one.api, f"{one.name}: which route of the API does the same?"
        assert set(one.api) <= names, one.name


def test_names_and_paths_are_of_one_page():
    assert len({one.name for one in declared()}) == len(declared())
    assert len({one.path for one in declared()}) == len(declared())


def test_the_catalogue_of_words_is_current():
    assert extract.CATALOGUE.read_text() == extract.catalogue(), "run make generate"


async def test_a_fault_of_ours_is_no_page_that_is_missing(small, monkeypatch):
    """Whoever asks for nothing is told of nothing; a fault on our side stays one, and is not passed over."""

    async def broken(*_given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Doorkeeper, "admit", broken)
    with pytest.raises(ZeroDivisionError):
        await (await small.anybody()).get("/wp-admin")


async def test_the_bar_names_who_is_here_on_a_page_that_tells_who_acts(console):
    await console.rig.add("acme")
    for path in ("/", "/connections/acme", "/incidents", "/outbox"):
        page = await (await console.viewer()).get(path)
        assert 'aria-label="Account and more: viewer-one"' in page.text, path
