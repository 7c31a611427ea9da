"""The audit's page: filtered, paged, saved; for admins alone."""

from __future__ import annotations

import csv
import io

import pytest

from monitor.operations import connections
from monitor.store import audit
from tests.conftest import ME, START, by
from tests.integration.console.conftest import words


async def test_it_says_who_did_what_newest_first_and_filters(console):
    await console.rig.add("acme", "bolt")
    await connections.pause(console.parts, by("cli:ann"), ["acme"])
    person = await console.admin()
    said = words(await person.get("/audit"))
    assert "cli:ann connection.pause acme" in said
    assert said.index("connection.pause") < said.index("connections.import"), "the newest is first"
    only = words(await person.get("/audit?action=connection.pause&subject=acme&actor=cli:ann"))
    assert "connection.pause" in only
    assert "connections.import" not in only
    assert "No line of the audit is so." in words(await person.get("/audit?actor=nobody"))


async def test_days_are_whole_ones(console):
    await audit.write_down(console.parts.database, START, "me", "silence.create", "1")
    person, day = await console.admin(), START.date()
    there = f"/audit?action=silence.create&since={day}&until={day}"
    assert "silence.create" in words(await person.get(there)).partition("More")[2]
    gone = words(await person.get("/audit?action=silence.create&until=2026-11-22"))
    assert "No line of the audit is so." in gone


async def test_pages_follow_one_another(console):
    for number in range(60):
        await audit.write_down(console.parts.database, START, "me", "silence.create", f"number-{number:02}")
    person = await console.admin()
    first = await person.get("/audit?action=silence.create")
    assert "number-59" in words(first) and "number-09" not in words(first)
    following = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = words(await person.get(following))
    assert "number-09" in second and "number-59" not in second


async def test_it_can_be_saved_and_no_cell_is_a_formula(console):
    await audit.write_down(
        console.parts.database, START, "me", "silence.create", "=cmd|' /C calc'!A0", note="ok"
    )
    answer = await (await console.admin()).get("/audit.csv?action=silence.create")
    assert answer.headers["content-type"].startswith("text/csv")
    header, row = csv.reader(io.StringIO(answer.text))
    assert header[:4] == ["at", "actor", "action", "subject"]
    assert row == [
        "2026-11-23T09:00:00Z",
        "me",
        "silence.create",
        "'=cmd|' /C calc'!A0",
        "",
        "",
        '{"note": "ok"}',
    ]


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("path", ["/audit", "/audit.csv"])
async def test_it_is_for_admins(small, role, path):
    page = await (await small.as_(role)).get(path)
    assert page.status_code == 403
    said = words(page)
    assert "Not with your role" in said
    assert "admin" in said


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("since=yesterday", "A day is written as 2026-12-24."),
        ("until=9999-12-31", "That day is beyond the years that there are."),
        ("before=-1", "This page of the list is none; begin with the first."),
    ],
)
async def test_what_cannot_be_read_is_said_in_one_sentence(small, query, says):
    page = await (await small.admin()).get(f"/audit?{query}")
    assert page.status_code == 422
    assert says in words(page)


async def test_a_name_is_shown_as_it_is_and_is_no_markup(small):
    await audit.write_down(small.parts.database, START, ME.name, "user.create", "<b>משה</b>")
    page = await (await small.admin()).get("/audit")
    assert "<bdi>&lt;b&gt;משה&lt;/b&gt;</bdi>" in page.text
