"""What a provider's rules fit, what they make of a token, and what they never take for the API's own words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause, consequence
from monitor.health.classify import classify, undecided
from monitor.health.evidence import Answer, Content, RefreshNote
from monitor.health.explain import describe, document, refusal, refused_scopes
from monitor.health.rotation import Heard, heard
from monitor.health.rules import (
    Rule,
    bad_weather,
    first_match,
    limited,
    refused_by_policy,
    refuses_token,
    with_wait,
)
from monitor.providers.rule_entries import RuleEntry
from tests.unit.health.test_classify import GOOD, GRANT, NO_REFRESH, REFRESH, SCOPE, WHOAMI, evidence

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OTHER, EMPTY, HTML = Content.OTHER, Content.EMPTY, Content.HTML
POLICY = Answer(400, error="invalid_grant", fields=(("number", ("53003", "70044")),))
SSO = Answer(403, headers=(("x-sso", "required; url=https://sso.example/orgs/1"),))


def rule(**entry) -> Rule:
    return RuleEntry.model_validate({"cause": "revoked", **entry}).rule("x.rules[0]")


FITS = [
    ("a number of several", rule(fields={"number": ["53003", "53000"]}), POLICY, True),
    ("another number", rule(fields={"number": "53000"}), POLICY, False),
    ("a field that is not there", rule(fields={"subtype": "53003"}), POLICY, False),
    ("two fields, and one fits", rule(fields={"number": "53003", "subtype": "x"}), POLICY, False),
    ("a field, and another error", rule(error="invalid_client", fields={"number": "53003"}), POLICY, False),
    ("a header", rule(headers={"X-SSO": "^required"}), SSO, True),
    ("a header of other words", rule(headers={"X-SSO": "^partial"}), SSO, False),
    ("a header that is not there", rule(headers={"X-Limit": ".*"}), SSO, False),
    ("a text", rule(status=403, text="^Bad_OAuth_Token$"), Answer(403, OTHER, sample="Bad_OAuth_Token"), True),
    ("another text", rule(text="^Bad_OAuth_Token$"), Answer(403, OTHER, sample="Forbidden"), False),
    ("a text in JSON", rule(text="Bad_OAuth_Token"), Answer(403, sample='{"x": "Bad_OAuth_Token"}'), False),
    ("a text in a page", rule(text="Bad_OAuth_Token"), Answer(403, HTML, sample="Bad_OAuth_Token"), False),
    ("a text in half a page", rule(text="Bad"), Answer(403, OTHER, sample="Bad <b>gateway</b>"), False),
    ("nothing at all", rule(status=401, content="empty"), Answer(401, EMPTY), True),
    ("nothing at all, unnamed", rule(status=401), Answer(401, EMPTY), False),
    ("a pattern of descriptions", rule(description="AADSTS(50173|70000)"),
     Answer(400, description="AADSTS50173: The grant was revoked"), True),
    ("a pattern of none", rule(description="."), Answer(400), False),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "answer", "fits"), [c[1:] for c in FITS], ids=[c[0] for c in FITS])
def test_a_rule_fits_when_all_that_it_names_does(entry, answer, fits):
    found = first_match((entry,), WHOAMI, answer)
    assert (found is entry) is fits


TOKEN = [
    # By the standard.
    ("a challenge", (), Answer(401, EMPTY, challenge="invalid_token"), True),
    ("the API's own 401", (), Answer(401, error="AuthenticationFailed"), True),
    ("a proxy's 401", (), Answer(401, HTML), False),
    ("a 401 about scope", (), Answer(401, challenge="insufficient_scope"), False),
    ("a 403", (), Answer(403, error="Forbidden"), False),
    ("a good answer", (rule(status="2xx"),), GOOD, False),
    # By the provider's rules, which come first.
    ("403 in plain text", (rule(step="whoami", text="^Bad_"),), Answer(403, OTHER, sample="Bad_Token"), True),
    ("a 200 that says expired", (rule(error="token_expired", cause="refresh_expired"),),
     Answer(200, error="token_expired"), True),
    ("a description, weighed", (rule(description="^Bad credentials", weigh=True),),
     Answer(401, description="Bad credentials"), True),
    ("nothing, where the API does so", (rule(status=401, content="empty"),), Answer(401, EMPTY), True),
    ("a 401 about scope, in own words",
     (rule(status=401, description="AuthorizationUnsuccessful", cause="insufficient_scope"),),
     Answer(401, description="AuthorizationUnsuccessful"), False),
    ("a 401 about our app", (rule(status=401, error="x", cause="app_misconfigured"),),
     Answer(401, error="x"), False),
    ("a 401 about a setting", (rule(status=401, error="x", cause="policy_blocked"),),
     Answer(401, error="x"), False),
    ("a rule of another step", (rule(step="refresh", status=403),), Answer(403), False),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "answer", "refuses"), [c[1:] for c in TOKEN], ids=[c[0] for c in TOKEN])
def test_what_refuses_an_access_token(rules, answer, refuses):
    assert refuses_token(rules, WHOAMI, answer) is refuses
    waiting = evidence((WHOAMI, answer), note=RefreshNote.IN_DOUBT)
    assert undecided(waiting, rules) is refuses, "whoever asks hears the same"


def test_a_token_refused_with_any_status_leaves_the_outage_its_refresh_met():
    rules = (rule(step="whoami", text="^Bad_"),)
    refused = Answer(403, OTHER, sample="Bad_OAuth_Token")
    seen = evidence((WHOAMI, refused), (REFRESH, Answer(503)), note=RefreshNote.FAILED)
    assert classify(seen, rules).cause is Cause.PROVIDER_OUTAGE
    assert classify(seen).cause is Cause.UNEXPECTED, "without the rule, nobody knows the words"


def test_a_401_about_scope_is_no_token_at_its_end():
    rules = (rule(status=401, error="x", cause="insufficient_scope"),)
    seen = evidence((WHOAMI, Answer(401, error="x")), (REFRESH, Answer(503)), note=RefreshNote.FAILED)
    assert classify(seen, rules).cause is Cause.INSUFFICIENT_SCOPE


def test_a_token_refused_early_with_a_403_was_withdrawn():
    rules = (rule(step="whoami", text="^Bad_", weigh=True),)
    refused = Answer(403, OTHER, sample="Bad_OAuth_Token")
    dead = Answer(400, error="invalid_grant")
    seen = evidence((WHOAMI, refused), (REFRESH, dead), note=RefreshNote.FAILED)
    assert classify(seen, rules).rule == "rfc6749.invalid_grant+access_refused_early"
    assert classify(evidence((WHOAMI, refused), grant=NO_REFRESH), rules).cause is Cause.REVOKED


LIMITS = [
    ("RFC 6585", (), Answer(429, HTML), True),
    ("a 403 by a header", (rule(headers={"x-left": "^0$"}, cause="rate_limited"),),
     Answer(403, headers=(("x-left", "0"),)), True),
    ("a 477", (rule(status=477, cause="rate_limited"),), Answer(477), True),
    ("a 200", (rule(error="ratelimited", cause="rate_limited"),), Answer(200, error="ratelimited"), True),
    ("a 403", (rule(status=477, cause="rate_limited"),), Answer(403), False),
    ("good", (rule(status="2xx", cause="rate_limited"),), GOOD, False),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "answer", "limit"), [c[1:] for c in LIMITS], ids=[c[0] for c in LIMITS])
@pytest.mark.parametrize("step", [WHOAMI, SCOPE, REFRESH])
def test_a_limit_is_one_whatever_its_status(rules, answer, limit, step):
    assert limited(rules, step, answer) is limit
    assert bad_weather(rules, step, answer) is limit
    if limit:
        assert heard(answer, rules) is Heard.NOT_DONE


def test_a_refused_scope_is_told_from_a_limit_that_a_403_said():
    rules = (rule(error="limit", cause="rate_limited"),)
    seen = evidence((WHOAMI, GOOD), (SCOPE, Answer(403, error="limit"), "bills"),
                    (SCOPE, Answer(403, error="no"), "mail"), (SCOPE, Answer(200, refusal=True), "files"))  # fmt: skip
    assert refused_scopes(document(seen, rules)) == ("mail", "files")
    assert refusal(document(seen, rules)) == "HTTP 200", "a 200 that refuses is one to look up as well"


def test_a_rules_wait_stands_in_where_the_answer_names_none():
    rules = (rule(status=423, cause="rate_limited", wait="2s"),)
    assert with_wait(rules, WHOAMI, Answer(423), NOW).retry_at == NOW + timedelta(seconds=2)
    later = NOW + timedelta(hours=3)
    assert with_wait(rules, WHOAMI, Answer(423, retry_at=later), NOW).retry_at == later
    assert with_wait(rules, WHOAMI, Answer(403), NOW).retry_at is None
    assert with_wait((rule(status="2xx", wait="9s"),), WHOAMI, GOOD, NOW) is GOOD


HEARD = [
    ("a 200 that refuses", (rule(status=200, error="bad_refresh_token"),),
     Answer(200, error="bad_refresh_token"), Heard.REFUSED),
    ("a 200 that refuses and no rule knows", (), Answer(200, error="fatal_error"), Heard.NOT_DONE),
    ("a 200 that refuses without a word", (), Answer(200, refusal=True), Heard.NOT_DONE),
    ("plain text that a rule knows", (rule(text="^inactive"),), Answer(400, OTHER, sample="inactive user"),
     Heard.REFUSED),
    ("our app, in plain text", (rule(text="^no app", cause="app_misconfigured"),),
     Answer(404, OTHER, sample="no app"), Heard.NOT_DONE),
    ("plain text that nobody knows", (), Answer(400, OTHER, sample="inactive user"), Heard.UNCLEAR),
    ("a setting: the token is good again once it is changed", (rule(error="rapt", cause="policy_blocked"),),
     Answer(400, error="rapt"), Heard.NOT_DONE),
    ("our address", (rule(error="ip", cause="egress_blocked"),), Answer(400, error="ip"), Heard.NOT_DONE),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "answer", "means"), [c[1:] for c in HEARD], ids=[c[0] for c in HEARD])
def test_what_a_refusal_means_for_a_refresh_token(rules, answer, means):
    assert heard(answer, rules) is means


@pytest.mark.parametrize("step", [WHOAMI, REFRESH, SCOPE])
def test_a_refusal_with_200_that_no_rule_knows_is_unexpected(step):
    note = RefreshNote.FAILED if step is REFRESH else None
    first = ((WHOAMI, GOOD),) if step is SCOPE else ()
    seen = evidence(*first, (step, Answer(200, refusal=True), "x" if step is SCOPE else None), note=note)
    assert classify(seen).cause is Cause.UNEXPECTED


own = st.builds(
    rule,
    status=st.sampled_from([None, 401, "4xx"]),
    error=st.sampled_from([None, "x"]),
    fields=st.sampled_from([{}, {"number": "1"}]),
    headers=st.sampled_from([{}, {"x-a": "."}]),
    description=st.sampled_from([None, "."]),
    challenge=st.just("invalid_token"),
    text=st.sampled_from([None, "."]),
)


@given(
    own,
    st.sampled_from([400, 401, 403, 200]),
    st.sampled_from([OTHER, HTML, EMPTY]),
    st.text() | st.sampled_from(["<p>x", "Blocked <a href=x>", "x\n<!doctype html>"]),
)
def test_promise_1_no_page_is_a_rules_answer_unless_it_names_a_text_or_content(
    entry, status, content, sample
):
    page = Answer(
        status, content, "x", "x", None, sample, fields=(("number", ("1",)),), headers=(("x-a", "1"),)
    )
    page = replace(page, challenge="invalid_token")
    if first_match((entry,), WHOAMI, page) is entry:
        assert entry.text is not None and content is OTHER and sample and "<" not in sample[:1]
    if content is HTML:
        assert first_match((entry,), WHOAMI, page) is not entry


@given(
    st.sampled_from(["revoked", "refresh_expired"]),
    st.sampled_from([{"error": "x", "weigh": True}, {"status": "4xx"}, {"status": 401, "content": "json"}]),
    st.sampled_from([401, 403, 404]),
    st.sampled_from([WHOAMI, SCOPE]),
    st.sampled_from([RefreshNote.DONE, RefreshNote.ELSEWHERE]),
)
def test_promise_1_a_token_that_a_refresh_just_brought_is_refused_by_nobodys_fault_unless_words_are_quoted(
    cause, named, status, step, note
):
    rules = (rule(cause=cause, **named),)
    asked = [(WHOAMI, GOOD)] if step is SCOPE else []
    refused = (step, Answer(status, error="x"), "bills" if step is SCOPE else None)
    seen = evidence((REFRESH, GOOD), *asked, refused, note=note)
    assert not consequence(classify(seen, rules).cause).ends_grant


def test_an_access_token_at_its_end_says_nothing_of_the_grant_where_it_is_weighed():
    rules = (rule(step="whoami", error="token_expired", cause="refresh_expired", weigh=True),)
    seen = evidence((WHOAMI, Answer(200, error="token_expired")), note=None)
    assert classify(seen, rules).rule == "refresh.not_tried"


@pytest.mark.parametrize("content", [HTML, OTHER, EMPTY])
def test_promise_1_a_page_at_the_token_endpoint_is_no_setting_of_a_client(content):
    rules = (rule(status=403, cause="policy_blocked"),)
    assert refused_by_policy(rules, REFRESH, Answer(403, error="x")) is rules[0]
    assert refused_by_policy(rules, REFRESH, Answer(403, content)) is None


def test_what_the_file_wants_kept_is_in_the_evidence():
    answer = replace(POLICY, headers=(("intuit_tid", "1-674fa3f5"),))
    kept = document(evidence((REFRESH, answer), note=RefreshNote.FAILED, grant=GRANT))[0]
    assert kept["fields"] == {"number": ["53003", "70044"]} and kept["headers"] == {
        "intuit_tid": "1-674fa3f5"
    }
    assert "400 invalid_grant [number 53003, 70044; intuit_tid: 1-674fa3f5]" in describe(kept)
