"""Campaigns: clients who work are asked in waves, once each, awake, and a wave that goes wrong stops it."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from alerts.outbox.tables import notice
from alerts.pages import truth as pages
from alerts.pages.truth import Oncall
from alerts.silences import silences
from alerts.silences.windows import Over
from monitor.errors import Conflict, Invalid, NotFound
from monitor.health.campaign import Phase
from monitor.operations import campaign_reports, campaigns
from monitor.operations import connections as acting
from monitor.operations.campaigns import Wanted, far_of
from monitor.store.door_tables import event
from tests.conftest import MAIL, ME, rigged
from tests.integration.test_consent import approve, browser_on, start, title, user_of

REASON = "Clio's broad permissions end in September 2027 <b>& finer ones</b> come."
UNTIL = date(2027, 6, 30)
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Sydney")
FIRMS = [f"firm{number:02}" for number in range(40)]
ZONE = {name: ZONES[number % 3] for number, name in enumerate(FIRMS)}
MAILS = MAIL.replace('quiet_hours = ""', 'quiet_hours = "20:00-07:00, weekends"')


def wanted(pace=10, until=UNTIL, **chosen) -> Wanted:
    return Wanted(chosen or {"provider": ["clio"]}, REASON, pace, until)


@pytest.fixture
async def fleet(tmp_path, sandbox, mailbox, database_url):
    """Forty firms in three zones, all well."""
    async with rigged(tmp_path, sandbox, database_url, more=MAILS.format(url=mailbox.url)) as rig:
        for zone in ZONES:
            names = [name for name in FIRMS if ZONE[name] == zone]
            await rig.add(*names, client={"timezone": zone})
        await well(rig)
        yield rig


async def well(rig):
    """Look at each for the first time."""
    for _ in range(3):
        await rig.after(minutes=3)


async def hours(rig, count, step=1):
    """Let hours go by in which nobody looks at a provider; mails go out as they would."""
    for _ in range(count // step):
        rig.clock.tick(hours=step)
        await move(rig)


async def move(rig):
    await rig.pump.campaigns()
    await rig.pump.plan()
    await rig.pump.pump()


def firm_of(mail) -> str:
    return mail["To"].removeprefix("it@").partition(".")[0]


class Post:
    """What arrived at a mailbox since the last look, by what it is."""

    def __init__(self, mailbox):
        self.mailbox, self.seen = mailbox, 0

    def new(self):
        fresh = self.mailbox.taken[self.seen :]
        self.seen = len(self.mailbox.taken)
        return fresh

    def invitations(self):
        return [m for m in self.mailbox.taken if "please approve again by" in m["Subject"]]

    def link_to(self, firm):
        newest = max(i for i, m in enumerate(self.mailbox.taken) if firm_of(m) == firm)
        return self.mailbox.link(newest)


async def walk(rig, browser, link, user, decision="approve"):
    return title(await browser.get(await approve(await start(browser, link), user, decision)))


async def far(rig, name):
    return Counter(far_of(row) for row in await campaigns.all_members(rig.parts, ME, name))


async def test_a_whole_campaign_in_waves_that_stops_by_itself_is_resumed_and_ends(fleet, mailbox):
    rig, post = fleet, Post(mailbox)
    drafted = await campaigns.draft(rig.parts, ME, wanted())
    assert (drafted.forecast.clients, drafted.forecast.first_wave, drafted.forecast.waves) == (40, 3, 5)
    assert drafted.forecast.in_time
    made, _ = await campaigns.begin(rig.parts, ME, wanted())
    stranger = rig.sandbox.grants([{"client_id": "clio", "account_id": 907, "account_name": "Other Firm"}])[0]
    async with browser_on(rig) as browser:
        # The canary: three clients, in daylight, whoever is awake first; all approve.
        await hours(rig, 23)
        canary = [firm_of(mail) for mail in post.new()]
        assert len(canary) == len(set(canary)) == 3
        page = await browser.get(urlsplit(post.link_to(canary[0])).path)
        assert title(page) == "Renew Clio Manage" and "nothing is wrong" in page.text
        assert "&lt;b&gt;&amp; finer ones" in page.text and "2027" in page.text
        for firm in canary:
            assert await walk(rig, browser, post.link_to(firm), user_of(rig, firm)) == "Thank you, it works"
        await move(rig)
        assert [m["Subject"].split(":")[0] for m in post.new()] == ["Thank you"] * 3

        # The second wave: ten. One declines, three come with another account, two approve, four wait.
        await hours(rig, 24)
        second = [firm_of(mail) for mail in post.new()]
        assert len(second) == 10 and not set(second) & set(canary)
        assert await far(rig, made.id) == {"approved": 3, "invited": 10, "to_come": 27}
        no, others, yes = second[0], second[1:4], second[4:6]
        assert (
            await walk(rig, browser, post.link_to(no), user_of(rig, no), "decline") == "You did not approve"
        )
        for firm in others:
            said = await walk(rig, browser, post.link_to(firm), stranger["user_id"])
            assert said == "That was another account"
        for firm in yes:
            await walk(rig, browser, post.link_to(firm), user_of(rig, firm))
        await move(rig)
        stopped = await campaigns.show(rig.parts, ME, made.id)
        assert stopped.campaign.phase is Phase.PAUSED and stopped.campaign.waits_for_person
        assert stopped.campaign.why == (
            "wave 2 went wrong: of 10 clients written to, 1 declined, 3 approved with another account"
        )
        await tells_of_it(rig, made.id)
        assert {"Thank you"} == {m["Subject"].split(":")[0] for m in post.new()}, "who approved is thanked"
        await hours(rig, 4 * 24, step=2)
        assert post.new() == [], "nobody is invited or reminded while it is paused"
        assert {(await rig.known(name)).health.state.value for name in FIRMS} == {"healthy"}

        # A person has called the three; it goes on, and what went wrong is answered.
        await campaigns.resume(rig.parts, ME, made.id)
        for firm in others:
            await walk(rig, browser, post.link_to(firm), user_of(rig, firm))
        for _ in range(16):
            await hours(rig, 24, step=3)
            for firm in {firm_of(m) for m in post.new() if "please approve again" in m["Subject"]} - {no}:
                await walk(rig, browser, post.link_to(firm), user_of(rig, firm))
    ended = await campaigns.show(rig.parts, ME, made.id)
    assert (
        ended.campaign.phase is Phase.RUNNING and ended.far["declined"] == 1 and ended.far["approved"] == 39
    )
    reminders = [m for m in post.invitations() if "Reminder" in m["Subject"]]
    assert {firm_of(m) for m in reminders} == {no, *second[6:]}
    assert max(Counter(map(firm_of, reminders)).values()) == 3, "bounded as those of a break"
    firsts = [m for m in post.invitations() if "Reminder" not in m["Subject"]]
    assert Counter(firm_of(m) for m in firsts) == dict.fromkeys(FIRMS, 1), "each firm once"
    at_their_hour(post.invitations())
    never_more_than(10, firsts)
    report = await campaign_reports.report(rig.parts, ME, made.id)
    assert [row.connection for row in report.left] == [no] and len(report.wrong) == 4
    assert f"| {no} |" in report.markdown() and r"\<b\>" in report.markdown()
    await campaigns.stop(rig.parts, ME, made.id, "the last one was called")
    with pytest.raises(Conflict, match="is stopped"):
        await campaigns.resume(rig.parts, ME, made.id)


def at_their_hour(mails):
    for mail in mails:
        local = parsedate_to_datetime(mail["Date"]).astimezone(ZoneInfo(ZONE[firm_of(mail)]))
        assert 7 <= local.hour < 20 and local.weekday() < 5, local


def never_more_than(pace, mails):
    times = sorted(parsedate_to_datetime(mail["Date"]) for mail in mails)
    assert max(sum(timedelta() <= t - at < timedelta(days=1) for t in times) for at in times) <= pace


async def tells_of_it(rig, name):
    async with rig.parts.database.read() as conn:
        rows = (await conn.execute(select(event.c.data).where(event.c.type == "campaign.stopped"))).all()
        assert [row.data["campaign"] for row in rows] == [name]
        seen = await pages.look(conn, Oncall(routes=(), apps={"clio": "clio"}), rig.clock.now())
    matter = seen.told["TokenHealthCampaignStopped"]
    assert name in matter.description and "wave 2 went wrong" in matter.description


@pytest.fixture
async def few(tmp_path, sandbox, mailbox, database_url):
    """Six firms that take mail at any hour."""
    async with rigged(tmp_path, sandbox, database_url, more=MAIL.format(url=mailbox.url)) as rig:
        await rig.add(*FIRMS[:6])
        await well(rig)
        yield rig


async def test_who_broke_meanwhile_is_asked_for_that_and_not_twice(few, mailbox):
    rig = few
    await campaigns.begin(rig.parts, ME, wanted(pace=50))
    await move(rig)
    first = [firm_of(mail) for mail in mailbox.taken]
    assert len(first) == 3
    broken = next(name for name in FIRMS[:6] if name not in first)
    rig.sandbox.do(rig.grants[broken], "revoke")
    await rig.after(minutes=8)
    assert (await rig.settle(broken))[0] == "broken"
    await rig.mails(minutes=11)
    await rig.pump.campaigns()
    await hours(rig, 26)
    mine = [m["Subject"] for m in mailbox.taken if firm_of(m) == broken]
    assert len(mine) == 1 and mine[0].startswith("Action needed")
    async with browser_on(rig) as browser:
        await walk(rig, browser, Post(mailbox).link_to(broken), user_of(rig, broken))
    await hours(rig, 30)
    mine = [m["Subject"].split(":")[0] for m in mailbox.taken if firm_of(m) == broken]
    assert mine == ["Action needed", "Thank you"], "newly authorized since it began: done"


async def test_what_is_no_longer_true_when_it_leaves_is_dropped(few, mailbox):
    """Taken by a wave while the mail server is away; then paused, removed, silenced, approved."""
    rig = few
    made, _ = await campaigns.begin(rig.parts, ME, wanted(pace=50))
    await rig.pump.campaigns()
    async with rig.parts.database.read() as conn:
        count = select(func.count()).where(notice.c.slot == "campaign", notice.c.state == "waiting")
        assert (await conn.execute(count)).scalar() == 3
    taken = [r.connection for r in await campaigns.all_members(rig.parts, ME, made.id) if r.wave]
    await acting.pause(rig.parts, ME, [taken[0]])
    await acting.remove(rig.parts, ME, [taken[1]])
    now = rig.clock.now()
    await silences.begin(rig.parts.database, Over.CONNECTION, taken[2], "on holiday", None, now, "me")
    await rig.pump.pump()
    assert mailbox.taken == []
    await move(rig)
    assert (await far(rig, made.id))["gone"] == 1


async def test_nothing_leaves_while_the_provider_is_in_trouble_or_the_fuse_is_blown(few, mailbox):
    rig = few
    await campaigns.begin(rig.parts, ME, wanted(pace=50))
    rig.sandbox.weather("down")
    for _ in range(4):
        await rig.after(minutes=5)
    await move(rig)
    await hours(rig, 5)
    assert mailbox.taken == []
    rig.sandbox.weather("clear")
    for _ in range(3):
        await rig.after(minutes=15)
    await move(rig)
    assert len(mailbox.taken) == 3


async def test_one_mail_a_client_whatever_of_its_connections(tmp_path, sandbox, mailbox, database_url):
    async with rigged(tmp_path, sandbox, database_url, more=MAIL.format(url=mailbox.url)) as rig:
        client = {"name": "Whitfield LLP", "contacts": ["it@whitfield.example"]}
        await rig.add("w1", "w2", "w3", client=client)
        await well(rig)
        made, drafted = await campaigns.begin(rig.parts, ME, wanted(pace=1))
        assert (len(drafted.connections), drafted.forecast.clients) == (3, 1)
        await move(rig)
        assert mailbox.subjects() == ["3 connections of Whitfield LLP: please approve again by June 30, 2027"]
        assert len({mailbox.link(nth=nth) for nth in range(3)}) == 3
        async with browser_on(rig) as browser:
            for nth in range(3):
                name = f"w{nth + 1}"
                await walk(rig, browser, mailbox.link(0, nth), user_of(rig, name))
        await hours(rig, 3)
        assert (await campaigns.show(rig.parts, ME, made.id)).campaign.phase is Phase.DONE


async def test_a_connection_is_in_one_campaign_and_who_may_not_begins_none(few):
    rig = few
    made, _ = await campaigns.begin(rig.parts, ME, wanted(provider=["clio"], q=["firm00"]))
    again = await campaigns.draft(rig.parts, ME, wanted())
    assert again.elsewhere == {"firm00": made.id} and len(again.connections) == 5
    with pytest.raises(Conflict, match="another campaign"):
        await campaigns.begin(rig.parts, ME, wanted(id=["firm00"]))
    for wrong in (wanted(colour=["red"]), wanted(until=date(2020, 1, 1)), wanted(provider=[""])):
        with pytest.raises(Invalid):
            await campaigns.begin(rig.parts, ME, wrong)
    with pytest.raises(NotFound):
        await campaigns.pause(rig.parts, ME, "cmp_none")
    await campaigns.stop(rig.parts, ME, made.id)
    await campaigns.begin(rig.parts, ME, wanted(id=["firm00"]))


async def test_its_time_runs_out(few, mailbox):
    rig = few
    soon = rig.clock.now().date() + timedelta(days=2)
    made, _ = await campaigns.begin(rig.parts, ME, wanted(until=soon))
    await hours(rig, 80, step=4)
    assert (await campaigns.show(rig.parts, ME, made.id)).campaign.phase is Phase.OVER
    before = len(mailbox.taken)
    await hours(rig, 200, step=10)
    assert len(mailbox.taken) == before
