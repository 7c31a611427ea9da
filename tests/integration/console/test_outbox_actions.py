"""What one does in the outbox: sending now and again, holding and releasing, the fuse, a test mail; and who may."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from alerts.outbox.tables import delivery, fuse, notice
from alerts.silences.tables import silence
from tests.conftest import rigged
from tests.integration.console.conftest import MORE, served, words
from tests.integration.console.outbox_scene import H, M, Scene
from tests.integration.console.test_outbox import HOSTILE, MAILS
from tests.integration.test_sent_by_a_word import broken


@pytest.fixture
async def console(tmp_path, sandbox, database_url, mailbox):
    more = MORE.replace("smtp://127.0.0.1:9", mailbox.url) + MAILS.replace("20:00-07:00", "")
    async with rigged(tmp_path, sandbox, database_url, more=more) as rig, served(rig) as found:
        yield found


@pytest.fixture
def scene(console):
    return Scene(console.parts.database, console.rig.clock.now())


@pytest.fixture
async def waits(console):
    """The number of a first mail that waits."""
    await console.rig.add("acme")
    await broken(console.rig, "acme")
    await console.rig.mails()
    return await number_of(console, "waiting")


async def number_of(console, state):
    async with console.parts.database.read() as conn:
        return (await conn.execute(select(notice.c.id).where(notice.c.state == state))).scalar_one()


# -- sending ------------------------------------------------------------------------------------------


async def test_a_mail_that_waits_is_sent_now_after_it_was_said_what_that_does(console, waits, mailbox):
    person = await console.operator()
    asked = await person.get(f"/outbox/{waits}/send-now")
    said = words(asked)
    assert asked.status_code == 200
    assert "Send “Reconnect Clio Manage” to Firm acme now?" in said
    assert "Its time, the quiet hours and the fuse are passed over." in said
    assert "Send to 1 address" in said
    assert "A mail that is sent cannot be taken back." in said
    assert "Action needed: reconnect Clio Manage for Firm acme" in said
    assert mailbox.taken == [], "asking does nothing"
    done = await person.follow(await person.post(f"/outbox/{waits}/send-now"))
    assert "It goes within seconds, after one more look." in words(done)
    assert "operator-one asked for it" in words(done)
    again = await person.post(f"/outbox/{waits}/send-now")
    assert again.status_code == 409
    assert f"Notice {waits} goes out already" in words(again)
    await console.rig.mails(seconds=1)
    assert len(mailbox.taken) == 1
    once_more = await person.post(f"/outbox/{waits}/send-now")
    assert (once_more.status_code, len(mailbox.taken)) == (409, 1)
    assert "Sent" in words(await person.get(f"/outbox/{waits}"))


async def test_what_is_held_by_then_says_so_and_stays_in(console, waits, mailbox):
    person = await console.operator()
    await person.post(
        "/outbox/hold", {"over": "client", "name": "Firm acme", "for": "1d", "reason": "by phone"}
    )
    refused = await person.post(f"/outbox/{waits}/send-now")
    assert refused.status_code == 409
    assert "it is no longer true, or it is held" in words(refused)


async def test_a_mail_that_failed_is_tried_again(console, waits, mailbox):
    mailbox.recipients["it@acme.example"] = "550 no such user"
    await console.rig.mails(minutes=11)
    assert mailbox.taken == []
    person = await console.operator()
    failed = await number_of(console, "failed")
    asked = words(await person.get(f"/outbox/{failed}/retry"))
    assert "Try “Reconnect Clio Manage” again?" in asked
    assert "It is tried again at it@acme.example, once it was looked at anew" in asked
    mailbox.recipients.clear()
    done = await person.follow(await person.post(f"/outbox/{failed}/retry"))
    assert "It is looked at anew, and goes within seconds if it is still true." in words(done)
    await console.rig.mails(seconds=1)
    assert [message["To"] for message in mailbox.taken if "reconnect" in message["Subject"]] == [
        "it@acme.example"
    ]
    again = await person.post(f"/outbox/{failed}/retry")
    assert again.status_code == 422
    assert f"Notice {failed} is no mail that failed" in words(again)


async def test_one_that_may_have_arrived_says_that_it_may_arrive_twice(console, waits, mailbox):
    await console.rig.mails(minutes=11)
    assert len(mailbox.taken) == 1
    async with console.parts.database.write() as conn:
        await conn.execute(update(delivery).values(state="unconfirmed"))
    person = await console.operator()
    asked = await person.get(f"/outbox/{waits}/retry")
    assert "Send “Reconnect Clio Manage” again, though it may have arrived?" in words(asked)
    assert "If the first one arrived, this one arrives twice." in words(asked)
    assert '<input type=hidden name="twice" value="1">' in asked.text
    unsaid = await person.post(f"/outbox/{waits}/retry")
    assert unsaid.status_code == 409
    assert "Sent again, it may arrive twice." in words(unsaid)
    assert len(mailbox.taken) == 1
    await person.follow(await person.post(f"/outbox/{waits}/retry", {"twice": "1"}))
    await console.rig.mails(seconds=1)
    assert len(mailbox.taken) == 2
    again = await person.post(f"/outbox/{waits}/retry", {"twice": "1"})
    assert again.status_code == 409


async def test_what_cannot_be_done_about_a_notice_is_said_and_not_offered(console, scene):
    await scene.firm("acme")
    sent = await scene.say("acme", state="sent", due=-H)
    person = await console.operator()
    assert "It does not wait for its time." in words(await person.get(f"/outbox/{sent}/send-now"))
    asked = await person.get(f"/outbox/{sent}/retry")
    assert "It did not fail." in words(asked)
    assert "type=submit>Try" not in asked.text
    for number in (999, 2**31, 10**30):
        assert (await person.get(f"/outbox/{number}")).status_code == 404
        assert (await person.post(f"/outbox/{number}/send-now")).status_code == 404


# -- holding ------------------------------------------------------------------------------------------


async def test_a_hold_is_laid_named_and_taken_back(console, scene):
    await scene.firm("acme")
    person = await console.operator()
    asked = await person.get("/outbox/hold?over=client&name=Firm+acme")
    assert "Hold back what is told about Firm acme?" in words(asked)
    assert "Neither the client nor on-call is told about it meanwhile." in words(asked)
    form = {"over": "client", "name": "Firm acme", "for": "3d", "reason": "on the phone with them"}
    page = await person.follow(await person.post("/outbox/hold", form))
    assert "Nothing is told about Firm acme. Undo" in words(page)
    assert (
        "What is told of 1 break A person client Firm acme Silenced by operator-one: on the phone with them"
        in words(page)
    )
    asked = words(await person.get("/outbox/release?over=client&name=Firm+acme"))
    assert "Release what people hold over Firm acme?" in asked
    page = await person.follow(await person.post("/outbox/release", {"over": "client", "name": "Firm acme"}))
    assert "Released: one hold. Undo" in words(page)
    again = await person.post("/outbox/release", {"over": "client", "name": "Firm acme"})
    assert again.status_code == 404
    async with console.parts.database.read() as conn:
        (laid,) = (await conn.execute(select(silence))).all()
    assert (laid.name, laid.by, laid.until - laid.begun_at) == ("Firm acme", "user:operator-one", 72 * H)


async def test_everything_is_held_without_a_name_and_without_an_end(console):
    person = await console.operator()
    asked = await person.get("/outbox/hold?over=all")
    assert "Hold back what is told about everything?" in words(asked)
    page = await person.follow(await person.post("/outbox/hold", {"over": "all", "name": "", "for": ""}))
    assert "Nothing is told about anything." in words(page)
    assert "until it is released" in words(page)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"over": "client", "name": "Firm moon", "for": "4h"}, "There is no client 'Firm moon'."),
        ({"over": "client", "name": "", "for": "4h"}, "name: is missing"),
        ({"over": "all", "name": "x", "for": "4h"}, "name: is not for everything"),
        ({"over": "moon", "name": "x", "for": "4h"}, "over: is none of"),
        ({"over": "all", "name": "", "for": "soon"}, "For how long: 'soon' is no duration"),
        ({"over": "all", "name": "", "for": "9999999h"}, "For how long: a year at most"),
        (
            {"over": "all", "name": "", "for": "4h", "reason": "x" * 301},
            "reason: has more than 300 characters",
        ),
        ({"over": "client", "name": HOSTILE, "for": "4h"}, "There is no client"),
    ],
)
async def test_what_is_mistyped_is_asked_again(console, form, says):
    answer = await (await console.operator()).post("/outbox/hold", form)
    assert answer.status_code == 422
    assert says in words(answer)
    assert "Over what" in words(answer), "the question again, with all its fields"
    assert "<script>alert" not in answer.text
    async with console.parts.database.read() as conn:
        assert (await conn.execute(select(silence))).all() == []


async def test_the_fuse_is_released_after_it_was_said_what_goes_out(console, scene):
    person = await console.operator()
    assert "The fuse is whole." in words(await person.get("/outbox/fuse/release"))
    async with console.parts.database.write() as conn:
        await conn.execute(insert(fuse).values(name="first mails", blown_at=scene.at - M, wanted=40))
    asked = words(await person.get("/outbox/fuse/release"))
    assert "Release the fuse for an hour? 40 first mails want out." in asked
    assert "Let 40 first mails go" in asked
    page = await person.follow(await person.post("/outbox/fuse/release"))
    assert "The fuse is whole for an hour; first mails go out." in words(page)
    assert "The fuse has blown" not in words(page)


# -- a test mail --------------------------------------------------------------------------------------


async def test_a_test_mail_says_what_the_server_answered(console, mailbox):
    person = await console.operator()
    assert "Send a test mail?" in words(await person.get("/outbox/test"))
    page = await person.follow(await person.post("/outbox/test", {"address": "me@agency.example"}))
    assert "took it: 250" in words(page)
    assert [message["To"] for message in mailbox.taken] == ["me@agency.example"]
    mailbox.recipients["no@agency.example"] = "550 not here"
    refused = await person.post("/outbox/test", {"address": "no@agency.example"})
    assert refused.status_code == 409
    assert "did not take it: 550 not here" in words(refused)
    mistyped = await person.post("/outbox/test", {"address": "nobody"})
    assert mistyped.status_code == 422
    assert 'value="nobody"' in mistyped.text, "what was typed is there still"


# -- who may ------------------------------------------------------------------------------------------


async def test_a_viewer_sees_reasons_and_no_address_and_may_do_nothing(console, scene):
    await scene.firm("acme")
    waits = await scene.say("acme", due=3 * M)
    to = [("email", "old@acme.example", "refused", "550 old@acme.example is unknown")]
    failed = await scene.say("acme", "reminder", "reminder", "failed", due=-H, to=to)
    viewer = await console.viewer()
    for path in (
        "/outbox",
        "/outbox?is=failed",
        f"/outbox/{failed}",
        f"/outbox/{waits}",
        f"/outbox/{waits}/html",
    ):
        page = await viewer.get(path)
        assert page.status_code == 200
        for whole in ("old@acme.example", "it@acme.example"):
            assert whole not in page.text, path
    said = words(await viewer.get("/outbox"))
    assert "o…@acme.example: 550 o…@acme.example is unknown" in said
    assert "Send now…" not in said
    assert "Hold everything… needs the role operator" in said
    for path in (
        f"/outbox/{waits}/send-now",
        f"/outbox/{failed}/retry",
        "/outbox/hold",
        "/outbox/release",
        "/outbox/fuse/release",
        "/outbox/test",
    ):
        assert (await viewer.get(path)).status_code == 403
        assert (await viewer.post(path, {"over": "all", "for": "4h"})).status_code == 403
    assert "old@acme.example" in words(await (await console.operator()).get(f"/outbox/{failed}"))


# -- the frame ----------------------------------------------------------------------------------------


async def test_a_mail_is_shown_where_nothing_runs_loads_or_leads_anywhere(console, scene):
    await scene.firm("acme", HOSTILE)
    number = await scene.say("acme", due=3 * M, client=HOSTILE)
    person = await console.operator()
    page = await person.get(f"/outbox/{number}")
    assert f'src="/outbox/{number}/html" sandbox=""' in page.text
    assert "http://127.0.0.1:8080/r/…" in words(page), "no link that opens anything"
    frame = await person.get(f"/outbox/{number}/html")
    assert frame.headers["content-type"].startswith("text/html")
    policy = dict(
        one.strip().partition(" ")[::2] for one in frame.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    assert policy["frame-ancestors"] == "'self'"
    assert policy["form-action"] == "'none'"
    assert policy["sandbox"] == ""
    assert "script-src" not in policy
    assert "<script" not in frame.text
    assert "<img src=x" not in frame.text
    assert "&lt;script&gt;alert(1)" in frame.text
    assert "/r/…" in frame.text
    assert "fonts.googleapis" not in frame.text


async def test_what_can_no_longer_be_written_says_why_and_shows_the_rest(console, scene):
    await scene.firm("acme")
    number = await scene.say("acme", state="withdrawn", due=-H, kind="moon", outcome="no longer true")
    page = await (await console.operator()).get(f"/outbox/{number}")
    assert page.status_code == 200
    assert f"Notice {number} cannot be written" in words(page)
    assert "Taken back" in words(page)
    assert (await (await console.operator()).get(f"/outbox/{number}/html")).status_code == 409
