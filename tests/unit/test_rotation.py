"""What an unfinished refresh means, for every outcome and every habit of a provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.health.rotation import Aftermath, Journal, Rotation, after

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REUSES, ROTATES = Rotation(False), Rotation(True)
rotations = st.builds(Rotation, st.booleans(), st.integers(0, 3600).map(lambda s: timedelta(seconds=s)))


@given(st.sampled_from([Journal.OPEN, Journal.UNCLEAR]), st.integers(0, 10**6))
def test_a_strict_provider_never_sees_a_doubtful_token_again(outcome, seconds):
    assert after(outcome, NOW, ROTATES, NOW + timedelta(seconds=seconds)) is Aftermath.LOST


@given(st.sampled_from(list(Journal)), rotations, st.integers(0, 10**6))
def test_what_was_refused_or_never_sent_is_as_good_as_before(outcome, rotation, seconds):
    means = after(outcome, NOW, rotation, NOW + timedelta(seconds=seconds))
    if outcome in (Journal.REFUSED, Journal.NOT_SENT, Journal.STORED):
        assert means is Aftermath.OLD_PAIR
    elif outcome is not Journal.LOST and not rotation.rotates:
        assert means is Aftermath.MAY_RETRY


def test_a_grace_period_allows_to_ask_again_within_it():
    lenient = Rotation(True, timedelta(minutes=30))
    assert after(Journal.UNCLEAR, NOW, lenient, NOW + timedelta(minutes=29)) is Aftermath.MAY_RETRY
    assert after(Journal.UNCLEAR, NOW, lenient, NOW + timedelta(minutes=31)) is Aftermath.LOST
    assert after(Journal.OPEN, NOW, REUSES, NOW + timedelta(days=9)) is Aftermath.MAY_RETRY
