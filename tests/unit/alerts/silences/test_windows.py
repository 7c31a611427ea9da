"""Silences and maintenance windows as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.silences.windows import Over, Scope, Silenced, Weekly, Window, first_over

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "inside", "outside"),
    [
        ("sat 22:00-02:00", "UTC", [at(28, 22), at(28, 23, 59), at(29, 1, 59)], [at(28, 21, 59), at(29, 2), at(29, 22)]),
        ("mon-fri 12:00-13:00", "UTC", [at(23, 12), at(27, 12, 30)], [at(28, 12, 30), at(23, 13)]),
        ("sat,sun 00:00-00:00", "UTC", [at(28, 0), at(29, 23)], [at(27, 23), at(30, 0)]),
        ("daily 03:00-03:30", "Europe/Berlin", [at(23, 2), at(24, 2, 29)], [at(23, 3), at(23, 2, 30)]),
        ("fri-mon 10:00-11:00", "UTC", [at(27, 10), at(28, 10), at(29, 10), at(30, 10)], [at(24, 10), at(26, 10)]),
    ],
)  # fmt: skip
def test_weekly_hours(text, zone, inside, outside):
    hours = Weekly.parse(text, zone)
    for moment in inside:
        begin, end = hours.around(moment)
        assert begin <= moment < end
    assert [hours.around(moment) for moment in outside] == [None] * len(outside)


@pytest.mark.parametrize(
    "text", ["", "sometimes", "sat", "sat 25:00-26:00", "noday 10:00-11:00", "mon 1:00-2:00"]
)
def test_what_is_no_window_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"no weekly window|names no days|no day has"):
        Weekly.parse(text)


def test_a_window_of_one_time_holds_from_its_beginning_to_its_end():
    window = Window("move", Over.APP, "us", "moving", True, MONDAY, MONDAY + timedelta(hours=2))
    assert window.at(MONDAY - timedelta(seconds=1)) is None
    assert window.at(MONDAY + timedelta(hours=2)) is None
    silence = window.at(MONDAY)
    assert silence.pauses and silence.until == MONDAY + timedelta(hours=2)
    assert (
        silence.sentence == "In maintenance by the configuration (move): moving, until 2026-11-23 11:00 UTC."
    )


def test_a_silence_covers_what_it_lies_over_and_the_widest_speaks():
    scope = Scope("clio", "us", "Acme", "acme-clio")
    over = {o: Silenced(o, n, o.value, "me", MONDAY, None) for o, n in (
        (Over.ALL, ""), (Over.PROVIDER, "clio"), (Over.APP, "us"), (Over.CLIENT, "Acme"), (Over.CONNECTION, "acme-clio"),
    )}  # fmt: skip
    assert all(silence.covers(scope) for silence in over.values())
    assert first_over(reversed(over.values()), scope).over is Over.ALL
    other = Scope("clio", "eu", "Bolt", "bolt-clio")
    assert [o for o, silence in over.items() if silence.covers(other)] == [Over.ALL, Over.PROVIDER]
    # A matter of several providers is silent only when everything is.
    assert [o for o, silence in over.items() if silence.covers(Scope())] == [Over.ALL]
