"""Replies read: every shape of error, every oddity of numbers and dates. And nothing secret kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.evidence import Content, redact
from monitor.providers.schema import Errors
from monitor.secret import Secret
from monitor.tokens.messages import basic_authorization, read_token_answer, refresh_form
from monitor.wire.answers import LONGEST_WAIT, pick, read, retry_at
from monitor.wire.client import Reply

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def reply(status=200, body=b"{}", **headers) -> Reply:
    raw = [(k.replace("_", "-").title().encode(), v.encode()) for k, v in headers.items()]
    return Reply(status, raw, body)


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b'{"a": 1}', Content.JSON),
        (b' \n{"a": 1}\n', Content.JSON),
        (b"[1, 2]", Content.JSON),
        (b"[]", Content.JSON),
        (b"7", Content.OTHER),
        (b'{"a": 1', Content.OTHER),
        (b'{"a": \xff}', Content.OTHER),
        (b"[" * 60000, Content.OTHER),
        (b"", Content.EMPTY),
        (b"   ", Content.EMPTY),
        (b"<!DOCTYPE html><html>", Content.HTML),
        (b"\n\n<HTML><body>", Content.HTML),
        (b"OK", Content.OTHER),
    ],
    ids=repr,
)
def test_a_body_is_what_it_parses_as(body, content):
    answer, document = read(reply(body=body), Errors(), NOW)
    assert answer.content is content
    assert (document is not None) == (content is Content.JSON)


@pytest.mark.parametrize(
    ("status", "body", "error", "description"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "gone"}', "invalid_grant", "gone"),
        (403, b'{"error": {"type": "ForbiddenError", "message": "no"}}', "ForbiddenError", "no"),
        (403, b'{"error": {"code": "E1", "message": "no"}}', "E1", "no"),
        (429, b'{"message": "Too Many Requests"}', None, "Too Many Requests"),
        (200, b'{"error": "bad_refresh_token"}', "bad_refresh_token", None),
        (200, b'{"error": null, "data": {}}', None, None),
        (400, b'{"error": 7}', None, None),
    ],
)  # fmt: skip
def test_errors_are_read_in_their_usual_shapes(status, body, error, description):
    answer, _ = read(reply(status, body), Errors(), NOW)
    assert (answer.error, answer.description) == (error, description)


def test_a_providers_file_says_where_else_an_error_stands():
    errors = Errors(code="ok == `false` && reason || null")
    body = b'{"ok": false, "reason": "token_revoked"}'
    assert read(reply(200, body), errors, NOW)[0].error == "token_revoked"
    assert read(reply(200, b'{"ok": true}'), errors, NOW)[0].ok


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('Bearer realm="x", error="invalid_token", error_description="y"', "invalid_token"),
        ("Bearer error=insufficient_scope", "insufficient_scope"),
        ("Bearer", None),
        ('Basic realm="proxy", error="invalid_token"', None),
        ("", None),
    ],
)
def test_only_a_bearer_challenge_speaks_of_our_token(header, said):
    assert read(reply(401, b"", www_authenticate=header), Errors(), NOW)[0].challenge == said


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "30"}, 30),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "Mon, 23 Nov 2026 12:01:00 GMT"}, 60),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "99999999"}, LONGEST_WAIT.total_seconds()),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW.timestamp() + 20)}, 20),
        ({"x_ratelimit_remaining": "1", "x_ratelimit_reset": str(NOW.timestamp() + 20)}, None),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1e300"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_providers_pause_is_read_and_bounded(headers, wait):
    at = retry_at(reply(429, **headers), NOW)
    assert at == (NOW + timedelta(seconds=wait) if wait is not None else None)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600), ("3600", 3600), (3600.5, 3600.5), (None, 60), (0, 60), (-5, 60), ("", 60),
        ("never", 60), ([], 60), (True, 60), (1e30, 60), ("inf", 60), ("nan", 60),
    ],
)  # fmt: skip
def test_no_expires_in_does_harm(expires_in, seconds):
    answer = read_token_answer({"access_token": "a", "expires_in": expires_in}, NOW, timedelta(seconds=60))
    assert answer is not None
    assert answer.expires_at == NOW + timedelta(seconds=seconds)
    assert answer.assumed is (seconds == 60), "the provider's file said it, where the answer did not"
    assert read_token_answer({"access_token": "a", "expires_in": 10**9}, NOW).expires_at is None
    unknown = read_token_answer({"access_token": "a"}, NOW)
    assert (unknown.expires_at, unknown.assumed) == (None, False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(["access_token", "refresh_token", "expires_in", "scope", "token_type"])


@given(st.dictionaries(fields, json_values, max_size=5) | json_values)
def test_any_json_is_a_token_answer_or_none(document):
    answer = read_token_answer(document, NOW)
    assert answer is None or answer.access.reveal() == document["access_token"]


def test_a_missing_refresh_token_means_that_the_old_one_stays():
    assert read_token_answer({"access_token": "a"}, NOW).refresh is None
    assert read_token_answer({"access_token": "a", "scope": "x y"}, NOW).granted == ("x", "y")
    assert read_token_answer({"refresh_token": "r"}, NOW) is None


def test_requests_are_built_as_the_standard_says():
    form, header = refresh_form("id", Secret("s&t"), Secret("r/1"), "body")
    assert header is None
    assert set(form.reveal().split("&")) == {
        "grant_type=refresh_token", "refresh_token=r%2F1", "client_id=id", "client_secret=s%26t",
    }  # fmt: skip
    form, header = refresh_form("id é", Secret("s:t"), Secret("r"), "basic")
    assert "secret" not in form.reveal()
    import base64

    assert base64.b64decode(header.reveal().split()[1]) == b"id+%C3%A9:s%3At"
    assert basic_authorization("a", Secret("b")).reveal() == "Basic YTpi"


@pytest.mark.parametrize("path", ["data.account.id", "data.account.id || id", "data.*.id | [0]"])
def test_paths_find_the_same_by_either_way(path):
    document = {"data": {"account": {"id": 7}}}
    assert pick(path, document) == "7"
    assert pick(path, {"data": []}) is None
    assert pick("", document) is None
    assert pick("data.account", document) is None


CANARY = "c4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc4n4ry"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"access_token": "{CANARY}"}}',
        f'{{"refresh_token":"{CANARY}","x":1}}',
        f"code={CANARY}&state=1",
        f"Authorization: Bearer {CANARY}",
        f"client_secret={CANARY}",
        f"<p>your token {CANARY}</p>",
        "password=c4n4ry!",
        "x" * 380 + f' "access_token": "{CANARY}"',
        f"someone.c4n4ry@{'firm.example'}",
    ],
)
def test_promise_4_no_sample_keeps_a_secret(text):
    assert "c4n4ry" not in redact(text)
    body = text.encode()
    answer, _ = read(reply(400, body), Errors(), NOW)
    assert "c4n4ry" not in repr(answer)


@given(st.text(max_size=3000))
def test_a_sample_is_short_and_has_no_control_characters(text):
    sample = redact(text)
    assert len(sample) <= 400
    assert not any(ord(c) < 32 and c not in "\n\t" for c in sample)
    assert "\u202e" not in sample
