"""What the next page says: once, ours alone, and with its way back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from starlette.responses import Response

from monitor.secret import Secret
from monitor.web.console.answers import Done, Undo
from monitor.web.console.said import LASTS, LONGEST, Said
from tests.conftest import START

ANNA = "user:anna"


def cookie_of(answer: Response) -> str:
    return answer.headers["set-cookie"].partition("=")[2].partition(";")[0].strip('"')


def written(done: Done, key: str = "secret") -> str:
    answer = Response()
    Said(Secret(key), plain=True).write(answer, done, ANNA, START)
    return cookie_of(answer)


def read(cookie: str | None, who: str = ANNA, now: datetime = START) -> Done | None:
    return Said(Secret("secret"), plain=True).read(cookie, who, now)


def test_what_was_written_is_read():
    done = Done("/", "Paused: acme.", Undo("/connections/acme/resume", [("id", "acme"), ("id", "b")]))
    found = read(written(done))
    assert found is not None
    assert (found.said, found.undo) == (done.said, done.undo)


@pytest.mark.parametrize(
    "cookie", [None, "", "x", "A" * 10_000, "é", written(Done("/", "Forged."), "another")]
)
def test_what_is_none_of_ours_says_nothing(cookie):
    assert read(cookie) is None


def test_it_is_said_to_whoever_did_it_alone_and_not_for_long():
    cookie = written(Done("/", "Removed: acme.", Undo("/connections/acme/resume")))
    for who in ("user:bob", "user:ann", "user:annaa", "loopback", ""):
        assert read(cookie, who) is None
    assert read(cookie, now=START + timedelta(seconds=LASTS - 1)) is not None
    assert read(cookie, now=START + timedelta(seconds=LASTS)) is None


def test_a_way_back_too_long_for_a_cookie_is_left_out_and_the_sentence_stays():
    done = Done("/", "Paused: 500.", Undo("/bulk", [("id", f"connection-{n}") for n in range(500)]))
    cookie = written(done)
    found = read(cookie)
    assert len(cookie) <= LONGEST
    assert found is not None
    assert (found.said, found.undo) == ("Paused: 500.", None)


def test_where_people_come_over_tls_the_cookie_is_that_hosts_alone():
    answer = Response()
    Said(Secret("secret"), plain=False).write(answer, Done("/", "Done."), ANNA, START)
    assert answer.headers["set-cookie"].startswith("__Host-th-said=")
    assert "Secure" in answer.headers["set-cookie"] and "HttpOnly" in answer.headers["set-cookie"]
