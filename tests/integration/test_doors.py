"""Whether anybody could still connect: asked of real servers, kept in both databases, and shown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import func, select
from werkzeug import Request, Response

from monitor.health.doors import Door, Outcome, token_door
from monitor.operations import apps, checkup, doors
from monitor.providers import catalogue
from monitor.store import app_checks
from monitor.store.tables import journal
from monitor.wire.answers import read
from monitor.wire.client import Reply
from tests.conftest import ME, START, environ, rigged

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


class Vendor:
    """A provider whose endpoints say what the test has them say, and remember what they were asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.token = Response('{"error": "invalid_grant"}', 400, content_type="application/json")
        self.authorize = Response("", 302, {"Location": "/login?next=1"})
        self.asked: list[Request] = []
        server.expect_request("/oauth/token").respond_with_handler(lambda r: self._answer(r, "token"))
        server.expect_request("/oauth/authorize").respond_with_handler(lambda r: self._answer(r, "authorize"))

    def _answer(self, request: Request, which: str) -> Response:
        request.get_data()
        self.asked.append(request)
        return getattr(self, which)

    def refuse(self) -> None:
        self.token = Response(
            '{"error": "invalid_client", "error_description": "The secret is wrong"}',
            401, content_type="application/json",
        )  # fmt: skip


@pytest.fixture
def vendor(httpserver: HTTPServer) -> Vendor:
    return Vendor(httpserver)


@pytest.fixture
async def rig(tmp_path, sandbox, database_url, httpserver, vendor):
    app = {"extra": f'provider_file = "vendor.toml"\nauth_url = "{httpserver.url_for("").rstrip("/")}"'}
    (tmp_path / "vendor.toml").write_text(PROVIDER)
    async with rigged(tmp_path, sandbox, database_url, apps={"clio": app}) as found:
        await found.watching.presence.beat()
        yield found


PROVIDER = """
name = "vendor"
title = "Vendor"
[regions.us]
base_url = "https://api.vendor.example"
[oauth]
authorize = "/oauth/authorize"
token = "/oauth/token"
default_scopes = ["openid"]
[whoami]
path = "/me"
account_id = "id"
"""


async def standing(rig):
    return (await app_checks.standing(rig.parts.database)).get("clio", {})


async def turn(rig, **span):
    """Let time pass minute by minute's look, until it was asked; return whether it was."""
    rig.clock.tick(**span)
    return await rig.watching.doors.ask_those_due()


async def test_an_app_is_asked_once_a_day_with_nothing_of_a_client(rig, vendor):
    assert await turn(rig) == [], "its first turn is some time within the day"
    assert await standing(rig) == {}
    assert await turn(rig, hours=24) == ["clio"]
    assert await turn(rig, hours=1) == []
    authorize, token = vendor.asked
    assert authorize.args["client_id"] == "clio" and authorize.args["scope"] == "openid contacts matters"
    assert authorize.args["redirect_uri"].endswith("/oauth/callback") and len(authorize.args["state"]) > 20
    assert authorize.headers.get("Authorization") is None and authorize.headers.get("Cookie") is None
    assert token.form["grant_type"] == "authorization_code" and token.form["client_secret"] == "s3cret"
    assert {door: one.seen.outcome for door, one in (await standing(rig)).items()} == {
        Door.AUTHORIZE: Outcome.GOOD, Door.TOKEN: Outcome.GOOD,
    }  # fmt: skip
    async with rig.parts.database.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(journal))).scalar_one() == 0
    assert await turn(rig, hours=28) == ["clio"]
    assert vendor.asked[-1].form["code"] != token.form["code"], "another code each time"


async def test_a_refused_secret_is_asked_again_within_the_hour_and_then_believed(rig, vendor):
    await turn(rig)
    vendor.refuse()
    assert await turn(rig, hours=24) == ["clio"]
    assert not (await standing(rig))[Door.TOKEN].shut
    (check,) = await doors.checked(rig.parts)
    assert check.ok is None, "one refusal is worth knowing, and no trouble"
    assert await turn(rig, hours=1) == ["clio"]
    token = (await standing(rig))[Door.TOKEN]
    assert token.shut and token.seen.rule == "rfc6749.client"
    assert token.seen.says == "The token endpoint refuses our app: 401 invalid_client: The secret is wrong."
    (check,) = await doors.checked(rig.parts)
    assert check.ok is False
    shown = (await apps.show(rig.parts, ME, "clio")).doors
    assert shown[Door.TOKEN].shut and not shown[Door.AUTHORIZE].shut
    vendor.token = Response('{"error": "invalid_grant"}', 400, content_type="application/json")
    await turn(rig, hours=28)
    assert not (await standing(rig))[Door.TOKEN].shut
    assert await doors.checked(rig.parts) == []


