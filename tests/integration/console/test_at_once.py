"""Two of the same at once, by two hands or by one that pressed twice: done once, and the other is told."""

from __future__ import annotations

import asyncio
import re

import pytest
from sqlalchemy import func, select

from monitor.store.tables import audit
from tests.integration.console.conftest import words
from tests.integration.console.test_bulk import fields_of, picked, post, state_of


async def lines(console, action: str) -> int:
    async with console.parts.database.read() as conn:
        return (
            await conn.execute(select(func.count()).select_from(audit).where(audit.c.action == action))
        ).scalar_one()


async def test_a_form_that_is_sent_five_times_at_once_is_one_job_and_its_undo_one_too(console):
    await console.rig.add("a", "b")
    person = await console.operator()
    asked = await post(person, "/bulk", *picked("pause", "a", "b"))
    sent = await asyncio.gather(*(post(person, "/bulk/do", *fields_of(asked)) for _ in range(5)))
    assert {answer.status_code for answer in sent} == {303}
    assert (await lines(console, "job.begin"), await lines(console, "connection.pause")) == (1, 2)
    page = await person.get("/?state=any")
    path = re.search(r'action="(/jobs/job_\w+/undo)"', page.text)
    number = path[1] if path else f"/jobs/{dict(fields_of(asked))['job']}/undo"
    undone = await asyncio.gather(*(post(person, number) for _ in range(3)))
    assert {answer.status_code for answer in undone} <= {303, 409}
    assert await lines(console, "connection.resume") == 2, "what is resumed is not resumed again"
    assert await state_of(console, "a") != "paused"


async def test_of_two_who_change_one_connection_at_once_the_second_is_told(console):
    await console.rig.add("a")
    one, two = await console.operator(), await console.admin()
    forms = []
    for person, contact in ((one, "first@firm.example"), (two, "second@firm.example")):
        page = await person.get("/connections/a/edit")
        given = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', page.text)) | dict(
            fields_of(page)
        )
        forms.append((person, given | {"contacts": contact}))
    answers = await asyncio.gather(*(person.post("/connections/a/edit", form) for person, form in forms))
    assert sorted(answer.status_code for answer in answers) == [303, 409], [words(a)[:300] for a in answers]
    contacts = (await console.rig.known("a")).contacts
    assert len(contacts) == 1 and contacts[0].endswith("@firm.example")


@pytest.mark.parametrize("path", ["pause", "mute"])
async def test_an_action_pressed_twice_at_once_is_no_fault(console, path):
    await console.rig.add("a")
    person = await console.operator()
    answers = await asyncio.gather(*(person.post(f"/connections/a/{path}", {"for": "1h"}) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {303, 409, 422}
    assert 303 in {answer.status_code for answer in answers}
