"""What holds of every route there is: who may, what lies outside, and that no secret ever leaves."""

from __future__ import annotations

import re

import pytest

from monitor.health.restriction import Restriction
from monitor.web.api.app import declared
from tests.integration.api.conftest import EVERYTHING
from tests.integration.api.stage import staged
from tests.integration.api.test_frame import wrong

ROUTES = declared()
# A stream has no end to be looked at; test_webhooks and test_events listen to it.
READS = [one for one in ROUTES if one.method == "GET" and one.path != "/events/stream"]
# Words of which a route needs one to come as far as its connection.
BODIES = {
    "report_signal": {"kind": "success", "generation": 0},
    "accept_account": {"account_id": "7"},
    "claim_connection": {"who": "Anna, Acme", "until": "2030-01-01T00:00:00Z"},
    "put_connection": {"app": "clio", "client": {"name": "Firm", "contacts": []}},
}


@pytest.fixture
async def stage(tmp_path, sandbox, sqlite_url):
    async with staged(tmp_path, sandbox, sqlite_url) as found:
        yield found


def named(one) -> str:
    return f"{one.method} {one.path}"


def path_of(stage, one, connection: str = "acme") -> str:
    known = {
        "connection": connection, "incident": stage.own, "notice": stage.failed, "silence": stage.silence,
        "provider": "clio", "app": "app", "code": "invalid",
    }  # fmt: skip
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: str(known.get(found[1], "x")), one.path)


async def sent(stage, one, path: str, as_: str | None):
    changes = one.method in ("POST", "PUT", "PATCH")
    body = BODIES.get(one.endpoint.__name__, {}) if changes and not one.raw else None
    headers = {"If-Match": "*"} if one.precondition else {}
    return await stage.api.ask(one.method, path, body, as_=as_, headers=headers)


async def test_without_credentials_or_the_scope_there_is_nothing(stage):
    for one in ROUTES:
        if one.open:
            continue
        path = path_of(stage, one)
        wrong(await sent(stage, one, path, None), 401, "no_credentials")
        wrong(await sent(stage, one, path, "stranger"), 401, "bad_credentials")
        if one.needs is not None:
            lacking = stage.api.program(named(one), *(EVERYTHING - {one.needs}))
            found = wrong(await sent(stage, one, path, lacking), 403, "missing_scope")
            assert found["needs"] == one.needs.value, named(one)


async def test_who_only_looks_changes_nothing(stage):
    reading = [right for right in EVERYTHING if right.value.endswith(":read")]
    for one in ROUTES:
        if one.method != "GET" and one.needs is not None:
            assert one.needs not in reading, f"{named(one)} changes something"
            viewer = stage.api.program(f"viewer {named(one)}", *reading)
            found = wrong(await sent(stage, one, path_of(stage, one), viewer), 403, "missing_scope")
            assert found["needs"] == one.needs.value


async def test_a_connection_outside_is_not_there_on_any_route(stage):
    for one in ROUTES:
        if "{connection}" not in one.path:
            continue
        part = stage.api.program(f"part {named(one)}", only=Restriction(connections=("acme",)))
        answer = await sent(stage, one, path_of(stage, one, "bolt"), part)
        wrong(answer, 404, "not_found")
        none = await sent(stage, one, path_of(stage, one, "nobody"), part)
        mine, theirs = none.json(), answer.json()
        assert theirs["detail"].replace("bolt", "nobody") == mine["detail"], f"{named(one)} tells that it is"


async def test_what_lies_outside_is_in_no_answer(stage):
    """Whoever sees c05 sees no other firm: not by its name, its client's, or an address of theirs."""
    for one in READS:
        part = stage.api.program(f"part {named(one)}", only=Restriction(connections=("c05",)))
        answer = await sent(stage, one, path_of(stage, one, "c05"), part)
        assert answer.status_code in (200, 403, 404, 409), f"{named(one)}: {answer.text}"
        seen = set(re.findall(r"\b(?:c[0-4]\d|acme|bolt|novice)\b", answer.text))
        if not (one.open or one.path.startswith("/providers")):
            assert seen <= {"c05"}, f"{named(one)}: {sorted(seen)}"


async def test_no_secret_is_in_any_answer_but_the_one_that_is_asked_for(stage):
    sealed = (await stage.api.rig.known("acme")).sealed
    for one in READS:
        answer = await sent(stage, one, path_of(stage, one), stage.api.program(named(one)))
        assert answer.status_code in (200, 404, 409), f"{named(one)}: {answer.text}"
        for secret in ("canary-", "s3cret", sealed.access or "-", sealed.refresh or "-"):
            assert secret not in answer.text, named(one)
        assert not re.search(r"/r/[A-Za-z0-9_-]{20}", answer.text), "no link but the one that was just made"
