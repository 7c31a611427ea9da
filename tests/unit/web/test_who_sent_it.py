"""Where somebody is sent after signing in, and which page let a browser ask."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from monitor.web.doorkeeper import cookie_name
from monitor.web.origin import of_our_pages
from monitor.web.signin import FIRST, safe_target


@pytest.mark.parametrize("target", ["/", "/connections?state=broken", "/incidents/12", "/a//b"])
def test_a_page_of_ours_is_a_target(target):
    assert safe_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None, "", "//evil.example", "///evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "evil.example", " /x", "/x\x00", "/" * 3000,
    ],
)  # fmt: skip
def test_no_other_site_is(target):
    assert safe_target(target) == FIRST


def asked(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "https://th.example"}, False),
        ({"origin": "https://th.example"}, True),
        ({"origin": "https://th.example:443"}, True),
        ({"origin": "http://th.example"}, False),
        ({"origin": "https://th.example.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, False),
    ],
)
def test_what_is_posted_by_a_page_of_ours(headers, ours):
    assert of_our_pages(asked(**headers), "https://th.example") is ours


def test_the_cookie_is_the_hosts_own_but_on_this_machine_without_tls():
    assert cookie_name("https://th.example") == cookie_name("http://th.example") == "__Host-th"
    assert cookie_name("https://127.0.0.1") == "__Host-th"
    assert cookie_name("http://127.0.0.1:8080") == cookie_name("http://localhost:8080") == "th"
