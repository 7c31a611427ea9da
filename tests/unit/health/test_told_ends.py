"""Ends that providers tell are stronger than their files' lifetimes; and accounts in a list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.health.cadence import Cadence, refresh_at
from monitor.health.causes import Cause
from monitor.health.classify import classify
from monitor.health.evidence import Answer, Evidence, Exchange, Grant, Identity, RefreshNote, Step
from monitor.health.lifecycle import Health, Policy, State, step

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = Grant(
    authorized_at=NOW - 400 * DAY, refresh_used_at=NOW - 90 * DAY, idle_lifetime=60 * DAY, absolute_lifetime=365 * DAY
)  # fmt: skip


@pytest.mark.parametrize(
    ("why", "told", "cause", "rule"),
    [
        ("the file's idle lifetime", {}, Cause.REFRESH_EXPIRED, "+clock.idle"),
        ("told that it is over", {"refresh_ends_at": NOW - DAY}, Cause.REFRESH_EXPIRED, "+clock.told"),
        ("the grant's end is over", {"grant_ends_at": NOW}, Cause.REFRESH_EXPIRED, "+clock.told"),
        ("told to last, and the file would have it over",
         {"refresh_ends_at": NOW + DAY, "grant_ends_at": NOW + DAY}, Cause.REVOKED, "+clock.told"),
        ("only the idle end is told: the file's absolute one counts",
         {"refresh_ends_at": NOW + DAY}, Cause.REFRESH_EXPIRED, "+clock.absolute"),
        ("only the grant's end is told: the file's idle one counts",
         {"grant_ends_at": NOW + DAY}, Cause.REFRESH_EXPIRED, "+clock.idle"),
        ("a minute before it was to end it may have been our clock",
         {"refresh_ends_at": NOW + timedelta(minutes=1), "grant_ends_at": NOW + DAY}, Cause.REVOKED, "invalid_grant"),
    ],
)  # fmt: skip
def test_run_out_is_told_from_withdrawn_by_what_was_told(why, told, cause, rule):
    answer = Answer(400, error="invalid_grant")
    exchange = Exchange(Step.REFRESH, "POST https://x/token", "x", NOW, 0.1, answer)
    seen = Evidence(NOW, (exchange,), refresh=RefreshNote.FAILED, grant=replace(OLD, **told))
    finding = classify(seen)
    assert finding.cause is cause and finding.rule.endswith(rule), (why, finding)


def test_the_keep_alive_goes_by_the_told_end_and_the_file_says_how_far_ahead_at_most():
    told = refresh_at("a", Cadence(), issued_at=None, expires_at=None, used_at=NOW, idle_lifetime=90 * DAY,
                      idle_end=NOW + 10 * DAY)  # fmt: skip
    assert NOW + 6 * DAY < told < NOW + 10 * DAY
    ends = NOW + timedelta(hours=12)
    usual = refresh_at("a", Cadence(), issued_at=NOW, expires_at=ends)
    late = refresh_at("a", Cadence(), issued_at=NOW, expires_at=ends, at_most=timedelta(minutes=2))
    assert usual < ends - timedelta(minutes=9) and ends - timedelta(minutes=4) < late < ends


def seen(identity, expected):
    exchange = Exchange(Step.WHOAMI, "GET https://x/connections", "x", NOW, 0.1, Answer(200))
    return Evidence(NOW, (exchange,), identity=identity, grant=Grant(account_id=expected))


@pytest.mark.parametrize(
    ("accounts", "account", "expected", "cause", "rule"),
    [
        ((("7", "Acme"), ("8", "")), "7", "7", Cause.OK, "ok"),
        ((("8", "Beta"), ("9", "")), None, "7", Cause.WRONG_ACCOUNT, "whoami.accounts"),
        ((), None, "7", Cause.REVOKED, "whoami.no_accounts_left"),
        ((), None, None, Cause.REVOKED, "whoami.no_accounts_left"),
        ((("8", ""), ("9", "")), None, None, Cause.OK, "ok"),
    ],
)
def test_the_account_on_record_has_to_be_one_of_the_list(accounts, account, expected, cause, rule):
    finding = classify(seen(Identity(account, None, None, accounts), expected))
    assert (finding.cause, finding.rule) == (cause, rule)
    if cause is Cause.WRONG_ACCOUNT:
        assert "8 (Beta), 9; on record is 7" in finding.reasons[0]


def test_a_list_that_became_empty_is_confirmed_before_anybody_is_told():
    finding = classify(seen(Identity(None, None, None, ()), "7"))
    once = step(Health(state=State.HEALTHY, since=NOW), finding, Policy(), NOW)
    assert once.health.state is State.SUSPECT and once.incident is None


@pytest.mark.parametrize("note", [None, RefreshNote.DONE, RefreshNote.ELSEWHERE])
def test_what_lacks_a_value_is_the_operators(note):
    finding = classify(Evidence(NOW, refresh=note, lacks=("realm",)))
    assert (finding.cause, finding.rule) == (Cause.APP_MISCONFIGURED, "values.missing")
    assert "has no value realm" in finding.reasons[0]
