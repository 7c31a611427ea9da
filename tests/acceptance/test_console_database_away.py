"""The console while PostgreSQL is stopped, or says nothing: told soon, with what goes on without the page."""

from __future__ import annotations

import httpx
import pytest

from tests.acceptance.outside import House, house
from tests.acceptance.test_door_database_away import Postgres, postgres
from tests.acceptance.test_processes import until

__all__ = ["postgres"]
PAGES = ("/", "/calendar", "/incidents", "/nowhere", "/connections/acme")
WITHIN = 15  # seconds; a bound, and no measure


def _page(one: House, path: str) -> httpx.Response:
    return httpx.get(one.url(0, "").removesuffix("/api/v1") + path, timeout=WITHIN)


def _told(one: House) -> None:
    for path in PAGES:
        answer = _page(one, path)
        if path == "/nowhere":  # nothing is asked for that
            assert answer.status_code == 404
            continue
        assert answer.status_code == 503, (path, answer.text)
        assert answer.headers["content-type"].startswith("text/html")
        assert int(answer.headers["retry-after"]) > 0
        assert "The database does not answer, so this page cannot be shown." in answer.text
        assert "nothing is lost" in answer.text
        assert "For the log: request" in answer.text


@pytest.mark.timeout(120)
def test_a_page_says_soon_that_the_database_is_away_and_is_there_again_with_it(
    tmp_path, sandbox, postgres: Postgres
):
    with house(tmp_path, sandbox, postgres.url, "web") as one:
        one.authorize("acme", "clio", 3600, 500)
        assert _page(one, "/").status_code == 200
        with postgres.silent():
            _told(one)
            assert b"beat" not in _page(one, "/live").content
        until(lambda: _page(one, "/").status_code == 200)
        with httpx.stream("GET", one.url(0, "").removesuffix("/api/v1") + "/live", timeout=30) as stream:
            assert stream.status_code == 200
            with postgres.stopped():
                _told(one)
                assert b"beat" in stream.read(), "and the stream has ended by itself"
        until(lambda: _page(one, "/").status_code == 200)
