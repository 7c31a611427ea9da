"""The outbox's pages: what wants a look, is held, waits and went out, for whoever looks; on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, update

from alerts.mails.tables import address, mail_server
from alerts.outbox.tables import fuse
from alerts.silences.tables import silence
from monitor.store.door_tables import webhook
from monitor.store.tables import connection
from tests.conftest import rigged
from tests.integration.console.conftest import HERE, MORE, served, words
from tests.integration.console.outbox_scene import D, H, M, Scene

MAILS = """[email]
delay = "10m"
operator = "ops@agency.example"
quiet_hours = "20:00-07:00"
"""
LONG = "Ayodele-Featherstonehaugh, Montgomery & Worthington-Smythe LLP"
HEBREW = "משרד עורכי דין כהן ושות׳"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture
async def console(tmp_path, sandbox, database_url):
    async with rigged(tmp_path, sandbox, database_url, more=MORE + MAILS) as rig, served(rig) as found:
        yield found


@pytest.fixture
def scene(console):
    return Scene(console.parts.database, console.rig.clock.now())


async def write(console, table, **values):
    async with console.parts.database.write() as conn:
        await conn.execute(insert(table).values(**values))


# -- empty --------------------------------------------------------------------------------------------


async def test_an_empty_outbox_says_what_would_stand_there(console):
    page = await (await console.operator()).get("/outbox")
    said = words(page)
    assert page.status_code == 200
    assert "Nothing waits, and nothing is held. Nothing went out today." in said
    assert "What is said to clients and to on-call stands here from the moment it is planned" in said
    assert 'href="/mails"' in page.text
    for tab, heading in (
        ("waiting", "Nothing waits."),
        ("sending", "Nothing is on its way."),
        ("held", "Nothing is held."),
        ("unconfirmed", "Nothing is unconfirmed."),
        ("failed", "Nothing failed."),
        ("sent", "Nothing was sent yet."),
        ("withdrawn", "Nothing was taken back."),
    ):
        assert heading in words(await (await console.operator()).get(f"/outbox?is={tab}"))


async def test_where_nobody_is_mailed_the_settings_are_named(tmp_path, sandbox, database_url):
    more = f'[web]\npublic_url = "{HERE}"\n[people]\nargon2 = "small"\n'
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig, served(rig) as console:
        said = words(await (await console.operator()).get("/outbox"))
        assert "Nobody is mailed yet. Set from in [smtp]" in said
        assert "operator in [email] in token-health.toml" in said
        asked = words(await (await console.operator()).get("/outbox/test"))
        assert "No mail goes out yet. Set from in [smtp]" in asked


# -- what stands there --------------------------------------------------------------------------------


async def test_groups_stand_in_the_order_in_which_one_looks_at_them(console, scene):
    for name in ("lost", "gone", "next", "later", "well", "calm"):
        await scene.firm(name)
    await scene.say(
        "lost", state="sent", due=-22 * H, to=[("email", "it@lost.example", "unconfirmed", "no answer")]
    )
    await scene.say(
        "gone", state="failed", due=-3 * H, to=[("email", "old@gone.example", "refused", "550 no such user")]
    )
    await scene.wave("w1", "w2", "w3")
    await scene.say("next", due=3 * M)
    await scene.say("later", "reminder", "reminder", due=2 * H, number=1)
    await scene.say(
        "calm", state="sending", due=-M, to=[("email", "it@calm.example", "sending", "451 try later")]
    )
    await scene.say("well", "resolved", "resolved", "sent", due=-51 * M)
    page = await (await console.operator()).get("/outbox")
    said = words(page)
    assert (
        "3 wait, 3 are held, 2 want a look. One went out today. The mail server took the last one 51 min ago."
        in said
    )
    groups = [
        said.index(one)
        for one in (
            "Look at these 2",
            "Held 3, and by whom",
            "Waiting 3, the next first",
            "Sent today 1, newest first",
        )
    ]
    assert groups == sorted(groups)
    assert (
        "Unconfirmed Reconnect Clio Manage , Firm lost revoked, first mail Firm lost it@lost.example" in said
    )
    assert "it may have arrived, and is not sent twice. A reminder comes a day sooner. Send again…" in said
    assert "old@gone.example: 550 no such user. The operator is told instead. Try again…" in said
    assert (
        "3 first mails The fleet guard 3 clients of Clio Manage The fleet guard: 3 broke together. It may not be the clients. Decide…"
        in said
    )
    assert "Put off 1 time (451 try later); tried again in 5 minutes." in said
    assert "A confirmed break waits 10 minutes, since it may heal; then for one more look. Send now…" in said
    assert "2 days after the first mail; nobody approved yet. Taken back by itself when it heals." in said
    assert "Sent Thank you, it works , Firm well" in said
    assert said.index("On its way") < said.index("in 3 min") < said.index("in 2 h")


@pytest.mark.parametrize(
    ("slot", "kind", "more", "says"),
    [
        ("ask", "revoked", {"due": 3 * M, "requested_by": "user:dana"}, "dana asked for it; it goes within seconds."),
        ("ask", "revoked", {"due": -M}, "It is due: its connection is looked at once more, then it goes."),
        ("ask", "revoked", {"due": 22 * H}, "Quiet hours in UTC until 07:00 there."),
        ("ask", "first_authorization", {"due": H}, "Connect Clio Manage"),
        ("expiring", "expiring_soon", {"due": H}, "The authorization ends on 23 Nov 2026, and the client is told ahead of it."),
        ("campaign", "campaign", {"due": H, "reason": "asked ahead of time by a campaign"}, "Asked ahead of time by a campaign."),
        ("resolved", "resolved", {"due": H}, "They were asked, and it works again."),
        ("handover", "handover", {"due": H, "reason": "no contact is on record"}, "Over to the operator: no contact is on record."),
        ("page", "TokenHealthNoProbes", {"due": H, "matter": {"summary": "Nothing is probed"}}, "It may pass: on-call is told if it still stands in 60 minutes."),
        ("clear", "TokenHealthNoProbes", {"due": 4 * M, "matter": {"summary": "Nothing is probed"}}, "It is over; on-call is told when it has stayed so for 4 minutes more."),
        ("ask", "revoked", {"state": "withdrawn", "due": -H, "outcome": "no longer true, or held"}, "No longer true, or held."),
        ("ask", "digest", {"state": "sent", "due": -H}, "Asked to authorize again: confirmed broken, and the client can mend it."),
        ("ask", "revoked", {"state": "sent", "due": -H, "to": [("email", "a@x.example", "sent", "250"), ("email", "b@x.example", "refused", "550 no")]}, "b@x.example did not take it: 550 no."),
        ("page", "X", {"state": "sent", "due": -H, "matter": {"summary": "Xero is down", "description": "212 connections of Xero. Wait."}}, "Page: Xero is down"),
        ("page", "X", {"state": "failed", "due": -H, "matter": {"summary": "s"}, "to": [("#ops", "#ops", "failed", "403")]}, "#ops: 403."),
    ],
)  # fmt: skip
async def test_each_says_why_it_is_where_it_is_in_one_sentence(console, scene, slot, kind, more, says):
    await scene.firm("acme")
    number = await scene.say("acme", slot, kind, **more)
    page = await (await console.operator()).get(f"/outbox/{number}")
    assert page.status_code == 200
    assert says in words(page)
    tab = {"withdrawn": "withdrawn", "failed": "failed", "sent": "sent"}.get(more.get("state"), "waiting")
    assert says in words(await (await console.operator()).get(f"/outbox?is={tab}"))


async def test_a_doubt_of_the_guard_and_a_person_who_is_on_it_are_said(console, scene):
    await scene.firm("doubted", waits="doubt")
    await scene.say("doubted", due=3 * H)
    said = words(await (await console.operator()).get("/outbox"))
    assert (
        "The fleet guard is in doubt whether it is the client's, so a confirmed break waits 8 hours" in said
    )
    await scene.firm("claimed")
    until = scene.at + D
    async with console.parts.database.write() as conn:
        mine = {
            "claimed_by": "Sam Ito",
            "claimed_until": until,
            "claimed_incident": scene.incidents["claimed"],
        }
        await conn.execute(update(connection).where(connection.c.id == "claimed").values(**mine))
    await scene.say("claimed", "reminder", "reminder", due=D, number=1)
    said = words(await (await console.operator()).get("/outbox"))
    assert "Sam Ito is on it until Tue 24 Nov 09:00 UTC; the client is not reminded before." in said


async def test_what_holds_something_back_is_a_line_each(console, scene):
    await scene.wave("w1", "w2")
    await scene.firm("troubled", waits="trouble")
    await scene.firm("silent")
    await scene.firm("rests", state="paused")
    await scene.firm("fused")
    await scene.say("fused", due=-M)
    await write(console, fuse, name="first mails", blown_at=scene.at - M, wanted=40)
    laid = {"kind": "client", "name": "Firm silent", "reason": "on the phone with them", "by": "user:sam"}
    await write(console, silence, **laid, begun_at=scene.at - H, until=scene.at + 6 * D, pauses=False)
    page = await (await console.operator()).get("/outbox?is=held")
    said = words(page)
    assert "5 are held" in said
    assert "2 first mails The fleet guard 2 clients of Clio Manage" in said
    assert "1 first mail The fuse the whole fleet" in said
    assert "Release the fuse…" in said
    assert (
        "What is told of 1 break A person client Firm silent Silenced by sam: on the phone with them" in said
    )
    assert (
        "1 first mail A provider's trouble provider Clio Manage They broke while their provider was in trouble"
        in said
    )
    assert "Nothing is told A pause 1 connection They are paused by people" in said
    assert "The fuse has blown. 40 first mails want out" in said
    assert "1 wants a look" in said
    waiting = words(await (await console.operator()).get("/outbox?is=waiting"))
    assert "Held Reconnect Clio Manage , Firm fused" in waiting
    assert "The fuse holds it: more first mails want out than the fleet should bring. Send now…" in waiting
    matters = words(await (await console.operator()).get("/outbox"))
    assert "Waiting" not in matters.partition("Held 5")[2].partition("that were sent today")[0], "it is held"
    assert "Outbox , 5 held Calendar" in said, "beside the navigation's word, too"


async def test_what_the_configuration_silences_ends_there(tmp_path, sandbox, database_url):
    quiet = '[[silences]]\nname = "a move"\nclient = "Firm silent"\nweekly = "daily 00:00-23:59"\n'
    async with rigged(tmp_path, sandbox, database_url, more=MORE + quiet) as rig, served(rig) as console:
        await Scene(rig.parts.database, rig.clock.now()).firm("silent")
        said = words(await (await console.operator()).get("/outbox?is=held"))
        assert "What is told of 1 break The configuration client Firm silent" in said
        assert "Release" not in said


async def test_a_hold_over_everything_counts_once(console, scene):
    await scene.wave("w1", "w2")
    await scene.firm("acme")
    await write(
        console, silence, kind="all", name="", reason="", by="user:sam", begun_at=scene.at, pauses=False
    )
    assert "3 are held" in words(await (await console.operator()).get("/outbox"))


async def test_addresses_that_refuse_mail_are_to_be_edited(console, scene):
    await scene.firm("gone")
    to = [("email", "old@gone.example", "refused", "550 no"), ("email", "it@gone.example", "sent", "250")]
    await scene.say("gone", state="sent", due=-3 * H, to=to)
    await write(
        console, address, address="old@gone.example", refused_at=scene.at - 3 * H, answer="550 no such user"
    )
    page = await (await console.operator()).get("/outbox")
    said = words(page)
    assert "1 wants a look" in said
    assert "Undeliverable old@gone.example address Firm gone It takes no mail: 550 no such user." in said
    assert 'href="/connections/gone"' in page.text
    assert "Edit contacts…" not in words(await (await console.viewer()).get("/outbox"))


async def test_a_mail_server_that_takes_nothing_is_said(console, scene):
    name = console.parts.loaded.mail_server().name
    await write(console, mail_server, name=name, down_since=scene.at - 2 * H, answer="421 busy")
    said = words(await (await console.operator()).get("/outbox"))
    assert "The mail server has taken no mail for 2 hours: 421 busy." in said


# -- leafing through ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", ["waiting", "sent"])
async def test_tabs_are_read_page_by_page(console, scene, tab):
    await scene.firm("acme")
    sign = 1 if tab == "waiting" else -1
    numbers = [
        await scene.say("acme", "resolved", "resolved", tab, due=sign * (n // 2) * M, audience=f"a{n}")
        for n in range(1, 121)
    ]
    person, path, seen = await console.viewer(), f"/outbox?is={tab}", []
    for _ in range(3):
        page = await person.get(path)
        found = [int(one.partition('"')[0]) for one in page.text.split('id="row-notice-')[1:]]
        seen += found
        link = page.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        if not link:
            break
        path = link
    assert sorted(seen) == sorted(numbers), "each once"
    assert "First page" in words(page)


@pytest.mark.parametrize(
    "query", ["is=moon", "channel=pigeon", "is=sent&after=x", "is=sent&after=2026-11-23~1", "is=sent&after=2026-11-23T09:00:00%2B00:00~99999999999"]
)  # fmt: skip
async def test_what_is_asked_for_wrongly_is_said(console, query):
    page = await (await console.viewer()).get(f"/outbox?{query}")
    assert page.status_code == 422
    assert "is none" in words(page) or "is no place in this list" in words(page)


async def test_channels_are_told_apart_and_webhooks_are_for_who_may_see_them(console, scene):
    await scene.firm("acme")
    await scene.say("acme", due=3 * M)
    await scene.say(
        "",
        "page",
        "X",
        "sent",
        due=-M,
        matter={"summary": "Xero is down"},
        to=[("#ops", "#ops", "sent", "ok")],
    )
    hook = {
        "id": "wh_1",
        "url": "https://x.example",
        "events": ["*"],
        "made_by": "ann",
        "created_at": scene.at,
    }
    await write(console, webhook, **hook)
    await scene.say("", "webhook", "connection.broken", "sent", due=-M, to=[("wh_1", "wh_1", "sent", "200")])
    admin, operator = await console.admin(), await console.operator()
    assert "Xero is down" not in words(await admin.get("/outbox?channel=mail"))
    both = words(await admin.get("/outbox"))
    assert "connection.broken" not in both
    assert "Page: Xero is down , On-call on-call On-call #ops" in both
    pages = words(await admin.get("/outbox?channel=page"))
    assert "Reconnect" not in pages
    said = words(await admin.get("/outbox?channel=webhook"))
    assert "Sent connection.broken , Programs event Programs wh_1 It was taken." in said
    failed = await scene.say(
        "", "webhook", "connection.broken", "failed", due=-M, to=[("wh_1", "wh_1", "failed", "503")]
    )
    assert (await operator.get(f"/outbox/{failed}")).status_code == 404, (
        "what programs are told is not theirs"
    )
    assert (await operator.post(f"/outbox/{failed}/replay")).status_code == 403
    assert "Send “connection.broken” again? It goes to wh_1" in words(
        await admin.get(f"/outbox/{failed}/replay")
    )
    page = await admin.follow(await admin.post(f"/outbox/{failed}/replay"))
    assert "It goes within seconds." in words(page)
    assert (await admin.post(f"/outbox/{failed}/replay")).status_code == 409, "once"
    assert (await operator.get("/outbox?channel=webhook")).status_code == 403
    assert "Webhooks" not in words(await operator.get("/outbox"))


async def test_one_client_alone(console, scene):
    for name in ("acme", "birch"):
        await scene.firm(name)
        await scene.say(name, due=3 * M)
    page = await (await console.viewer()).get("/outbox?is=waiting&client=Firm+birch")
    assert "Firm acme" not in words(page)
    assert 'id="row-notice-2"' in page.text
    none = words(await (await console.viewer()).get("/outbox?is=waiting&client=Firm+moon"))
    assert "Nothing of this, to Firm moon." in none
    assert "Take the filter away" in none


@pytest.mark.parametrize("name", [LONG, HEBREW, HOSTILE])
async def test_names_are_shown_as_they_are_and_do_nothing(console, scene, name):
    await scene.firm("acme", name)
    number = await scene.say("acme", due=3 * M, client=name)
    for path in ("/outbox", "/outbox?is=waiting", f"/outbox/{number}", f"/outbox/{number}/send-now"):
        page = await (await console.operator()).get(path)
        assert page.status_code == 200
        assert name in words(page) or name == HOSTILE
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
