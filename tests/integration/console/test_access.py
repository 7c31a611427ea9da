"""Access: people, keys and webhooks; what is secret is shown once; who is no admin gets none of it."""

from __future__ import annotations

import re

import pytest

from monitor.operations import api_keys, people, webhooks
from monitor.operations.roles import Role
from monitor.secret import Secret
from monitor.store import audit
from monitor.web.console.contents import declared
from monitor.web.console.rights import WORDS
from tests.conftest import ME
from tests.integration.console.conftest import words

HOOK = "http://127.0.0.1:9/hooks"
LONG = "a good long password"


def secret_of(page):
    """What a page shows once."""
    return re.search(r"class=secret><code>([^<]+)</code>", page.text)[1]


async def person_named(console, name):
    return next(one for one in await people.every(console.parts, ME) if one.name == name)


async def test_somebody_is_added_with_a_password_that_is_shown_once(console):
    admin = await console.admin()
    assert "They sign in by this name" in words(await admin.get("/access/people/new"))
    page = await admin.post("/access/people/new", {"name": "dana", "role": "operator", "password": ""})
    assert page.status_code == 200
    assert "no-store" in page.headers["cache-control"]
    made = secret_of(page)
    assert made not in str(page.headers), "never in a cookie"
    again = await admin.get("/access")
    assert "dana" in words(again) and made not in again.text
    assert (await people.sign_in(console.parts, "dana", Secret(made), "10.0.0.1")).person.role == "operator"


async def test_a_password_that_was_chosen_is_shown_to_nobody(console):
    admin = await console.admin()
    answer = await admin.post("/access/people/new", {"name": "dana", "role": "viewer", "password": LONG})
    page = await admin.follow(answer)
    assert "dana may sign in, as viewer." in words(page)
    assert LONG not in page.text + str(answer.headers)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "", "role": "viewer"}, "A user's name is 1 to 100 characters in one line."),
        ({"name": "dana", "role": "king"}, "'king' is no role; those are viewer, operator, admin."),
        (
            {"name": "dana", "role": "viewer", "password": "tooshort1"},
            "A password is at least 12 characters long",
        ),
        ({"name": "admin-one", "role": "viewer"}, "There is a user 'admin-one' already."),
    ],
)
async def test_what_cannot_be_used_is_said_and_the_form_kept(small, form, says):
    page = await (await small.admin()).post("/access/people/new", form)
    assert page.status_code in (409, 422)
    assert says in words(page)
    assert f'value="{form["name"]}"' in page.text
    assert "tooshort1" not in page.text


async def test_a_role_and_a_password_are_changed_and_somebody_is_removed(console):
    admin, viewer = await console.admin(), await console.viewer()
    one = await person_named(console, "viewer-one")
    form = {"role": "operator", "revision": str(one.revision)}
    done = await admin.post(f"/access/people/{one.id}/role", form)
    assert "viewer-one is operator now." in words(await admin.follow(done))
    assert "local admin" in words(await viewer.get("/access")), "their session ended: it is who is here"
    late = await admin.post(f"/access/people/{one.id}/role", form)
    assert late.status_code == 409
    assert "Somebody changed this since you opened it." in words(late)
    page = await admin.post(f"/access/people/{one.id}/password", {"password": ""})
    await people.sign_in(console.parts, "viewer-one", Secret(secret_of(page)), "10.0.0.1")
    gone = await admin.post(f"/access/people/{one.id}/remove")
    assert "viewer-one is removed." in words(await admin.follow(gone))
    assert (await admin.get(f"/access/people/{one.id}/remove")).status_code == 404


async def test_nobody_takes_themselves_out_and_it_is_not_offered(console):
    admin = await console.admin()
    one = await person_named(console, "admin-one")
    page = await admin.get("/access")
    assert f"/access/people/{one.id}/remove" not in page.text
    answer = await admin.post(f"/access/people/{one.id}/remove")
    assert answer.status_code == 409
    assert "Nobody removes themselves; another admin can." in words(answer)
    local = await console.anybody()
    done = await local.post(f"/access/people/{one.id}/remove")
    assert "admin-one" in words(await local.follow(done)), "on this machine one can add another"
    assert await people.every(console.parts, ME) == []


