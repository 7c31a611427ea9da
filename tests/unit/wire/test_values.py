"""Values in URLs and headers: each one segment, nothing but what fits, no token to where nobody allowed it."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.providers.schema import Value
from monitor.wire import values as filling

PLAIN, ADDRESS = Value(), Value(hosts=("login.x.example", ".my.x.example"))
OWN = frozenset({"http://127.0.0.1:8081", "https://stand-in.example:8443"})


@pytest.mark.parametrize("text", ["9130", "a.b-c_d", "x" * 200])
def test_what_fits_is_taken(text):
    assert filling.why_not("realm", PLAIN, text) is None


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a b", "a\nb", "a?b", "a#b", "a%2fb", "é", "x" * 201, "9130\n", "\x00"]
)
def test_what_does_not_fit_is_not_taken(text):
    assert filling.why_not("realm", PLAIN, text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "https://login.x.example", "https://acme.my.x.example", "https://acme.my.x.example:443",
        "http://127.0.0.1:8081", "https://stand-in.example:8443",
    ],
)  # fmt: skip
def test_an_address_on_an_allowed_host_is_taken(text):
    assert filling.why_not("instance", ADDRESS, text, OWN) is None


@pytest.mark.parametrize(
    "text",
    [
        "http://login.x.example", "https://x.example", "https://my.x.example.evil.example",
        "https://evilmy.x.example", "https://login.x.example.", "https://login.x.example:8443",
        "https://login.x.example/path", "https://login.x.example?q", "https://login.x.example#f",
        "https://evil.example\\.my.x.example", "https://evil.example%2f.my.x.example",
        "https://user@login.x.example", "https://login.x.example@evil.example", "https://login.x.example\\@e",
        "https://evil.example#.my.x.example", "https://evil.example/.my.x.example", "//login.x.example",
        "http://127.0.0.1:9999", "https://127.0.0.1", "https://169.254.169.254", "https://[::1", "login.x.example",
        "javascript:alert(1)", "https://", "HTTPS://login.x.example ", "https://stand-in.example",
        "http://stand-in.example:8443",
    ],
)  # fmt: skip
def test_an_address_elsewhere_is_not(text):
    assert filling.why_not("instance", ADDRESS, text, OWN) is not None


def test_an_address_has_to_fit_a_pattern_only_where_one_is_said():
    strict = Value(hosts=(".my.x.example",), pattern=r"https://[a-z]+\.my\.x\.example")
    assert filling.why_not("instance", strict, "https://acme.my.x.example") is None
    assert filling.why_not("instance", strict, "https://acme2.my.x.example") is not None


def test_http_is_for_this_machine_alone_even_where_apps_name_it():
    assert filling.why_not("instance", ADDRESS, "http://api.x.example", frozenset({"http://api.x.example"}))


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_whatever_a_value_is_it_stays_one_segment_of_the_very_host(text):
    url = filling.url_with(
        "https://api.x.example/v3/{values.realm}/info?c={values.realm}", {"realm": text}, ()
    )
    parts = urlsplit(url)
    assert parts.netloc == "api.x.example" and parts.path.count("/") == 3 and not parts.fragment
    assert unquote(parts.path.split("/")[2]) == text and unquote(parts.query) == f"c={text}"


def test_a_url_lacks_what_it_is_not_given_and_one_without_placeholders_is_left_alone():
    plain = "https://api.x.example/me"
    assert filling.url_with(plain, {}, ()) is plain
    assert filling.url_with("{values.instance}/me", {}, {"instance"}) == ""
    at = {"instance": "https://acme.my.x.example", "realm": "a{values.instance}"}
    assert filling.url_with("{values.instance}/{values.realm}", at, {"instance"}) == (
        "https://acme.my.x.example/a%7Bvalues.instance%7D"
    )
    assert filling.header_with("r {values.realm}", {"realm": "7"}) == "r 7"


def provider(account="", **values):
    return SimpleNamespace(values=values, whoami=SimpleNamespace(account_value=account))


def test_the_callback_speaks_before_the_token_and_what_does_not_fit_leaves_its_place_to_the_next():
    file = provider(realm=Value(callback="realmId", token="realm"))
    assert filling.of_callback(file, {"realmId": "1"}, {"realm": "2"}, ()) == {"realm": "1"}
    assert filling.of_callback(file, {"realmId": "../1"}, {"realm": "2"}, ()) == {"realm": "2"}
    assert filling.of_callback(file, {}, {"realm": ["2"]}, ()) == {}
    assert filling.of_callback(file, {}, None, ()) == {}


@pytest.mark.parametrize(
    ("value", "account", "known", "said", "taken"),
    [
        (Value(token="t"), "", {}, {"t": "2"}, {"v": "2"}),
        (Value(token="t"), "", {"v": "1"}, {"t": "2"}, {"v": "2"}),
        (Value(token="t"), "", {"v": "2"}, {"t": "2"}, {}),
        (Value(token="t"), "", {"v": "1"}, {"t": "/"}, {}),
        (Value(token="t"), "", {"v": "1"}, {}, {}),
        (Value(token="t", callback="c"), "", {"v": "1"}, {"t": "2"}, {}),
        (Value(token="t"), "v", {"v": "1"}, {"t": "2"}, {}),
        (Value(token="t"), "v", {}, {"t": "2"}, {"v": "2"}),
        (Value(whoami="t"), "", {}, {"t": "2"}, {}),
    ],
)
def test_a_refresh_brings_what_nothing_before_it_settled(value, account, known, said, taken):
    assert filling.of_refresh(provider(account, v=value), said, known, ()) == taken


def test_whoami_brings_what_lacks_and_what_only_it_says():
    file = provider(a=Value(whoami="a"), b=Value(token="b", whoami="b"))
    assert filling.of_whoami(file, {"a": "1", "b": "1"}, {}, ()) == {"a": "1", "b": "1"}
    assert filling.of_whoami(file, {"a": "2", "b": "2"}, {"a": "1", "b": "1"}, ()) == {"a": "2"}
