"""Strangers at the clients' pages: malformed headers, guessed links, rates, and the trip's cookie."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from starlette.responses import PlainTextResponse

from monitor.service.assembly import build_pages
from monitor.web import rates
from monitor.web.app import application
from monitor.web.ops import Ops, Pulse
from monitor.web.proxies import Stranger
from tests.conftest import SetClock
from tests.integration.test_consent import approve, broken, browser_on, start, title, user_of

LONG = "x" * 9000


@contextlib.asynccontextmanager
async def pages_of(rig, *, public_url=None, peer="192.0.2.7"):
    ops = Ops(None, lambda: Pulse(True, 0.0, 1, {}), lambda: None)
    pages = build_pages(rig.parts, rig.granter, rig.watching.rounds, rig.meters)
    pages.public_url = public_url or pages.public_url
    transport = httpx.ASGITransport(application(ops, pages), client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url=pages.public_url) as client:
        client.pages = pages
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://[bad"}, {"Origin": "http://x:99999"}, {"Origin": "http://evil.example"},
        {"Origin": "\xff\xfe"}, {"Origin": "null\x00"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "//"},
    ],
)  # fmt: skip
async def test_a_form_from_elsewhere_or_nowhere_is_refused_in_words(mailrig, headers):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        answer = await browser.post(
            urlsplit(link).path, headers={k: v.encode("latin-1") for k, v in headers.items()}
        )
    assert 400 <= answer.status_code < 500 and "<h1>" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "[bad"}, {"Host": "evil.example"}, {"Host": "\xff"}, {"Referer": "http://[bad"},
        {"X-Forwarded-For": "\xff, ,;"}, {"X-Forwarded-Proto": "gopher"}, {"X-Forwarded-Host": "evil.example"},
        {"Accept-Language": "q=;;,*;q=abc, \xff"}, {"Accept-Language": "a" * 5000}, {"Cookie": "\xff=\xfe; ;;="},
        {"Content-Type": "multipart/form-data"}, {"Content-Length": "-1"}, {"Accept": "\xff"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/r/guess"), ("POST", "/r/guess"), ("GET", "/oauth/callback?state=a&code=b"), ("GET", "/r/"),
        ("GET", "/static/logo"), ("GET", "/healthz"), ("GET", "/again/0"), ("GET", "/nowhere"),
    ],
)  # fmt: skip
async def test_no_header_brings_down_a_page_or_shows_up_in_a_redirect(rig, method, path, headers):
    async with browser_on(rig) as browser:
        answer = await browser.request(
            method, path, headers={k: v.encode("latin-1") for k, v in headers.items()}
        )
    assert answer.status_code < 500
    assert "location" not in answer.headers and "evil.example" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/r/%00", "/r/%ff%fe", "/r/%ed%a0%80", "/r/..%2f..%2fetc", "/r/%0d%0aLocation:x", "/again/%00",
        "/oauth/callback?state=%00&code=%00", "/oauth/callback?state=%ff&error=%00", "/oauth/callback?&&==&",
        "/oauth/callback?state=a&state=b&code=%ed%a0%80", "/oauth/callback?" + "&".join(["a=b"] * 1500),
        "/oauth/callback?code=" + LONG, f"/r/{LONG}",
    ],
)  # fmt: skip
async def test_no_escape_or_length_brings_down_a_page(rig, path):
    async with browser_on(rig) as browser:
        answer = await browser.get(path)
    assert 400 <= answer.status_code < 500


async def test_a_trailing_slash_leads_nowhere_least_of_all_to_the_host_header(mailrig):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        for path in (f"{urlsplit(link).path}/", "/oauth/callback/", "/healthz/"):
            answer = await browser.get(path, headers={"Host": "evil.example"})
            assert answer.status_code == 404 and "location" not in answer.headers, path


async def test_the_cookie_is_bound_to_the_host_and_does_not_hold_the_links_secret(mailrig):
    link = await broken(mailrig)
    secret = urlsplit(link).path.removeprefix("/r/")
    async with pages_of(mailrig, public_url="https://th.example") as browser:
        answer = await browser.post(f"/r/{secret}")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-th_") and secret not in cookie
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "path=/", "httponly", "samesite=lax"} <= parts
    assert not any(part.startswith("domain") for part in parts)


async def test_a_declined_trip_begins_again_by_its_cookie_and_in_no_other_browser(mailrig):
    link = await broken(mailrig)
    async with browser_on(mailrig) as browser:
        consent = await start(browser, link)
        answer = await browser.get(await approve(consent, user_of(mailrig, "acme"), "decline"))
        again = answer.text.split('class="button" href="')[1].split('"')[0]
        assert again.startswith("/again/") and urlsplit(link).path not in answer.text
        assert title(await browser.get(again)) == "Reconnect Clio Manage"
        async with browser_on(mailrig) as other:
            assert (await other.get(again)).status_code == 404
            assert (await other.post(again)).status_code == 404
            other.cookies = dict.fromkeys(browser.cookies, "guess")
            assert (await other.get(again)).status_code == 404
        back = await browser.get(await approve(await start(browser, again), user_of(mailrig, "acme")))
        assert title(back) == "Thank you, it works"


async def test_guessed_links_count_for_their_address_and_take_no_place_of_their_own(rig):
    async with pages_of(rig) as browser:
        codes = [(await browser.get(f"/r/guess{i}")).status_code for i in range(80)]
        assert (codes[:60], set(codes[60:])) == ([404] * 60, {429})
        assert len(browser.pages._rates) == 1


async def test_a_known_link_has_a_limit_of_its_own_from_wherever(mailrig):
    link = await broken(mailrig)
    codes = []
    async with pages_of(mailrig) as browser:
        for i in range(40):
            browser._transport.client = (f"198.51.100.{i}", 1)
            codes.append((await browser.get(urlsplit(link).path)).status_code)
    assert codes == [200] * 30 + [429] * 10


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("nonsense", "", True),
    ],
)
def test_addresses_of_one_subscriber_are_counted_together(one, other, together):
    assert (rates.whose(one) == rates.whose(other)) is together


def test_a_hundred_thousand_addresses_cost_no_more_than_ten_thousand():
    found = rates.Rates(SetClock())
    for i in range(100_000):
        assert found.address(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}")
    assert len(found) == rates.MOST_KEYS


def test_a_full_minute_later_the_address_may_ask_again():
    clock = SetClock()
    found = rates.Rates(clock)
    assert [found.address("192.0.2.1") for _ in range(61)] == [True] * 60 + [False]
    clock.tick(seconds=61)
    assert found.address("192.0.2.1")


@pytest.mark.parametrize(("proxies", "told"), [(("127.0.0.1",), 1), (("10.0.0.0/8",), 0)])
async def test_a_proxy_that_nobody_named_is_told_of_once(proxies, told):
    async def nothing(scope, receive, send):
        await PlainTextResponse("")(scope, receive, send)

    transport = httpx.ASGITransport(Stranger(nothing, proxies), client=("10.1.2.3", 1))
    with structlog.testing.capture_logs() as lines:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as browser:
            await browser.get("/")
            for _ in range(3):
                await browser.get("/", headers={"X-Forwarded-For": "192.0.2.1"})
    assert [line["address"] for line in lines if line["event"] == "web.unknown_proxy"] == ["10.1.2.3"] * told