async def test_what_is_unclear_alarms_nobody(rig, vendor):
    await turn(rig)
    vendor.token = Response("<html>Our firewall does not like you: invalid_client</html>", 403)
    vendor.authorize = Response("<html>busy</html>", 503)
    for _ in range(3):
        await turn(rig, hours=28)
    assert {one.seen.outcome for one in (await standing(rig)).values()} == {Outcome.UNCLEAR}
    assert await doors.checked(rig.parts) == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Response("<html>redirect_uri_mismatch</html>", 400), Outcome.REFUSED),
        (Response("x" * 300_000 + "redirect_uri_mismatch", 200), Outcome.GOOD),
        (Response("", 302, {"Location": "https://sso.else.example/login"}), Outcome.UNCLEAR),
        (Response("", 302, {"Location": "/oauth/error?error=unauthorized_client"}), Outcome.REFUSED),
    ],
)
async def test_pages_and_redirects_of_the_authorize_endpoint(rig, vendor, answer, outcome):
    vendor.authorize = answer
    found = {one.seen.door: one for one in await rig.watching.doors.ask(rig.parts.apps["clio"])}
    assert found[Door.AUTHORIZE].seen.outcome is outcome


async def test_a_process_that_does_not_lead_asks_nobody(rig, vendor):
    await turn(rig)
    rig.watching.presence.leads = False
    assert await turn(rig, hours=48) == []
    assert vendor.asked == []


async def test_doctor_asks_now_and_keeps_nothing(rig, vendor):
    vendor.refuse()
    path = rig.parts.loaded.path
    import os

    os.environ.update(environ("clio"))
    found = await checkup.checkup(path, ME, ask_doors=True)
    said = [(check.ok, check.says) for check in found if check.name == "doors"]
    assert [ok for ok, _ in said] == [True, False]
    assert await standing(rig) == {}


async def test_a_real_provider_stand_in_takes_a_good_app_and_refuses_another(tmp_path, sandbox, database_url):
    async with rigged(tmp_path, sandbox, database_url) as rig:
        good = {one.seen.door: one.seen for one in await rig.watching.doors.ask(rig.parts.apps["clio"])}
        assert good[Door.TOKEN].outcome is Outcome.GOOD, good
        assert good[Door.AUTHORIZE].outcome is Outcome.GOOD, good
        sandbox.app("clio", secret="another", redirect_uris=["https://elsewhere.example/"])
        bad = {one.seen.door: one.seen for one in await rig.watching.doors.ask(rig.parts.apps["clio"])}
        assert bad[Door.TOKEN].outcome is Outcome.REFUSED, bad


@pytest.mark.parametrize(
    ("provider", "status", "body", "outcome"),
    [
        ("github", 200, '{"error": "bad_verification_code"}', Outcome.GOOD),
        ("github", 200, '{"error": "incorrect_client_credentials"}', Outcome.REFUSED),
        ("github", 200, '{"error": "redirect_uri_mismatch"}', Outcome.REFUSED),
        ("slack", 200, '{"ok": false, "error": "invalid_code"}', Outcome.GOOD),
        ("slack", 200, '{"ok": false, "error": "bad_client_secret"}', Outcome.REFUSED),
        ("slack", 200, '{"ok": false, "error": "ratelimited"}', Outcome.UNCLEAR),
        ("hubspot", 400, '{"status": "BAD_AUTH_CODE", "error": "invalid_grant"}', Outcome.GOOD),
        ("hubspot", 400, '{"status": "BAD_CLIENT_ID", "error": "invalid_client"}', Outcome.REFUSED),
        (
            "google",
            400,
            '{"error": "invalid_grant", "error_description": "Malformed auth code."}',
            Outcome.GOOD,
        ),
        ("google", 401, '{"error": "deleted_client"}', Outcome.REFUSED),
        ("xero", 400, '{"error": "invalid_grant"}', Outcome.GOOD),
        ("xero", 400, '{"error": "invalid_client"}', Outcome.REFUSED),
        ("salesforce", 400, '{"error": "invalid_client_id"}', Outcome.REFUSED),
        ("quickbooks", 401, '{"error": "invalid_client"}', Outcome.REFUSED),
        (
            "microsoft",
            401,
            '{"error": "invalid_client", "error_description": "AADSTS7000215: Bad."}',
            Outcome.REFUSED,
        ),
        (
            "microsoft",
            400,
            '{"error": "invalid_request", "error_description": "AADSTS9002313: Bad."}',
            Outcome.UNCLEAR,
        ),
    ],
)
def test_what_each_provider_says_of_a_code_that_does_not_exist(provider, status, body, outcome):
    known = catalogue.load(provider)
    reply = Reply(status, [(b"content-type", b"application/json")], body.encode())
    answer, _ = read(reply, known.errors, START)
    assert token_door(known.compiled_rules(), answer).outcome is outcome
