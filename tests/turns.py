"""Which tests run on SQLite and PostgreSQL by turns: half of them on each, and the same ones every time.

What asks for `database_url` runs on both. Where the subject is what pages, mails, doors or plans say, and the SQL
below them has its tests of its own, one of the two shows it. Never here: tests of monitor/store, of alerts' own
tables, of locks, races, leases, schema and copies; a test is kept out by the marker `on_both`. DATABASES=both (`make test-both`) runs everything on both.
"""

from __future__ import annotations

import os
from zlib import crc32

import pytest

KINDS = ("sqlite", "postgres")
BY_TURNS = tuple(
    f"tests/{place}"
    for place in (
        # The console: what its pages say, and what they let people do. Work on many is claimed: on both.
        "integration/console/test_access.py", "integration/console/test_apps.py", "integration/console/test_audit.py",
        "integration/console/test_calendar.py", "integration/console/test_connection", "integration/console/test_first_run.py",
        "integration/console/test_fleet.py", "integration/console/test_frame.py", "integration/console/test_import.py",
        "integration/console/test_incidents.py", "integration/console/test_mail_previews.py",
        "integration/console/test_outbox", "integration/console/test_said.py", "integration/console/test_settings.py",
        "integration/console/test_silences.py", "integration/console/test_trouble.py",
        # The doors: who is let in, what is taken, what is answered.
        "integration/access/test_doorkeeper.py", "integration/access/test_keys.py", "integration/access/test_people.py",
        "integration/access/test_sign_in_pages.py", "integration/access/test_single_sign_on.py",
        "integration/api/test_campaigns.py", "integration/api/test_claims.py", "integration/api/test_connections.py",
        "integration/api/test_frame.py", "integration/api/test_looking.py", "integration/api/test_outbox.py",
        "integration/api/test_resources.py", "integration/api/test_signals.py", "integration/api/test_tokens.py",
        "integration/api/test_values_and_users.py",
        "integration/test_consent.py", "integration/test_explained.py", "integration/test_strangers.py",
        # What clients are told.
        "integration/test_campaigns.py", "integration/test_claims.py", "integration/test_mails.py",
        "integration/test_mail_server.py", "integration/test_newcomers.py", "integration/test_second_thoughts.py",
        "integration/test_sent_by_a_word.py", "integration/test_unwritable.py", "integration/test_waves.py",
        # What on-call and the operator are told.
        "integration/test_ahead.py", "integration/test_board.py", "integration/test_oncall.py",
        "integration/test_unconfigured.py",
        # What providers answer, and what is made of it.
        "integration/test_another_app.py", "integration/test_last_try.py", "integration/test_policy_blocked.py",
        "integration/test_refused_alone.py", "integration/test_values.py", "integration/test_what_answers_tell.py",
    )
)  # fmt: skip


def rests(item: pytest.Item) -> bool:
    """Whether it is not this database's turn to run a test."""
    kind = item.callspec.params.get("database_url") if hasattr(item, "callspec") else None
    if kind is None or os.environ.get("DATABASES") == "both":
        return False
    if not item.nodeid.startswith(BY_TURNS) or item.get_closest_marker("on_both"):
        return False
    # By its name with all its parameters but the database: of a test that has many, some run on each.
    return KINDS[crc32(item.nodeid.replace(kind, "").encode()) % 2] != kind
