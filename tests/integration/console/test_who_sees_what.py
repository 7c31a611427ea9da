"""What is so on every page for whoever looks at it: no address for who may only look, no secret for anybody."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from monitor.operations import people
from monitor.operations.roles import MAY, Role
from monitor.secret import Secret
from monitor.store.tables import connection
from monitor.web.console.contents import declared
from tests.conftest import ME
from tests.integration.api.stage import Stage, staged
from tests.integration.console.conftest import PASSWORD, served, words

ADDRESS = "it@firm.example"


@pytest.fixture
async def stage(tmp_path, sandbox, sqlite_url):
    async with staged(tmp_path, sandbox, sqlite_url) as found:
        async with found.api.rig.parts.database.write() as conn:
            await conn.execute(update(connection).values(contacts=[ADDRESS]))
        async with served(found.api.rig) as console:
            yield found, console


def paths(stage: Stage, path: str) -> set[str]:
    """A page about each of what there is."""
    found = set()
    for name, number in (
        ("acme", stage.own),
        ("c00", stage.wave),
        ("c20", stage.failed),
        ("novice", stage.waiting),
    ):
        there = {"connection": name, "number": str(number), "silence": stage.silence, "name": "clio", "app": "clio",
                 "kind": "broken", "language": "en"}  # fmt: skip
        found.add(re.sub(r"\{(\w+)(:\w+)?\}", lambda one, t=there: t.get(one[1], "x"), path))
    return found


async def looked_at(stage: Stage, person):
    """Every page and every question there is, as somebody has it."""
    for one in declared():
        if one.acts and one.asks is None:
            continue
        for path in sorted(paths(stage, one.path)):
            for query in ("?state=any", "?action=remove&all=1&state=any"):
                yield one, path + query, await person.get(path + query)


async def as_role(console, role: str):
    await people.add(console.parts, ME, f"{role}-one", role, Secret(PASSWORD))
    person = await console.anybody()
    assert (await person.post("/sign-in", {"name": f"{role}-one", "password": PASSWORD})).status_code == 303
    return person


async def test_who_may_only_look_sees_no_address_on_any_page_and_none_is_found_by_one(stage):
    there, console = stage
    viewer = await as_role(console, "viewer")
    async for one, path, answer in looked_at(there, viewer):
        right = one.needs
        assert (answer.status_code == 403) == (right not in MAY[Role.VIEWER]), path
        if ADDRESS not in path:  # what one looks for oneself stands in its field
            assert ADDRESS not in answer.text, path
    found = [
        words(await viewer.get(f"/?state=any&q={one}")) for one in (ADDRESS, "it@firm", "nobody@firm.example")
    ]
    assert not any(name in page for page in found for name in ("Firm acme", "c00", "novice")), (
        "found by an address"
    )


async def test_what_each_role_may_not_is_refused_before_anything_else_is_looked_at(stage):
    there, console = stage
    for role in ("viewer", "operator"):
        person = await as_role(console, role)
        for one in declared():
            if not one.acts or one.needs in MAY[Role(role)]:
                continue
            for path in paths(there, one.path):
                answer = await person.post(path, {"typed": "1"})
                assert answer.status_code == 403 and "Not with your role" in words(answer), (role, path)


async def test_no_secret_is_on_any_page(stage):
    there, console = stage
    sealed = (await there.api.rig.known("acme")).sealed
    admin = await as_role(console, "admin")
    async for _one, path, answer in looked_at(there, admin):
        for secret in ("canary-", "s3cret", sealed.access or "-", sealed.refresh or "-"):
            assert secret not in answer.text, path
        assert not re.search(r"/r/[A-Za-z0-9_-]{20}", answer.text), path
