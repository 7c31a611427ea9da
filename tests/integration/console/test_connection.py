"""One connection's page: what it says of every state and owner, to whom, and what is not there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from monitor.health.lifecycle import State
from monitor.operations import connections, links, silences
from monitor.store.engine import Database
from monitor.store.tables import connection, watch
from tests.conftest import ME
from tests.integration.console.conftest import words

HOUR = timedelta(hours=1)


async def page(person, name="acme", **more):
    answer = await person.get(f"/connections/{name}", **more)
    assert answer.status_code == 200, words(answer)
    return answer


async def broken(console, name="acme", **more):
    await console.rig.add(name, **more)
    await console.rig.look()
    console.rig.sandbox.do(console.rig.grants[name], "revoke")
    await console.rig.after(minutes=6)
    await console.rig.settle(name)
    assert (await console.rig.state(name))[0] == "broken"


async def test_a_healthy_one_says_since_when_and_what_comes_next(console):
    await console.rig.add("acme", scopes=("contacts", "matters"), labels={"tier": "gold"})
    await console.rig.look()
    console.rig.clock.tick(hours=30)
    said = words(await page(await console.operator()))
    assert "Firm acme on Clio Manage has been healthy for 30 hours." in said
    assert "Nobody has to act." in said
    assert "tier: gold" in said
    assert "it@acme.example" in said
    assert "2 of 2 read" in said
    assert "Probe now" in said
    assert "Send link" not in said


async def test_a_broken_one_tells_who_acts_how_we_know_and_what_comes_next(console):
    await broken(console, scopes=("contacts",))
    console.rig.clock.tick(hours=2)
    said = words(await page(await console.operator()))
    assert re.search(r"Firm acme on Clio Manage has been broken for \d+ (hours|minutes): ", said)
    assert "Who acts Client" in said
    assert "An administrator of the client authorizes the connection again." in said
    assert "Approve as Firm acme, 100" in said
    assert "We asked who we are" in said
    assert "We tried to refresh" in said
    assert "Once more, to be sure" in said
    assert "Only this one?" in said
    assert "Probe. It heals by itself as soon as one is answered well." in said
    assert "incident 1" in said
    assert "Send link…" in said


async def test_no_token_is_ever_on_the_page(console):
    await broken(console, scopes=("contacts",))
    for role in ("viewer", "operator", "admin"):
        for path in ("", "/evidence.json"):
            text = (await (await console.as_(role)).get(f"/connections/acme{path}")).text
            known = await console.rig.known("acme")
            assert known.sealed.access is not None
            assert known.sealed.access not in text
            assert "refresh_token=" not in text


async def test_a_new_one_invites_and_one_without_contacts_says_so(console):
    await console.rig.add("acme", tokens=False)
    await console.rig.add("mute", tokens=False, client={"name": "Firm mute", "contacts": []})
    operator = await console.operator()
    said = words(await page(operator))
    assert "Firm acme on Clio Manage has never been authorized." in said
    assert "Send link…" in said
    assert "There are no tokens yet." in said
    said = words(await page(operator, "mute"))
    assert "Nobody can be mailed: add a contact, or hand a link over." in said
    assert "Send link…" not in said
    assert "Copy link" in said


async def test_a_paused_one_says_so_and_offers_to_resume(console):
    await console.rig.add("acme")
    await console.rig.look()
    await connections.pause(console.parts, ME, ["acme"])
    console.rig.clock.tick(days=2)
    found = await page(await console.operator())
    said = words(found)
    assert "has been paused for 2 days; it is not looked at." in said
    assert "Nothing, until somebody resumes it." in said
    assert "Resume" in said
    assert "Probe now" not in said
    assert 'class="f-paused"' in found.text


@pytest.mark.parametrize("owner", ["operator", "provider", "client", "nobody"])
@pytest.mark.parametrize("state", list(State))
async def test_every_state_and_owner_is_told(small, state, owner):
    await small.rig.add("acme")
    await small.rig.look()
    cause = {
        "operator": "app_misconfigured",
        "provider": "provider_outage",
        "client": "revoked",
        "nobody": "ok",
    }
    await _set(
        small.parts.database, state=state.value, owner=owner, cause=cause[owner], candidate=cause[owner]
    )
    found = await page(await small.operator())
    assert f'class="panel verdict {state.value}"' in found.text
    assert "Who acts" in words(found)


async def _set(database: Database, **values):
    async with database.write() as conn:
        await conn.execute(update(watch).values(**values))


async def test_a_viewer_sees_no_address_and_no_action_but_that_it_needs_a_role(console):
    await broken(console)
    found = await page(await console.viewer())
    said = words(found)
    assert "i…@acme.example" in said
    assert "it@acme.example" not in found.text
    assert "Send link… needs the role operator" in said
    assert "More" not in said
    assert "/connections/acme/edit" not in found.text
    evidence = await (await console.viewer()).get("/connections/acme/evidence.json")
    assert "it@acme.example" not in evidence.text


async def test_one_whose_app_is_not_configured_is_the_operators(console):
    await console.rig.add("acme")
    await console.rig.look()
    async with console.parts.database.write() as conn:
        await conn.execute(update(watch).values(app="gone"))
        await conn.execute(update(connection).values(app="gone"))
    said = words(await page(await console.operator()))
    assert "Firm acme on clio is not watched: its app gone is not configured." in said
    assert "Who acts Operator" in said
    assert "Probe now" not in said
    assert "Send link" not in said


async def test_forty_scopes_and_names_from_right_to_left_are_shown(console):
    scopes = [f"scope-{number:02}" for number in range(40)]
    name = "مكتب الأستاذ عبد الرحمن بن محمد للمحاماة والاستشارات القانونية"
    await console.rig.add("acme", client={"name": name, "contacts": []})
    async with console.parts.database.write() as conn:
        await conn.execute(update(connection).values(scopes=scopes))
    found = await page(await console.operator())
    assert f"<bdi>{name}</bdi>" in found.text
    assert "and 32 more" in words(found)
    assert "scope-39" in found.text


async def test_one_that_was_removed_meanwhile_is_a_page_that_is_not_there(console):
    await console.rig.add("acme")
    operator = await console.operator()
    await page(operator)
    await connections.remove(console.parts, ME, ["acme"])
    answer = await operator.get("/connections/acme")
    assert answer.status_code == 404
    assert "There is no connection 'acme'." in words(answer)
    assert (await operator.post("/connections/acme/probe")).status_code == 404


async def test_the_span_is_chosen_and_the_table_holds_what_is_drawn(console):
    await broken(console)
    operator = await console.operator()
    found = await page(operator)
    assert "The last 24 hours" in words(found)
    assert '<rect class="f-broken"' in found.text
    assert 'role="img" aria-label="Broken since' in found.text
    longer = await page(operator, params={"span": "90d"})
    assert "The last 90 days" in words(longer)
    table = longer.text.partition('id="as-table"')[2].partition("</details>")[0]
    assert "broken" in table
    assert "healthy" in table
    assert "The last 24 hours" in words(await page(operator, params={"span": "nonsense"}))


async def test_the_road_back_is_told_as_the_client_goes_it(console):
    await broken(console)
    operator, stranger = await console.operator(), console.rig.granter
    assert stranger is not None
    await links.make(console.parts, ME, "acme")
    said = words(await page(operator))
    assert "A link was made to be handed over" in said
    assert "Approve as Firm acme, 100" in said


async def test_others_of_the_same_client_are_beside_it(console):
    await console.rig.add("acme", "bolt", client={"name": "One Firm", "contacts": []})
    await console.rig.look()
    said = await page(await console.operator())
    assert '<a href="/connections/bolt">bolt</a>' in said.text


async def test_what_is_silent_is_said_and_what_was_done_stands_before(console):
    await console.rig.add("acme")
    await console.rig.look()
    await silences.begin(console.parts, ME, "connection", "acme", HOUR, reason="moving")
    await connections.pause(console.parts, ME, ["acme"])
    await connections.resume(console.parts, ME, ["acme"])
    said = words(await page(await console.operator()))
    assert "muted until" in said
    assert "Paused by me" in said
    assert "Unmute" in said
    assert "Paused by me" not in words(await page(await console.viewer()))


async def test_every_block_is_swapped_by_itself(console):
    await broken(console)
    found = (await page(await console.operator())).text
    found = found.partition("<main")[2]
    live = re.findall(r"<\w+[^>]* data-live[ >]", found)
    assert len(live) >= 9
    assert all(re.search(r'\bid="[\w-]+"', one) for one in live)
