"""Tokens: what is asked, what is kept, and for how long."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
import time

import pytest
from played import needs_person, problem

from token_health_client import (
    Forbidden,
    NeedsPerson,
    NotCustodian,
    NotFound,
    Rejected,
    TryLater,
    Unauthorized,
    Unreachable,
)


def test_a_token_is_what_a_request_to_the_provider_needs(th):
    token = th.token("acme-clio")
    assert token.access_token == "secret-acme-clio-17"
    assert token.headers == {"Authorization": "Bearer secret-acme-clio-17"}
    assert (token.connection, token.generation, token.base_url) == (
        "acme-clio",
        17,
        "https://app.clio.example",
    )
    assert (token.expires_in, token.account["name"], token.scopes) == (
        3600,
        "Acme LLP",
        ("contacts", "matters"),
    )
    assert token.values == {"realm": "9130"}
    assert token.health["state"] == "healthy"
    assert token.shortfall is None


def test_a_token_shows_itself_nowhere(th, caplog):
    token = th.token("acme-clio")
    logging.getLogger("x").warning("%s %r", token, token)
    assert "secret" not in f"{token} {token!r} {[token]} {caplog.text}"
    assert copy.copy(token) is copy.deepcopy(token) is token
    assert not hasattr(token, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(token)
    with pytest.raises(AttributeError):
        token.generation = 3
    with pytest.raises(AttributeError):
        del token.generation


def test_the_first_read_says_what_is_wished_and_the_key_is_in_one_header(make, server):
    make(min_ttl=600, accept_ttl=120, wait=20).token("acme-clio")
    asked = server.asked[0]
    assert asked.query == {"min_ttl": ["600s"], "accept_ttl": ["120s"], "wait": ["20s"]}
    assert asked.headers["authorization"] == f"Bearer {server.key}"
    assert "if-none-match" not in asked.headers
    assert len(asked.headers["x-request-id"]) == 32


def test_what_is_accepted_is_never_more_than_what_is_wished(make, server):
    make(min_ttl=30).token("acme-clio")
    assert server.asked[0].query["accept_ttl"] == ["30s"]


def test_until_its_life_left_is_min_ttl_a_token_comes_from_memory_then_by_its_etag(th, server, clock):
    first = th.token("acme-clio")
    clock.tick(3299)
    assert th.token("acme-clio") is first
    assert len(server.asked) == 1
    assert first.expires_in == 301
    clock.tick(2)
    server.connections["acme-clio"].generation = 18
    assert th.token("acme-clio").generation == 18
    assert server.asked[1].headers["if-none-match"] == '"k3f9q2ma.17"'
    # With a condition, `wait` would be a long poll: it is not said.
    assert "wait" not in server.asked[1].query


def test_up_to_a_tenth_earlier_so_that_not_all_workers_come_at_once(make, server, clock):
    th = make(chance=lambda: 1.0)
    first = th.token("acme-clio")
    clock.tick(2969)
    th.token("acme-clio")
    assert len(server.asked) == 1
    clock.tick(2)
    assert th.token("acme-clio") is first
    assert len(server.asked) == 2
    clock.tick(328)
    th.token("acme-clio")
    assert len(server.asked) == 2
    clock.tick(2)
    th.token("acme-clio")
    assert len(server.asked) == 3


def test_a_token_that_lives_shorter_than_wished_is_not_asked_for_at_each_call(th, server, clock):
    server.connections["acme-clio"].expires_in = 200
    for _ in range(10):
        th.token("acme-clio")
        clock.tick(1)
    assert len(server.asked) == 1
    clock.tick(1)
    th.token("acme-clio")
    assert len(server.asked) == 2


def test_an_expiry_that_nobody_tells_is_asked_about_each_minute(th, server, clock):
    server.connections["acme-clio"].expires_in = None
    assert th.token("acme-clio").expires_in is None
    clock.tick(59)
    th.token("acme-clio")
    assert len(server.asked) == 1
    clock.tick(2)
    th.token("acme-clio")
    assert len(server.asked) == 2


def test_life_counts_from_asking(make, server, clock):
    server.gate = threading.Event()
    th, got = make(), []
    thread = threading.Thread(target=lambda: got.append(th.token("acme-clio")))
    thread.start()
    assert server.arrived.wait(5)
    clock.tick(10)
    server.gate.set()
    thread.join(5)
    assert got[0].expires_in == 3590


def test_fifty_threads_and_one_connection_make_one_request(th, server):
    server.gate = threading.Event()
    got = []
    threads = [threading.Thread(target=lambda: got.append(th.token("acme-clio"))) for _ in range(50)]
    for one in threads:
        one.start()
    assert server.arrived.wait(5)
    server.gate.set()
    for one in threads:
        one.join(5)
    assert len(server.asked) == 1
    assert {id(one) for one in got} == {id(got[0])}
    assert len(got) == 50


def test_fifty_threads_are_told_the_same_no_each_by_an_exception_of_its_own(th, server):
    server.gate, server.always["token"] = (
        threading.Event(),
        problem(503, "refresh_refused_once", {"Retry-After": "7"}),
    )
    told = []

    def ask():
        try:
            th.token("acme-clio")
        except TryLater as error:
            told.append(error)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for one in threads:
        one.start()
    assert server.arrived.wait(5)
    server.gate.set()
    for one in threads:
        one.join(5)
    assert len(server.asked) == 1
    assert len({id(one) for one in told}) == 50


def test_one_connection_does_not_wait_for_another(th, server):
    server.add("globex")
    th.token("globex")
    server.gate = threading.Event()
    thread = threading.Thread(target=th.token, args=("acme-clio",))
    thread.start()
    server.arrived.wait(5)
    assert th.token("globex").generation == 17
    server.gate.set()
    thread.join(5)


def test_a_person_is_needed_says_who_and_what_and_is_remembered_for_a_minute(th, server, clock):
    server.always["token"] = needs_person()
    for _ in range(3):
        with pytest.raises(NeedsPerson) as caught:
            th.token("acme-clio")
    error = caught.value
    assert (error.connection, error.state, error.cause, error.owner) == (
        "acme-clio",
        "broken",
        "revoked",
        "client",
    )
    assert error.next_step.startswith("An administrator")
    assert error.reconnect_url == "https://th.example/r/x"
    assert (error.incident, error.confidence, error.told[0]["notice"]) == (4711, 0.9, 812)
    assert (error.code, error.title, error.request_id) == ("needs_person", "It is needs_person", "01J9ABCDEF")
    assert len(server.asked) == 1
    clock.tick(61)
    del server.always["token"]
    assert th.token("acme-clio").generation == 17


def test_without_the_right_to_a_link_there_is_none(th, server):
    server.always["token"] = needs_person(reconnect={"post": "/api/v1/connections/acme-clio/links"})
    with pytest.raises(NeedsPerson) as caught:
        th.token("acme-clio")
    assert caught.value.reconnect_url is None


def test_errors_are_pickled_so_that_task_queues_can_carry_them(th, server):
    server.always["token"] = needs_person()
    with pytest.raises(NeedsPerson) as caught:
        th.token("acme-clio")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(again), str(again), again.cause) == (NeedsPerson, str(caught.value), "revoked")


def test_what_passes_is_remembered_for_its_retry_after_and_says_what_is_left_of_it(th, server, clock):
    server.always["token"] = problem(503, "cannot_renew_now", {"Retry-After": "40"})
    with pytest.raises(TryLater) as caught:
        th.token("acme-clio")
    assert caught.value.seconds == 40
    clock.tick(30)
    with pytest.raises(TryLater) as caught:
        th.token("acme-clio")
    assert caught.value.seconds == 10
    assert len(server.asked) == 1
    clock.tick(11)
    server.always.clear()
    assert th.token("acme-clio").generation == 17


def test_a_date_to_try_again_at_counts_by_the_servers_own_clock(th, server):
    dates = {"Retry-After": "Tue, 24 Nov 2026 18:12:33 GMT", "Date": "Tue, 24 Nov 2026 18:12:03 GMT"}
    server.always["token"] = problem(503, "cannot_renew_now", dates)
    with pytest.raises(TryLater) as caught:
        th.token("acme-clio")
    assert 1 <= caught.value.seconds <= 3600


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "bad_credentials", Unauthorized),
        (403, "missing_scope", Forbidden),
        (404, "not_found", NotFound),
        (409, "not_custodian", NotCustodian),
        (422, "invalid", Rejected),
        (418, "something_new", Rejected),
        (429, "too_many_failures", TryLater),
        (500, "internal", TryLater),
        (503, "something_new", TryLater),
    ],
)
def test_each_problem_has_its_exception(th, server, status, code, kind):
    server.always["token"] = problem(status, code, detail="so it is", needs="tokens:read")
    with pytest.raises(kind) as caught:
        th.token("acme-clio")
    assert type(caught.value) is kind
    assert str(caught.value) == f"acme-clio: It is {code}: so it is ({code}, request 01J9ABCDEF)"
    assert (caught.value.status, caught.value.problem.members["needs"]) == (status, "tokens:read")


@pytest.mark.parametrize(
    "code", ["database_unavailable", "stopping", "clock_skewed", "too_many_waiters", "internal"]
)
def test_while_token_health_is_in_trouble_a_token_at_hand_serves(th, server, clock, code):
    first = th.token("acme-clio")
    server.always["token"] = problem(500 if code == "internal" else 503, code, {"Retry-After": "5"})
    clock.tick(3560)
    assert th.token("acme-clio") is th.token("acme-clio") is first
    assert len(server.asked) == 2
    clock.tick(11)
    with pytest.raises(TryLater):
        th.token("acme-clio")


@pytest.mark.parametrize("code", ["cannot_renew_now", "refresh_refused_once", "something_new"])
def test_trouble_with_the_grant_is_not_bridged(th, server, clock, code):
    th.token("acme-clio")
    server.always["token"] = problem(503, code, {"Retry-After": "5"})
    clock.tick(3400)
    for _ in range(2):
        with pytest.raises(TryLater) as caught:
            th.token("acme-clio")
        assert caught.value.code == code


@pytest.mark.parametrize(
    "answer", [problem(401, "bad_credentials"), problem(404, "not_found"), needs_person()]
)
def test_what_is_not_handed_out_any_more_is_not_handed_out_from_memory_either(th, server, clock, answer):
    th.token("acme-clio")
    clock.tick(3301)
    server.next = [answer]
    server.always["token"] = 502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>"
    with pytest.raises((Rejected, NeedsPerson)):
        th.token("acme-clio")
    clock.tick(61)
    with pytest.raises(Unreachable):
        th.token("acme-clio")


def test_a_wall_clock_ten_minutes_wrong_changes_nothing(make, server, monkeypatch):
    wrong = time.time() + 600
    monkeypatch.setattr(time, "time", lambda: wrong)
    th = make(clock=time.monotonic)
    token = th.token("acme-clio")
    assert th.token("acme-clio") is token
    assert 3590 <= token.expires_in <= 3600
    assert len(server.asked) == 1


def test_connections_are_kept_alive_and_names_are_quoted(make, server):
    server.add("a/b?c d")
    th = make(server.url + "/prefix/")
    assert th.token("a/b?c d").connection == "a/b?c d"
    assert repr(th) == f"TokenHealth('{server.url}/prefix')"


@pytest.mark.parametrize("name", ["", ".", "..", None])
def test_what_no_path_can_name_is_no_connection(th, server, name):
    with pytest.raises(ValueError, match="by its id"):
        th.token(name)
    assert server.asked == []


def test_closed_is_closed(make):
    with make() as th:
        th.token("acme-clio")
    with pytest.raises(RuntimeError):
        th.token("acme-clio")
    th.saw(None, 200)
    th.close()
