"""How probes went over time, as `explain` says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.health.causes import Cause
from monitor.health.probed import SPANS, Count, first_of, line, periods

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)
TODAY = datetime(2026, 11, 23, tzinfo=UTC)
OK, DOWN, LIMITED = Cause.OK, Cause.PROVIDER_OUTAGE, Cause.RATE_LIMITED


def test_a_day_a_week_and_a_month_are_told_with_latency_and_other_answers():
    counts = [
        Count(TODAY, OK, 100, 8.0), Count(TODAY - DAY, OK, 200, 16.4), Count(TODAY - DAY, DOWN, 1, 10.0),
        Count(TODAY - 6 * DAY, OK, 288, 30.0), Count(TODAY - 6 * DAY, LIMITED, 3, 0.3), Count(TODAY - 6 * DAY, DOWN, 1, 10.0),
        Count(TODAY - 30 * DAY, OK, 288, 30.0),
    ]  # fmt: skip
    assert [line(period) for period in periods(counts, NOW, DAY)] == [
        "Since 2026-11-22 00:00 UTC: 301 probes, 99.6 % good, 81 ms on average; 1 provider_outage.",
        "Since 2026-11-16 00:00 UTC: 593 probes, 99.1 % good, 93 ms on average; 3 rate_limited, 2 provider_outage.",
        "Since 2026-10-24 00:00 UTC: 881 probes, 99.4 % good, 96 ms on average; 3 rate_limited, 2 provider_outage.",
    ]


def test_a_young_connection_has_one_line_and_one_that_was_never_probed_none():
    assert [line(p) for p in periods([Count(TODAY, OK, 1, 0.084)], NOW, DAY)] == [
        "Since 2026-11-22 00:00 UTC: 1 probe, 100 % good, 84 ms on average."
    ]
    assert periods([], NOW, DAY) == ()
    assert [line(p) for p in periods([Count(TODAY, DOWN, 2, 20.0)], NOW, DAY)] == [
        "Since 2026-11-22 00:00 UTC: 2 probes, 0 % good; 2 provider_outage."
    ]


counts = st.builds(
    Count,
    st.integers(0, 40 * 24).map(lambda hours: TODAY - timedelta(hours=hours)),
    st.sampled_from(list(Cause)),
    st.integers(1, 500),
    st.floats(0, 100),
)


@given(st.lists(counts, max_size=20), st.sampled_from([timedelta(hours=1), timedelta(hours=6), DAY, 7 * DAY]))
def test_a_longer_time_has_no_fewer_probes_and_a_hundred_per_cent_are_all_of_them(given_counts, interval):
    found = periods(given_counts, NOW, interval)
    assert [p.probes for p in found] == sorted({p.probes for p in found})
    for period in found:
        assert period.probes == period.good + sum(period.others.values())
        assert ("100 % good" in line(period)) == (period.good == period.probes)
    for span in SPANS:
        since = first_of(NOW, span, interval)
        assert NOW - span - interval < since <= NOW - span, "all of it, and no more than one interval besides"
