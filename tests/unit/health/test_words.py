"""What the provider says in so many words is stronger than our memory and our clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause, Owner
from monitor.health.classify import classify
from monitor.health.evidence import Answer, Content, Evidence, Exchange, Grant, Identity, RefreshNote, Step
from monitor.health.rules import Rule
from monitor.providers.schema import Errors
from monitor.wire.answers import read
from monitor.wire.client import Reply

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD = Answer(200)
PLAIN_403 = Answer(403, error="ForbiddenError", description="User is forbidden from taking that action")
CHALLENGED = Answer(403, content=Content.EMPTY, challenge="insufficient_scope")
CODED = Answer(403, error="insufficient_scope", description="The request requires higher privileges.")


def looked(*asked: tuple[Step, Answer], grant: Grant, note: RefreshNote | None = None) -> Evidence:
    exchanges = tuple(
        Exchange(
            step,
            "GET https://p.example/x",
            "p.example",
            NOW,
            0.1,
            outcome,
            "bills" if step is Step.SCOPE else None,
        )
        for step, outcome in asked
    )
    who = any(step is Step.WHOAMI and outcome.ok for step, outcome in asked)
    return Evidence(NOW, exchanges, Identity("7", "Acme") if who else None, note, grant)


def scope_refused(answer: Answer, grant: Grant, *rules: Rule):
    return classify(looked((Step.WHOAMI, GOOD), (Step.SCOPE, answer), grant=grant), rules)


NOTHING = Grant(account_id="7")
READ_BEFORE = replace(NOTHING, read_before={"bills": NOW - timedelta(days=1)})
GRANTED = replace(NOTHING, granted=frozenset({"bills", "contacts"}))
NOT_GRANTED = replace(NOTHING, granted=frozenset({"contacts"}))
SCOPE, ROLE = Cause.INSUFFICIENT_SCOPE, Cause.ROLE_RESTRICTED


@pytest.mark.parametrize(
    ("answer", "memory", "cause"),
    [
        # RFC 6750 3.1: the token's scope does not reach. It says so; nobody has to guess.
        (CHALLENGED, NOTHING, SCOPE), (CHALLENGED, READ_BEFORE, SCOPE), (CHALLENGED, GRANTED, SCOPE),
        (CODED, NOTHING, SCOPE), (CODED, READ_BEFORE, SCOPE), (CODED, GRANTED, SCOPE),
        # Some answer 401, though the token itself is good, and some 200 with an error inside.
        (replace(CHALLENGED, status=401), READ_BEFORE, SCOPE), (replace(CODED, status=401), READ_BEFORE, SCOPE),
        (replace(CODED, status=400), READ_BEFORE, SCOPE), (replace(CODED, status=200), READ_BEFORE, SCOPE),
        # Clio's plain 403 leaves it open: what is remembered of the grant decides.
        (PLAIN_403, NOTHING, SCOPE), (PLAIN_403, NOT_GRANTED, SCOPE),
        (PLAIN_403, READ_BEFORE, ROLE), (PLAIN_403, GRANTED, ROLE),
    ],
)  # fmt: skip
def test_insufficient_scope_said_by_the_provider_is_not_called_a_narrow_role(answer, memory, cause):
    finding = scope_refused(answer, memory)
    assert (finding.cause, finding.owner, finding.scope) == (cause, Owner.CLIENT, "bills")


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        (Rule("p.rules[0]", SCOPE, Step.SCOPE, error=frozenset({"missing_scope"})), SCOPE),
        (Rule("p.rules[0]", SCOPE, Step.SCOPE, description="(?i)not been granted"), SCOPE),
        (Rule("p.rules[0]", SCOPE, Step.SCOPE, challenge="missing_scope"), SCOPE),
        (Rule("p.rules[0]", ROLE, Step.SCOPE, error=frozenset({"missing_scope"})), ROLE),
        # A rule that says of itself that these words leave it open, and one that quotes no words at all.
        (Rule("p.rules[0]", SCOPE, Step.SCOPE, error=frozenset({"missing_scope"}), weigh=True), ROLE),
        (Rule("p.rules[0]", SCOPE, Step.SCOPE, status=(403, 403)), ROLE),
    ],
    ids=["code", "description", "challenge", "another cause", "weighed", "a bare status"],
)
def test_a_providers_file_says_whether_its_words_leave_it_open(rule, cause):
    answer = Answer(
        403, error="missing_scope", description="It has not been granted.", challenge="missing_scope"
    )
    assert scope_refused(answer, READ_BEFORE, rule).cause is cause


def test_a_scope_that_our_registration_lacks_is_the_operators_first_whoever_says_it():
    finding = scope_refused(CODED, replace(READ_BEFORE, app_scopes=frozenset({"contacts"})))
    assert (finding.cause, finding.owner) == (SCOPE, Owner.OPERATOR)


def test_a_whoami_refused_for_its_scope_is_named_so_and_bothers_no_client():
    """Every authorization asks for what whoami needs in the same way: the next one would lack it, too."""
    finding = classify(looked((Step.WHOAMI, CHALLENGED), grant=NOTHING))
    assert (finding.cause, finding.owner, finding.scope) == (SCOPE, Owner.OPERATOR, None)


memories = st.builds(
    Grant,
    account_id=st.just("7"),
    granted=st.sampled_from([None, frozenset(), frozenset({"bills"}), frozenset({"contacts"})]),
    app_scopes=st.sampled_from([None, frozenset({"bills"}), frozenset({"contacts"})]),
    read_before=st.sampled_from([{}, {"bills": NOW - timedelta(days=1)}, {"contacts": NOW}]),
)


@given(st.sampled_from([CHALLENGED, CODED, replace(CODED, status=401), replace(CODED, status=200)]), memories)
def test_promise_5_whatever_the_memory_says_the_words_win(answer, memory):
    finding = scope_refused(answer, memory)
    assert finding.cause is SCOPE
    assert (finding.owner is Owner.OPERATOR) == (memory.app_scopes == {"contacts"})


# -- run out, or withdrawn ------------------------------------------------------------------------------

LONG_AGO = NOW - timedelta(days=400)
OLD = Grant(
    account_id="7", authorized_at=LONG_AGO, refresh_used_at=LONG_AGO, access_expires_at=LONG_AGO,
    idle_lifetime=timedelta(days=90), absolute_lifetime=timedelta(days=365),
)  # fmt: skip
YOUNG = replace(OLD, authorized_at=NOW, refresh_used_at=NOW, access_expires_at=NOW + timedelta(days=1))
REVOKED, EXPIRED = Cause.REVOKED, Cause.REFRESH_EXPIRED

SAID = [
    ("The refresh token was revoked.", REVOKED),
    ("Consent has been withdrawn by the user", REVOKED),
    ("The refresh token expired", EXPIRED),
    ("AADSTS700082: The refresh token has expired due to inactivity.", EXPIRED),
    # Words that name both, or hedge, say neither: memory and clock are heard.
    ("Token has been expired or revoked.", None),
    ("expired access/refresh token", None),
    ("The refresh token passed is incorrect or expired.", None),
    ("refresh token is invalid, expired or revoked", None),
    ("The grant is invalid, expired, revoked, or was issued to another client.", None),
    ("It has expired due to it being revoked, a fresh auth token is needed.", None),
    ("The token has not expired, yet it is not taken.", None),
    ("Token is not active", None),
    (None, None),
]


@pytest.mark.parametrize(("description", "said"), SAID)
@pytest.mark.parametrize("memory", [OLD, YOUNG], ids=["old by the clock", "young by the clock"])
def test_what_an_invalid_grant_says_of_its_reason_outweighs_the_clock(description, said, memory):
    answer = Answer(400, error="invalid_grant", description=description)
    finding = classify(looked((Step.REFRESH, answer), grant=memory, note=RefreshNote.FAILED))
    assert finding.cause is (said or (EXPIRED if memory is OLD else REVOKED))
    assert (finding.confidence == 0.95) == (said is not None)


def refused(description: str) -> Answer:
    return Answer(401, error="invalid_token", description=description, challenge="invalid_token")


@pytest.mark.parametrize("memory", [OLD, YOUNG], ids=["past its expiry", "before its expiry"])
@pytest.mark.parametrize(
    ("description", "cause"),
    [("The access token was revoked", REVOKED), ("The access token expired", EXPIRED)],
)
def test_without_a_refresh_token_the_words_about_the_access_token_decide(memory, description, cause):
    grant = replace(memory, has_refresh_token=False)
    assert classify(looked((Step.WHOAMI, refused(description)), grant=grant)).cause is cause


def test_an_access_token_that_was_revoked_by_its_providers_words_was_not_idle_for_too_long():
    bare = Answer(400, error="invalid_grant")
    asked = (Step.WHOAMI, refused("The access token was revoked")), (Step.REFRESH, bare)
    finding = classify(looked(*asked, grant=OLD, note=RefreshNote.FAILED))
    assert finding.cause is REVOKED


def test_an_access_token_that_ran_out_before_we_thought_does_not_point_to_a_withdrawal():
    """Its provider says that it expired: then it lived shorter than we reckoned, and nothing was withdrawn early."""
    bare = Answer(400, error="invalid_grant")
    asked = (Step.WHOAMI, refused("The access token expired")), (Step.REFRESH, bare)
    finding = classify(looked(*asked, grant=YOUNG, note=RefreshNote.FAILED))
    assert (finding.cause, finding.confidence, finding.rule) == (REVOKED, 0.6, "rfc6749.invalid_grant")


@given(
    st.sampled_from([said for said in SAID if said[1] is not None]),
    st.builds(
        Grant,
        account_id=st.just("7"),
        authorized_at=st.none() | st.datetimes(LONG_AGO.replace(tzinfo=None), NOW.replace(tzinfo=None), timezones=st.just(UTC)),
        refresh_used_at=st.none() | st.datetimes(LONG_AGO.replace(tzinfo=None), NOW.replace(tzinfo=None), timezones=st.just(UTC)),
        access_expires_at=st.none() | st.just(NOW + timedelta(days=3)) | st.just(LONG_AGO),
        idle_lifetime=st.none() | st.timedeltas(timedelta(1), timedelta(500)),
        absolute_lifetime=st.none() | st.timedeltas(timedelta(1), timedelta(500)),
    ),
    st.booleans(),
)  # fmt: skip
def test_promise_5_whatever_the_clock_says_the_words_win(said, memory, asked_before):
    description, cause = said
    first = (
        [(Step.WHOAMI, Answer(401, error="invalid_token", challenge="invalid_token"))] if asked_before else []
    )
    answer = Answer(400, error="invalid_grant", description=description)
    finding = classify(looked(*first, (Step.REFRESH, answer), grant=memory, note=RefreshNote.FAILED))
    assert finding.cause is cause


# -- words are heard wherever they stand ----------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        ['Bearer realm="x", error="insufficient_scope", error_description="needs more", scope="bills"'],
        ['Basic realm="api", Bearer error="insufficient_scope", error_description="needs more"'],
        ["Negotiate", 'Bearer error="insufficient_scope",error_description="needs more"'],
        ['Bearer error_description="needs more", error=insufficient_scope'],
        ['BEARER realm="a, Basic realm=b", error="insufficient_scope", error_description="needs more"'],
    ],
)
def test_a_bearer_challenge_is_heard_wherever_it_stands(headers):
    raw = [(b"WWW-Authenticate", header.encode()) for header in headers]
    answer, _ = read(Reply(403, raw, b""), Errors(), NOW)
    assert (answer.challenge, answer.description) == ("insufficient_scope", "needs more")


@pytest.mark.parametrize(
    "header",
    ['Basic realm="Bearer error=invalid_token"', 'Digest realm="x", error="invalid_token"', 'Bearer realm="error=invalid_token"'],
)  # fmt: skip
def test_what_another_scheme_or_a_quoted_text_says_is_not_taken_for_a_bearer_challenge(header):
    answer, _ = read(Reply(401, [(b"WWW-Authenticate", header.encode())], b""), Errors(), NOW)
    assert (answer.challenge, answer.description) == (None, None)
