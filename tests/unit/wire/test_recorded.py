"""Answers that people write down: read as they were pasted, refused by the line that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigurationError
from monitor.wire.recorded import SOME_DAY, parse, read_directory

REVOKED = b"""# about: the client removed the app
# verdict: revoked
# proved: seen
# source: https://example.com/a#b
# idle: 100d
# granted: contacts, matters
# Written down by hand: the ids are made up.

# step: whoami
HTTP/1.1 401 Unauthorized
Content-Type: application/json
WWW-Authenticate: Bearer error="invalid_token"
WWW-Authenticate: Basic

{"error": {"type": "Unauthorized",

 "message": "# no step"}}

# step: refresh
HTTP/2 400
date: Mon, 23 Nov 2026 12:00:00 GMT

{"error": "invalid_grant"}
"""


@pytest.mark.parametrize("text", [REVOKED, REVOKED.replace(b"\n", b"\r\n")])
def test_a_look_of_two_answers_is_read_as_it_was_pasted(text):
    found = parse("revoked.http", text)
    first, second = found.messages
    assert (found.verdict, found.proved, found.source) == ("revoked", "seen", "https://example.com/a#b")
    assert (found.idle, found.granted) == (timedelta(days=100), frozenset({"contacts", "matters"}))
    assert (first.step, first.status, second.step, second.status) == ("whoami", 401, "refresh", 400)
    assert first.reply.headers(b"www-authenticate") == ['Bearer error="invalid_token"', "Basic"]
    assert first.body.startswith(b"{") and first.body.endswith(b"}}") and second.body.endswith(b"}")
    assert found.at == datetime(2026, 11, 23, 12, tzinfo=UTC), "an answer's own Date is when it came"


def test_an_answer_may_be_empty_and_of_no_day():
    found = parse("x", b"# verdict: unexpected\n# step: scope\n# scope: bills\nHTTP/1.1 403 Forbidden\n")
    assert (found.messages[0].body, found.messages[0].scope, found.at) == (b"", "bills", SOME_DAY)
    assert found.proved == "unproved", "until somebody says otherwise"


STEP = "# step: refresh\n"
GOOD = "# verdict: revoked\n" + STEP + "HTTP/1.1 400 Bad Request\n"
WRONG = [
    ("", "line 1: there is no answer"),
    ("# verdict: revoked\n{}", "line 2: an answer begins with its status line"),
    ("# verdit: revoked\n", "line 1: there is no key 'verdit'; did you mean 'verdict'?"),
    ("# xyzzy: revoked\n", "line 1: there is no key 'xyzzy'; known are about, verdict"),
    ("# about: a\n# about: b\n", "line 2: about is there twice; line 1 has it already"),
    (STEP + "HTTP/1.1 400 No\n", "line 1: # verdict: says what must come of it, one of ok, revoked"),
    (GOOD.replace("revoked", "gone"), "line 1: # verdict: says what must come of it"),
    (GOOD.replace(STEP, ""), "line 2: # step: says to what it is an answer: whoami, refresh, scope, code, callback, exchange"),
    (GOOD.replace("refresh", "refesh"), "line 2: # step: says"),
    (GOOD.replace("refresh", "scope"), "line 2: # scope: names the scope"),
    ("# scope: x\n" + GOOD, "line 1: # scope: names the scope that was checked, of the step 'scope' alone"),
    (GOOD.replace(" 400", " 4000"), "line 3: 'HTTP/1.1 4000 Bad Request' is no status line"),
    (GOOD.replace(" 400 Bad Request", " 100 Continue"), "line 3: 'HTTP/1.1 100 Continue' is no status line"),
    (GOOD + "{}\n", "line 4: is no header (name: value); an empty line goes before the body"),
    (GOOD + "\n{}\n# step: whoami\n", "line 6: # step: has no answer below it"),
    ("# proved: perhaps\n" + GOOD, "line 1: proved is one of seen, community, unproved"),
    ("# idle: long\n" + GOOD, "line 1: idle: 'long' is no duration"),
    ("# refresh_token: yes\n" + GOOD, "line 1: refresh_token is 'none', or left out"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[s for _, s in WRONG])
def test_a_mistake_is_named_by_its_line(text, sentence):
    with pytest.raises(ValueError, match=r"^line") as caught:
        parse("x.http", text.encode())
    assert sentence in str(caught.value)


@given(st.binary(max_size=200), st.sampled_from([b"", GOOD.encode(), REVOKED]))
def test_whatever_is_in_a_file_is_read_or_refused_in_words(text, before):
    try:
        parse("x.http", before + text)
    except ValueError as error:
        assert str(error).startswith("line ")


def test_all_files_of_a_directory_are_read_and_all_mistakes_named(tmp_path):
    with pytest.raises(ConfigurationError, match="no such dir"):
        read_directory(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match=r"a file of them ends with \.http"):
        read_directory(tmp_path)
    (tmp_path / "deep").mkdir()
    for name in ("b.http", "deep/a.http", "notes.md"):
        (tmp_path / name).write_bytes(REVOKED)
    assert [one.name for one in read_directory(tmp_path)] == ["b.http", "deep/a.http"]
    (tmp_path / "b.http").write_text("nonsense")
    (tmp_path / "c.http").write_bytes(b"#" * 300_000)
    with pytest.raises(ConfigurationError, match=r"(?s)b\.http: line 1: .*c\.http: is longer than 256 KiB"):
        read_directory(tmp_path)
