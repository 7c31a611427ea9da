"""A length of time is said in one way everywhere: tables, sentences, pages, configurations."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import monitor
from monitor.text.spans import span, when
from monitor.text.tomlfile import parse_duration, show_duration

ROOT = Path(monitor.__file__).parent.parent


@pytest.mark.parametrize(
    ("given_", "long", "short", "two"),
    [
        (timedelta(0), "0 seconds", "0s", "0 seconds"),
        (timedelta(seconds=1), "1 second", "1s", "1 second"),
        (timedelta(seconds=60), "1 minute", "1m", "1 minute"),
        (timedelta(seconds=312), "5 minutes", "5m", "5 minutes 12 seconds"),
        (timedelta(minutes=80), "80 minutes", "80m", "1 hour 20 minutes"),
        (timedelta(hours=30), "30 hours", "30h", "1 day 6 hours"),
        (timedelta(days=2, hours=3, minutes=9), "2 days", "2d", "2 days 3 hours"),
        (timedelta(days=2, minutes=9), "2 days", "2d", "2 days"),
        (timedelta(seconds=-5), "0 seconds", "0s", "0 seconds"),
    ],
)
def test_a_span_is_said_in_the_unit_a_person_would_take(given_, long, short, two):
    assert (span(given_), span(given_, short=True), span(given_, units=2)) == (long, short, two)


@given(st.integers(0, 10**9).map(lambda n: timedelta(milliseconds=n)))
def test_what_is_written_as_a_setting_is_read_back_as_the_same(length):
    assert parse_duration(show_duration(length)) == length


def test_a_moment_is_said_relative_to_now():
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert when(now + timedelta(hours=3), now) == "in 3 hours" and when(now, now) == "now due"


def test_nobody_else_divides_a_duration_into_units():
    """There were five ways to say a duration; each had the size of a day in a place of its own."""
    found = []
    for room in ("monitor", "alerts"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                divides = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.FloorDiv))
                if divides and isinstance(node.right, ast.Constant) and node.right.value in (3600, 86400):
                    found.append(path.name)
                if isinstance(node, ast.Tuple) and [
                    getattr(item, "value", None) for item in node.elts[:1]
                ] == [86400]:
                    found.append(path.name)
    assert sorted(set(found)) == ["spans.py"]
