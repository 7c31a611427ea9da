"""What the next page says: once, ours alone, and with its way back."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from monitor.secret import Secret
from monitor.web.console.answers import Done, Undo
from monitor.web.console.said import LONGEST, Said


def cookie_of(answer: Response) -> str:
    return answer.headers["set-cookie"].partition("=")[2].partition(";")[0].strip('"')


def written(done: Done, key: str = "secret") -> str:
    answer = Response()
    Said(Secret(key), plain=True).write(answer, done)
    return cookie_of(answer)


def test_what_was_written_is_read():
    done = Done("/", "Paused: acme.", Undo("/connections/acme/resume", [("id", "acme"), ("id", "b")]))
    found = Said(Secret("secret"), plain=True).read(written(done))
    assert found is not None
    assert (found.said, found.undo) == (done.said, done.undo)


@pytest.mark.parametrize(
    "cookie", [None, "", "x", "A" * 10_000, "é", written(Done("/", "Forged."), "another")]
)
def test_what_is_none_of_ours_says_nothing(cookie):
    assert Said(Secret("secret"), plain=True).read(cookie) is None


def test_a_way_back_too_long_for_a_cookie_is_left_out_and_the_sentence_stays():
    done = Done("/", "Paused: 500.", Undo("/bulk", [("id", f"connection-{n}") for n in range(500)]))
    cookie = written(done)
    found = Said(Secret("secret"), plain=True).read(cookie)
    assert len(cookie) <= LONGEST
    assert found is not None
    assert (found.said, found.undo) == ("Paused: 500.", None)


def test_where_people_come_over_tls_the_cookie_is_that_hosts_alone():
    answer = Response()
    Said(Secret("secret"), plain=False).write(answer, Done("/", "Done."))
    assert answer.headers["set-cookie"].startswith("__Host-th-said=")
    assert "Secure" in answer.headers["set-cookie"] and "HttpOnly" in answer.headers["set-cookie"]
