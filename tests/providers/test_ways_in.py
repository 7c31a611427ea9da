"""Whether anybody could still connect, and why somebody who tried was kept out, by what providers say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitor.health.doors import Outcome, token_door
from monitor.health.evidence import Step
from monitor.providers import catalogue
from monitor.tokens.callback import on_return
from monitor.wire.answers import read_as
from tests.providers.answers import recorded

NOW = datetime(2026, 11, 23, tzinfo=UTC)
GOOD, REFUSED, UNCLEAR = Outcome.GOOD, Outcome.REFUSED, Outcome.UNCLEAR
# A recorded answer, had it come to a code that nobody gave.
TOKEN_DOOR = [
    ("github", "refresh-bad-code", GOOD),
    ("github", "refresh-incorrect-client", REFUSED),
    ("github", "refresh-redirect-uri-mismatch", REFUSED),
    ("github", "refresh-unverified-email", UNCLEAR),
    ("google", "refresh-expired-or-revoked", GOOD),
    ("google", "refresh-deleted-client", REFUSED),
    ("google", "refresh-invalid-client", REFUSED),
    ("hubspot", "refresh-bad-auth-code", GOOD),
    ("hubspot", "refresh-bad-client-secret", REFUSED),
    ("microsoft", "refresh-54005-code-redeemed", GOOD),
    ("microsoft", "refresh-7000222-our-app", REFUSED),
    ("microsoft", "refresh-9002313-our-app", UNCLEAR),
    ("quickbooks", "refresh-dead", GOOD),
    ("quickbooks", "refresh-invalid-client", REFUSED),
    ("salesforce", "refresh-dead", GOOD),
    ("salesforce", "refresh-invalid-client-id", REFUSED),
    ("slack", "refresh-invalid-code", GOOD),
    ("slack", "refresh-bad-client-secret", REFUSED),
    ("slack", "whoami-internal-error", UNCLEAR),
    ("xero", "refresh-dead", GOOD),
    ("xero", "refresh-invalid-client", REFUSED),
]
CALLBACK = [
    ("google", {"error": "admin_policy_enforced"}, True),
    ("google", {"error": "access_denied"}, False),
    ("microsoft", {"error": "access_denied", "error_description": "AADSTS90094: The grant requires admin permission."}, True),
    ("microsoft", {"error": "access_denied", "error_description": "AADSTS53003: Access has been blocked."}, True),
    ("microsoft", {"error": "access_denied", "error_description": "AADSTS50105: not assigned"}, True),
    ("microsoft", {"error": "access_denied", "error_description": "AADSTS500212: cross-tenant"}, True),
    ("microsoft", {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}, False),
    ("salesforce", {"error": "invalid_client", "error_description": "app must be installed into org"}, True),
    ("salesforce", {"error": "OAUTH_EC_APP_NOT_FOUND"}, True),
    ("salesforce", {"error": "invalid_client"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "name", "outcome"), TOKEN_DOOR)
def test_a_made_up_code(provider, name, outcome):
    known = catalogue.load(provider)
    (one,) = [one for one in recorded(provider) if one.name == f"{name}.http"]
    rules = known.compiled_rules()
    answer, _ = read_as(Step.EXCHANGE, one.messages[0].reply, known.errors, rules, NOW)
    assert token_door(rules, answer).outcome is outcome


@pytest.mark.parametrize(("provider", "params", "kept_out"), CALLBACK)
def test_what_a_browser_brings_back(provider, params, kept_out):
    forbidden = on_return(catalogue.load(provider).compiled_rules(), params)
    assert (forbidden is not None) == kept_out


@pytest.mark.parametrize("provider", catalogue.built_in())
def test_every_rule_of_these_is_tried(provider):
    known = catalogue.load(provider)
    tried = {
        Step.EXCHANGE: any(name == provider for name, *_ in TOKEN_DOOR),
        Step.CALLBACK: any(name == provider for name, *_ in CALLBACK),
    }
    for rule in known.rules:
        assert tried.get(rule.step, True), f"{provider}: a rule of {rule.step}, and nothing that comes to it"
