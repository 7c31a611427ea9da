"""Silences in the console: laid, ended, and those of the configuration."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.operations import silences
from tests.conftest import ME, START, rigged
from tests.integration.console.conftest import MORE, served, words

GIVEN = """
[[silences]]
name = "sunday"
all = true
weekly = "sun 02:00-04:00"
reason = "the provider's own maintenance"
[[silences]]
name = "moving"
app = "clio"
from = 2026-11-23T08:00:00Z
until = 2026-11-23T12:00:00Z
"""


@pytest.fixture
async def given(tmp_path, sandbox, database_url):
    async with rigged(tmp_path, sandbox, database_url, more=MORE + GIVEN) as rig, served(rig) as found:
        await rig.add("acme", "bolt")
        yield found


async def test_none_teaches_what_one_is_for(console):
    page = await (await console.viewer()).get("/silences")
    assert page.status_code == 200, words(page)
    assert "Nothing is silent. " in words(page)
    assert "Lay a silence before planned work at a provider" in words(page)
    assert "Lay a silence… needs the role operator" in words(page)


async def test_one_is_laid_and_ended_and_laid_again(given):
    person = await given.operator()
    ask = await person.get("/silences/new?over=provider&name=clio")
    assert "It lies over 2 connections." in words(ask)
    form = {"over": "provider", "name": "clio", "for": "2h", "reason": "they move, says it@acme.example"}
    page = await person.follow(await person.post("/silences/new", form))
    assert "A silence lies over clio. Undo" in words(page)
    assert "2 silences hold." in words(page)
    assert "a provider clio 09:00 11:00 they move, says it@acme.example user:operator-one End…" in words(page)
    seen = words(await (await given.viewer()).get("/silences"))
    assert "i…@acme.example" in seen and "End…" not in seen
    (laid,) = [one for one in (await silences.every(given.parts, ME)).laid if one.number]
    path = f"/silences/{silences.name_of(laid)}/end"
    ask = await person.get(path)
    assert "End the silence over clio? What waits is told then" in words(ask)
    done = await person.post(path)
    page = await person.follow(done)
    assert "The silence over clio is ended. Undo" in words(page)
    fields = page.text.partition('id="said"')[2].partition("</form>")[0]
    for field in ('value="provider"', 'value="clio"', 'name="until" value="2026-11-23T11:00:00+00:00"'):
        assert field in fields
    again = {"over": "provider", "name": "clio", "for": "", "until": "2026-11-23T11:00:00+00:00"}
    await person.post("/silences/new", again)
    (laid,) = [one for one in (await silences.every(given.parts, ME)).laid if one.number]
    assert laid.until == START + timedelta(hours=2)
    assert (await person.post(path)).status_code == 404


async def test_one_is_to_come_and_pauses(given):
    person = await given.operator()
    form = {
        "over": "connection", "name": "acme", "from": "2026-11-24T02:00", "until": "2026-11-24T03:30",
        "for": "2h", "maintenance": "1",
    }  # fmt: skip
    page = await person.follow(await person.post("/silences/new", form))
    text = words(page)
    assert "A silence over acme is to come." in text
    assert "To come" in text and "a connection acme maintenance Tue 02:00 Tue 03:30 no reason given" in text
    (laid,) = [one for one in (await silences.every(given.parts, ME)).laid if one.number]
    ask = await person.get(f"/silences/{silences.name_of(laid)}/end")
    assert "Call off the silence over acme?" in words(ask)


async def test_those_of_the_configuration_end_there(given):
    person = await given.operator()
    text = words(await person.get("/silences"))
    assert "an app clio 08:00 12:00" in text and "ends in token-health.toml" in text
    assert "Of the configuration, not now" in text and "Sun 02:00–04:00 UTC" in text
    (held,) = (await silences.every(given.parts, ME)).laid
    path = f"/silences/{silences.name_of(held)}/end"
    assert "cannot be ended here" in words(await person.get(path))
    answer = await person.post(path)
    assert answer.status_code == 409
    assert "It stands in the configuration, and ends there." in words(answer)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"over": "moon"}, "Say what it lies over."),
        ({"over": "provider"}, "Name what it lies over."),
        ({"over": "all", "name": "x"}, "has no name"),
        ({"over": "provider", "name": "clio", "for": "soon"}, "For how long"),
        ({"over": "provider", "name": "clio", "until": "later"}, "Until: write"),
        ({"over": "provider", "name": "clio", "until": "2020-01-01T00:00"}, "is over already"),
        (
            {"over": "all", "from": "2026-12-01T00:00", "until": "2026-11-30T00:00"},
            "It would end before it begins.",
        ),
        ({"over": "all", "for": "1h", "reason": "x" * 501}, "500 characters at most"),
    ],
)
async def test_what_cannot_be_is_said_on_the_form(given, form, says):
    answer = await (await given.operator()).post("/silences/new", form)
    assert answer.status_code == 422, words(answer)
    assert says in words(answer)
    assert "Lay the silence" in words(answer)


async def test_what_there_is_not_cannot_be_silent(given):
    answer = await (await given.operator()).post("/silences/new", {"over": "client", "name": "nobody"})
    assert answer.status_code == 422
    assert "There is no client 'nobody'." in words(answer)
    assert 'value="nobody"' in answer.text


async def test_a_viewer_lays_and_ends_none(given):
    person = await given.viewer()
    for path in ("/silences/new", "/silences/sil_x/end"):
        assert (await person.get(path)).status_code == 403
        assert (await person.post(path, {"over": "all"})).status_code == 403
