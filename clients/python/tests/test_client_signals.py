"""Signals: what leaves, when, and what never does."""

from __future__ import annotations

import email.message
import io
import json
import threading
import urllib.error
import urllib.request
from datetime import timedelta

import httpx
import pytest
import requests
from played import problem, stranger

from token_health_client import _client

SECRET = "secret-acme-clio-17"


class Answer:
    """What an unknown library may give."""

    def __init__(self, **given):
        vars(self).update(given)


def told(th, server, answer, **more):
    token = th.token("acme-clio")
    th.saw(token, answer, **more)
    th.flush()
    return server.signals


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "success"),
        (204, "success"),
        (304, "success"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (429, "rate_limited"),
        (502, "unreachable"),
    ],
)
@pytest.mark.parametrize("name", ["status_code", "status", "code", None])
def test_the_status_of_any_library_is_a_kind(th, server, status, kind, name):
    (signal,) = told(th, server, status if name is None else Answer(**{name: status}))
    assert (signal["connection"], signal["kind"], signal["generation"]) == ("acme-clio", kind, 17)
    assert signal["answer"]["status"] == status


@pytest.mark.parametrize("answer", [404, 422, 302, 0, 99, True, None, "200", object(), Answer(status="OK")])
def test_what_says_nothing_about_a_token_is_not_sent(th, server, answer):
    assert told(th, server, answer) == []


def test_an_exception_that_carries_an_answer_is_that_answer_and_one_without_is_unreachable(th, server):
    refused = requests.Response()
    refused.status_code = 403
    told(th, server, requests.HTTPError(response=refused))
    told(th, server, requests.ConnectionError())
    request = httpx.Request("GET", "https://app.clio.example/x")
    told(
        th,
        server,
        httpx.HTTPStatusError("no", request=request, response=httpx.Response(429, request=request)),
    )
    assert [one["kind"] for one in server.signals] == ["forbidden", "unreachable", "rate_limited"]


def failed_requests():
    answer = requests.Response()
    answer.status_code, answer.url = 403, "https://me:pw@app.clio.example/api/contacts.json?token=x#y"
    answer.request = requests.Request(
        "GET", answer.url, headers={"Authorization": f"Bearer {SECRET}"}
    ).prepare()
    answer.headers.update(
        {"WWW-Authenticate": f"Bearer {SECRET}", "Set-Cookie": "a=b", "X-RateLimit-Limit": "5"}
    )
    answer._content = b'{"error": "forbidden", "token": "' + SECRET.encode() + b'"}' + b"x" * 100_000
    return answer


