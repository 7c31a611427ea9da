"""What every route has in common: who may, what is taken, what is said when something is wrong."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.exc import IntegrityError, InvalidRequestError, OperationalError

from monitor.health.restriction import Restriction
from monitor.operations import audit as audit_lines
from monitor.operations.actor import Right
from monitor.web.api.app import declared
from monitor.web.api.translate import problem_of
from tests.conftest import ME

PROBLEM = "application/problem+json"


def wrong(answer, status: int, code: str):
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    found = answer.json()
    assert found["code"] == code, answer.text
    assert found["type"] == f"urn:token-health:problem:{code}"
    assert found["instance"].endswith(answer.headers["x-request-id"])
    return found


async def test_who_asks_is_looked_at_before_what_is_asked(api):
    await api.rig.add("acme")
    wrong(await api.get("/connections/nobody?wat=1", as_=None), 401, "no_credentials")
    refused = await api.get("/connections", as_="stranger")
    wrong(refused, 401, "bad_credentials")
    assert refused.headers["www-authenticate"] == 'Bearer realm="token-health", error="invalid_token"'
    reader = api.program("reader", Right.CONNECTIONS_READ)
    found = wrong(await api.post("/connections/acme/pause", as_=reader), 403, "missing_scope")
    assert found["needs"] == "connections:operate"


@pytest.mark.parametrize(
    ("path", "code", "at"),
    [
        ("/connections?limit=0", "invalid", "?limit"),
        ("/connections?limit=501", "invalid", "?limit"),
        ("/connections?limit=+5", "invalid", "?limit"),
        ("/connections?limit=5&limit=6", "repeated_parameter", "?limit"),
        ("/connections?stat=broken", "invalid", "?stat"),
        ("/connections?state=broke", "invalid", "?state"),
        ("/connections?sort=best", "invalid", "?sort"),
        ("/connections?q=%00", "invalid", "?q"),
        ("/connections?since_before=2026-01-01T00:00:00", "invalid", "?since_before"),
        ("/connections?since_before=9999-12-31T23:59:59-01:00", "invalid", "?since_before"),
        ("/audit?since=0001-01-01T00:00:00%2B01:00", "invalid", "?since"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused_by_name(api, path, code, at):
    found = wrong(await api.get(path), 400 if code == "repeated_parameter" else 422, code)
    assert found["errors"][0]["at"] == at


async def test_the_nearest_name_is_named(api):
    found = wrong(await api.get("/connections?stat=broken"), 422, "invalid")
    assert found["errors"] == [{"at": "?stat", "said": "is not known here; did you mean state?"}]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b'{"account_id": "\\ud800"}', 400, "malformed"),
        (b'\xef\xbb\xbf{"account_id": "1"}', 400, "malformed"),
        (b'{"account_id": "\xff"}', 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b'{"account_id": "1"} {}', 400, "malformed"),
        (b'{"account_id": 1}', 422, "invalid"),
        (b'{"account_id": "a\\u0000b"}', 422, "invalid"),
        (b'{"account": "1"}', 422, "invalid"),
        (b'"1"', 422, "invalid"),
    ],
)
async def test_a_body_that_is_not_what_it_should_be_changes_nothing(api, body, status, code):
    await api.rig.add("acme")
    answer = await api.ask(
        "POST", "/connections/acme/accept-account", content=body, headers={"Content-Type": "application/json"}
    )
    wrong(answer, status, code)
    assert (await api.rig.known("acme")).account_id == "100"


async def test_a_body_has_to_say_that_it_is_json_and_may_not_be_too_large(api):
    await api.rig.add("acme")
    path = "/connections/acme/accept-account"
    plain = await api.ask("POST", path, content=b"{}", headers={"Content-Type": "text/plain"})
    wrong(plain, 415, "not_json")
    large = json.dumps({"account_id": "1" * (1 << 20)}).encode()
    wrong(
        await api.ask("POST", path, content=large, headers={"Content-Type": "application/json"}),
        413,
        "too_large",
    )


async def test_unknown_paths_and_methods_are_problems_too(api):
    wrong(await api.get("/nothing"), 404, "not_found")
    answer = await api.ask("DELETE", "/connections")
    wrong(answer, 405, "not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_head_answers_wherever_get_does(api):
    answer = await api.ask("HEAD", "/connections")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"


async def test_a_request_has_the_id_that_its_caller_gave_it(api):
    given = await api.get("/me", headers={"X-Request-Id": "my-request.1"})
    assert given.headers["x-request-id"] == "my-request.1"
    ours = await api.get("/me", headers={"X-Request-Id": "bad id\t"})
    assert ours.headers["x-request-id"] != "bad id\t"
    assert given.headers["cache-control"] == "no-store"


async def test_what_is_changed_says_in_the_audit_where_it_came_from(api):
    await api.rig.add("acme")
    await api.post("/connections/acme/pause", headers={"X-Request-Id": "request-0001"})
    line = (await audit_lines.page(api.rig.parts, ME, 1)).lines[0]
    assert (line.actor, line.action, line.subject) == ("key:all", "connection.pause", "acme")
    assert line.detail == {"from": "127.0.0.1", "request_id": "request-0001"}


async def test_each_key_is_told_what_it_may_still_ask_and_stopped_when_it_asked_too_much(api):
    answer = await api.get("/me")
    assert answer.headers["ratelimit-policy"] == '"key";q=600;w=60'
    assert answer.headers["ratelimit"].startswith('"key";r=599;t=')
    for _ in range(119):
        assert (await api.get("/me")).status_code == 200
    stopped = await api.get("/me")
    wrong(stopped, 429, "too_many_requests")
    assert int(stopped.headers["retry-after"]) >= 1
    api.program("other")
    assert (await api.get("/me", as_="other")).status_code == 200
    api.rig.clock.tick(seconds=1)
    assert (await api.get("/me")).status_code == 200


async def test_what_lies_outside_of_a_restriction_is_not_there(api):
    await api.rig.add("acme", labels={"tier": "gold"})
    await api.rig.add("bolt", labels={"tier": "tin"})
    for only in (
        Restriction(labels={"tier": ("gold",)}),
        Restriction(connections=("ac*",)),
        Restriction(apps=("clio",), connections=("acme",)),
    ):
        api.program("part", only=only)
        rows = (await api.get("/connections", as_="part")).json()["items"]
        assert [row["id"] for row in rows] == ["acme"]
        assert (await api.get("/connections/acme", as_="part")).status_code == 200
        for method, path in (
            ("GET", "/connections/bolt"),
            ("GET", "/connections/bolt/status"),
            ("GET", "/connections/bolt/explain"),
            ("POST", "/connections/bolt/pause"),
            ("POST", "/connections/bolt/resume"),
            ("POST", "/connections/bolt/refuse-account"),
        ):
            wrong(await api.ask(method, path, {} if method == "POST" else None, as_="part"), 404, "not_found")
        removed = await api.ask("DELETE", "/connections/bolt", as_="part", headers={"If-Match": "*"})
        wrong(removed, 404, "not_found")
    assert (await api.rig.state("bolt"))[0] != "paused"


def test_a_fault_of_ours_is_not_said_to_be_the_databases():
    gone = OperationalError("SELECT", {}, Exception("connection refused"))
    assert getattr(problem_of(gone), "code", "") == "database_unavailable"
    for fault in (IntegrityError("INSERT", {}, Exception("null")), InvalidRequestError("no such join")):
        assert problem_of(fault) is None, "it stands in the log, and is answered as 500"


def test_every_route_says_who_may_and_every_path_is_told_in_one_way():
    for one in declared():
        assert one.open or one.needs is not None or one.path == "/me", one.path
        assert one.endpoint.__doc__, one.path
    names = [one.endpoint.__name__ for one in declared()]
    assert len(names) == len(set(names))
