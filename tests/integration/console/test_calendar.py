"""The calendar's page: what ends, whose it is, and what is kept alive, on both databases."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files

import pytest
from sqlalchemy import update

from monitor.operations import api_keys, connections
from monitor.store.tables import credential
from tests.conftest import ME, START, rigged
from tests.integration.console.conftest import MORE, served, words

DAY = timedelta(days=1)
HEBREW = "משרד עורכי דין כהן ושות׳"


@pytest.fixture
async def console(tmp_path, sandbox, database_url):
    """Firms of an app whose tokens idle out after 60 days, and of one whose secret's end nobody wrote down."""
    known = files("monitor.providers").joinpath("clio.toml").read_text()
    lasts = 'client_auth = "body"\nrefresh_idle_lifetime = "60d"\n'
    (tmp_path / "lasting.toml").write_text(known.replace('client_auth = "body"\n', lasts))
    ends = (START + 10 * DAY).date()
    lasting = {"extra": f'provider_file = "lasting.toml"\nsecret_expires = {ends}'}
    apps = {"clio": lasting, "clio-eu": {}}
    async with rigged(tmp_path, sandbox, database_url, apps=apps, more=MORE) as rig, served(rig) as found:
        await rig.add("acme", "bolt", "clay", scopes=("contacts",))
        await rig.look()
        yield found


async def told(console, name, **values):
    async with console.parts.database.write() as conn:
        await conn.execute(update(credential).where(credential.c.connection == name).values(**values))


async def test_it_says_what_ends_who_acts_and_what_happens(console):
    await told(console, "acme", grant_ends_at=START + 3 * DAY)
    page = await (await console.viewer()).get("/calendar")
    said = words(page)
    assert page.status_code == 200
    assert "One end within 30 days is yours to prevent." in said
    assert "One authorization ends for good within 13 weeks. 3 refresh tokens are kept alive" in said
    assert (
        "Thu 26 Nov in 3 days Firm acme Clio Manage: the authorization ends, whatever is done Client" in said
    )
    assert "Mailed 30 d, 7 d, 24 h ahead." in said
    assert "Client secret of app clio Clio Manage, 3 connections need it Operator" in said
    assert "Client secret of app clio-eu Operator End unknown: set it." in said
    assert "3 refresh tokens of Clio Manage run out after 60 d unused Nobody Each is used in time." in said
    assert "token-health " not in said, "a page names no command where it has a link"


async def test_many_of_one_day_are_one_line_and_a_day_has_them_all(console):
    for name in ("acme", "bolt", "clay"):
        await told(console, name, grant_ends_at=START + 3 * DAY)
    person = await console.viewer()
    page = await person.get("/calendar")
    assert "3 of Clio Manage app clio: authorizations end, whatever is done" in words(page)
    assert "/calendar?day=2026-11-26&amp;kind=grants&amp;app=clio" in page.text
    day = words(await person.get("/calendar?day=2026-11-26&kind=grants&app=clio"))
    assert "What ends on Thu 26 Nov" in day
    assert all(f"Firm {name}" in day for name in ("acme", "bolt", "clay"))


async def test_what_nobody_uses_is_the_operator_s(console):
    await connections.pause(console.parts, ME, ["clay"])
    said = words(await (await console.viewer()).get("/calendar?kind=tokens"))
    assert "Firm clay Clio Manage: the refresh token runs out, since nobody uses it Operator" in said
    assert "One more is paused or broken, so nobody uses it: it runs out on" in said
    assert "Firm acme" not in said


async def test_filters_stand_in_the_address_and_can_be_taken_away(console):
    await told(console, "acme", grant_ends_at=START + 3 * DAY)
    await told(console, "bolt", grant_ends_at=START + 4 * DAY)
    page = await (await console.viewer()).get("/calendar?client=Firm+bolt")
    assert "Firm acme" not in words(page)
    assert "Firm bolt" in words(page)
    assert 'class="chip on" href="/calendar"' in page.text
    nothing = words(await (await console.viewer()).get("/calendar?client=Nobody&app=clio-eu"))
    assert "Nothing of this ends within 13 weeks." in nothing


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("kind=weather", "There is no such part of the calendar; choose one of its tabs."),
        ("day=tomorrow", "A day is written as 2026-12-24."),
        ("to=soon", "A day is written as 2026-12-24."),
        ("day=2026-11-26&after=nonsense", "This page of the list is none; begin with the first."),
    ],
)
async def test_what_cannot_be_read_is_said_in_one_sentence(small, query, says):
    page = await (await small.viewer()).get(f"/calendar?{query}")
    assert page.status_code == 422
    assert says in words(page)


async def test_names_are_shown_as_they_are(small):
    await small.rig.add("acme", client={"name": HEBREW, "contacts": ["it@firm.example"]})
    await told(small, "acme", grant_ends_at=START + 3 * DAY)
    page = await (await small.viewer()).get("/calendar")
    assert f"<bdi>{HEBREW}</bdi>" in page.text


async def test_with_nothing_it_says_so(small):
    said = words(await (await small.viewer()).get("/calendar"))
    assert "Nothing is yours to renew within 30 days." in said
    assert "No authorization ends for good within 13 weeks." in said


async def test_it_goes_into_other_calendars(small):
    await api_keys.new(small.parts, ME, "middleware", ["connections:read"])
    person = await small.admin()
    assert "/api/v1/calendar.ics" in words(await person.get("/calendar"))
    answer = await person.get("/calendar.ics")
    assert answer.headers["content-type"].startswith("text/calendar")
    assert "attachment" in answer.headers["content-disposition"]
    assert "The API key 'middleware' ends" in answer.text.replace("\r\n ", "")
    assert "/access/keys/new" not in (await (await small.viewer()).get("/calendar")).text
