"""The pages on which people sign in and out, as browsers ask for them."""

from __future__ import annotations

import pytest

from monitor.operations import people
from tests.conftest import ME
from tests.integration.access.conftest import PASSWORD, PUBLIC

OURS = {"Sec-Fetch-Site": "same-origin"}


def form(name="anna", password=PASSWORD, **more):
    return {"name": name, "password": password} | more


async def test_signed_in_one_goes_to_the_page_that_was_wanted_and_out_again(house):
    await house.add()
    async with house.caller() as browser:
        page = await browser.get("/sign-in?next=/connections")
        assert page.status_code == 200 and 'name="next" value="/connections"' in page.text
        done = await browser.post("/sign-in", data=form(next="/connections"), headers=OURS)
        assert (done.status_code, done.headers["location"]) == (303, "/connections")
        (cookie,) = done.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-th=")
        assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= set(
            cookie.split("; ")
        ) and "Domain" not in cookie
        assert (await browser.get("/api/v1/me")).json()["principal"] == "user:anna"
        assert "You are <strong>anna</strong>" in (await browser.get("/sign-in")).text
        out = await browser.post("/sign-out", headers=OURS)
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        assert "__Host-th=" in out.headers["set-cookie"] and "Max-Age=0" in out.headers["set-cookie"]
        assert (await browser.get("/api/v1/me", headers={"Cookie": cookie.split(";")[0]})).status_code == 401
    lines = await house.lines("actor", "action", "detail")
    assert [line[:2] for line in lines if line[0] == "user:anna"] == [
        ("user:anna", "user.sign_in"),
        ("user:anna", "user.sign_out"),
    ]
    assert [line[2]["from"] for line in lines if line[0] == "user:anna"] == ["203.0.113.9"] * 2


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
async def test_nobody_is_sent_to_another_site(house, target):
    await house.add()
    async with house.caller() as browser:
        done = await browser.post("/sign-in", data=form(next=target), headers=OURS)
        assert done.headers["location"] == "/"


async def test_a_wrong_name_and_a_wrong_password_read_alike(house):
    await house.add()
    async with house.caller() as browser:
        pages = [
            await browser.post("/sign-in", data=form(name, password), headers=OURS)
            for name, password in (("anna", "wrong"), ("nobody", "wrong"), ("", ""))
        ]
    texts = [page.text.replace('value="anna"', "").replace('value="nobody"', "") for page in pages]
    assert [page.status_code for page in pages] == [401] * 3 and texts[0] == texts[1]
    assert "do not belong together. 4 more tries" in texts[0] and "wrong" not in texts[0]


async def test_the_sixth_try_waits(house):
    await house.add()
    async with house.caller() as browser:
        for _ in range(5):
            last = await browser.post("/sign-in", data=form(password="wrong"), headers=OURS)
        assert "Wait a minute before the next try" in last.text
        answer = await browser.post("/sign-in", data=form(), headers=OURS)
    assert (answer.status_code, answer.headers["retry-after"]) == (
        429,
        "60",
    ) and "Too many attempts" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": PUBLIC},
    ],
)
async def test_another_site_signs_nobody_in_or_out(house, headers):
    await house.add()
    async with house.caller() as browser:
        refused = await browser.post("/sign-in", data=form(), headers=headers)
        assert refused.status_code == 403 and "set-cookie" not in refused.headers
        await browser.post("/sign-in", data=form(), headers=OURS)
        assert (await browser.post("/sign-out", headers=headers)).status_code == 403
        assert (await browser.get("/api/v1/me")).status_code == 200


async def test_pages_load_nothing_from_elsewhere_and_stand_in_no_frame(house):
    await house.add()
    async with house.caller() as browser:
        page, css = await browser.get("/sign-in"), await browser.get("/static/console.css")
    policy = page.headers["content-security-policy"]
    assert (
        "default-src 'none'" in policy
        and "frame-ancestors 'none'" in policy
        and "form-action 'self'" in policy
    )
    assert page.headers["cache-control"] == "no-store" and css.headers["content-type"].startswith("text/css")
    assert "<script" not in page.text and "http://" not in page.text.replace("http://www.w3.org", "")


async def test_what_is_written_into_the_form_is_text(house):
    await house.add()
    async with house.caller() as browser:
        page = await browser.post("/sign-in", data=form('"><b>x', next='/"><i>'), headers=OURS)
        assert "<b>" not in page.text and "<i>" not in page.text
        for content, kind in (
            (b"\xff" * 10, "application/x-www-form-urlencoded"),
            (b"{}", "application/json"),
            (b"a=1&" * 100, "application/x-www-form-urlencoded"),
        ):
            odd = await browser.post("/sign-in", content=content, headers=OURS | {"Content-Type": kind})
            assert odd.status_code in (401, 429)


async def test_a_provider_that_there_is_not_is_not_there(house):
    await house.add()
    async with house.caller() as browser:
        assert (await browser.get("/sign-in/oidc")).status_code == 404
        assert (await browser.get("/oidc/callback?code=x&state=y")).status_code == 404


async def test_on_this_machine_without_tls_the_cookie_is_plain(home):
    await home.add()
    async with home.caller("127.0.0.1", "http://127.0.0.1:8080") as browser:
        done = await browser.post("/sign-in", data=form(), headers=OURS)
        cookie = done.headers["set-cookie"]
        assert cookie.startswith("th=") and "Secure" not in cookie and "HttpOnly" in cookie
        assert (await browser.get("/api/v1/me")).json()["principal"] == "user:anna"


