"""Keys: who makes them, what they may, how they end, and what the operator hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from monitor.errors import ChangedMeanwhile, ConfigurationError, Conflict, NotAdmitted, NotFound, Refused
from monitor.health.evidence import redact
from monitor.health.restriction import Restriction
from monitor.operations import api_keys, people
from monitor.operations.actor import MACHINES_ONLY, PEOPLE_ONLY, Actor, Door, Right
from monitor.operations.callers import Callers, actor_of
from monitor.operations.roles import MAY, SCOPES, Role
from monitor.secret import Secret
from monitor.store import uses
from monitor.store.door_tables import api_key, event
from monitor.store.people import Person
from monitor.text.api_key import make
from tests.conftest import ME
from tests.integration.access.conftest import ADMIN, PASSWORD
from tests.integration.test_operations import everything, no_more_lines

DAY = timedelta(days=1)


async def test_the_text_is_shown_once_and_stored_nowhere(house):
    made = await api_keys.new(house.parts, ADMIN, "middleware", ["connections:read", "signals:write"])
    text = made.secret.reveal()
    async with house.parts.database.read() as conn:
        (row,) = (await conn.execute(select(api_key))).all()
    assert text not in repr(row) and text[15:58] not in repr(row) and row.handle == text[4:14]
    assert (row.scopes, row.made_by, row.revision) == (["connections:read", "signals:write"], "user:anna", 1)
    assert row.expires_at == house.rig.clock.now() + 90 * DAY
    assert text not in repr(await house.lines("detail"))
    assert (await Callers(house.parts).key(text)).id == made.key.id


async def test_a_person_gives_what_they_may_themselves_and_an_admin_the_machines_scopes(house):
    assert {right.value for right in SCOPES} == {r.value for r in Right} - {
        "host",
        "keys:write",
        "users:write",
    }
    made = await api_keys.new(house.parts, ADMIN, "all", [right.value for right in SCOPES])
    assert actor_of(made.key).may == SCOPES >= MACHINES_ONLY
    for right in PEOPLE_ONLY:
        with pytest.raises(NotAdmitted, match="for people only") as refused:
            await api_keys.new(house.parts, ADMIN, "x", [right.value])
        assert refused.value.code == "beyond_own_rights"
    few = replace(ADMIN, may=ADMIN.may - {Right.AUDIT_READ})
    with pytest.raises(NotAdmitted, match="more than you may do yourself"):
        await api_keys.new(house.parts, few, "x", ["audit:read"])
    with pytest.raises(NotAdmitted, match="more than you may"):
        await api_keys.change(house.parts, few, "all", scopes=["audit:read"])
    for word in ("host", "connections:red", ""):
        with pytest.raises(ConfigurationError, match="is no scope"):
            await api_keys.new(house.parts, ADMIN, "x", [word])
    with pytest.raises(ConfigurationError, match="did you mean 'tokens:read'"):
        await api_keys.new(house.parts, ADMIN, "x", ["tokens:raed"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_nobody_below_an_admin_makes_keys(house, role):
    with pytest.raises(Refused, match="keys:write"):
        await api_keys.new(house.parts, Actor("user:bob", Door.CONSOLE, MAY[role]), "x", ["connections:read"])


async def test_a_key_never_makes_a_key(house):
    made = await api_keys.new(house.parts, ME, "all", [right.value for right in SCOPES])
    for work in (
        api_keys.new(house.parts, actor_of(made.key), "x", ["connections:read"]),
        api_keys.rotate(house.parts, actor_of(made.key), "all"),
    ):
        with pytest.raises(Refused, match="keys:write"):
            await work
    # Not even one whose row says that it may.
    assert actor_of(replace(made.key, scopes=("keys:write", "host", "nonsense"))).may == frozenset()


@pytest.mark.parametrize(
    ("after", "right"), [(400 * DAY, True), (400 * DAY + timedelta(seconds=1), False), (-DAY, False)]
)
async def test_a_key_ends_in_400_days_at_most(house, after, right):
    end = house.rig.clock.now() + after
    if right:
        assert (
            await api_keys.new(house.parts, ADMIN, "x", ["connections:read"], expires_at=end)
        ).key.expires_at == end
    else:
        with pytest.raises(ConfigurationError):
            await api_keys.new(house.parts, ADMIN, "x", ["connections:read"], expires_at=end)


async def test_rotated_both_texts_are_good_for_a_while(house):
    old = await api_keys.new(house.parts, ADMIN, "m", ["connections:read"])
    with pytest.raises(ConfigurationError, match="7 days"):
        await api_keys.rotate(house.parts, ADMIN, "m", 8 * DAY)
    new = await api_keys.rotate(house.parts, ADMIN, "m", DAY)
    callers = Callers(house.parts)
    texts = [old.secret.reveal(), new.secret.reveal()]
    assert [(await callers.key(text)).id for text in texts] == [old.key.id] * 2
    house.rig.clock.tick(days=1, seconds=1)
    assert [await callers.key(text) is not None for text in texts] == [False, True]


async def test_a_new_text_is_good_at_once_in_a_process_that_knows_the_key(house):
    text, callers = await house.key(), Callers(house.parts)
    assert await callers.key(text) is not None
    made = await api_keys.rotate(house.parts, ADMIN, "middleware")
    assert (await callers.key(made.secret.reveal())).id == made.key.id


async def test_a_revocation_acts_within_five_seconds_in_a_process_that_knows_the_key(house):
    text, callers = await house.key(), Callers(house.parts)
    assert await callers.key(text) is not None
    await api_keys.revoke(house.parts, ADMIN, "middleware")
    house.rig.clock.tick(seconds=5)
    assert await callers.key(text) is None
    with pytest.raises(Conflict, match="revoked, for good"):
        await api_keys.rotate(house.parts, ADMIN, "middleware")


async def test_a_key_is_named_by_its_name_while_that_is_its_own(house):
    await house.key(name="twin")
    await api_keys.revoke(house.parts, ADMIN, "twin")
    await house.key(name="twin")
    assert (await api_keys.show(house.parts, ADMIN, "twin")).revoked_at is None
    await house.key(name="twin")
    with pytest.raises(Conflict, match="Several keys"):
        await api_keys.show(house.parts, ADMIN, "twin")
    with pytest.raises(NotFound):
        await api_keys.show(house.parts, ADMIN, "nobody's")


async def test_a_change_rests_on_what_was_read(house):
    await house.key()
    first = await api_keys.change(house.parts, ADMIN, "middleware", name="m", revision=1)
    assert (first.name, first.revision) == ("m", 2)
    with pytest.raises(ChangedMeanwhile) as refused:
        await api_keys.change(house.parts, ADMIN, "m", only=Restriction(apps=("clio",)), revision=1)
    assert refused.value.revision == 2
    only = Restriction(("clio",), {"tier": ("gold", "silver")}, ("acme-*",), ("10.0.0.0/8",))
    await api_keys.change(house.parts, ADMIN, "m", only=only)
    assert (await api_keys.show(house.parts, ADMIN, "m")).only == only
    with pytest.raises(ConfigurationError, match="is no network"):
        await api_keys.change(house.parts, ADMIN, "m", only=Restriction(networks=("10.0.0.1/8",)))


async def test_the_operator_hears_of_a_key_that_may_read_tokens(house):
    await house.key(name="harmless")
    assert await house.told() == []
    made = await api_keys.new(house.parts, ADMIN, "tokens", ["tokens:read"])
    await api_keys.change(house.parts, ADMIN, "harmless", scopes=["connections:read", "tokens:read"])
    await api_keys.change(house.parts, ADMIN, "harmless", name="harmful")
    first, second = await house.told()
    assert first.startswith(
        f"user:anna let the key 'tokens' ({made.key.id}) read access tokens of every connection"
    )
    assert "'harmless'" in second


async def test_ends_are_told_14_and_3_days_ahead_once(house):
    text = await house.key(expires_at=house.rig.clock.now() + 20 * DAY)
    await house.key(name="gone", expires_at=house.rig.clock.now() + 20 * DAY)
    await api_keys.revoke(house.parts, ADMIN, "gone")
    told = []
    for _ in range(21):
        told.append(await api_keys.warn_of_ends(house.parts))
        await api_keys.warn_of_ends(house.parts)
        house.rig.clock.tick(days=1)
    assert [day for day, count in enumerate(told) if count] == [6, 17] and sum(told) == 2
    async with house.parts.database.read() as conn:
        events = (await conn.execute(select(event))).all()
    assert [one.type for one in events] == ["key.expiring"] * 2 and text not in repr(events)
    assert len(await house.told()) == 2 and await Callers(house.parts).key(text) is None


WRITES = {
    "new": lambda p: api_keys.new(p, ME, "x", ["tokens:read"]),
    "change": lambda p: api_keys.change(p, ME, "middleware", scopes=["tokens:read"]),
    "rotate": lambda p: api_keys.rotate(p, ME, "middleware"),
    "revoke": lambda p: api_keys.revoke(p, ME, "middleware"),
    "add somebody": lambda p: people.add(p, ME, "bob", "viewer", Secret(PASSWORD)),
    "change somebody": lambda p: people.change(p, ME, "anna", role="viewer"),
    "remove somebody": lambda p: people.remove(p, ME, "anna"),
    "sign in": lambda p: people.begin(p, ANNA[0]),
}
ANNA: list[Person] = []


@pytest.mark.parametrize("name", WRITES)
async def test_what_is_changed_has_its_line_or_is_not(home, name):
    await home.key()
    await home.add()
    ANNA[:] = await people.every(home.parts, ME)
    before, lines = await everything(home.parts.database), len(await home.lines())
    async with no_more_lines(home.parts.database):
        with pytest.raises(DBAPIError, match="full"):
            await WRITES[name](home.parts)
        assert await everything(home.parts.database) == before, "no line, no change"
    await WRITES[name](home.parts)
    assert len(await home.lines()) == lines + 1


def test_a_key_is_not_logged():
    text = make("7QmPx0aZ19").reveal()
    assert text not in redact(f"GET /x?key={text} {text}", 500)


async def test_a_key_that_reads_tokens_from_elsewhere_is_told_of_once(house):
    """The first network that a key comes from is its usual one; each other one is worth a look."""
    made = await api_keys.new(house.parts, ADMIN, "mw", ["tokens:read"])
    now = house.rig.clock.now()
    for network in ("10.1.2.0/24", "10.1.2.0/24", "203.0.113.0/24", "203.0.113.0/24"):
        use = uses.Use(made.key.id, "acme", 0, 1, now, now, 0)
        await uses.note_first(house.parts.database, use, f"key:{made.key.id}", network, now)
    async with house.parts.database.read() as conn:
        (found,) = (await conn.execute(select(event))).all()
    assert (found.type, found.data["name"]) == ("key.unusual", "mw")
    assert "203.0.113.0/24" in found.data["why"]
