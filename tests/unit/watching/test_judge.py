"""What follows from what was found: one row a case, and what never follows whatever was found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.cadence import Cadence
from monitor.health.causes import Cause, Owner
from monitor.health.classify import Reach, undecided
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
from monitor.health.lifecycle import Health, IncidentChange, Policy, State
from monitor.watching.judge import judge
from tests.unit.health.test_classify import (
    FAILED,
    GOOD,
    INVALID_GRANT,
    NOW,
    REFRESH,
    REFUSED,
    WHOAMI,
    evidence,
)

HEALTHY = Health(State.HEALTHY, NOW - timedelta(days=1))
NEW = Health(State.PENDING, NOW - timedelta(minutes=1))
DOUBTED = replace(
    HEALTHY, state=State.SUSPECT, cause=Cause.REVOKED, candidate=Cause.REVOKED, streak=1,
    streak_since=NOW - timedelta(seconds=31), bad_since=NOW - timedelta(seconds=31),
)  # fmt: skip
BROKEN = replace(DOUBTED, state=State.BROKEN, owner=Owner.CLIENT, streak=2)
LACKS_SCOPE = replace(BROKEN, cause=Cause.INSUFFICIENT_SCOPE, candidate=Cause.INSUFFICIENT_SCOPE)
PAUSED = replace(HEALTHY, state=State.PAUSED)
WELL, GONE = evidence((WHOAMI, GOOD)), evidence((REFRESH, INVALID_GRANT), note=FAILED)
NOTHING_LEFT = evidence((WHOAMI, Fault(FaultKind.EXHAUSTED)))
OPEN, CLOSE = IncidentChange.OPEN, IncidentChange.CLOSE


def ruled(health, found, **more):
    given_ = {"rules": (), "reach": Reach(), "policy": Policy(), "cadence": Cadence(), "now": NOW}
    return judge("acme", health, found, **given_ | more)


CASES = [
    # What was found, how it was, how it is from then on, whether that is a change, what becomes of the incident.
    ("all is well, as before", WELL, HEALTHY, State.HEALTHY, False, None),
    ("the first good probe", WELL, NEW, State.HEALTHY, True, None),
    ("the first refusal is a doubt", GONE, HEALTHY, State.SUSPECT, True, None),
    ("the second confirms it", GONE, DOUBTED, State.BROKEN, True, OPEN),
    ("and more of it changes nothing", GONE, BROKEN, State.BROKEN, False, None),
    ("mended", WELL, BROKEN, State.HEALTHY, True, CLOSE),
    ("bad weather mends nothing", evidence((WHOAMI, Answer(503))), BROKEN, State.BROKEN, False, None),
    ("nobody looks at what is paused", GONE, PAUSED, State.PAUSED, False, None),
    ("a refresh is another's just now", evidence(note=RefreshNote.BUSY), HEALTHY, State.HEALTHY, False, None),
    ("the refresh token's turn comes later",
     evidence((WHOAMI, REFUSED), note=RefreshNote.IN_DOUBT), HEALTHY, State.HEALTHY, False, None),
    ("we had no descriptor left", NOTHING_LEFT, HEALTHY, State.HEALTHY, False, None),
    ("nor is that a second sign", NOTHING_LEFT, DOUBTED, State.SUSPECT, False, None),
    ("its scopes could not be looked at, so it is not mended",
     replace(WELL, complete=False), LACKS_SCOPE, State.BROKEN, False, None),
    ("though a newcomer may begin", replace(WELL, complete=False), NEW, State.HEALTHY, True, None),
    ("a refusal counts however little was looked at", replace(GONE, complete=False), DOUBTED, State.BROKEN, True, OPEN),
    ("its first account waits for a person", replace(WELL, held=True), NEW, State.PENDING, False, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "health", "state", "changed", "incident"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_what_follows(found, health, state, changed, incident):
    ruling = ruled(health, found)
    verdict = ruling.verdict
    assert (verdict.health.state, verdict.changed, verdict.incident) == (state, changed, incident)
    assert bool(ruling.kept) is changed, "evidence is kept with what it changed"


@pytest.mark.parametrize(
    ("found", "health", "account"),
    [
        (replace(WELL, grant=Grant()), NEW, "7"),  # the first that is seen
        (WELL, HEALTHY, None),  # on record already
        (WELL, BROKEN, "7"),  # its name may be another since
        (evidence((WHOAMI, GOOD), account="8"), HEALTHY, None),  # another than the one on record
        (replace(GONE, grant=Grant()), NEW, None),
    ],
)
def test_an_account_is_put_on_record_when_it_was_seen_to_work(found, health, account):
    recorded = ruled(health, found).account
    assert (recorded and recorded.account_id) == account


def test_the_next_look_is_when_the_provider_asked_or_the_pair_is_due():
    later, soon = NOW + timedelta(hours=3), NOW + timedelta(minutes=1)
    assert ruled(HEALTHY, evidence((WHOAMI, Answer(429, retry_at=later)))).next_probe_at == later
    assert ruled(HEALTHY, WELL, refresh_at=soon).next_probe_at == soon
    assert ruled(HEALTHY, GONE).next_probe_at == NOW + Cadence().recheck


def test_an_outage_is_told_from_our_own_network_by_whom_we_heard_from():
    silent = evidence((WHOAMI, Fault(FaultKind.CONNECT_TIMEOUT)))
    host = silent.exchanges[0].host
    assert (
        ruled(HEALTHY, silent, reach=Reach(frozenset({"other"}), frozenset({host}))).finding.cause
        is Cause.PROVIDER_OUTAGE
    )
    assert (
        ruled(HEALTHY, silent, reach=Reach(frozenset(), frozenset({host, "other"}))).finding.cause
        is Cause.NETWORK
    )


words = st.sampled_from(
    [None, "invalid_grant", "invalid_client", "invalid_token", "insufficient_scope", "whatever"]
)
times = st.integers(-(10**6), 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds))
perhaps = st.none() | times
answers = st.builds(
    Answer,
    st.sampled_from([200, 301, 400, 401, 403, 404, 429, 500, 503]),
    st.sampled_from(Content), words, words, words, st.just(""), perhaps,
)  # fmt: skip
faults = st.builds(Fault, st.sampled_from(FaultKind), st.just(""), st.sampled_from([None, True, False]))
exchanges = st.builds(
    Exchange, st.sampled_from(Step), st.just("GET https://x/y"), st.sampled_from(["x", "y"]), times,
    st.just(0.1), answers | faults, st.sampled_from([None, "contacts"]),
)  # fmt: skip
lives = st.none() | st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds))
grants = st.builds(
    Grant,
    account_id=st.sampled_from([None, "7"]),
    needed=st.sampled_from([(), ("contacts",)]),
    granted=st.sampled_from([None, frozenset(), frozenset({"contacts"})]),
    app_scopes=st.sampled_from([None, frozenset({"contacts"})]),
    authorized_at=perhaps, refresh_used_at=perhaps, issued_at=perhaps, access_expires_at=perhaps,
    idle_lifetime=lives, absolute_lifetime=lives, has_refresh_token=st.booleans(),
)  # fmt: skip
identities = st.none() | st.builds(
    Identity, st.sampled_from([None, "7", "8"]), st.sampled_from([None, "Acme"])
)
anything = st.builds(
    Evidence, st.just(NOW), st.lists(exchanges, max_size=4).map(tuple), identities,
    st.sampled_from([None, *RefreshNote]), grants, st.just(()), st.none(), st.sampled_from([None, *Cause]),
    st.booleans(), st.booleans(),
)  # fmt: skip
healths = st.builds(
    Health, st.sampled_from(State), times, st.sampled_from(Cause), candidate=st.sampled_from(Cause),
    streak=st.integers(0, 9), streak_since=perhaps, bad_since=perhaps, good_streak=st.integers(0, 3),
    flaps=st.floats(0, 9), flaps_at=perhaps,
)  # fmt: skip


@given(healths, anything, perhaps)
def test_whatever_was_found_something_follows_and_undecided_is_no_verdict(health, found, refresh_at):
    ruling = ruled(health, found, refresh_at=refresh_at)
    assert ruling.next_probe_at is not None and (
        found.retry_at is None or ruling.next_probe_at >= found.retry_at
    )
    if undecided(found) or found.held:
        assert ruling.verdict.health is health and not ruling.verdict.changed
        assert (ruling.verdict.incident, ruling.kept) == (None, ())
    if ruling.account is not None:
        assert ruling.finding.ok and ruling.account.account_id is not None


@given(healths, anything)
def test_judging_twice_says_the_same(health, found):
    assert ruled(health, found) == ruled(health, found)
