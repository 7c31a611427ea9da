"""Introspection (RFC 7662) over real HTTP: it tells withdrawn from run out, and never does harm."""

from __future__ import annotations

import socket
from datetime import timedelta
from importlib import resources

import pytest
from werkzeug import Response

from monitor.health.explain import explain
from monitor.operations.explain import story
from monitor.store import history
from monitor.tokens.refresh import access_cell, refresh_cell
from tests.conftest import ME, START, rigged

DAY = timedelta(days=1)


def provider(folder, introspect: str = "/oauth/introspect", **changed: str):
    """Clio as it is, but for an introspection endpoint and what a test changes."""
    text = resources.files("monitor.providers").joinpath("clio.toml").read_text()
    text = text.replace("[oauth]", f'[oauth]\nintrospect = "{introspect}"')
    for old, new in changed.items():
        text = text.replace(f'{old} = "body"', f'{old} = "{new}"')
    file = folder / "provider.toml"
    file.write_text(text)
    return file


def apps(file) -> dict:
    return {"clio": {"extra": f'provider_file = "{file}"'}}


async def refused(rig, end=None, **how) -> str:
    """Let a refresh token die without a word why; return the cause that comes of it."""
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    await rig.after(minutes=8)  # refreshed: the pair is known to have worked now
    if end is not None:
        rig.sandbox.do(rig.grants["acme"], "end", at=(START + end).timestamp())
    rig.sandbox.do(rig.grants["acme"], "expire_refresh", says="not known here")
    await rig.after(**(how or {"minutes": 8}))
    state, cause = await rig.settle("acme")
    assert state == "broken"
    return cause


@pytest.mark.parametrize("auth", ["body", "basic"])
@pytest.mark.parametrize(
    ("end", "cause", "rule"),
    [
        (timedelta(minutes=9), "refresh_expired", "rfc6749.invalid_grant+introspection"),
        (30 * DAY, "revoked", "rfc6749.invalid_grant+introspection"),
        (None, "revoked", "rfc6749.invalid_grant+access_refused_early"),
    ],
    ids=["its end has passed", "its end was to come", "no end is told"],
)
async def test_a_refused_refresh_token_is_told_apart_by_its_end(
    tmp_path, sqlite_url, sandbox, auth, end, cause, rule
):
    file = provider(tmp_path, client_auth=auth)
    async with rigged(tmp_path, sandbox, sqlite_url, apps=apps(file)) as rig:
        assert await refused(rig, end) == cause
        assert (await rig.known("acme")).health.rule == rule


async def test_it_is_asked_once_a_break_and_what_it_said_stands(tmp_path, sqlite_url, sandbox):
    file = provider(tmp_path)
    async with rigged(tmp_path, sandbox, sqlite_url, apps=apps(file)) as rig:
        await rig.add("good")
        assert await refused(rig, timedelta(minutes=9)) == "refresh_expired"
        assert rig.sandbox.seen()["requests"]["us introspect"] == 1
        for _ in range(10):
            await rig.after(hours=1)
        assert await rig.state("acme") == ("broken", "refresh_expired")
        assert rig.sandbox.seen()["requests"]["us introspect"] == 1
        assert len(await history.timeline(rig.parts.database, "acme")) == 3, "healthy, in doubt, broken"
        rig.sandbox.do(rig.grants["acme"], "restore")
        await rig.after(hours=2)
        assert await rig.state("acme") == ("healthy", "ok")
        rig.sandbox.do(rig.grants["acme"], "revoke")
        rig.sandbox.do(rig.grants["acme"], "end", at=(START + 60 * DAY).timestamp())
        await rig.after(minutes=8)
        assert await rig.settle("acme") == ("broken", "revoked")
        assert rig.sandbox.seen()["requests"]["us introspect"] == 2, "another break is another question"


async def test_explain_shows_what_it_said_and_no_token(tmp_path, sqlite_url, sandbox):
    file = provider(tmp_path)
    async with rigged(tmp_path, sandbox, sqlite_url, apps=apps(file)) as rig:
        await refused(rig, timedelta(minutes=9))
        changes = await history.timeline(rig.parts.database, "acme")
        asked = [item for change in changes for item in change.evidence if item["step"] == "introspect"]
        assert [item["description"] for item in asked] == ["not active, ends 2026-11-23 09:09 UTC"]
        text = explain(await story(rig.parts, ME, "acme"), rig.clock.now())
        assert "nothing was asked again" in " ".join(text.why)
        sealed = (await rig.known("acme")).sealed
        for cell, name in ((sealed.access, access_cell), (sealed.refresh, refresh_cell)):
            assert rig.parts.vault.open(cell, name("acme", rig.parts.apps["clio"].place)).reveal() not in str(
                changes
            )


def refusing_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


BROKEN = {
    "a page": Response("<html>Welcome</html>", 200, content_type="text/html"),
    "an error": Response("{}", 500),
    "not for us": Response('{"error": "invalid_client", "error_description": "The client was revoked"}', 401,
                           {"WWW-Authenticate": 'Bearer error="invalid_token"'}, content_type="application/json"),
    "not so often": Response("", 429, {"Retry-After": "86400"}),
    "a redirect": Response("", 302, {"Location": "https://login.example/"}),
    "nothing": Response("", 200),
    "active, in quotes": Response('{"active": "false", "exp": 1}', 200),
    "every token is dead": Response('{"active": false}', 200),
    "every token lives": Response('{"active": true, "exp": 1}', 200),
    "an end that no token has": Response('{"active": false, "exp": 0}', 200),
    "an end before its birth": Response('{"active": false, "exp": 1000000000}', 200),
    "no server": None,
}  # fmt: skip


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_promise_1_a_broken_endpoint_changes_no_verdict_and_puts_off_no_look(
    tmp_path, sandbox, httpserver, answer
):
    """The same break with the endpoint and without it: cause, confidence, rule, and when we look again."""
    if answer is not None:
        httpserver.expect_request("/introspect").respond_with_response(answer)
    found = {}
    for name in ("without", "with"):
        folder = tmp_path / name
        folder.mkdir()
        file = provider(folder, "/introspect" if name == "with" else "")
        # OAuth has a host of its own here, so that the endpoint can be another server's.
        port = httpserver.port if answer is not None else refusing_port()
        async with rigged(folder, sandbox, f"sqlite:///{folder / 'th.db'}", apps=apps(file)) as rig:
            there = f"http://127.0.0.1:{port}/introspect" if name == "with" else ""
            object.__setattr__(rig.parts.apps["clio"].endpoints, "introspect", there)
            cause = await refused(rig)
            known = await rig.known("acme")
            found[name] = (cause, known.health, known.next_probe_at)
    assert found["with"] == found["without"]
    if answer is not None:
        assert any(request.path == "/introspect" for request, _ in httpserver.log), "it was asked"