async def test_a_key_is_made_shown_once_rotated_and_revoked(console):
    admin = await console.admin()
    form = {
        "name": "middleware", "may-tokens-read": "1", "may-connections-read": "1", "apps": "clio",
        "labels": "tier=gold, tier=silver", "connections": "acme-*", "networks": "10.0.0.0/8", "days": "30",
    }  # fmt: skip
    page = await admin.post("/access/keys/new", form)
    first = secret_of(page)
    assert first.startswith("thk_")
    (key,) = await api_keys.every(console.parts, ME)
    assert key.scopes == ("connections:read", "tokens:read")
    assert key.only == api_keys.restricted(["clio"], {"tier": ["gold", "silver"]}, ["acme-*"], ["10.0.0.0/8"])
    assert (key.expires_at - console.rig.clock.now()).days == 30
    shown = await admin.get("/access")
    assert first not in shown.text
    assert "labels tier: gold / silver" in words(shown)
    rotated = await admin.post(f"/access/keys/{key.id}/rotate", {"grace": "1"})
    assert secret_of(rotated) != first
    assert "the text before is good until" in words(await admin.get("/access"))
    done = await admin.post(f"/access/keys/{key.id}/revoke")
    assert "The key middleware is revoked." in words(await admin.follow(done))
    assert "middleware" not in words(await admin.get("/access"))
    assert "middleware" in words(await admin.get("/access?ended=1"))
    lines = [
        entry.action for _, entry in await audit.page(console.parts.database, 50, actor="user:admin-one")
    ]
    assert lines[:3] == ["key.revoke", "key.rotate", "key.create"]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "x"}, "A key without a scope may do nothing; give it one."),
        ({"name": "", "may-tokens-read": "1"}, "A key's name is 1 to 100 characters in one line."),
        (
            {"name": "x", "may-tokens-read": "1", "labels": "gold"},
            "A label is written as name=value: tier=gold.",
        ),
        (
            {"name": "x", "may-tokens-read": "1", "networks": "home"},
            "'home' is no network; write 10.0.0.0/8.",
        ),
        (
            {"name": "x", "may-tokens-read": "1", "days": "9999"},
            "A key ends after 30, 90, 180, 365 or 400 days.",
        ),
    ],
)
async def test_a_key_that_cannot_be_made_so_says_why(small, form, says):
    page = await (await small.admin()).post("/access/keys/new", form)
    assert page.status_code == 422
    assert says in words(page)
    assert "class=secret" not in page.text


async def test_a_key_that_stood_in_an_address_is_said_first(small):
    made = await api_keys.new(small.parts, ME, "middleware", ["connections:read"])
    stranger = await small.anybody(peer="203.0.113.9")
    await stranger.get(f"/api/v1/me?key={made.secret.reveal()}")
    page = await (await small.admin()).get("/access")
    assert "The key middleware stood in an address, and so in somebody's log." in words(page)
    assert made.secret.reveal() not in page.text


async def test_a_webhook_lives_its_whole_life(console):
    admin = await console.admin()
    page = await admin.post("/access/webhooks/new", {"url": HOOK, "events": "connection.*", "apps": ""})
    first = secret_of(page)
    assert first.startswith("whsec_")
    (one,) = await webhooks.every(console.parts, ME)
    here = f"/access/webhooks/{one.id}"
    assert first not in (await admin.get("/access")).text + (await admin.get(here)).text
    tried = await admin.post(f"{here}/test")
    assert "The test was not taken:" in words(await admin.follow(tried)), "nobody listens there"
    assert secret_of(await admin.post(f"{here}/rotate")) != first
    for action, says in (("disable", "is sent nothing any more."), ("enable", "is sent events again.")):
        assert says in words(await admin.follow(await admin.post(f"{here}/{action}")))
    await admin.follow(await admin.post(f"{here}/remove"))
    assert await webhooks.every(console.parts, ME) == []
    assert (await admin.get(here)).status_code == 404


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"url": "ftp://x", "events": "*"}, "url:"),
        ({"url": HOOK, "events": ""}, "events: names none"),
        ({"url": HOOK, "events": "weather.*"}, "weather.*"),
    ],
)
async def test_a_webhook_that_cannot_be_says_why(small, form, says):
    page = await (await small.admin()).post("/access/webhooks/new", form)
    assert page.status_code == 422
    assert says in words(page)


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_whoever_is_no_admin_gets_none_of_it(small, role):
    somebody = await small.as_(role)
    made = await api_keys.new(small.parts, ME, "middleware", ["connections:read"])
    for one in declared():
        if one.path.startswith("/access"):
            path = re.sub(r"\{[a-z]+\}", made.key.id, one.path)
            if one.acts:
                assert (await somebody.post(path)).status_code == 403, path
            if not one.acts or one.asks is not None:
                assert (await somebody.get(path)).status_code == 403, path
    assert 'href="/access"' not in (await somebody.get("/calendar")).text
    assert (await api_keys.show(small.parts, ME, made.key.id)).revoked_at is None


def test_the_table_of_roles_has_every_right_of_a_person_or_a_key():
    from monitor.operations.actor import Right

    assert WORDS.keys() == set(Right) - {Right.HOST}


async def test_the_table_of_roles_is_shown(small):
    said = words(await (await small.admin()).get("/access"))
    assert all(role.value in said for role in Role)
    assert "fetch access tokens tokens:read – no – no – no yes" in said
