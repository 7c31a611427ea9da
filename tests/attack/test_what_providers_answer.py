"""No answer of a provider, however odd, raises, keeps a secret, or asks a client for anything by its form alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.health.causes import Owner
from monitor.health.classify import classify
from monitor.health.evidence import Content, Evidence, Exchange, Step
from monitor.providers import catalogue
from monitor.providers.schema import Errors
from monitor.tokens.messages import read_introspection, read_token_answer
from monitor.wire.answers import read
from monitor.wire.client import Reply
from tests.attack.odd import bodies, documents, texts

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ERRORS = [Errors(), *(catalogue.load(name).errors for name in catalogue.built_in())]
headers = st.lists(
    st.tuples(
        st.sampled_from(
            [b"WWW-Authenticate", b"Retry-After", b"Location", b"Content-Type", b"X-RateLimit-Remaining",
             b"X-RateLimit-Reset", b"RateLimit-Reset", b"Date"]
        ),
        st.binary(max_size=80) | texts.map(lambda text: text.encode("utf-8", "replace"))
        | st.sampled_from([b'Bearer error="invalid_token"', b'Bearer ' + b'a="' * 9_000, b"9" * 5_000, b"0",
                           b"Fri, 31 Feb 2027 25:61:61 GMT", b"Mon, 01 Jan 0000 00:00:00 GMT", b"http://[bad"]),
    ),
    max_size=5,
)  # fmt: skip


@given(
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 418, 429, 500, 503]),
    bodies("error", "error_description", "message", "data", "id", "type", "code"),
    headers,
    st.sampled_from(ERRORS),
)
def test_any_answer_is_read_and_judged(status, body, sent, errors):
    answer, document = read(Reply(status, sent, body), errors, NOW)
    assert (document is not None) == (answer.content is Content.JSON)
    if answer.retry_at is not None:
        assert answer.retry_at >= NOW
    finding = classify(
        Evidence(NOW, (Exchange(Step.WHOAMI, "GET https://api.example/me", "api.example", NOW, 0.1, answer),))
    )
    if answer.content is not Content.JSON and not answer.challenge and status not in (401,):
        assert finding.cause.value == "ok" or finding.owner is not Owner.CLIENT, "a page is no API's word"
    json.dumps([answer.error, answer.description, answer.challenge, answer.sample])
    (answer.sample + (answer.error or "") + (answer.description or "")).encode()


@given(
    documents("access_token", "refresh_token", "expires_in", "scope", "token_type", "active", "exp", "iat"),
    st.sampled_from([" ", ",", ", "]),
)
def test_any_token_answer_is_read(document, separator):
    found = read_token_answer(document, NOW, None, separator)
    if found is not None:
        assert found.access.reveal() and (found.expires_at is None or found.expires_at > NOW)
    said = read_introspection(document)
    assert said is None or isinstance(said.active, bool)


@settings(max_examples=20)
@given(bodies("access_token", "refresh_token", "expires_in", "scope"))
def test_a_token_answer_as_bytes_is_read(body):
    answer, document = read(Reply(200, [], body), Errors(), NOW)
    if document is not None:
        read_token_answer(document, NOW)
        read_introspection(document)
    assert answer.status == 200
