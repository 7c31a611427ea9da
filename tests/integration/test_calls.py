"""Questions that a provider's file asks in its own way, as they arrive at a real server."""

from __future__ import annotations

import base64
import json
import logging
from datetime import timedelta

import pytest

from monitor.health.evidence import Fault
from monitor.operations.explain import story
from monitor.secret import Secret
from monitor.store import history
from monitor.tokens.calls import called, revocation
from monitor.wire.client import Wire
from monitor.wire.settings import HttpSettings
from tests.conftest import ME
from tests.integration.dialect import ACCESS, REFRESH, Dialect, connect, said, speaking

GOOD, DEAD = said(200, {"id": 7, "login": "k"}), said(400, {"error": "invalid_grant"})
REFUSED = said(401, {"error": "invalid_token"})
PAIR = said(200, {"access_token": "acc-new-3c59dc048e88", "refresh_token": "ref-new-b6d767d2f8ed"})
BASIC = "Basic " + base64.b64encode(b"mine:s3cret").decode()
CHECK = 'call = { auth = "basic", body = "json", fields = { access_token = "{token}" } }'


@pytest.fixture
def dialect(httpserver) -> Dialect:
    return Dialect(httpserver)


@pytest.fixture
async def wire():
    found = Wire(HttpSettings(), timeout=timedelta(seconds=2), concurrency=2)
    yield found
    await found.close()


async def everything(rig, name: str) -> str:
    """All that is kept and told of a connection."""
    changes = await history.timeline(rig.parts.database, name)
    return f"{changes} {await story(rig.parts, ME, name)}"


async def test_whoami_may_be_a_post_of_our_app_about_the_token(tmp_path, dialect, caplog):
    caplog.set_level(logging.DEBUG)
    whoami = CHECK + '\n[[rules]]\nstep = "whoami"\nstatus = 404\ncause = "revoked"\nweigh = true'
    async with speaking(tmp_path, dialect, whoami=whoami) as rig:
        dialect.answers |= {"/me": [GOOD, said(404, {"message": "Not Found"})], "/token": [DEAD]}
        await connect(rig, "acme")
        await rig.look()
        assert await rig.state("acme") == ("healthy", "ok")
        request = dialect.of("/me")[0]
        assert (request.method, request.headers["Authorization"]) == ("POST", BASIC)
        assert json.loads(request.data) == {"access_token": ACCESS}
        assert request.content_type == "application/json" and request.headers["Accept"] == "application/json"
        await rig.after(minutes=8)
        assert await rig.settle("acme") == ("broken", "revoked")
        told = await everything(rig, "acme")
        assert f"POST {dialect.url}/us/me" in told
        assert ACCESS not in told + caplog.text and "s3cret" not in told + caplog.text


async def test_a_call_is_not_followed_to_where_it_is_sent(tmp_path, dialect):
    async with speaking(tmp_path, dialect, whoami=CHECK) as rig:
        dialect.answers["/me"] = [said(307, "", Location=f"{dialect.url}/us/elsewhere")]
        await connect(rig, "acme")
        await rig.look()
        assert await rig.state("acme") == ("suspect", "unexpected")
        assert dialect.of("/elsewhere") == []


async def test_headers_of_the_file_go_with_each_request_and_each_only_once(tmp_path, dialect):
    oauth = 'token_headers = { x-include-hard-expiry = "true" }'
    more = '[headers]\nX-Api-Version = "2022-11-28"\naccept = "application/vnd.mine+json"\n'
    async with speaking(tmp_path, dialect, oauth=oauth, more=more) as rig:
        dialect.answers |= {"/me": [REFUSED, GOOD], "/token": [PAIR], "/contacts": [said()]}
        await connect(rig, "acme", scopes=("contacts",))
        await rig.look()
        assert await rig.state("acme") == ("healthy", "ok")
        for request in (*dialect.of("/me"), *dialect.of("/contacts")):
            assert request.headers["X-Api-Version"] == "2022-11-28"
            assert request.headers.getlist("Accept") == ["application/vnd.mine+json"]
            assert "X-Include-Hard-Expiry" not in request.headers
        (refreshed,) = dialect.of("/token")
        assert refreshed.headers["X-Include-Hard-Expiry"] == "true"
        assert "X-Api-Version" not in refreshed.headers and refreshed.headers["Accept"] == "application/json"


