"""What stands where in a timeline's drawing."""

from __future__ import annotations

from datetime import timedelta

from monitor.health.causes import Cause
from monitor.health.lifecycle import State
from monitor.health.probed import Count, first_of
from monitor.health.timeline import Span, Turn, Word, timeline
from monitor.web.console.charts import NARROWEST, STATES, WIDTH, drawn
from tests.conftest import START as NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def draw(turns=(), span=Span.DAY, counts=(), words=(), interval=HOUR):
    return drawn(timeline(span, turns, (), None, counts, words, NOW, interval))


def test_worse_is_taller_and_the_strip_ends_now():
    turns = [
        Turn(NOW - DAY, State.HEALTHY),
        Turn(NOW - 2 * HOUR, State.SUSPECT),
        Turn(NOW - HOUR, State.BROKEN),
    ]
    found = draw(turns)
    assert [(one.of, one.x, one.width) for one in found.states] == [
        ("healthy", 0, 1320), ("suspect", 1320, 60), ("broken", 1380, 60),
    ]  # fmt: skip
    heights = {one.of: one.height for one in found.states}
    assert heights["healthy"] < heights["suspect"] < heights["broken"]
    assert heights["broken"] == STATES
    assert found.shown == [State.BROKEN, State.SUSPECT, State.HEALTHY]


def test_what_lasted_a_moment_is_seen_and_stays_inside():
    found = draw([Turn(NOW - DAY, State.HEALTHY), Turn(NOW - timedelta(seconds=1), State.BROKEN)])
    last = found.states[-1]
    assert (last.width, last.x + last.width) == (NARROWEST, WIDTH)
    assert draw(words=[Word(NOW, "Mailed")]).words[0].x == WIDTH - NARROWEST


def test_what_is_not_known_is_not_drawn():
    found = draw()
    assert (found.states, found.line, found.area, found.shown) == ([], "", "", [])


def test_answer_times_are_steps_with_gaps_where_nothing_is_known():
    first = first_of(NOW, 3 * HOUR, HOUR)
    counts = [
        Count(first, Cause.OK, 2, 0.2),
        Count(first + HOUR, Cause.OK, 1, 0.05),
        Count(first + 3 * HOUR, Cause.OK, 1, 0.1),
    ]
    found = draw(counts=counts)
    assert found.line.startswith("M1260.0 ")
    assert found.line.count("M") == (2 if first + 3 * HOUR < NOW else 1)
    assert "V" in found.line


def test_the_axis_reaches_from_the_beginning_to_now():
    for span in Span:
        ticks = draw(span=span).ticks
        assert (ticks[0], ticks[-1]) == (NOW - span.length, NOW)
