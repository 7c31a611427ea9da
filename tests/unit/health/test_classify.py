"""One row a case: what was answered, and what it must mean. And what it must never mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import TABLE, Cause, Confirm, Owner, consequence
from monitor.health.classify import Reach, classify, undecided
from monitor.health.evidence import (
    Answer,
    Content,
    Evidence,
    Exchange,
    Fault,
    FaultKind,
    Grant,
    Identity,
    RefreshNote,
    Step,
)
from monitor.health.rules import Rule

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOST = "app.clio.example"
GRANT = Grant(
    account_id="7", access_expires_at=NOW + timedelta(days=3), refresh_used_at=NOW - timedelta(days=1)
)
GOOD = Answer(200)
REFUSED = Answer(401, error="invalid_token", challenge="invalid_token")
INVALID_GRANT = Answer(400, error="invalid_grant")
HTML_403 = Answer(403, content=Content.HTML)
FORBIDDEN = Answer(403, error="ForbiddenError", description="User is forbidden from taking that action")


def ask(step, outcome, scope=None) -> Exchange:
    return Exchange(step, f"GET https://{HOST}/x", HOST, NOW, 0.1, outcome, scope)


def evidence(*exchanges, note=None, grant=GRANT, account="7") -> Evidence:
    asked = tuple(ask(*e) for e in exchanges)
    who = any(e.step is Step.WHOAMI and e.outcome.ok for e in asked)
    return Evidence(NOW, asked, Identity(account, "Acme") if who else None, note, grant)


WHOAMI, REFRESH, SCOPE = Step.WHOAMI, Step.REFRESH, Step.SCOPE
FAILED, DONE = RefreshNote.FAILED, RefreshNote.DONE
LOST_ANSWER = {
    "step": "refresh", "asked": "POST https://x/token", "at": "2026-11-23T11:00:00+00:00", "seconds": 1.0,
    "status": 502, "content": "html",
}  # fmt: skip
IDLE = replace(GRANT, idle_lifetime=timedelta(hours=12), access_expires_at=None)
OLD = replace(GRANT, absolute_lifetime=timedelta(days=30), authorized_at=NOW - timedelta(days=31))
NO_REFRESH = replace(GRANT, has_refresh_token=False)

CASES = [
    ("whoami answers", evidence((WHOAMI, GOOD)), Cause.OK, 1.0),
    ("whoami and scope answer", evidence((WHOAMI, GOOD), (SCOPE, GOOD, "contacts")), Cause.OK, 1.0),
    ("another account", evidence((WHOAMI, GOOD), account="8"), Cause.WRONG_ACCOUNT, 1.0),
    ("whoami without an account", evidence((WHOAMI, GOOD), account=None), Cause.UNEXPECTED, 0.8),
    # The token endpoint.
    ("grant refused, access refused early",
     evidence((WHOAMI, REFUSED), (REFRESH, INVALID_GRANT), note=FAILED), Cause.REVOKED, 0.9),
    ("grant refused, nothing else known",
     evidence((REFRESH, INVALID_GRANT), note=FAILED, grant=replace(GRANT, access_expires_at=None)),
     Cause.REVOKED, 0.6),
    ("grant refused, idle for too long",
     evidence((REFRESH, INVALID_GRANT), note=FAILED, grant=IDLE), Cause.REFRESH_EXPIRED, 0.9),
    ("grant refused, older than the provider keeps any",
     evidence((REFRESH, INVALID_GRANT), note=FAILED, grant=OLD), Cause.REFRESH_EXPIRED, 0.9),
    ("grant refused while the access token still works",
     evidence((REFRESH, INVALID_GRANT), (WHOAMI, GOOD), note=FAILED), Cause.REVOKED, 0.6),
    ("invalid_client", evidence((REFRESH, Answer(401, error="invalid_client")), note=FAILED),
     Cause.APP_MISCONFIGURED, 0.95),
    ("unauthorized_client", evidence((REFRESH, Answer(400, error="unauthorized_client")), note=FAILED),
     Cause.APP_MISCONFIGURED, 0.95),
    ("invalid_scope at a refresh", evidence((REFRESH, Answer(400, error="invalid_scope")), note=FAILED),
     Cause.APP_MISCONFIGURED, 0.95),
    ("refresh meets an outage, the access token works",
     evidence((REFRESH, Answer(503)), (WHOAMI, GOOD), note=FAILED), Cause.OK, 1.0),
    ("refresh meets an outage, the access token ran out",
     evidence((WHOAMI, REFUSED), (REFRESH, Answer(503)), note=FAILED), Cause.PROVIDER_OUTAGE, 0.95),
    ("refresh answered by a firewall",
     evidence((WHOAMI, REFUSED), (REFRESH, HTML_403), note=FAILED), Cause.UNEXPECTED, 0.9),
    ("a fresh access token refused",
     evidence((WHOAMI, REFUSED), (REFRESH, GOOD), (WHOAMI, REFUSED), note=DONE), Cause.UNEXPECTED, 0.7),
    ("refused, and the refresh could not be tried", evidence((WHOAMI, REFUSED), note=FAILED),
     Cause.UNEXPECTED, 0.3),
    ("refused early, no refresh token", evidence((WHOAMI, REFUSED), grant=NO_REFRESH), Cause.REVOKED, 0.8),
    ("ran out, no refresh token",
     evidence((WHOAMI, REFUSED), grant=replace(NO_REFRESH, access_expires_at=NOW - timedelta(1))),
     Cause.REFRESH_EXPIRED, 0.9),
    ("the journal says lost", evidence(note=RefreshNote.LOST), Cause.REFRESH_LOST, 0.9),
    ("a last try was refused", replace(evidence((WHOAMI, REFUSED), (REFRESH, INVALID_GRANT),
     note=RefreshNote.LOST), unanswered=(LOST_ANSWER,)), Cause.REFRESH_LOST, 0.95),
    ("an answer was lost, and the file says never", replace(evidence((REFRESH, Answer(502, Content.HTML)),
     note=RefreshNote.LOST), unanswered=(LOST_ANSWER,)), Cause.REFRESH_LOST, 0.9),
    ("in doubt, and the access token works", evidence((REFRESH, Answer(500)), (WHOAMI, GOOD),
     note=RefreshNote.IN_DOUBT), Cause.OK, 1.0),
    ("in doubt, and the access token has ended", evidence((WHOAMI, REFUSED), (REFRESH, Answer(500)),
     note=RefreshNote.IN_DOUBT), Cause.PROVIDER_OUTAGE, 0.95),
    ("waiting for a last try", evidence((WHOAMI, REFUSED), note=RefreshNote.IN_DOUBT),
     Cause.UNEXPECTED, 0.3),
    ("waiting for somebody else's refresh", evidence(note=RefreshNote.BUSY), Cause.UNEXPECTED, 0.3),
    ("somebody else refreshes, and it works", evidence((WHOAMI, GOOD), note=RefreshNote.BUSY), Cause.OK, 1.0),
    ("a credential does not decrypt", evidence(note=RefreshNote.UNREADABLE), Cause.APP_MISCONFIGURED, 1.0),
    ("another process refreshed", evidence((REFRESH, INVALID_GRANT), (WHOAMI, GOOD),
     note=RefreshNote.ELSEWHERE), Cause.OK, 1.0),
    # Resources.
    ("scope refused by the standard, granted says no",
     evidence((WHOAMI, GOOD), (SCOPE, Answer(403, challenge="insufficient_scope"), "bills"),
              grant=replace(GRANT, granted=frozenset({"contacts"}))), Cause.INSUFFICIENT_SCOPE, 0.95),
    ("scope refused though granted",
     evidence((WHOAMI, GOOD), (SCOPE, FORBIDDEN, "bills"), grant=replace(GRANT, granted=frozenset({"bills"}))),
     Cause.ROLE_RESTRICTED, 0.95),
    ("scope refused that this grant could read",
     evidence((WHOAMI, GOOD), (SCOPE, FORBIDDEN, "bills"), grant=replace(GRANT, read_before={"bills": NOW})),
     Cause.ROLE_RESTRICTED, 0.75),
    ("scope refused that this grant never read",
     evidence((WHOAMI, GOOD), (SCOPE, FORBIDDEN, "bills")), Cause.INSUFFICIENT_SCOPE, 0.7),
    ("scope check behind a firewall", evidence((WHOAMI, GOOD), (SCOPE, HTML_403, "bills")),
     Cause.UNEXPECTED, 0.9),
    ("scope check in an outage", evidence((WHOAMI, GOOD), (SCOPE, Answer(502), "bills")),
     Cause.PROVIDER_OUTAGE, 0.95),
    # Weather.
    ("429", evidence((WHOAMI, Answer(429))), Cause.RATE_LIMITED, 0.95),
    ("503", evidence((WHOAMI, Answer(503, content=Content.HTML))), Cause.PROVIDER_OUTAGE, 0.95),
    ("a firewall's 403", evidence((WHOAMI, HTML_403)), Cause.UNEXPECTED, 0.9),
    ("a proxy's 401 without a challenge", evidence((WHOAMI, Answer(401, content=Content.HTML))),
     Cause.UNEXPECTED, 0.9),
    ("200 with a page", evidence((WHOAMI, Answer(200, content=Content.HTML))), Cause.UNEXPECTED, 0.9),
    ("200 cut short", evidence((WHOAMI, Answer(200, content=Content.OTHER))), Cause.UNEXPECTED, 0.9),
    ("200 with an error", evidence((WHOAMI, Answer(200, error="oops"))), Cause.UNEXPECTED, 0.7),
    ("a redirect", evidence((WHOAMI, Answer(302, content=Content.EMPTY, redirect="login.example"))),
     Cause.UNEXPECTED, 0.9),
    ("a status no rule knows", evidence((WHOAMI, Answer(418))), Cause.UNEXPECTED, 0.7),
    ("refused connection", evidence((WHOAMI, Fault(FaultKind.REFUSED))), Cause.PROVIDER_OUTAGE, 0.7),
    ("our own pool", evidence((WHOAMI, Fault(FaultKind.OURS))), Cause.UNEXPECTED, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("why", "seen", "cause", "confidence"), CASES, ids=[case[0] for case in CASES])
def test_what_an_answer_means(why, seen, cause, confidence):
    finding = classify(seen)
    assert (finding.cause, finding.confidence) == (cause, confidence)
    assert finding.ok or finding.reasons, "every finding says why"


# What no standard has words for: only a provider's own rule says it.
OWN_RULES = (
    Rule("p.rules[0]", Cause.POLICY_BLOCKED, Step.REFRESH, (400, 400), description="invalid_rapt", setting="s"),
    Rule("p.rules[1]", Cause.EGRESS_BLOCKED, status=(400, 403), description="ip restricted"),
)  # fmt: skip
BY_OWN_RULES = [
    ("a setting of their administrator",
     evidence((REFRESH, Answer(400, error="invalid_grant", description="reauth related error (invalid_rapt)")),
              (WHOAMI, GOOD), note=FAILED), Cause.POLICY_BLOCKED),
    ("our address at the token endpoint",
     evidence((REFRESH, Answer(400, error="invalid_grant", description="ip restricted")), note=FAILED),
     Cause.EGRESS_BLOCKED),
    ("our address at the API", evidence((WHOAMI, Answer(403, error="x", description="ip restricted"))),
     Cause.EGRESS_BLOCKED),
]  # fmt: skip


@pytest.mark.parametrize(("why", "seen", "cause"), BY_OWN_RULES, ids=[case[0] for case in BY_OWN_RULES])
def test_what_only_a_providers_own_words_can_say(why, seen, cause):
    finding = classify(seen, OWN_RULES)
    assert (finding.cause, finding.confidence) == (cause, 1.0)
    assert classify(seen).cause is not cause, "no standard says so"


def test_every_cause_is_reached_by_some_case():
    reached = {case[2] for case in (*CASES, *BY_OWN_RULES)} | {Cause.NETWORK}
    assert reached == set(Cause)


def test_a_scope_that_our_registration_lacks_is_the_operators_first():
    grant = replace(GRANT, app_scopes=frozenset({"contacts"}))
    finding = classify(evidence((WHOAMI, GOOD), (SCOPE, FORBIDDEN, "bills"), grant=grant))
    assert (finding.cause, finding.owner) == (Cause.INSUFFICIENT_SCOPE, Owner.OPERATOR)


def test_the_providers_rules_come_before_the_standards():
    rule = Rule("clio.rules[0]", Cause.REFRESH_EXPIRED, Step.REFRESH, (400, 400), frozenset({"invalid_grant"}),
                "(?i)expired")  # fmt: skip
    seen = evidence((REFRESH, Answer(400, error="invalid_grant", description="Token Expired")), note=FAILED)
    finding = classify(seen, (rule,))
    assert (finding.cause, finding.rule, finding.confidence) == (Cause.REFRESH_EXPIRED, "clio.rules[0]", 1.0)
    assert classify(evidence((REFRESH, INVALID_GRANT), note=FAILED), (rule,)).cause is Cause.REVOKED


def test_a_providers_rule_for_a_status_does_not_take_a_firewalls_page_for_the_api():
    rule = Rule("p.rules[0]", Cause.REVOKED, status=(403, 403))
    assert classify(evidence((WHOAMI, HTML_403)), (rule,)).cause is Cause.UNEXPECTED


@pytest.mark.parametrize(
    ("reach", "kind", "cause"),
    [
        (Reach(frozenset({"other.example"}), frozenset()), FaultKind.DNS, Cause.PROVIDER_OUTAGE),
        (Reach(frozenset(), frozenset({"other.example", HOST})), FaultKind.READ_TIMEOUT, Cause.NETWORK),
        (Reach(frozenset(), frozenset({HOST})), FaultKind.DNS, Cause.NETWORK),
        (Reach(frozenset(), frozenset({HOST})), FaultKind.READ_TIMEOUT, Cause.PROVIDER_OUTAGE),
        (Reach(frozenset({HOST}), frozenset()), FaultKind.DNS, Cause.PROVIDER_OUTAGE),
    ],
    ids=["others answer", "nobody answers", "only one host known, no name", "only one host known", "it answers others"],
)  # fmt: skip
def test_our_network_is_told_from_the_providers_outage(reach, kind, cause):
    assert classify(evidence((WHOAMI, Fault(kind))), (), reach).cause is cause


statuses = st.integers(100, 599)
not_json = st.sampled_from([Content.HTML, Content.OTHER, Content.EMPTY])
words = st.sampled_from([None, "invalid_grant", "invalid_token", "insufficient_scope", "whatever"])


@given(statuses, not_json, st.sampled_from([WHOAMI, REFRESH, SCOPE]))
def test_promise_1_what_is_not_json_is_never_a_clients_fault(status, content, step):
    """HTML, truncated JSON and empty bodies say nothing about a token, whatever the status."""
    bad = Answer(status, content=content)
    if step is REFRESH:
        seen = evidence((WHOAMI, Answer(200, content=content)), (REFRESH, bad), note=FAILED)
    elif step is SCOPE:
        seen = evidence((WHOAMI, GOOD), (SCOPE, bad, "contacts"))
    else:
        seen = evidence((WHOAMI, bad))
    assert not consequence(classify(seen).cause).client_mail


@given(st.sampled_from(list(FaultKind)), st.sampled_from([WHOAMI, REFRESH, SCOPE]), st.booleans())
def test_promise_1_no_answer_is_never_a_clients_fault(kind, step, others_answer):
    reach = Reach(frozenset({"other.example"} if others_answer else ()), frozenset({HOST}))
    first = (WHOAMI, GOOD) if step is SCOPE else (WHOAMI, REFUSED)
    fault = (step, Fault(kind), "contacts" if step is SCOPE else None)
    seen = evidence(first, fault, note=FAILED if step is REFRESH else None)
    assert not consequence(classify(seen, (), reach).cause).client_mail


@given(statuses.filter(lambda s: s == 429 or s >= 500 or 300 <= s < 400), words, words)
def test_promise_1_outages_limits_and_redirects_are_never_a_clients_fault(status, error, challenge):
    seen = evidence((WHOAMI, Answer(status, error=error, challenge=challenge)))
    assert not consequence(classify(seen).cause).client_mail


@given(statuses, words, words, st.sampled_from([None, *RefreshNote]), st.booleans())
def test_any_evidence_has_a_finding_with_a_known_cause(status, error, challenge, note, has_refresh):
    answer = Answer(status, error=error, challenge=challenge)
    grant = replace(GRANT, has_refresh_token=has_refresh)
    finding = classify(evidence((REFRESH, answer), (WHOAMI, answer), note=note, grant=grant))
    assert finding.cause in TABLE
    assert 0 < finding.confidence <= 1


WAITS = [
    (evidence((WHOAMI, REFUSED), note=RefreshNote.IN_DOUBT), True),
    (evidence(note=RefreshNote.BUSY), True),
    (evidence((WHOAMI, GOOD), note=RefreshNote.IN_DOUBT), False),
    (evidence((WHOAMI, Answer(503)), note=RefreshNote.IN_DOUBT), False),
    (evidence((WHOAMI, REFUSED), (REFRESH, Answer(502)), note=RefreshNote.IN_DOUBT), False),
    (evidence((WHOAMI, REFUSED), note=FAILED), False),
]


@pytest.mark.parametrize(("seen", "waits"), WAITS)
def test_only_waiting_for_a_refresh_leaves_it_undecided(seen, waits):
    assert undecided(seen) is waits


def test_the_table_keeps_the_rule_above_all_others():
    """A client is never asked to re-authorize for something that re-authorizing does not mend."""
    for cause, row in TABLE.items():
        assert row.client_mail == (row.owner is Owner.CLIENT), cause
        assert not row.client_mail or row.confirm in (Confirm.DEFINITE, Confirm.AT_ONCE), cause
    assert set(TABLE) == set(Cause)
