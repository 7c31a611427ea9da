"""Servers that hang, lie, drip, shout, or are somebody else: a token is never made of that."""

from __future__ import annotations

import json
import socket
import time

import pytest
from conftest import KEY
from played import stranger

from token_health_client import TryLater, Unreachable
from token_health_client._values import Lost, Request
from token_health_client._wire import Address, Key, Wire

GOOD = {"connection": "acme-clio", "access_token": "secret", "generation": 17, "expires_in": 3600}


def answered(status=200, told=GOOD, media="application/json", more=""):
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def says(*answers):
    """Give one answer a request, whatever is asked; the last one for ever."""
    waiting = list(answers)

    def talk(sock):
        while sock.recv(65_536):
            sock.sendall(waiting.pop(0) if len(waiting) > 1 else waiting[0])

    return talk


@pytest.mark.parametrize(
    "answer",
    [
        answered(told=b"<html>Sign in</html>", media="text/html"),
        answered(told=b"{"),
        answered(told=b"[]"),
        answered(told=b"\xff\xfe"),
        answered(told=b"[" * 200_000),
        answered(told=b'{"generation": ' + b"9" * 5000 + b"}"),
        answered(told={}),
        answered(told={**GOOD, "access_token": ""}),
        answered(told={**GOOD, "access_token": None}),
        answered(told={**GOOD, "access_token": "a\r\nX-Evil: 1"}),
        answered(told={**GOOD, "access_token": ["secret"]}),
        answered(told={**GOOD, "connection": "globex"}),
        answered(told={**GOOD, "generation": "17"}),
        answered(told={**GOOD, "generation": True}),
        answered(told={**GOOD, "expires_in": "3600"}),
        answered(told={**GOOD, "expires_in": -1}),
        answered(told={**GOOD, "expires_in": float("nan")}),
        answered(204, b""),
        answered(206),
        answered(304, b""),
        answered(301, b"", more="Location: http://127.0.0.1:1/\r\n"),
        answered(404, b"default backend - 404", "text/plain"),
        answered(409, {"code": "needs_person"}, "application/json"),
        answered(403, b"<h1>Blocked</h1>", "application/problem+json"),
        answered(403, {"title": "x"}, "application/problem+json"),
        answered(502, b"<h1>Bad gateway</h1>", "text/html"),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=range(32),
)
def test_what_is_not_token_healths_own_says_nothing_and_is_bridged(make, clock, answer):
    def talk(sock):
        sock.recv(65_536)
        sock.sendall(answered())
        sock.recv(65_536)
        sock.sendall(answer)

    def only(sock):
        sock.recv(65_536)
        sock.sendall(answer)

    with stranger(talk) as url:
        th = make(url)
        first = th.token("acme-clio")
        clock.tick(3301)
        assert th.token("acme-clio") is first
    with stranger(only) as url, pytest.raises(Unreachable) as caught:
        make(url).token("acme-clio")
    assert "secret" not in str(caught.value)


def test_lives_beyond_all_reason_break_nothing(make):
    for life in (10**400, 1e308, 0, 0.5):
        with stranger(says(answered(told={**GOOD, "expires_in": life}))) as url:
            assert make(url).token("acme-clio").expires_in <= 10 * 365 * 86_400


def test_what_is_only_decoration_may_be_nonsense(make):
    odd = {
        **GOOD,
        "base_url": 3,
        "account": [],
        "values": "x",
        "scopes": "all",
        "health": None,
        "shortfall": 1,
        "token_type": "a b",
    }
    with stranger(says(answered(told=odd))) as url:
        token = make(url).token("acme-clio")
    assert (token.base_url, token.account, token.scopes, token.health) == ("", None, (), {})
    assert token.values == {}
    assert token.headers == {"Authorization": "Bearer secret"}


def test_ten_megabytes_are_not_read(make):
    sent = []

    def shout(sock):
        sock.recv(65_536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(1000):
            sock.sendall(b" " * 10_000)
            sent.append(10_000)

    with stranger(shout) as url, pytest.raises(Unreachable):
        make(url).token("acme-clio")
    assert sum(sent) < 10_000_000


def hang(sock):
    sock.recv(65_536)
    sock.recv(65_536)


def drip_a_head(sock):
    sock.recv(65_536)
    while True:
        sock.sendall(b"HTTP/1.1 200 OK\r\nX: "[:1])
        time.sleep(0.01)


def drip_a_body(sock):
    sock.recv(65_536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        sock.sendall(b" ")
        time.sleep(0.01)


@pytest.mark.parametrize("talk", [hang, drip_a_head, drip_a_body])
def test_an_answer_has_to_be_whole_in_time_however_slowly_it_drips(talk):
    with stranger(talk) as url:
        wire = Wire(Address.of(url), Key(KEY))
        heard = wire.send(Request("GET", "/connections/x/token", 0.05))
    assert isinstance(heard, Lost)
    assert "in time" in heard.why


def test_a_server_that_is_not_there_is_left_alone_for_a_while_by_all_connections(make, clock):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    th = make(f"http://127.0.0.1:{port}")
    with pytest.raises(Unreachable) as caught:
        th.token("acme-clio")
    assert caught.value.seconds == 5
    clock.tick(2)
    with pytest.raises(Unreachable) as caught:
        th.token("globex")
    assert (caught.value.seconds, caught.value.connection) == (3, "globex")


def test_a_server_that_goes_on_failing_is_asked_ever_more_seldom(make, server, clock):
    th = make()
    server.always["token"] = 502, {}, b""
    waits = []
    for _ in range(6):
        with pytest.raises(TryLater) as caught:
            th.token("acme-clio")
        waits.append(caught.value.seconds)
        clock.tick(caught.value.seconds + 1)
    assert waits == [5, 10, 20, 40, 60, 60]
    server.always.clear()
    assert th.token("acme-clio").generation == 17


def test_a_kept_connection_that_was_closed_is_opened_anew(make, clock):
    served = []

    def once(sock):
        sock.recv(65_536)
        served.append(1)
        sock.sendall(answered())

    with stranger(once) as url:
        th = make(url)
        for _ in range(3):
            th.token("acme-clio")
            clock.tick(3601)
    assert len(served) == 3


def test_requests_share_a_connection(make, clock):
    opened = []

    def talk(sock):
        opened.append(1)
        says(answered())(sock)

    with stranger(talk) as url:
        th = make(url)
        for _ in range(3):
            th.token("acme-clio")
            clock.tick(3601)
        th.close()
    assert len(opened) == 1


def test_a_server_that_echoes_the_key_does_not_get_it_into_an_exception(make):
    echo = {"code": "invalid", "title": f"Bearer {KEY}", "detail": KEY}
    for answer in (
        answered(422, echo, "application/problem+json", f"X-Request-Id: {KEY}\r\n"),
        f"HTTP/1.1 Bearer {KEY}\r\n\r\n".encode(),
        f"{KEY}\r\n\r\n".encode(),
        answered(500, b"", KEY),
    ):
        with stranger(says(answer)) as url:
            th = make(url)
            with pytest.raises(Exception) as caught:
                th.token("acme-clio")
        assert (
            KEY
            not in f"{caught.value!r} {caught.value} {caught.value.problem!r} {caught.value.__context__!r}"
        )


def test_proxies_of_the_environment_are_not_used(make, server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert make().token("acme-clio").generation == 17


@pytest.mark.parametrize(
    "url",
    [
        "",
        "th.example",
        "ftp://th.example",
        "https://",
        "https://u:p@th.example",
        "https://th.example?key=x",
        "https://th.example:x",
        "https://th.example/a b",
        "https://" + "a" * 70 + ".example",
        "https://[::1",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_shown(url, make):
    with pytest.raises(ValueError, match="address") as caught:
        make(url)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "   ", None, "thk_a\r\nX: y", "thk_ü"])
def test_a_key_that_is_none_is_refused_without_being_shown(key, make):
    with pytest.raises(ValueError, match="missing, or is no key") as caught:
        make(key=key)
    assert caught.value.__context__ is None


def test_a_key_from_a_file_may_end_in_a_line(make):
    assert make(key=f"{KEY}\n").token("acme-clio").generation == 17


@pytest.mark.parametrize(
    "wish",
    [
        {"min_ttl": -1},
        {"min_ttl": 90_000},
        {"min_ttl": 3.5},
        {"accept_ttl": 400},
        {"wait": 61},
        {"stale_if_down": -1},
        {"margin": 0},
    ],
)
def test_wishes_beyond_the_contract_are_refused(wish, make):
    with pytest.raises(ValueError, match="seconds"):
        make(**wish)
