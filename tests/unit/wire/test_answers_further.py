"""What a provider's file has read beside the usual: lists, refusals with 200, further fields and headers."""

from __future__ import annotations

import base64

import pytest

from monitor.health.causes import Cause
from monitor.health.classify import classify
from monitor.health.evidence import Content, Evidence, Exchange, Identity, Step, account_number
from monitor.providers.schema import Errors
from monitor.secret import Secret
from monitor.wire.answers import pick, read
from tests.unit.wire.test_answers import NOW, reply

LISTED = b'[{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]'
NUMBERED = b"""{"error": "invalid_grant", "error_description": "AADSTS53003: Access has been blocked",
 "error_codes": [53003, 70044], "suberror": "message_only", "more": {"deep": [1, null, "b", true, {}]}}"""
AZURE = Errors(fields={"number": "error_codes", "suberror": "suberror", "absent": "nothing", "odd": "more"})


def test_an_error_in_a_list_is_read_where_the_file_says():
    errors = Errors(code="[0].errorCode || error", description="[0].message")
    answer, document = read(reply(401, LISTED), errors, NOW)
    assert (answer.error, answer.description) == ("INVALID_SESSION_ID", "Session expired or invalid")
    assert isinstance(document, list)
    assert read(reply(400, b'{"error": "invalid_grant"}'), errors, NOW)[0].error == "invalid_grant"
    assert read(reply(401, LISTED), Errors(), NOW)[0].error is None, "nobody said where it stands"


@pytest.mark.parametrize("body", [b"[]", b'["error"]', b"[1, 2]", b'[{"id": null}]', b"[[[]]]", b"{}"])
def test_a_list_that_names_nobody_is_no_account(body):
    answer, document = read(reply(body=body), Errors(), NOW)
    assert answer.content is Content.JSON
    who = Identity(account_number(pick("[0].tenantId", document)))
    asked = Exchange(Step.WHOAMI, "GET https://x/connections", "x", NOW, 0.1, answer)
    assert who.account_id is None
    assert classify(Evidence(NOW, (asked,), who)).cause is Cause.UNEXPECTED


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (b'{"ok": true, "team_id": "T1"}', True),
        (b'{"ok": false, "error": "invalid_auth"}', False),
        (b'{"ok": false}', False),
        (b'{"ok": false, "error": null}', False),
        (b'{"ok": false, "error": {"odd": 1}}', False),
        (b'{"ok": null, "team_id": "T1"}', True),
    ],
)
def test_a_200_that_refuses_is_never_a_good_answer(body, good):
    answer, _ = read(reply(200, body), Errors(refusal="ok == `false`"), NOW)
    assert answer.ok is answer.accepted is good
    assert answer.refusal is not good
    assert bool(answer.sample) is not good, "what was said is kept, where it refuses"


@pytest.mark.parametrize("refusal", ["ok == `false`", "errors", "errors[0].code", "code"])
def test_what_jmespath_calls_false_is_no_refusal(refusal):
    for body in (b"{}", b'{"ok": true, "errors": [], "code": ""}', b'{"errors": null, "code": false}'):
        assert read(reply(200, body), Errors(refusal=refusal), NOW)[0].ok, body


def test_a_number_is_read_as_text_where_the_file_says_where():
    body = b'{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}'
    assert read(reply(403, body), Errors(), NOW)[0].error is None
    assert read(reply(403, body), Errors(code="error.code"), NOW)[0].error == "403"


def test_further_fields_are_texts_numbers_as_text_and_lists_of_those():
    answer, _ = read(reply(400, NUMBERED), AZURE, NOW)
    assert answer.fields == (("number", ("53003", "70044")), ("suberror", ("message_only",)))
    deep = Errors(fields={"deep": "more.deep"})
    assert read(reply(400, NUMBERED), deep, NOW)[0].fields == (("deep", ("1", "b")),)


def test_only_what_is_an_error_keeps_fields_and_headers():
    errors = Errors(fields={"id": "id"}, headers=("x-trace",), code="reason")
    assert read(reply(200, b'{"id": 1}', x_trace="t"), errors, NOW)[0].headers == ()
    assert read(reply(200, b'{"id": 1}', x_trace="t"), errors, NOW)[0].fields == ()
    said = read(reply(200, b'{"id": 1, "reason": "no"}', x_trace="t"), errors, NOW)[0]
    assert (said.fields, said.headers) == ((("id", ("1",)),), (("x-trace", "t"),))
    assert read(reply(502, b"<html>", x_trace="t"), errors, NOW)[0].headers == (("x-trace", "t"),)


def test_headers_are_kept_by_their_names_and_several_are_one():
    said = reply(403, b"{}", **{"X-Limit": "minute", "x_LIMIT": "day", "other": "x"})
    answer, _ = read(said, Errors(headers=("X-Limit", "x-absent")), NOW)
    assert answer.headers == (("x-limit", "minute, day"),)


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
OPAQUE = "AB11588099000K3wTnfRtPyXrCmyA"


@pytest.mark.parametrize(
    "written", [OPAQUE, base64.b64encode(OPAQUE.encode()).decode(), TOKEN, f"Bearer {OPAQUE}"]
)
def test_no_token_gets_into_what_is_kept(written):
    errors = Errors(fields={"what": "what"}, headers=("x-echo",))
    answered = reply(400, b'{"error": "x", "what": "%s"}' % written.encode(), x_echo=f"got {written}")
    kept = read(answered._replace(sent=(Secret(OPAQUE), Secret(TOKEN))), errors, NOW)[0]
    assert OPAQUE not in str(kept) and written not in str(kept) and TOKEN not in str(kept)


def test_an_id_for_the_providers_support_stays_whole():
    tid = "1-674fa3f5-0f8a1d0b5b9c3b7c5c2f3c5e"
    answer, _ = read(reply(400, b"{}", intuit_tid=tid), Errors(headers=("intuit-tid",)), NOW)
    assert answer.headers == (("intuit-tid", tid),)
    strange = read(reply(400, b"{}", intuit_tid=TOKEN), Errors(headers=("intuit-tid",)), NOW)[0]
    assert strange.headers == (("intuit-tid", "[removed]"),), "what looks like a token is none"


def test_a_long_code_is_compared_whole_and_a_token_is_no_code():
    code = "consent_required_by_the_organizations_administrator"
    body = b'{"error": "%s"}'
    assert read(reply(400, body % code.encode()), Errors(), NOW)[0].error == code
    random = b"aB3" * 12
    assert read(reply(400, body % random), Errors(), NOW)[0].error == "[removed]"
    sent = reply(400, body % code.encode())._replace(sent=(Secret(code),))
    assert read(sent, Errors(), NOW)[0].error == "[removed]"


def test_a_header_that_carries_secrets_is_never_kept():
    with pytest.raises(ValueError, match="never kept"):
        Errors(headers=("Set-Cookie",))