async def test_people_are_leafed_through_by_name_and_none_is_skipped_where_others_come_and_go(home):
    for name in ("dora", "anna", "carl", "emil", "bert"):
        await home.add(name)
    async with home.caller("127.0.0.1", "http://127.0.0.1:8080") as http:
        first = (await http.get("/api/v1/users?limit=2")).json()
        assert [one["name"] for one in first["items"]] == ["anna", "bert"]
        assert (await http.delete("/api/v1/users/bert", headers={"If-Match": "*"})).status_code == 204
        await home.add("abel")
        second = await http.get(f"/api/v1/users?limit=2&cursor={first['next']}")
        assert [one["name"] for one in second.json()["items"]] == ["carl", "dora"]
        assert 'rel="next"' in second.headers["link"]
        last = (await http.get(f"/api/v1/users?limit=2&cursor={second.json()['next']}")).json()
        assert ([one["name"] for one in last["items"]], last["next"]) == (["emil"], None)
        odd = await http.get(f"/api/v1/users?limit=3&cursor={first['next']}x")
        assert odd.status_code == 400 and odd.json()["code"] == "bad_cursor"


async def test_people_over_the_api(home):
    async with home.caller("127.0.0.1", "http://127.0.0.1:8080") as http:
        made = await http.post("/api/v1/users", json=form(role="viewer"))
        assert made.status_code == 201 and made.headers["etag"] == '"r1"' and PASSWORD not in made.text
        where = made.headers["location"]
        assert (await http.post("/api/v1/users", json=form(role="viewer"))).json()["code"] == "exists"
        for wrong in (
            form(role="king"),
            form("bob", "short", role="viewer"),
            form(role="viewer", x=1),
            form(),
        ):
            assert (await http.post("/api/v1/users", json=wrong)).status_code == 422
        patch = {"Content-Type": "application/merge-patch+json"}
        assert (await http.patch(where, content='{"role": "admin"}', headers=patch)).status_code == 428
        done = await http.patch(where, content='{"role": "admin"}', headers=patch | {"If-Match": '"r1"'})
        assert (done.json()["role"], done.headers["etag"]) == ("admin", '"r2"')
        late = await http.patch(where, content='{"role": "viewer"}', headers=patch | {"If-Match": '"r1"'})
        assert late.status_code == 412 and late.json()["revision"] == 2
        assert [one["name"] for one in (await http.get("/api/v1/users")).json()["items"]] == ["anna"]
        assert (await http.delete(where, headers={"If-Match": '"r2"'})).status_code == 204
        assert (await http.get(where)).json()["code"] == "not_found"
    assert await people.every(home.parts, ME) == []


async def test_keys_over_the_api(home):
    async with home.caller("127.0.0.1", "http://127.0.0.1:8080") as http:
        asked = {
            "name": "middleware", "scopes": ["tokens:read", "signals:write"], "expires_at": "2027-02-01T00:00:00Z",
            "only": {"apps": ["clio-us"], "labels": {"tier": "gold"}, "connections": ["acme-*"], "networks": ["127.0.0.0/8"]},
        }  # fmt: skip
        made = await http.post("/api/v1/keys", json=asked)
        assert made.status_code == 201, made.text
        key = made.json()
        assert (
            key["only"] == asked["only"] | {"labels": {"tier": ["gold"]}}
            and key["expires_at"] == asked["expires_at"]
        )
        assert (key["last_used_at"], key["state"], key["revision"]) == (None, "active", 1)
        where = made.headers["location"]
        me = await http.get("/api/v1/me", headers={"Authorization": f"Bearer {key['secret']}"})
        assert me.json()["principal"] == f"key:{key['id']}"
        shown = await http.get(where)
        assert "secret" not in shown.json() and shown.headers["etag"] == '"r1"'
        wrong = [
            asked | {"scopes": ["users:write"]},
            asked | {"scopes": ["host"]},
            asked | {"expires_at": "2030-01-01T00:00:00Z"},
        ]
        codes = [(await http.post("/api/v1/keys", json=one)).json()["code"] for one in wrong]
        assert codes == ["beyond_own_rights", "invalid", "invalid"]
        patch = {"Content-Type": "application/merge-patch+json", "If-Match": '"r1"'}
        done = await http.patch(where, content='{"only": null, "name": "m"}', headers=patch)
        assert (done.json()["only"], done.json()["name"]) == (
            {"apps": None, "labels": None, "connections": None, "networks": None},
            "m",
        )
        rotated = await http.post(f"{where}/rotate", json={"grace": "1h"})
        assert rotated.json()["secret"] != key["secret"] and rotated.json()["old_secret_until"]
        again = {"Idempotency-Key": "one-key"}
        twice = [await http.post("/api/v1/keys", json=asked, headers=again) for _ in range(2)]
        assert twice[0].json()["secret"] == twice[1].json()["secret"], "told again to who asked again"
        page = (await http.get("/api/v1/keys?limit=1")).json()
        rest = (await http.get(f"/api/v1/keys?limit=1&cursor={page['next']}")).json()
        assert len({page["items"][0]["id"], rest["items"][0]["id"]}) == 2 and rest["next"] is None
        assert (await http.delete(where, headers={"If-Match": "*"})).status_code == 204
        assert (await http.get(where)).json()["state"] == "revoked"
