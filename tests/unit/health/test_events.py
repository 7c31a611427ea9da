"""What programs are told: what they may ask for, how it is written, and that the documentation says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health import events
from monitor.health.events import LARGEST, TABLE, Type
from tests.conftest import START

DOCS = Path(__file__).parents[3] / "docs" / "webhooks.md"


def table() -> str:
    """The types as the documentation has them."""
    rows = ["| type | | `data` has besides |", "|---|---|---|"]
    for one, kind in TABLE.items():
        rows.append(f"| `{one.value}` | {kind.says} | {' '.join(f'`{name}`' for name in kind.members)} |")
    return "\n".join(rows)


def test_every_type_is_in_the_documentation_as_it_is():
    text = DOCS.read_text()
    assert text.split("<!-- types -->\n")[1].split("\n<!-- /types -->")[0] == table()


def test_every_type_is_in_the_table():
    assert set(TABLE) == set(Type)


@pytest.mark.parametrize(
    ("asked", "of", "wants"),
    [
        (["connection.*"], "connection.broken", True),
        (["*"], "connection.broken", True),
        (["connection.broken"], "connection.broken", True),
        (["connection.broken"], "connection.recovered", False),
        (["connections.*"], "connection.broken", False),
        (["*", "token.*"], "token.renewed", False),
        (["token.renewed"], "token.renewed", True),
        ([], "connection.broken", False),
    ],
)
def test_what_is_asked_for(asked, of, wants):
    assert events.wanted(asked, of) is wants


def test_what_may_be_asked_for():
    assert events.unknown(["*", "connection.*", "connection.broken"]) == []
    assert events.unknown(["connection", "connection.", "conn.*", "**", ""]) == [
        "connection",
        "connection.",
        "conn.*",
        "**",
        "",
    ]
    assert events.types_of(["guard.*"]) == ["guard.raised", "guard.lowered"]


@given(st.dictionaries(st.text(max_size=200), st.text(max_size=200), max_size=200))
def test_a_message_is_never_too_large_whatever_the_labels(labels):
    data = events.about_connection("acme", "clio", "Acme", labels, {"sequence": 1})
    body = events.message(Type.BROKEN.value, START, data)
    assert len(body) <= LARGEST
    said = json.loads(body)
    assert (said["type"], said["timestamp"]) == ("connection.broken", "2026-11-23T09:00:00Z")
    assert said["data"]["labels"] == labels or said["data"]["labels_left_out"]


if __name__ == "__main__":  # writes the documentation's table
    before, _, rest = DOCS.read_text().partition("<!-- types -->\n")
    DOCS.write_text(
        f"{before}<!-- types -->\n{table()}\n<!-- /types -->{rest.partition('<!-- /types -->')[2]}"
    )
