"""What an introspection endpoint (RFC 7662) may decide, and what it must never."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause
from monitor.health.classify import classify, leaves_open
from monitor.health.evidence import (
    Answer,
    Content,
    Evidence,
    Exchange,
    Fault,
    FaultKind,
    Grant,
    Identity,
    Introspection,
    RefreshNote,
    Step,
)
from monitor.health.rules import Rule
from monitor.secret import Secret
from monitor.tokens.messages import introspection_form, read_introspection

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
REVOKED, EXPIRED = Cause.REVOKED, Cause.REFRESH_EXPIRED
BARE = Answer(400, error="invalid_grant")
TOKEN_401 = Answer(401, error="invalid_token", challenge="invalid_token")
YOUNG = Grant(
    account_id="7",
    authorized_at=NOW - 40 * DAY,
    refresh_used_at=NOW - 2 * DAY,
    issued_at=NOW - 2 * DAY,
    access_expires_at=NOW - DAY,
)
OLD = replace(
    YOUNG, refresh_used_at=NOW - 20 * DAY, issued_at=NOW - 20 * DAY, idle_lifetime=timedelta(days=14)
)


def looked(
    *asked: tuple[Step, Answer | Fault], grant: Grant = YOUNG, note=RefreshNote.FAILED, **more
) -> Evidence:
    exchanges = tuple(
        Exchange(step, "POST https://p.example/x", "p.example", NOW, 0.1, answer) for step, answer in asked
    )
    who = any(step is Step.WHOAMI and answer.ok for step, answer in asked)
    return Evidence(NOW, exchanges, Identity("7") if who else None, note, grant, **more)


def dead(ended: timedelta | None, *, active: bool = False) -> Introspection:
    return Introspection(active, NOW + ended if ended is not None else None)


@pytest.mark.parametrize("grant", [YOUNG, OLD], ids=["young by the clock", "idle by the clock"])
@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (dead(-1 * DAY), EXPIRED),
        (dead(30 * DAY), REVOKED),
        (dead(timedelta(minutes=2)), None),  # that near to its end it may be our clock
        (dead(-30 * DAY), None),  # it was used after that: the endpoint speaks of something else
        (dead(None), None),  # gone, and not why
        (dead(-1 * DAY, active=True), None),
        (dead(30 * DAY, active=True), None),
        (dead(None, active=True), None),
        (None, None),
    ],
    ids=["ended", "ended early", "ends now", "ended before its last use", "bare", "active past its end", "active",
         "active and no more", "not asked"],
)  # fmt: skip
def test_what_became_of_a_refused_refresh_token_is_told_by_its_end_or_not_at_all(said, cause, grant):
    finding = classify(looked((Step.REFRESH, BARE), grant=grant, introspection=said))
    assert finding.cause is (cause or (EXPIRED if grant is OLD else REVOKED))
    assert (finding.rule == "rfc6749.invalid_grant+introspection") == (cause is not None)
    assert (finding.confidence == 0.95) == (cause is not None)


def test_a_pair_that_was_dead_when_it_was_imported_may_have_ended_before_that():
    imported = replace(YOUNG, issued_at=None, refresh_used_at=NOW)
    finding = classify(looked((Step.REFRESH, BARE), grant=imported, introspection=dead(-30 * DAY)))
    assert (finding.cause, finding.confidence) == (EXPIRED, 0.95)


def test_what_introspection_says_and_does_not_decide_is_among_the_reasons():
    gone = classify(looked((Step.REFRESH, BARE), introspection=dead(None)))
    active = classify(looked((Step.REFRESH, BARE), introspection=dead(None, active=True)))
    assert "no longer active, and not why" in " ".join(gone.reasons)
    assert "active all the same" in " ".join(active.reasons)


def test_without_a_refresh_token_the_access_token_is_what_is_asked_about():
    grant = replace(YOUNG, has_refresh_token=False, refresh_used_at=None)
    asked = looked((Step.WHOAMI, TOKEN_401), grant=grant, note=None)
    assert leaves_open(asked) == "access_token"
    assert classify(asked).cause is EXPIRED, "by our clock"
    assert classify(replace(asked, introspection=dead(30 * DAY))).cause is REVOKED


def test_the_providers_own_words_need_no_introspection_and_outweigh_it():
    said = Answer(400, error="invalid_grant", description="The refresh token was revoked.")
    assert leaves_open(looked((Step.REFRESH, said))) is None
    assert classify(looked((Step.REFRESH, said), introspection=dead(-1 * DAY))).cause is REVOKED


@pytest.mark.parametrize(
    ("asked", "note", "which"),
    [
        ([(Step.REFRESH, BARE)], RefreshNote.FAILED, "refresh_token"),
        ([(Step.WHOAMI, TOKEN_401), (Step.REFRESH, BARE)], RefreshNote.FAILED, "refresh_token"),
        ([(Step.REFRESH, BARE), (Step.WHOAMI, Answer(200))], RefreshNote.FAILED, "refresh_token"),
        ([(Step.REFRESH, BARE), (Step.WHOAMI, Answer(200))], RefreshNote.ELSEWHERE, None),
        ([(Step.WHOAMI, Answer(200))], None, None),
        ([(Step.WHOAMI, TOKEN_401)], RefreshNote.FAILED, None),
        ([(Step.REFRESH, Answer(401, error="invalid_client"))], RefreshNote.FAILED, None),
        ([(Step.REFRESH, Answer(503))], RefreshNote.FAILED, None),
        ([(Step.REFRESH, Answer(400, content=Content.HTML))], RefreshNote.FAILED, None),
        ([(Step.REFRESH, Fault(FaultKind.RESET))], RefreshNote.FAILED, None),
        ([(Step.REFRESH, BARE)], RefreshNote.LOST, None),
    ],
)  # fmt: skip
def test_it_is_asked_only_where_a_refusal_leaves_open_what_it_means(asked, note, which):
    assert leaves_open(looked(*asked, note=note)) == which


def test_a_providers_own_rule_that_says_which_leaves_nothing_open():
    rule = Rule("p.rules[0]", EXPIRED, Step.REFRESH, error=frozenset({"invalid_grant"}))
    assert leaves_open(looked((Step.REFRESH, BARE)), (rule,)) is None


def test_what_it_said_when_the_break_began_stands_without_asking_again():
    finding = classify(looked((Step.REFRESH, BARE), told_before=EXPIRED))
    assert (finding.cause, finding.rule) == (EXPIRED, "rfc6749.invalid_grant+introspection")


# -- a broken endpoint changes nothing ------------------------------------------------------------------

outcomes = st.one_of(
    st.builds(
        Answer,
        st.sampled_from([200, 301, 400, 401, 403, 404, 429, 500, 503]),
        st.sampled_from(list(Content)),
        st.sampled_from([None, "invalid_client", "invalid_token", "invalid_grant", "insufficient_scope"]),
        st.sampled_from([None, "The access token was revoked", "The token expired"]),
        st.sampled_from([None, "invalid_token", "insufficient_scope"]),
        retry_at=st.sampled_from([None, NOW + 30 * DAY]),
    ),
    st.builds(Fault, st.sampled_from(list(FaultKind))),
)
memories = st.sampled_from(
    [YOUNG, OLD, replace(YOUNG, access_expires_at=NOW + DAY), replace(YOUNG, has_refresh_token=False)]
)
first = st.sampled_from(
    [[(Step.REFRESH, BARE)], [(Step.WHOAMI, TOKEN_401), (Step.REFRESH, BARE)], [(Step.WHOAMI, TOKEN_401)]]
)


@given(first, memories, outcomes)
def test_promise_1_an_introspection_endpoint_that_answers_anything_else_changes_nothing(
    asked, grant, outcome
):
    without = looked(*asked, grant=grant)
    with_it = looked(*asked, (Step.INTROSPECT, outcome), grant=grant)
    assert classify(with_it) == classify(without)
    assert with_it.retry_at == without.retry_at, "nor when we look again"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
times = st.integers(-10, 10).map(lambda days: (NOW + days * DAY).timestamp()) | json_values


@given(
    json_values | st.fixed_dictionaries({}, optional={"active": st.booleans() | json_values, "exp": times}),
    memories,
)
def test_promise_1_any_json_decides_only_by_a_token_that_is_inactive_and_has_an_end(document, grant):
    said = read_introspection(document)
    asked = [(Step.REFRESH, BARE)]
    before, after = (
        classify(looked(*asked, grant=grant)),
        classify(looked(*asked, grant=grant, introspection=said)),
    )
    if said is None or said.active or said.expires_at is None:
        assert (after.cause, after.owner, after.confidence, after.rule) == (
            before.cause, before.owner, before.confidence, before.rule,
        )  # fmt: skip
    assert after.cause in (REVOKED, EXPIRED), "both ask the same of the same person"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"active": False}, Introspection(False, None)),
        ({"active": True, "exp": 1795435200}, Introspection(True, datetime.fromtimestamp(1795435200, UTC))),
        (
            {"active": False, "exp": "1795435200"},
            Introspection(False, datetime.fromtimestamp(1795435200, UTC)),
        ),
        ({"active": False, "exp": 0}, Introspection(False, None)),  # Keycloak's way to say never
        ({"active": False, "exp": -5}, Introspection(False, None)),
        ({"active": False, "exp": 1795435200000}, Introspection(False, None)),  # milliseconds
        ({"active": False, "exp": True}, Introspection(False, None)),
        ({"active": False, "exp": "soon"}, Introspection(False, None)),
        ({"active": "false"}, None),
        ({"active": None}, None),
        ({"exp": 1795435200}, None),
        ({"error": "invalid_client"}, None),
        ([{"active": False}], None),
        (None, None),
    ],
    ids=repr,
)
def test_answers_of_introspection_are_read_strictly(document, said):
    assert read_introspection(document) == said


def test_the_request_is_authenticated_as_the_provider_says():
    form, header = introspection_form("id", Secret("s"), Secret("t/1"), "refresh_token", "body")
    assert header is None
    assert set(form.reveal().split("&")) == {
        "token=t%2F1", "token_type_hint=refresh_token", "client_id=id", "client_secret=s",
    }  # fmt: skip
    form, header = introspection_form("id", Secret("s"), Secret("t"), "access_token", "basic")
    assert "secret" not in form.reveal() and header.reveal().startswith("Basic ")
