"""How other providers say things, from a real server's wire to the verdict."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.health.explain import explain
from monitor.operations.explain import story
from monitor.store import history
from tests.conftest import ME
from tests.integration.dialect import ACCESS, Dialect, connect, said, speaking

GOOD, PAIR = (
    said(200, {"id": 7, "login": "k"}),
    said(200, {"access_token": "acc-new-3c59dc048e88", "expires_in": 9}),
)
GOOD_PAIR = said(
    200,
    {"access_token": "acc-new-3c59dc048e88", "refresh_token": "ref-new-b6d767d2f8ed", "expires_in": 86400},
)
DEAD = said(400, {"error": "invalid_grant"})

# A token that the API refuses, each in its own way, and the rule that says so.
REFUSED = {
    "403 in plain text": (said(403, "Bad_OAuth_Token"), 'text = "^Bad_OAuth_Token$"\nweigh = true'),
    "a 200": (said(200, {"ok": False, "error": "token_expired"}), 'error = "token_expired"\nweigh = true'),
    "a list": (said(401, [{"errorCode": "INVALID_SESSION_ID"}]), 'error = "INVALID_SESSION_ID"\nweigh = true'),
    "a description": (said(401, {"message": "Bad credentials"}), 'description = "^Bad cred"\nweigh = true'),
    "nothing": (said(401, ""), 'status = 401\ncontent = "empty"\nweigh = true'),
    "404 in JSON": (said(404, {"message": "Not Found"}), 'status = 404\nweigh = true'),
}  # fmt: skip
ERRORS = '[errors]\ncode = "[0].errorCode || error"\nrefusal = "ok == `false`"\n'


@pytest.fixture
def dialect(httpserver) -> Dialect:
    return Dialect(httpserver)


def rules(*bodies: str) -> str:
    return ERRORS + "".join(f"[[rules]]\n{body}\n" for body in bodies)


@pytest.mark.parametrize(("refusal", "rule"), REFUSED.values(), ids=REFUSED)
async def test_a_token_refused_in_its_own_way_is_refreshed_without_a_word(tmp_path, dialect, refusal, rule):
    whoami = f'step = "whoami"\n{rule}\ncause = "revoked"'
    async with speaking(tmp_path, dialect, more=rules(whoami)) as rig:
        dialect.answers |= {"/me": [refusal, GOOD], "/token": [GOOD_PAIR]}
        await connect(rig, "acme")
        await rig.look()
        assert await rig.state("acme") == ("healthy", "ok")
        assert (await rig.known("acme")).sealed.version == 1


@pytest.mark.parametrize(("refusal", "rule"), REFUSED.values(), ids=REFUSED)
async def test_without_the_rule_nobody_is_blamed_for_it(tmp_path, dialect, refusal, rule):
    async with speaking(tmp_path, dialect, more=ERRORS) as rig:
        dialect.answers |= {"/me": [refusal], "/token": [GOOD_PAIR]}
        await connect(rig, "acme")
        await rig.look()
        assert (await rig.state("acme"))[1] == "unexpected"


@pytest.mark.parametrize(("refusal", "rule"), REFUSED.values(), ids=REFUSED)
async def test_refused_and_refused_again_it_was_withdrawn(tmp_path, dialect, refusal, rule):
    whoami = f'step = "whoami"\n{rule}\ncause = "revoked"'
    async with speaking(tmp_path, dialect, more=rules(whoami)) as rig:
        dialect.answers |= {"/me": [GOOD, refusal], "/token": [DEAD]}
        await connect(rig, "acme")
        await rig.look()
        await rig.after(minutes=8)
        assert await rig.settle("acme") == ("broken", "revoked")
        assert (await rig.known("acme")).health.rule == "rfc6749.invalid_grant+access_refused_early"


async def test_a_refusal_with_200_that_says_nothing_is_never_healthy(tmp_path, dialect):
    async with speaking(tmp_path, dialect, more=ERRORS) as rig:
        dialect.answers["/me"] = [said(200, {"ok": False, "id": 7})]
        await connect(rig, "acme")
        await rig.look()
        assert await rig.state("acme") == ("suspect", "unexpected")


@pytest.mark.parametrize(
    "body", [{"error": "bad_refresh_token"}, {"ok": False, "error": "bad_refresh_token"}]
)
async def test_a_refresh_refused_with_200_is_a_refusal_and_stores_nothing(tmp_path, dialect, body):
    dead = 'step = "refresh"\nstatus = 200\nerror = "bad_refresh_token"\ncause = "revoked"\nweigh = true'
    async with speaking(tmp_path, dialect, more=rules(dead)) as rig:
        refused = said(401, {"error": "invalid_token"})
        dialect.answers |= {"/me": [refused], "/token": [said(200, body | {"access_token": "x" * 20})]}
        await connect(rig, "acme")
        await rig.look()
        assert await rig.settle("acme") == ("broken", "revoked")
        known = await rig.known("acme")
        assert known.sealed.version == 0 and known.sealed.doubt is None and not known.sealed.lost


async def test_a_refresh_refused_with_200_that_no_rule_knows_is_no_lost_answer(tmp_path, dialect):
    async with speaking(tmp_path, dialect, more=ERRORS) as rig:
        dialect.answers |= {
            "/me": [said(401, {"error": "invalid_token"})],
            "/token": [said(200, {"ok": False})],
        }
        await connect(rig, "acme")
        await rig.look()
        assert (await rig.known("acme")).sealed.doubt is None
        assert await rig.state("acme") == ("suspect", "unexpected")


LIMITS = {
    "403 by a header": (said(403, {"message": "x"}, x_left="0", retry_after="7200"), 'headers = { x-left = "^0$" }'),
    "403 by words": (said(403, {"error": "REQUEST_LIMIT_EXCEEDED"}), 'error = "REQUEST_LIMIT_EXCEEDED"\nwait = "2h"'),
    "477": (said(477, {"message": "migrating"}, retry_after="7200"), "status = 477"),
    "a 200": (said(200, {"ok": False, "error": "ratelimited"}), 'error = "ratelimited"\nwait = "2h"'),
}  # fmt: skip


@pytest.mark.parametrize(("limit", "rule"), LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("per", ["token", "app"])
async def test_a_limit_with_any_status_holds_the_connection_and_the_app_where_it_is_the_apps(
    tmp_path, dialect, limit, rule, per
):
    headers = ERRORS.replace("[errors]", '[errors]\nheaders = ["x-left"]')
    more = f'{headers}[[rules]]\n{rule}\ncause = "rate_limited"\n[limits]\nrequests_per_minute = 6000\nper = "{per}"\n'
    async with speaking(tmp_path, dialect, more=more) as rig:
        dialect.answers["/me"] = [limit]
        await connect(rig, "acme")
        await rig.look()
        assert await rig.state("acme") == ("suspect", "rate_limited")
        assert (await rig.known("acme")).next_probe_at >= rig.clock.now() + timedelta(hours=2)
        asked = len(dialect.asked)
        await connect(rig, "bolt")
        await rig.after(minutes=61)
        bolts = len(dialect.of("/me")) - asked
        assert bolts == 0 if per == "app" else bolts > 0


async def test_a_scope_behind_a_limit_is_neither_good_nor_refused(tmp_path, dialect):
    more = rules('status = 403\nerror = "quota"\ncause = "rate_limited"\nwait = "1h"')
    async with speaking(tmp_path, dialect, more=more) as rig:
        dialect.answers |= {"/me": [GOOD], "/contacts": [said(403, {"error": "quota"})]}
        await connect(rig, "acme", scopes=("contacts",))
        await rig.look()
        assert await rig.state("acme") == ("suspect", "rate_limited")


async def test_what_the_providers_support_asks_for_is_in_the_explanation(tmp_path, dialect):
    more = '[errors]\nheaders = ["intuit_tid"]\nfields = { number = "codes" }\n'
    async with speaking(tmp_path, dialect, more=more) as rig:
        trace = "1-674fa3f5-0f8a1d0b5b9c3b7c5c2f3c5e"
        dead = said(400, {"error": "invalid_grant", "codes": [70008]})
        dead.headers["intuit_tid"] = trace
        dialect.answers |= {"/me": [said(401, {"error": "invalid_token"})], "/token": [dead]}
        await connect(rig, "acme")
        await rig.look()
        await rig.settle("acme")
        told = await story(rig.parts, ME, "acme")
        assert any(
            f"[number 70008; intuit_tid: {trace}]" in line for line in explain(told, rig.clock.now()).evidence
        )
        changes = await history.timeline(rig.parts.database, "acme")
        kept = [item for change in changes for item in change.evidence if item["step"] == "refresh"]
        assert kept[0]["headers"] == {"intuit_tid": trace} and kept[0]["fields"] == {"number": ["70008"]}
        assert ACCESS not in str(changes)
