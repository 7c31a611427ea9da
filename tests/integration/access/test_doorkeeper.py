"""Who is let in at the API's door, by each sentence of docs/access.md, through the whole application."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from monitor.health.restriction import Restriction
from monitor.operations import api_keys, people
from monitor.operations.roles import MAY, Role
from monitor.secret import Secret
from monitor.store.door_tables import api_key
from tests.conftest import ME
from tests.integration.access.conftest import PASSWORD, PUBLIC, bearer, opened

ME_PATH = "/api/v1/me"
LOCAL = "http://127.0.0.1:8080"


def code(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# -- keys ---------------------------------------------------------------------------------------------


async def test_a_key_is_let_in_with_its_scopes(house):
    await house.add()
    text = await house.key("connections:read", only=Restriction(apps=("clio",)))
    async with house.caller() as http:
        answer = await http.get(ME_PATH, headers=bearer(text))
        assert answer.json()["scopes"] == ["connections:read"] and answer.json()["only"]["apps"] == ["clio"]
        assert answer.json()["principal"].startswith("key:key_")
        assert code(await http.get("/api/v1/keys", headers=bearer(text))) == (403, "missing_scope")
    shown = await api_keys.show(house.parts, ME, "middleware")
    assert shown.last_used_at == house.rig.clock.now()


async def test_without_credentials_nobody_is(house):
    await house.add()
    async with house.caller() as http:
        answer = await http.get(ME_PATH)
    assert code(answer) == (401, "no_credentials")
    assert answer.headers["www-authenticate"] == 'Bearer realm="token-health"'


async def test_keys_that_are_not_good_read_alike_whatever_is_wrong(house):
    await house.add()
    ended = await house.key(name="ended", expires_at=house.rig.clock.now() + timedelta(minutes=1))
    revoked = await house.key(name="revoked")
    await api_keys.revoke(house.parts, ME, "revoked")
    house.rig.clock.tick(minutes=2)
    good = await house.key(name="good")
    wrong = [ended, revoked, good[:-1], good[:20] + "0" * 45, "nonsense", "", good + " x"]
    async with house.caller() as http:
        answers = [await http.get(ME_PATH, headers=bearer(text)) for text in wrong]
        answers.append(await http.get(ME_PATH, headers={"Authorization": f"Basic {good}"}))
        answers.append(await http.get(ME_PATH, headers=[("Authorization", f"Bearer {good}")] * 2))
    assert {code(answer) for answer in answers} == {(401, "bad_credentials")}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"] == 'Bearer realm="token-health", error="invalid_token"'


async def test_twenty_wrong_keys_a_minute_and_address_are_looked_at_and_good_ones_beside_them_pass(house):
    await house.add()
    good = await house.key()
    async with house.caller() as http, house.caller("198.51.100.7") as other:
        found = [code(await http.get(ME_PATH, headers=bearer("x"))) for _ in range(22)]
        assert found == [(401, "bad_credentials")] * 20 + [(429, "too_many_failures")] * 2
        refused = await http.get(ME_PATH, headers=bearer("x"))
        assert refused.headers["retry-after"] == "60"
        assert (await http.get(ME_PATH, headers=bearer(good))).status_code == 200
        assert code(await other.get(ME_PATH, headers=bearer("x"))) == (401, "bad_credentials"), (
            "another process of counts"
        )
        house.rig.clock.tick(minutes=1)
        assert code(await http.get(ME_PATH, headers=bearer("x"))) == (401, "bad_credentials")


async def test_refusals_of_strangers_are_in_the_audit_once_a_minute_and_address(house):
    await house.add()
    app = house.served()
    async with house.caller(app=app) as http, house.caller("198.51.100.7", app=app) as other:
        for _ in range(5):
            await http.get(ME_PATH)
            await http.get(ME_PATH, headers=bearer("x"))
        await other.get(ME_PATH)
        house.rig.clock.tick(minutes=1)
        await http.get(ME_PATH)
    lines = [line for line in await house.lines("action", "subject", "detail") if line[0] == "access.refused"]
    assert [line[1] for line in lines] == ["203.0.113.9", "198.51.100.7", "203.0.113.9"]
    assert lines[0][2]["code"] == "no_credentials"


@pytest.mark.parametrize(
    "where",
    [
        "/api/v1/me?key={key}",
        "/api/v1/me?x=%74hk{tail}",
        "/api/v1/connections/{key}",
        "/api/v1/keys/{key}/rotate",
    ],
)
async def test_a_key_in_a_url_is_refused_and_marked_and_the_operator_told(house, where):
    text = await house.key()
    other = await house.key(name="other")
    url = where.format(key=text, tail=text[3:])
    async with house.caller() as http:
        for headers in ({}, bearer(other)):
            answer = await http.request("POST" if "rotate" in url else "GET", url, headers=headers)
            assert code(answer) == (400, "key_in_url") and text not in answer.text
    assert (await api_keys.show(house.parts, ME, "middleware")).exposed_at == house.rig.clock.now()
    assert (await api_keys.show(house.parts, ME, "other")).exposed_at is None
    (told,) = await house.told()
    assert "'middleware'" in told and "stood in a URL" in told and text not in told
    assert [line for line in await house.lines() if line[1] == "key.exposed"] == [("service", "key.exposed")]


async def test_what_only_looks_like_a_key_marks_none(house):
    text = await house.key()
    async with house.parts.database.read() as conn:
        handle = (await conn.execute(select(api_key.c.handle))).scalar_one()
    from monitor.text.api_key import make

    async with house.caller() as http:
        assert code(await http.get(f"/api/v1/me?key={make(handle).reveal()}")) == (400, "key_in_url")
    assert (await api_keys.show(house.parts, ME, "middleware")).exposed_at is None and text


@pytest.mark.parametrize(
    ("peer", "let_in"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::1", True),
        ("fe80::1", False),
    ],
)
async def test_a_key_is_good_from_its_networks_only(house, peer, let_in):
    text = await house.key(only=Restriction(networks=("10.0.0.0/8", "fd00::/8")))
    async with house.caller(peer) as http:
        answer = await http.get(ME_PATH, headers=bearer(text))
    assert answer.status_code == 200 if let_in else code(answer) == (403, "wrong_network")
    if not let_in:
        assert (await house.lines("actor", "action"))[-1][0].startswith("key:key_")


# -- tokens and signals do not travel in clear ---------------------------------------------------------

FROM_A_PROXY = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("peer", "base", "headers", "let_in"),
    [
        ("203.0.113.9", "https://th.agency.example", {}, True),
        ("203.0.113.9", "http://th.agency.example", {}, False),
        ("203.0.113.9", "http://th.agency.example", FROM_A_PROXY, False),  # anybody may say so
        ("127.0.0.1", "http://th.agency.example", FROM_A_PROXY, True),  # a proxy that is believed
        ("127.0.0.1", "http://th.agency.example", FROM_A_PROXY | {"X-Forwarded-Proto": "http"}, False),
        ("127.0.0.1", "http://th.agency.example", {"X-Forwarded-For": "203.0.113.9"}, False),
        ("127.0.0.1", "http://th.agency.example", {"X-Forwarded-For": "127.0.0.1"}, False),
        ("127.0.0.1", "http://127.0.0.1:8080", {}, True),
        ("::1", "http://[::1]:8080", {}, True),
    ],
)
@pytest.mark.parametrize("scope", ["tokens:read", "signals:write"])
async def test_a_machines_key_needs_tls_or_this_machine(home, peer, base, headers, let_in, scope):
    text, harmless = await home.key(scope), await home.key(name="harmless")
    home.parts.loaded.settings.web.__dict__["hosts"] = ("th.agency.example",)
    async with home.caller(peer, base) as http:
        answer = await http.get(ME_PATH, headers=bearer(text) | headers)
        assert answer.status_code == 200 if let_in else code(answer) == (403, "insecure_transport")
        assert (await http.get(ME_PATH, headers=bearer(harmless) | headers)).status_code == 200


@pytest.mark.parametrize(
    ("peer", "let_in"), [("10.7.0.1", True), ("::ffff:10.7.0.1", True), ("11.7.0.1", False)]
)
async def test_a_network_in_which_nobody_listens_is_named_knowingly(
    tmp_path, sandbox, sqlite_url, peer, let_in
):
    async with opened(tmp_path, sandbox, sqlite_url, web='insecure_networks = ["10.0.0.0/8"]\n') as house:
        text = await house.key("tokens:read")
        async with house.caller(peer, "http://10.7.0.9:8080") as http:
            answer = await http.get(ME_PATH, headers=bearer(text))
    assert answer.status_code == 200 if let_in else code(answer) == (403, "insecure_transport")


# -- people -------------------------------------------------------------------------------------------


async def signed_in(house, name="anna"):
    done = await people.sign_in(house.parts, name, Secret(PASSWORD), "203.0.113.9")
    return {"Cookie": f"__Host-th={done.cookie.reveal()}"}


async def test_a_session_has_the_rights_of_the_role_and_never_the_machines(house):
    for role in Role:
        await house.add(role.value, role.value)
        async with house.caller() as http:
            answer = await http.get(ME_PATH, headers=await signed_in(house, role.value))
        assert answer.json()["principal"] == f"user:{role.value}" and answer.json()["door"] == "console"
        assert set(answer.json()["scopes"]) == {right.value for right in MAY[role]}
        assert not {"tokens:read", "signals:write", "host"} & set(answer.json()["scopes"])


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": PUBLIC}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://blog.agency.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_what_changes_something_has_to_come_from_our_pages(house, method, headers, let_in):
    await house.add()
    await house.key()
    cookie = await signed_in(house)
    path = "/api/v1/keys/middleware" + ("/rotate" if method == "POST" else "")
    async with house.caller() as http:
        more = {"If-Match": "*"} | (
            {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        )
        body = {"content": "{}"} if method == "PATCH" else {}
        answer = await http.request(method, path, headers=cookie | headers | more, **body)
        assert answer.status_code in (200, 204) if let_in else code(answer) == (403, "cross_site")
        assert (await http.get(ME_PATH, headers=cookie | headers)).status_code == 200, "reading does no harm"


async def test_a_session_ends_after_twelve_idle_hours_and_seven_days_at_most(house):
    await house.add()
    cookie, clock = await signed_in(house), house.rig.clock
    async with house.caller() as http:

        async def good():
            return (await http.get(ME_PATH, headers=cookie)).status_code == 200

        clock.tick(hours=11, minutes=59)
        assert await good()
        clock.tick(hours=12)
        assert not await good()
        cookie = await signed_in(house)
        hours = 0
        while await good():
            clock.tick(hours=6)
            hours += 6
        assert hours == 7 * 24


@pytest.mark.parametrize(
    "change", [{"role": "operator"}, {"password": Secret("another good password")}, None]
)
async def test_another_role_or_password_ends_sessions_and_so_does_removal(house, change):
    await house.add()
    cookie = await signed_in(house)
    if change is None:
        await people.remove(house.parts, ME, "anna")
        await house.add("other")
    else:
        await people.change(house.parts, ME, "anna", **change)
    async with house.caller() as http:
        assert code(await http.get(ME_PATH, headers=cookie)) == (401, "no_credentials")


async def test_a_cookie_that_was_made_up_is_none(house):
    await house.add()
    async with house.caller() as http:
        for cookie in ("__Host-th=", "__Host-th=x", "th=x", f"__Host-th={'x' * 5000}"):
            assert code(await http.get(ME_PATH, headers={"Cookie": cookie})) == (401, "no_credentials")


# -- this machine -------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [LOCAL, "http://localhost:8080", "http://[::1]:8080", "http://localhost"])
async def test_whoever_is_on_this_machine_is_its_administrator(home, base):
    async with home.caller("127.0.0.1", base) as http:
        found = (await http.get(ME_PATH)).json()
    assert found["principal"] == "loopback" and set(found["scopes"]) == {
        right.value for right in MAY[Role.ADMIN]
    }


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Port", "Forwarded",
     "X-Real-IP", "Via", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"],
)  # fmt: skip
async def test_not_who_comes_through_a_proxy(home, name):
    await home.add()
    async with home.caller("127.0.0.1", LOCAL) as http:
        assert code(await http.get(ME_PATH, headers={name: "127.0.0.1"})) == (401, "no_credentials")


async def test_not_who_comes_through_a_proxy_that_says_nothing_of_it(home):
    """nginx with a `proxy_pass` alone: HTTP/1.0, our own address as Host, and no header of its own."""
    await home.add()
    served = home.served()

    async def by_nginx(scope, receive, send):
        await served(scope | {"http_version": "1.0"}, receive, send)

    async with home.caller("127.0.0.1", LOCAL, app=by_nginx) as http:
        assert code(await http.get(ME_PATH)) == (401, "no_credentials")
        key = await home.key()
        assert (await http.get(ME_PATH, headers=bearer(key))).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.internal", "127.0.0.2", "127.0.0.1.nip.test", "box", "[::2]", "localhost.", ""]
)
async def test_not_who_asks_by_another_name_as_a_rebound_page_does(home, host):
    await home.add()
    async with home.caller("127.0.0.1", LOCAL) as http:
        answer = await http.get(ME_PATH, headers={"Host": host})
    assert answer.status_code in (401, 421)


async def test_not_while_others_could_reach_it(home):
    await home.add()
    async with home.caller("127.0.0.1", LOCAL, listen="0.0.0.0") as http:  # noqa: S104
        assert code(await http.get(ME_PATH)) == (401, "no_credentials")
    async with home.caller("203.0.113.9", LOCAL) as http:
        assert code(await http.get(ME_PATH)) == (401, "no_credentials")


async def test_not_where_a_proxy_stands_before_it(house):
    await house.add()
    async with house.caller("127.0.0.1", LOCAL) as http:
        assert code(await http.get(ME_PATH)) == (401, "no_credentials")


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({}, True),  # curl
        ({"Sec-Fetch-Site": "same-origin", "Origin": LOCAL}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
async def test_a_page_in_the_administrators_browser_is_not_they(home, headers, let_in):
    body = {"name": "m", "scopes": ["connections:read"]}
    async with home.caller("127.0.0.1", LOCAL) as http:
        answer = await http.post("/api/v1/keys", json=body, headers=headers)
    assert answer.status_code == 201 if let_in else code(answer) == (403, "cross_site")


async def test_until_there_is_a_user_strangers_are_told_how_to_add_one(house):
    text = await house.key()
    app = house.served()
    async with house.caller(app=app) as http:
        answer = await http.get(ME_PATH)
        assert code(answer) == (403, "sign_in_first")
        assert answer.json()["remedies"][0]["operation"] == "people.add"
        assert (await http.get(ME_PATH, headers=bearer(text))).status_code == 200, "keyed calls work"
        assert "token-health users add NAME --role admin" in (await http.get("/sign-in")).text
        await house.add()
        assert code(await http.get(ME_PATH)) == (401, "no_credentials")


async def test_a_program_that_is_refused_again_and_again_does_not_fill_the_audit(house):
    text = await house.key(only=Restriction(networks=("10.0.0.0/8",)))
    async with house.caller() as http:
        for _ in range(30):
            assert code(await http.get(ME_PATH, headers=bearer(text))) == (403, "wrong_network")
    assert len([line for line in await house.lines("action") if line == ("access.refused",)]) == 20
