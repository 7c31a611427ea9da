"""The audit of what is installed: it fails for what was found, and for nothing else keeps silent."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path

import pytest
from werkzeug import Request, Response

from tests.conftest import missing

ROOT = Path(__file__).parents[2]
# Each has words in it that a network's faults have, too.
TITLES = [
    "Connect leaks proxy credentials when a request timed out",
    "error sending request: dns error",
    "HTTP status server error (500) reveals the body",
]


def audit(url: str) -> subprocess.CompletedProcess[str]:
    if not (ROOT / ".venv" / "bin" / "uv").exists():
        missing("uv is not installed in .venv")
    return subprocess.run(
        [ROOT / ".ci" / "audit"],
        capture_output=True,
        text=True,
        env=os.environ | {"AUDIT_URL": url, "NO_PROXY": "127.0.0.1,localhost"},
        check=False,
    )


def database(httpserver, found: dict[str, str]) -> set[str]:
    """Answer as osv.dev does, with a vulnerability of such a title for each package of `found`."""
    asked: set[str] = set()
    # uv keeps what it was told of a vulnerability, by its id.
    advisory = f"GHSA-test-{uuid.uuid4().hex}"

    def batch(request: Request) -> Response:
        names = [query["package"]["name"] for query in request.get_json()["queries"]]
        asked.update(names)
        known = {"vulns": [{"id": advisory, "modified": "2026-01-01T00:00:00Z"}]}
        return answer({"results": [known if name in found else {} for name in names]})

    def one(_request: Request) -> Response:
        title = next(iter(found.values()))
        return answer({"id": advisory, "modified": "2026-01-01T00:00:00Z", "summary": title, "affected": []})

    def answer(document: object) -> Response:
        return Response(json.dumps(document), content_type="application/json")

    httpserver.expect_request("/v1/querybatch", method="POST").respond_with_handler(batch)
    httpserver.expect_request(f"/v1/vulns/{advisory}").respond_with_handler(one)
    return asked


@pytest.mark.parametrize("title", TITLES)
def test_what_was_found_fails_the_audit_whatever_words_its_title_has(title, httpserver):
    database(httpserver, {"cryptography": title})
    done = audit(httpserver.url_for("/"))
    assert done.returncode == 1, done.stdout
    assert title in done.stdout and "SKIPPED" not in done.stdout


def test_nothing_found_passes_and_every_extra_was_asked_about(httpserver):
    asked = database(httpserver, {})
    done = audit(httpserver.url_for("/"))
    assert done.returncode == 0, done.stdout
    assert "SKIPPED" not in done.stdout
    assert {"httpx", "cryptography", "psycopg", "apprise"} <= asked


def test_a_database_that_cannot_be_reached_is_one_line_with_the_reason():
    done = audit("http://127.0.0.1:9/")
    assert done.returncode == 0, done.stdout
    (line,) = done.stdout.splitlines()
    assert line.startswith("audit: SKIPPED, nothing was audited: ")


def test_a_database_that_answers_nonsense_is_no_reason_to_pass(httpserver):
    httpserver.expect_request("/v1/querybatch").respond_with_data("<html>", content_type="text/html")
    assert audit(httpserver.url_for("/")).returncode != 0
