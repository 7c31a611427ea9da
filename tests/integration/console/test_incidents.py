"""Incidents in the console: what is open, the decision about a wave, and what is known of each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from monitor.health.causes import Cause
from monitor.store import incidents
from monitor.store.tables import connection, incident
from tests.conftest import START, rigged
from tests.integration.console.conftest import MORE, served, words
from tests.integration.test_store import _break, _healthy

FIRMS = [f"c{number:02}" for number in range(30)]
HOUR = timedelta(hours=1)


@pytest.fixture
async def held(tmp_path, sandbox, database_url):
    """A console over thirty firms of which eight broke together: a wave holds their mails."""
    async with rigged(tmp_path, sandbox, database_url, more=MORE) as rig, served(rig) as found:
        database = rig.parts.database
        await _healthy(database, FIRMS, START)
        async with database.write() as conn:
            for name in FIRMS:
                to = [f"it@{name}.example", f"office@{name}.example"] if name < "c05" else [f"it@{name}.example"]
                await conn.execute(update(connection).where(connection.c.id == name).values(contacts=to))
        await _break(database, FIRMS[:8], Cause.REVOKED, START + timedelta(minutes=1))
        rig.clock.time = START + HOUR
        yield found


async def wave_of(console) -> int:
    async with console.parts.database.read() as conn:
        return int((await conn.execute(select(incident.c.id).where(incident.c.wave))).scalar_one())


async def test_none_open_teaches_what_would_be_here(console):
    page = await (await console.viewer()).get("/incidents")
    assert page.status_code == 200
    text = words(page)
    assert "No incident is open." in text
    assert "the fleet guard holds the mails to their clients, and asks you here" in text


async def test_a_held_wave_is_a_question(held):
    page = await (await held.operator()).get("/incidents")
    assert page.status_code == 200, words(page)
    text = words(page)
    assert "1 open incident. 1 thing needs you." in text
    assert "8 connections turned bad together" in text
    assert "8 mails to 13 addresses are held." in text