INTROSPECTED = {
    "RFC 7662": ("", said(200, {"active": False, "exp": 1763888400}), "POST", "not active, ends"),
    "a JSON document of our app, 404 for a dead one": (
        'introspect_call = { auth = "basic", body = "json", fields = { access_token = "{token}" } }\n'
        "introspect_dead = [404]", said(404, {"message": "Not Found"}), "POST", "not active"),
    "a GET with the token behind it": (
        'introspect_call = { method = "GET", body = "query", fields = { access_token = "{token}" } }\n'
        'introspect_dead = [400]\nintrospect_active = "sub"', said(200, {"sub": "7", "exp": "1795436400"}), "GET",
        "active, ends"),
    "a form of our app": (
        'introspect_call = { fields = { client_id = "{client_id}", client_secret = "{client_secret}", '
        'token = "{token}", token_type_hint = "{hint}" } }', said(200, {"active": False}), "POST", "not active"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "answer", "method", "words"), INTROSPECTED.values(), ids=INTROSPECTED
)  # fmt: skip
async def test_promise_4_introspection_is_asked_in_its_own_way_and_no_token_is_shown(
    tmp_path, dialect, caplog, call, answer, method, words
):
    caplog.set_level(logging.DEBUG)
    async with speaking(tmp_path, dialect, oauth=f'introspect = "/introspect"\n{call}') as rig:
        dialect.answers |= {"/me": [GOOD, REFUSED], "/token": [DEAD], "/introspect": [answer]}
        await connect(rig, "acme")
        await rig.look()
        await rig.after(minutes=8)
        assert (await rig.settle("acme"))[0] == "broken"
        asked = dialect.of("/introspect")
        assert asked and asked[0].method == method
        assert REFRESH in asked[0].data.decode() + asked[0].query_string.decode(), "of this token"
        told = await everything(rig, "acme")
        assert f"{method} {dialect.url}/us/introspect'" in told and words in told
        ours = "".join(one.getMessage() for one in caplog.records if one.name != "werkzeug")
        assert REFRESH not in told + ours and "s3cret" not in told + ours
        if "{client_secret}" in call:
            assert asked[0].form["client_secret"] == "s3cret" and asked[0].form["client_id"] == "mine"
            assert asked[0].form["token_type_hint"] == "refresh_token"


async def test_introspection_is_asked_of_the_kinds_of_tokens_that_it_takes(tmp_path, dialect):
    oauth = 'introspect = "/introspect"\nintrospect_kinds = ["access_token"]'
    async with speaking(tmp_path, dialect, oauth=oauth) as rig:
        dialect.answers |= {"/me": [REFUSED], "/token": [DEAD], "/introspect": [said(200, {"active": False})]}
        await connect(rig, "acme")
        await connect(rig, "bolt", refresh=None)
        await rig.look()
        await rig.settle("acme")
        asked = dialect.of("/introspect")
        assert asked and {(one.form["token"], one.form["token_type_hint"]) for one in asked} == {
            (ACCESS, "access_token")
        }


@pytest.mark.parametrize("status", [404, 400])
async def test_promise_1_a_page_at_the_introspection_endpoint_is_no_dead_token(tmp_path, dialect, status):
    oauth = f'introspect = "/introspect"\nintrospect_dead = [{status}]'
    async with speaking(tmp_path, dialect, oauth=oauth) as rig:
        dialect.answers |= {"/me": [REFUSED], "/token": [DEAD], "/introspect": [said(status, "<html>no")]}
        await connect(rig, "acme")
        await rig.look()
        assert "not active" not in await everything(rig, "acme")


