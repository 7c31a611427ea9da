"""Who may sign in, how often it may be tried, and what a stranger learns by trying: nothing."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.errors import (
    ChangedMeanwhile,
    ConfigurationError,
    Conflict,
    Exists,
    NotAdmitted,
    NotFound,
    Refused,
)
from monitor.operations import passwords, people
from monitor.operations.actor import LOOPBACK, MACHINES_ONLY, PEOPLE_ONLY, Actor, Door, Right
from monitor.operations.admittance import closed_to_strangers
from monitor.operations.passwords import Passwords
from monitor.operations.people import Wrong
from monitor.operations.roles import MAY, Role
from monitor.secret import Secret
from monitor.store.door_tables import attempt, person, session
from tests.conftest import ME
from tests.integration.access.conftest import ADMIN, PASSWORD, opened

ROOT = Path(__file__).parents[3]
GOOD, BAD = Secret(PASSWORD), Secret("not the password")


async def sign_in(house, name="anna", password=GOOD, address="203.0.113.9", **more):
    return await people.sign_in(house.parts, name, password, address, **more)


def test_the_table_of_roles_is_the_documents():
    text = (ROOT / "docs" / "access.md").read_text()
    rows = re.findall(r"^\| (`[a-z:` ]+`) \| (.) \| (.) \| (.) \| (.) \|", text, re.MULTILINE)
    said = {role: set() for role in (*Role, "key")}
    for names, *signs in rows:
        for role, sign in zip(said, signs, strict=True):
            said[role] |= {Right(name) for name in re.findall(r"`([a-z:]+)`", names) if sign == "●"}
    assert said.pop("key") == set(Right) - PEOPLE_ONLY - {Right.HOST}
    assert said == {role: set(MAY[role]) for role in Role}
    assert set().union(*MAY.values()) == set(Right) - MACHINES_ONLY - {Right.HOST}


async def test_people_are_added_changed_and_removed_by_admins_alone(house):
    for role in (Role.VIEWER, Role.OPERATOR):
        bob = Actor("user:bob", Door.CONSOLE, MAY[role])
        for work in (
            people.add(house.parts, bob, "x", "admin", GOOD), people.every(house.parts, bob),
            people.change(house.parts, bob, "x", role="admin"), people.remove(house.parts, bob, "x"),
        ):  # fmt: skip
            with pytest.raises(Refused, match="users:write"):
                await work
    await people.add(house.parts, ADMIN, "bob", "viewer", GOOD)
    with pytest.raises(Exists):
        await people.add(house.parts, ADMIN, "bob", "viewer", GOOD)
    changed = await people.change(house.parts, ADMIN, "bob", role="operator", revision=1)
    assert (changed.role, changed.revision) == ("operator", 2)
    with pytest.raises(ChangedMeanwhile):
        await people.change(house.parts, ADMIN, "bob", role="admin", revision=1)
    with pytest.raises(ChangedMeanwhile):
        await people.remove(house.parts, ADMIN, "bob", revision=1)
    await people.remove(house.parts, ADMIN, changed.id)
    for work in (people.show(house.parts, ADMIN, "bob"), people.remove(house.parts, ADMIN, "bob")):
        with pytest.raises(NotFound):
            await work
    lines = [line[1] for line in await house.lines() if line[0] == "user:anna"]
    assert lines == ["user.create", "user.change", "user.remove"]


async def test_an_admin_is_left_whoever_removes_whom(house):
    """Over a session; who is on the machine itself can add one again."""
    await people.add(house.parts, ME, "anna", "admin", GOOD)
    here = Actor("user:somebody", Door.CONSOLE, MAY[Role.ADMIN])
    for work in (
        lambda: people.remove(house.parts, here, "anna"),
        lambda: people.change(house.parts, here, "anna", role="viewer"),
    ):
        with pytest.raises(Conflict, match="'anna' is the last admin"):
            await work()
    await people.change(house.parts, here, "anna", role="admin", password=GOOD)
    await people.add(house.parts, here, "bob", "admin", GOOD)
    await people.change(house.parts, here, "anna", role="viewer")
    await people.remove(house.parts, here, "anna")
    local = Actor(LOOPBACK, Door.API, MAY[Role.ADMIN])
    await people.remove(house.parts, local, "bob")
    assert await people.every(house.parts, ME) == []


async def test_nobody_takes_themselves_out(house):
    for name in ("anna", "bob"):
        await people.add(house.parts, ME, name, "admin", GOOD)
    with pytest.raises(Conflict, match="Nobody removes themselves"):
        await people.remove(house.parts, ADMIN, "anna")
    with pytest.raises(Conflict, match="Nobody changes their own role"):
        await people.change(house.parts, ADMIN, "anna", role="viewer")
    await people.change(house.parts, ADMIN, "anna", password=GOOD)


async def test_of_two_admins_who_remove_each_other_at_once_one_stays(house):
    """Each would leave the other; together they would leave nobody."""
    for name in ("anna", "bob"):
        await people.add(house.parts, ME, name, "admin", GOOD)
    bob = Actor("user:bob", Door.CONSOLE, MAY[Role.ADMIN])
    done = await asyncio.gather(
        people.remove(house.parts, ADMIN, "bob"), people.remove(house.parts, bob, "anna"),
        return_exceptions=True,
    )  # fmt: skip
    assert sum(isinstance(one, Conflict) for one in done) == 1
    assert len(await people.every(house.parts, ME)) == 1


def test_passwords_that_are_made_are_long_and_unlike():
    made = {passwords.made().reveal() for _ in range(100)}
    assert len(made) == 100
    for one in made:
        passwords.check(Secret(one))


@pytest.mark.parametrize("wrong", ["short", "x" * 11, "x" * 1001, ""])
async def test_a_password_has_twelve_characters(house, wrong):
    with pytest.raises(ConfigurationError, match="at least 12"):
        await people.add(house.parts, ADMIN, "bob", "viewer", Secret(wrong))


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "usr_x", "a\x00"])
async def test_a_name_is_one_line(house, name):
    with pytest.raises(ConfigurationError, match="one line"):
        await people.add(house.parts, ADMIN, name, "viewer", GOOD)


async def test_passwords_and_cookies_are_stored_as_hashes_alone(house):
    await house.add()
    done = await sign_in(house)
    assert len(done.cookie.reveal()) == 43 and done.until == house.rig.clock.now() + people.LONGEST
    async with house.parts.database.read() as conn:
        rows = repr([(await conn.execute(select(one))).all() for one in (person, session, attempt)])
    assert "$argon2id$" in rows and "203.0.113.9" not in rows
    assert PASSWORD not in rows and done.cookie.reveal() not in rows
    assert PASSWORD not in repr(await house.lines("detail"))


async def test_signing_in_again_ends_the_session_before_and_signing_out_this_one(house):
    await house.add()
    first = (await sign_in(house)).cookie.reveal()
    second = (await sign_in(house, before=first)).cookie.reveal()
    assert await people.who_is(house.parts, first) is None
    assert (await people.who_is(house.parts, second)).name == "user:anna"
    await people.sign_out(house.parts, second)
    assert await people.who_is(house.parts, second) is None
    assert [line[1] for line in await house.lines() if line[0] == "user:anna"] == [
        "user.sign_in", "user.sign_out", "user.sign_in", "user.sign_out",
    ]  # fmt: skip


async def test_five_attempts_a_minute_by_a_name_whether_or_not_there_is_one(house):
    await house.add()
    said = {}
    for name in ("anna", "nobody"):
        said[name] = []
        for number in range(7):
            with pytest.raises(NotAdmitted) as refused:
                await sign_in(house, name if number % 2 else f" {name.upper()} ", BAD, f"198.51.100.{number}")
            error = refused.value
            said[name].append(
                (error.code, str(error), error.left if isinstance(error, Wrong) else error.after)
            )
    assert said["anna"] == said["nobody"]
    assert [code for code, *_ in said["anna"]] == ["bad_credentials"] * 5 + ["too_many_requests"] * 2
    assert [left for _, _, left in said["anna"][:5]] == [4, 3, 2, 1, 0]
    with pytest.raises(NotAdmitted, match="Too many"):
        await sign_in(house)
    house.rig.clock.tick(minutes=1)
    assert (await sign_in(house)).person.name == "anna"


async def test_twenty_attempts_a_minute_from_an_address_and_an_ipv6_network_is_one(house):
    await house.add()
    for number in range(20):
        with pytest.raises(Wrong):
            await sign_in(house, f"name{number}", BAD, f"2001:db8::{number:x}")
    with pytest.raises(NotAdmitted, match="Too many"):
        await sign_in(house, address="2001:db8::ffff")
    assert await sign_in(house, address="2001:db8:0:1::1")


async def test_many_at_once_are_no_more(house):
    await house.add()
    found = await asyncio.gather(*(sign_in(house, password=BAD) for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(one, Wrong) for one in found) == 5


async def test_nobodys_password_takes_the_same_work_as_somebodys(house, monkeypatch):
    await house.add()
    looked = []
    real = passwords._hasher("small")

    class Counting:
        def hash(self, password):
            return real.hash(password)

        def verify(self, stored, password):
            looked.append(stored.split("$")[1:4])
            return real.verify(stored, password)

        def check_needs_rehash(self, stored):
            return real.check_needs_rehash(stored)

    counting = Counting()
    monkeypatch.setattr(passwords, "_hasher", lambda profile: counting)
    for name in ("anna", "nobody"):
        with pytest.raises(Wrong):
            await sign_in(house, name, BAD)
    assert len(looked) == 2 and looked[0] == looked[1]


async def test_a_hash_of_another_profile_is_made_anew_at_the_next_sign_in(house):
    await house.add()
    big = await Passwords("ordinary").hash(GOOD)
    assert "m=65536,t=3,p=4" in big
    one = await people.show(house.parts, ME, "anna")
    from monitor.store import people as store

    await store.hash_again(house.parts.database, one, big)
    await sign_in(house)
    assert "m=19456,t=2,p=1" in (await people.show(house.parts, ME, "anna")).password
    await sign_in(house)


async def test_who_is_changed_while_they_sign_in_does_not_come_in(house):
    await house.add()
    before = await people.show(house.parts, ME, "anna")
    await people.change(house.parts, ME, "anna", role="viewer")
    with pytest.raises(Wrong):
        await people.begin(house.parts, before)


async def test_what_is_over_is_forgotten(house):
    await house.add()
    await sign_in(house)
    house.rig.clock.tick(hours=12)
    await sign_in(house)
    await people.forget(house.parts)
    async with house.parts.database.read() as conn:
        assert len((await conn.execute(select(session))).all()) == 1
        assert len((await conn.execute(select(attempt))).all()) == 1


# -- before it starts ---------------------------------------------------------------------------------


async def test_nothing_is_served_where_strangers_would_find_it_open(tmp_path, sandbox, sqlite_url):
    for listen in (
        "listen = '0.0.0.0:8080'",
        "listen = '10.0.0.5:80'\nclients_listen = '0.0.0.0:3'\noperations_listen = '[::]:4'",
    ):
        async with opened(tmp_path, sandbox, sqlite_url, more="") as house:
            web = house.parts.loaded.settings.web
            values = dict(line.split(" = ") for line in listen.splitlines())
            changed = type(web)(**{name: value.strip("'") for name, value in values.items()})
            house.parts.loaded.settings.__dict__["web"] = changed
            with pytest.raises(ConfigurationError, match=r"web\.listen: others reach the API") as refused:
                await closed_to_strangers(house.parts)
            assert [one.operation for one in refused.value.remedies] == ["people.add"]
            await house.add()
            await closed_to_strangers(house.parts)
            await people.remove(house.parts, ME, "anna")


async def test_what_is_open_to_this_machine_or_serves_no_api_starts(house):
    await closed_to_strangers(house.parts)
    web = house.parts.loaded.settings.web
    house.parts.loaded.settings.__dict__["web"] = type(web)(
        clients_listen="0.0.0.0:1", operations_listen="0.0.0.0:2"
    )
    await closed_to_strangers(house.parts)


@pytest.mark.parametrize(("operation", "work"), [
    ("role", lambda p, n: people.change(p, ME, n, role="admin")),
    ("password", lambda p, n: people.change(p, ME, n, password=GOOD)),
])  # fmt: skip
async def test_whom_a_provider_names_has_neither_role_nor_password_of_ours(house, operation, work):
    from monitor.store import people as store
    from monitor.store.people import Person

    dana = Person("usr_1", "dana", "viewer", None, "https://idp.example", "7", house.rig.clock.now(), None, 1)
    await store.from_provider(house.parts.database, dana, house.rig.clock.now())
    with pytest.raises(Conflict, match=r"signs in at https://idp\.example"):
        await work(house.parts, "dana")
    with pytest.raises(Wrong):
        await sign_in(house, "dana", Secret(""))


async def test_who_comes_for_the_first_time_twice_at_once_is_one(house):
    from monitor.store import people as store
    from monitor.store.people import Person

    now = house.rig.clock.now()
    twice = [
        Person(f"usr_{n}", "dana", "viewer", None, "https://idp.example", "7", now, None, 1) for n in range(8)
    ]
    found = await asyncio.gather(*(store.from_provider(house.parts.database, one, now) for one in twice))
    assert len({one.id for one in found}) == 1 and len(await people.every(house.parts, ME)) == 1
