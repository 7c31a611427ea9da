"""A provider refused a token; and waiting until there is another."""

from __future__ import annotations

import threading

import pytest
from played import needs_person, problem

from token_health_client import Forbidden, NeedsPerson, NotFound, StillRefused, TryLater, Unreachable


def renewed(server):
    def at_look():
        server.connections["acme-clio"].generation = 18

    return at_look


def test_a_refused_token_is_looked_at_and_replaced(th, server):
    token = th.token("acme-clio")
    server.at_look = renewed(server)
    assert th.refused(token, 401).generation == 18
    asked = server.asked[1]
    assert (asked.method, asked.path, asked.query) == (
        "POST",
        "/connections/acme-clio/signals",
        {"wait": ["20s"]},
    )
    # No time is said: it is now, whatever our wall clock may show.
    assert asked.body == {"kind": "unauthorized", "generation": 17, "answer": {"status": 401}}
    assert th.token("acme-clio").generation == 18


def test_where_it_works_for_token_health_it_is_refused_still(th, server):
    token = th.token("acme-clio")
    with pytest.raises(StillRefused) as caught:
        th.refused(token, 401)
    assert caught.value.looked == {"cause": "ok"}
    assert caught.value.connection == "acme-clio"
    # The token is good elsewhere: it stays.
    assert th.token("acme-clio") is token
    assert len(server.asked) == 2


def test_what_the_look_found_out_is_what_is_raised(th, server):
    token = th.token("acme-clio")
    server.looked = {"cause": "revoked"}
    with pytest.raises(StillRefused) as caught:
        th.refused(token, 401)
    assert caught.value.looked == {"cause": "revoked"}
    server.always["token"] = problem(503, "refresh_refused_once", {"Retry-After": "30"})
    with pytest.raises(TryLater):
        th.refused(token, 401)
    server.always["token"] = needs_person()
    with pytest.raises(NeedsPerson):
        th.refused(token, 401)
    with pytest.raises(NeedsPerson):
        th.token("acme-clio")


def test_nobody_looked_yet(th, server):
    token = th.token("acme-clio")
    server.always["signals"] = 202, {}, {"effect": "coalesced", "generation": 17}
    with pytest.raises(StillRefused) as caught:
        th.refused(token, 401)
    assert caught.value.looked is None


def test_whoever_comes_late_gets_the_new_token_without_asking(th, server):
    token = th.token("acme-clio")
    server.at_look = renewed(server)
    th.refused(token, 401)
    before = len(server.asked)
    assert th.refused(token, 401).generation == 18
    assert len(server.asked) == before


def test_a_connection_made_again_counts_anew_and_its_token_is_another(th, server, clock):
    token = th.token("acme-clio")
    clock.tick(3301)
    server.next = [
        (
            200,
            {"ETag": '"other.17"'},
            {"connection": "acme-clio", "access_token": "other", "generation": 17, "expires_in": 3600},
        )
    ]
    assert th.token("acme-clio").access_token == "other"
    assert th.refused(token, 401).access_token == "other"
    assert len(server.asked) == 2


def test_fifty_threads_refused_at_once_are_one_signal(th, server):
    token, got = th.token("acme-clio"), []
    server.at_look, server.gate = renewed(server), threading.Event()
    server.arrived.clear()
    threads = [threading.Thread(target=lambda: got.append(th.refused(token, 401))) for _ in range(50)]
    for one in threads:
        one.start()
    assert server.arrived.wait(5)
    server.gate.set()
    for one in threads:
        one.join(5)
    assert {one.generation for one in got} == {18}
    assert [one.method for one in server.asked].count("POST") == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(403, "missing_scope"), Forbidden),
        (problem(404, "not_found"), NotFound),
        (problem(503, "stopping"), TryLater),
    ],
)
def test_a_signal_that_is_not_taken_says_why(th, server, answer, kind):
    token = th.token("acme-clio")
    server.always["signals"] = answer
    with pytest.raises(kind):
        th.refused(token, 401)
    assert th.token("acme-clio") is token


def test_a_refused_token_does_not_bridge_an_outage(th, server):
    token = th.token("acme-clio")
    server.looked = {"cause": "revoked"}
    server.always["token"] = 502, {}, b"gateway"
    with pytest.raises(Unreachable):
        th.refused(token, 401)


def test_a_mended_connection_is_waited_for_through_person_and_outage(th, server, clock):
    server.next = [
        needs_person(),
        needs_person(),
        (502, {}, b"gateway"),
        problem(503, "stopping", {"Retry-After": "3"}),
    ]
    with pytest.raises(NeedsPerson):
        th.token("acme-clio")
    assert th.wait_until_mended("acme-clio", 600).generation == 17
    assert clock.slept == [15, 5, 3]
    assert th.token("acme-clio").generation == 17


def test_another_token_than_the_one_at_hand_is_a_long_poll(th, server, clock):
    th.token("acme-clio")
    server.next = [(304, {}, None)]
    clock_moves = server.answer

    def answer(asked):
        if asked.query.get("wait") == ["60s"]:
            clock.tick(60)
        else:
            server.connections["acme-clio"].generation = 18
        return clock_moves(asked)

    server.answer = answer
    assert th.wait_until_mended("acme-clio", 90).generation == 18
    assert clock.slept == []
    assert [one.query["wait"] for one in server.asked[1:]] == [["60s"], ["30s"]]
    assert server.asked[1].headers["if-none-match"] == '"k3f9q2ma.17"'


def test_when_the_time_is_over_what_stands_in_the_way_is_raised(th, server, clock):
    th.token("acme-clio")
    with pytest.raises(StillRefused):
        th.wait_until_mended("acme-clio", 40)
    # This server does not hold the poll: it is not asked in a tight loop.
    assert clock.slept == [15, 15, 10]
    server.always["token"] = needs_person()
    with pytest.raises(NeedsPerson):
        th.wait_until_mended("acme-clio", 0)
    assert len(clock.slept) == 3


def test_what_no_waiting_mends_is_raised_at_once(th, clock):
    with pytest.raises(NotFound):
        th.wait_until_mended("initech", 3600)
    assert clock.slept == []


def test_whoever_hears_that_it_works_again_asks_anew_at_once(th, server):
    server.always["token"] = needs_person("acme-clio")
    with pytest.raises(NeedsPerson):
        th.token("acme-clio")
    del server.always["token"]
    with pytest.raises(NeedsPerson):
        th.token("acme-clio")  # from memory
    th.forget("acme-clio")
    assert th.token("acme-clio").generation == 17
    assert len(server.asked) == 2


def test_what_was_asked_before_that_is_the_word_of_another_time(th, server, clock):
    said, gate = [], threading.Event()
    server.gate = gate

    def work():
        with pytest.raises(NeedsPerson):
            th.token("acme-clio")
        said.append("parked")

    before = threading.Thread(target=work)
    before.start()
    assert server.arrived.wait(5)
    server.gate = None
    clock.tick(1)
    th.forget("acme-clio")
    token = th.token("acme-clio")  # does not join who asked before
    server.next = [needs_person("acme-clio")]
    gate.set()
    before.join(5)
    assert said == ["parked"]
    assert th.token("acme-clio") is token