REVOKED = {
    "RFC 7009": ("", "POST", None, f"token={REFRESH}&client_id=mine&client_secret=s3cret"),
    "RFC 7009, basic": ('client_auth = "basic"', "POST", BASIC, f"token={REFRESH}"),
    "a bearer": ('revoke_with = "bearer"', "POST", f"Bearer {REFRESH}", ""),
    "DELETE of our app, in JSON": (
        'revoke_call = { method = "DELETE", auth = "basic", body = "json", fields = { access_token = "{token}" } }',
        "DELETE", BASIC, json.dumps({"access_token": REFRESH})),
    "JSON": ('revoke_call = { auth = "basic", body = "json", fields = { token = "{token}" } }', "POST", BASIC,
             json.dumps({"token": REFRESH})),
    "a bearer, and nothing else": ('revoke_call = { auth = "bearer", body = "none" }', "POST", f"Bearer {REFRESH}", ""),
}  # fmt: skip


@pytest.mark.parametrize(("oauth", "method", "authorization", "body"), REVOKED.values(), ids=REVOKED)
async def test_a_token_is_revoked_as_its_provider_takes_it(
    tmp_path, dialect, wire, oauth, method, authorization, body
):
    async with speaking(
        tmp_path, dialect, oauth=f'revoke = "/applications/{{client_id}}/token"\n{oauth}'
    ) as rig:
        dialect.answers["/applications/mine/token"] = [said(200, {"echo": REFRESH, "error": "x"})]
        app = rig.parts.apps["mine"]
        request = revocation(app, app.endpoints.revoke, Secret(REFRESH))
        assert REFRESH not in repr(request) and "s3cret" not in repr(request) and REFRESH not in request.shown
        reply = await wire.send(request)
        (asked,) = dialect.asked
        assert (asked.method, asked.headers.get("Authorization")) == (method, authorization)
        assert asked.data.decode() == body and asked.query_string == b""
        assert Secret(REFRESH) in reply.sent, "so that nobody shows what is echoed"


async def test_what_stands_in_braces_is_put_in_once(tmp_path, dialect):
    oauth = 'revoke_call = { fields = { a = "{token}{client_id}", b = "{client_secret", c = "x{hint}y" } }'
    async with speaking(tmp_path, dialect, oauth=oauth) as rig:
        app = rig.parts.apps["mine"]
        token = Secret("t{client_secret}{")
        request = called(app, app.provider.oauth.revoke_call, "http://x/", token, "refresh_token")
        assert request.content.reveal() == (
            "a=t%7Bclient_secret%7D%7Bmine&b=%7Bclient_secret&c=xrefresh_tokeny"
        )


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "a\u00fc"])
async def test_a_token_that_cannot_stand_in_a_header_is_sent_nowhere(tmp_path, dialect, wire, text):
    async with speaking(tmp_path, dialect, oauth='revoke = "/revoke"\nrevoke_with = "bearer"') as rig:
        app = rig.parts.apps["mine"]
        reply = await wire.send(revocation(app, app.endpoints.revoke, Secret(text)))
        assert isinstance(reply, Fault) and not reply.perhaps_sent
        assert dialect.asked == []


async def test_a_connections_values_stand_in_headers_and_one_that_lacks_is_not_sent(tmp_path, dialect):
    whoami = 'call = { auth = "bearer", body = "none", headers = { X-Realm = "{values.realm}", X-None = "{values.none}" } }'
    more = '[headers]\nX-Tenant = "{values.realm}"\n[values.realm]\ndefault = "r-1"\n[values.none]\ntoken = "x"\n'
    oauth = 'token_headers = { X-Tenant-Of-Token = "{values.realm}" }'
    async with speaking(tmp_path, dialect, whoami=whoami, more=more, oauth=oauth) as rig:
        dialect.answers |= {"/me": [REFUSED, GOOD], "/token": [PAIR], "/contacts": [said()]}
        await connect(rig, "acme", scopes=("contacts",))
        await rig.look()
        assert await rig.state("acme") == ("healthy", "ok")
        asked = dialect.of("/me")[0]
        assert (asked.method, asked.headers["X-Realm"], asked.headers["X-Tenant"]) == ("POST", "r-1", "r-1")
        assert "X-None" not in asked.headers
        assert dialect.of("/contacts")[0].headers["X-Tenant"] == "r-1"
        assert dialect.of("/token")[0].headers["X-Tenant-Of-Token"] == "r-1"