def failed_httpx():
    request = httpx.Request(
        "GET",
        "https://me:pw@app.clio.example/api/contacts.json?token=x#y",
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    headers = {"WWW-Authenticate": f"Bearer {SECRET}", "Set-Cookie": "a=b", "X-RateLimit-Limit": "5"}
    body = b'{"error": "forbidden", "token": "' + SECRET.encode() + b'"}' + b"x" * 100_000
    return httpx.Response(403, headers=headers, content=body, request=request)


@pytest.mark.parametrize("make_answer", [failed_requests, failed_httpx])
def test_a_failure_brings_its_headers_and_the_beginning_of_its_body_and_nothing_secret(
    th, server, make_answer
):
    (signal,) = told(th, server, make_answer(), scope="contacts")
    assert signal["asked"] == "GET https://app.clio.example/api/contacts.json"
    assert signal["scope"] == "contacts"
    answer = signal["answer"]
    assert {name: answer["headers"][name] for name in ("www-authenticate", "x-ratelimit-limit")} == {
        "www-authenticate": "Bearer …",
        "x-ratelimit-limit": "5",
    }
    assert "set-cookie" not in answer["headers"]
    assert answer["body"].startswith('{"error": "forbidden", "token": "…"}')
    assert len(answer["body"].encode()) <= 4096
    assert "secret" not in json.dumps(signal)
    assert "pw@" not in json.dumps(signal)


def test_a_success_says_no_more_than_that(th, server):
    request = httpx.Request("GET", "https://app.clio.example/contacts/4711")
    (signal,) = told(th, server, httpx.Response(200, json={"name": "A client's client"}, request=request))
    assert signal.keys() == {"connection", "kind", "generation", "answer", "at"}
    assert signal["answer"] == {"status": 200}


def test_urllibs_answers_are_read_and_left_whole_for_their_owner(th, server):
    def refuse(sock):
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 401 No\r\nDate: x\r\nContent-Length: 7\r\nConnection: close\r\n\r\nexpired")

    with stranger(refuse) as url, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    with caught.value as error:
        (signal,) = told(th, server, error)
        assert signal["answer"] == {"status": 401, "headers": {"date": "x"}, "body": "expired"}
        assert error.read() == b"expired"


@pytest.mark.parametrize(
    "answer",
    [
        urllib.error.HTTPError("http://x", 403, "no", email.message.Message(), io.BytesIO(b"x")),
        Answer(status_code=403, headers=None, content=None),
        Answer(status_code=403, headers={"date": "a\r\nb\x00"}, text="a\x00b\ud800\x1b\x85"),
        Answer(status_code=403, _content=False, content=property(lambda self: 1 / 0)),
        httpx.Response(403, stream=httpx.ByteStream(b"unread")),
        type("Broken", (), {"status_code": 403, "content": property(lambda self: 1 / 0)})(),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_by_its_status(th, server, answer):
    (signal,) = told(th, server, answer)
    assert (signal["kind"], signal["answer"]["status"]) == ("forbidden", 403)
    assert not {"\x00", "\r", "\n", "\x1b", "\x85"} & set(json.dumps(signal, ensure_ascii=False))
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()


def test_saw_never_raises_whatever_it_is_given(th):
    th.saw(None, 200)
    th.saw(th.token("acme-clio"), type("Worst", (), {"__getattr__": lambda self, name: 1 / 0})())


def test_time_is_told_by_the_servers_clock(th, server, clock):
    token = th.token("acme-clio")
    date, _ = th._core._server_time
    clock.tick(3)
    th.saw(token, 401)
    th.flush()
    assert server.signals[0]["at"] == (date + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_same_word_twice_is_sent_once_and_a_thousand_wait_at_most(th, server):
    token = th.token("acme-clio")
    for _ in range(50):
        th.saw(token, 200)
    for number in range(1_200):
        th.saw(token, 403, scope=f"scope-{number}")
    assert len(th._outbox) == 1_000
    th.flush()
    batches = [asked for asked in server.asked if asked.path == "/signals"]
    assert [len(one.body["items"]) for one in batches] == [100] * 10
    assert [server.signals[0]["scope"], server.signals[-1]["scope"]] == ["scope-200", "scope-1199"]


def test_a_batch_fits_into_what_token_health_takes(th, server):
    token = th.token("acme-clio")
    for number in range(100):
        th.saw(
            token,
            Answer(
                status_code=403,
                content=b'"' * 9_000,
                headers={f"X-RateLimit-{n}": '"' * 900 for n in range(9)},
            ),
            scope=f"{number}" + "ü" * 6_000,
        )
    th.flush()
    sizes = [int(asked.headers["content-length"]) for asked in server.asked if asked.path == "/signals"]
    assert len(sizes) > 1
    assert max(sizes) <= 1_048_576
    assert len(server.signals) == 100


def test_what_does_not_arrive_waits_and_what_is_refused_goes(th, server, clock):
    token = th.token("acme-clio")
    server.always["/signals"] = problem(503, "stopping", {"Retry-After": "20"})
    th.saw(token, 401)
    th.flush()
    th.saw(token, 403)
    th.flush()
    assert len(server.signals) == 1
    clock.tick(21)
    server.always["/signals"] = 202, {}, {}
    th.flush()
    assert [one["kind"] for one in server.signals] == ["unauthorized", "unauthorized", "forbidden"]
    server.always["/signals"] = problem(403, "missing_scope")
    th.saw(token, 401)
    th.flush()
    assert len(th._outbox) == 0


def test_what_token_health_would_ignore_for_its_age_is_not_sent(th, server, clock):
    token = th.token("acme-clio")
    th.saw(token, 401)
    clock.tick(241)
    th.saw(token, 403)
    th.flush()
    assert [one["kind"] for one in server.signals] == ["forbidden"]


def test_a_thread_sends_by_itself_and_closing_sends_the_rest(th, server, monkeypatch):
    token = th.token("acme-clio")
    monkeypatch.setattr(_client, "EVERY", 0.01)
    taken = threading.Event()
    before = server.answer

    def answer(asked):
        if asked.path == "/signals":
            taken.set()
        return before(asked)

    server.answer = answer
    th.saw(token, 401)
    assert taken.wait(5)
    monkeypatch.setattr(_client, "EVERY", 60)
    th.saw(token, 403)
    th.close()
    assert [one["kind"] for one in server.signals] == ["unauthorized", "forbidden"]
    assert "token-health-signals" not in {one.name for one in threading.enumerate()}


def test_who_is_let_go_without_a_word_leaves_no_thread(server, make):
    th = make()
    th.saw(th.token("acme-clio"), 401)
    thread = th._sender._thread
    finalizer = th._sender.leave
    finalizer()
    thread.join(5)
    assert not thread.is_alive()
    assert len(server.signals) == 1
