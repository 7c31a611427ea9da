"""What goes wrong, on both databases: what happened, what did not, what to do, and the request's id."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from starlette.exceptions import HTTPException

from monitor.errors import ChangedMeanwhile, Conflict, NotAdmitted, Unavailable
from monitor.operations import fleet, people
from monitor.operations.actor import Actor, Door, MayNot, Right
from monitor.operations.roles import MAY, Role
from monitor.secret import Secret
from monitor.store.engine import Database
from monitor.web.console import trouble
from tests.conftest import ME
from tests.integration.console.conftest import PASSWORD, words

VIEWER = Actor("user:vera", Door.CONSOLE, MAY[Role.VIEWER])


async def test_a_connection_that_is_not_there_leads_to_those_that_come_near(console):
    await console.rig.add("whitfield-clio", "whitfield-xero", "zenith-clio", "aspen-clio")
    assert next(one.id for one in await fleet.near(console.parts, VIEWER, "whitfeild-clio")) == (
        "whitfield-clio"
    )
    assert await fleet.near(console.parts, VIEWER, "nothing like it") == []
    admin = await (await console.admin()).get("/connections/whitfeild-clio")
    assert admin.status_code == 404
    said = words(admin)
    assert "These come near: whitfield-clio Firm whitfield-clio" in said
    assert "zenith" not in said
    assert "Was it removed? Look in the audit" in said
    viewer = words(await (await console.viewer()).get("/connections/whitfeild-clio"))
    assert "whitfield-clio" in viewer
    assert "audit" not in viewer.lower()


async def test_near_ids_are_found_by_two_short_looks_however_many_there_are(console):
    await console.rig.add(*(f"firm-{number:04}" for number in range(300)))
    found = [one.id for one in await fleet.near(console.parts, VIEWER, "firm-0150x")]
    assert (found[0], len(found)) == ("firm-0150", 3)


async def test_who_may_not_is_told_which_role_it_takes_and_who_has_it(console):
    await people.add(console.parts, ME, "Dana Reyes", "operator", Secret(PASSWORD))
    await people.add(console.parts, ME, "Priya Nair", "admin", Secret(PASSWORD))
    error = MayNot("user:vera", Right.CONNECTIONS_OPERATE)
    assert trouble.sentence_of(error, VIEWER) == "This needs the role operator. You are a viewer."
    found = await trouble.beside(console.parts, VIEWER, error, "/connections/acme/pause")
    assert (found.who_may, found.admins) == (("Dana Reyes", "Priya Nair"), ("Priya Nair",))
    program = Actor("key:key_1", Door.API, frozenset(Right))
    assert await people.who_may(console.parts, program, Right.CONNECTIONS_OPERATE) == []


def test_no_person_may_do_what_is_for_machines_or_the_host():
    for right in (Right.TOKENS_READ, Right.HOST):
        assert trouble.sentence_of(MayNot("user:vera", right), VIEWER) == "No person may do this here."


async def test_every_error_has_the_id_that_the_log_has_and_says_when(small):
    page = await (await small.admin()).get("/nowhere")
    said = words(page)
    assert re.search(r"For the log: request [0-9a-f]{12}, 09:00:00 UTC\.", said)


@pytest.mark.parametrize(
    ("error", "status", "posted", "says"),
    [
        (ChangedMeanwhile("x", 2), 409, True, ["Nothing was done.", "Look at it as it is now"]),
        (Conflict("It is paused."), 409, True, ["Nothing was done."]),
        (HTTPException(413), 413, True, ["Nothing was done.", "in parts"]),
        (HTTPException(415), 415, True, ["Nothing was done."]),
        (
            NotAdmitted("too_many_requests", "Too often.", after=timedelta(seconds=40)),
            429, False, ["Try again in 40 seconds."],
        ),
        (Unavailable("too_many_waiters", "Full."), 503, False, ["Try again in 1 second."]),
        (
            Unavailable("database_unavailable", "The database does not answer."),
            503, False, ["Try again in 10 seconds.", "nothing is lost", "from Prometheus"],
        ),
        (ConnectionRefusedError(), 503, True, ["It is not certain whether it was done", "nothing is lost"]),
        (RuntimeError(), 500, True, ["It is not certain whether it was done"]),
        (RuntimeError(), 500, False, []),
    ],
)  # fmt: skip
def test_what_did_not_happen_and_when_to_try_again(error, status, posted, says):
    assert trouble.status_of(error) == status
    advice = " ".join(trouble.advice_of(error, posted=posted))
    for one in says:
        assert one in advice
    if not says:
        assert advice == ""


async def test_without_the_database_a_page_says_so_and_tries_again(small, monkeypatch):
    person = await small.admin()

    def away(self):
        raise ConnectionRefusedError

    monkeypatch.setattr(Database, "read", away)
    page = await person.get("/")
    assert (page.status_code, page.headers["retry-after"]) == (503, "10")
    said = words(page)
    assert "The database does not answer, so this page cannot be shown." in said
    assert "This page tries again every 10 seconds." in said
    assert 'data-again="10"' in page.text
