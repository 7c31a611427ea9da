"""Promise 1, 'no wrong e-mail': a replica whose address a provider refuses. It alone is refused, so it rests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files

from alerts.pages import truth
from alerts.pages.truth import Oncall
from monitor.metrics.meters import Meters
from monitor.operations.checkup import _refused
from monitor.settings.builders import build_watching, build_wire, tell_both
from monitor.store import compared, processes
from monitor.store.processes import Role
from monitor.store.tables import credential, watch
from monitor.watching.sight import CANARY_EVERY, LEAST
from tests.conftest import MAIL, rigged

NAMES = ("ash", "birch", "cedar", "elm", "fir", "hazel")


class Two:
    """Two processes on one database: the rig's own, whose address may be barred, and another on a good one."""

    def __init__(self, rig, here, there):
        self.rig, self.here, self.there = rig, here, there

    async def beat(self):
        for one in (self.here, self.there):
            name = one.presence.process
            now = self.rig.clock.now()
            await processes.beat(
                self.rig.parts.database, name, Role.ALL.value, "1", now, processes.GONE * 10_000
            )

    def answers(self, how, *names):
        for name in names or NAMES:
            self.rig.sandbox.do(self.rig.grants[name], how)

    async def looks(self, *, barred=True):
        """Let the barred process look at what is due: everything is refused to it."""
        if barred:
            self.answers("revoke")
        found = await self.here.rounds.due()
        self.answers("restore")
        return found

    async def compares(self, *, barred=True):
        if barred:
            self.answers("revoke")
        await self.here.comparing.compare()
        await self.here.loop.idle()
        self.answers("restore")
        await self.here.comparing.compare()

    async def blocked(self):
        async with self.rig.parts.database.read() as conn:
            return [(one.process, one.provider) for one in await processes.blocked(conn)]

    async def pages(self):
        async with self.rig.parts.database.read() as conn:
            seen = await truth.look(conn, Oncall((), {"clio": "clio"}), self.rig.clock.now())
        return sorted(seen.told)

    async def rows(self):
        async with self.rig.parts.database.read() as conn:
            return {row.connection: row for row in await conn.execute(watch.select())}


@asynccontextmanager
async def _two(rig):
    wire = build_wire(rig.parts)
    there = build_watching(rig.parts, wire, Meters(), "there", Role.ALL, tell_both(rig.pump, rig.pager))
    try:
        two = Two(rig, rig.watching, there)
        await rig.add(*NAMES)
        await rig.after(minutes=6)
        assert {row.state for row in (await two.rows()).values()} == {"healthy"}
        await two.beat()
        yield two
    finally:
        await there.ticks.stop()
        await wire.close()


async def _found_out(two):
    """The barred process looks; the other finds the same connections good; it looks once more, and knows."""
    two.rig.clock.tick(minutes=6)
    await two.looks()
    await two.compares()  # too early to conclude; others are asked to look
    two.rig.clock.tick(seconds=2)
    await two.there.rounds.due()
    await two.compares()


async def test_a_replica_that_alone_is_refused_rests_there_pages_once_and_mails_nobody(mailrig, mailbox):
    async with _two(mailrig) as two:
        await _found_out(two)
        me = two.here.presence.process
        assert await two.blocked() == [(me, "clio")]
        assert await two.pages() == ["TokenHealthEgressBlocked/clio"]
        (line,) = await _refused(mailrig.parts)
        assert me in line.says and "clio" in line.says
        for _ in range(12):
            mailrig.clock.tick(minutes=6)
            assert await two.looks() == [], "it claims nothing of that provider"
            assert await two.there.rounds.due(), "the other one does"
            await two.compares()
        await mailrig.pump.plan()
        await mailrig.pump.pump()
        assert mailbox.taken == []
        assert {row.state for row in (await two.rows()).values()} == {"healthy"}
        assert await two.pages() == ["TokenHealthEgressBlocked/clio"], "still one"


async def test_it_comes_back_by_itself_with_the_first_canary_that_is_answered_well(mailrig):
    async with _two(mailrig) as two:
        await _found_out(two)
        mailrig.clock.tick(seconds=CANARY_EVERY.total_seconds() + 1)
        await two.compares(barred=False)
        assert await two.blocked() == [] and await two.pages() == []
        mailrig.clock.tick(minutes=6)
        assert await two.looks(barred=False), "it does its work again"


async def test_what_everybody_is_refused_is_no_address_of_ours(mailrig):
    async with _two(mailrig) as two:
        mailrig.clock.tick(minutes=6)
        two.answers("revoke")
        for _ in range(6):
            await two.here.rounds.due()
            await two.here.comparing.compare()
            await two.there.rounds.due()
            await two.there.comparing.compare()
            mailrig.clock.tick(seconds=31)
        assert await two.blocked() == []
        assert {row.state for row in (await two.rows()).values()} == {"broken"}


async def test_a_provider_that_was_wrong_for_a_while_is_asked_once_more_before_anything_is_concluded(mailrig):
    async with _two(mailrig) as two:
        mailrig.clock.tick(minutes=6)
        await two.looks()
        await two.compares(barred=False)
        mailrig.clock.tick(seconds=2)
        await two.there.rounds.due()
        await two.compares(barred=False)
        assert await two.blocked() == [] and await two.pages() == []
        assert not two.here.admission.sight.views, "the canary was answered well: nothing is held against it"


async def test_a_process_that_is_alone_compares_nothing_and_goes_on(mailrig):
    async with _two(mailrig) as two:
        await processes.leave(mailrig.parts.database, "there")
        mailrig.clock.tick(minutes=6)
        await two.looks()
        await two.compares()
        assert await two.blocked() == []
        mailrig.clock.tick(minutes=6)
        assert await two.looks(), "nobody else would do it"


async def test_a_client_who_authorized_again_in_between_contradicts_nobody(mailrig):
    """Its tokens are others now: that they are taken says nothing of the refusal before."""
    async with _two(mailrig) as two:
        mailrig.clock.tick(minutes=6)
        await two.looks()
        await two.compares()
        async with mailrig.parts.database.write() as conn:
            at = mailrig.clock.now() + timedelta(seconds=1)
            await conn.execute(credential.update().values(authorized_at=at))
        mailrig.clock.tick(seconds=2)
        await two.there.rounds.due()
        await two.compares()
        assert await two.blocked() == []


async def test_fewer_than_three_are_left_to_the_look_before_each_mail(mailrig):
    async with _two(mailrig) as two:
        mailrig.clock.tick(minutes=6)
        two.answers("revoke", *NAMES[: LEAST - 1])
        await two.here.rounds.due()
        await two.here.comparing.compare()
        assert not two.here.admission.sight.rests("clio") and await two.blocked() == []


async def test_what_refreshes_is_compared_by_what_was_refreshed_and_tried_at_the_next_that_has_to_be(mailrig):
    """A good whoami says nothing of the token endpoint; another pair than the one we were refused with does."""
    database, now = mailrig.parts.database, mailrig.clock.now
    async with _two(mailrig):
        refused = {name: (now(), (await mailrig.known(name)).sealed.version) for name in NAMES}
        later = now() + timedelta(minutes=1)
        async with database.write() as conn:
            await conn.execute(watch.update().values(judged_by="there", last_success_at=later))
            newer = credential.update().where(credential.c.connection.in_(NAMES[:2]))
            await conn.execute(newer.values(version=credential.c.version + 1))
            first = credential.update().where(credential.c.connection == "elm")
            await conn.execute(first.values(access_expires_at=later))
        assert await compared.good_elsewhere(database, "here", refused, refreshed=False) == set(NAMES)
        assert await compared.good_elsewhere(database, "here", refused, refreshed=True) == set(NAMES[:2])
        assert await compared.good_elsewhere(database, "there", refused, refreshed=False) == set()
        assert await compared.canary(database, ["clio"], now(), refreshes=True) == "elm"
        assert await compared.canary(database, ["other"], now(), refreshes=False) is None
        chosen = await compared.canary(database, ["clio"], now(), among=["fir"], refreshes=False)
        assert chosen == "fir"


BY_RULE = """
[[rules]]
step = "refresh"
status = 400
description = "address"
cause = "egress_blocked"
"""


async def test_a_provider_that_says_so_itself_pages_once_and_mails_nobody(
    tmp_path, sandbox, mailbox, database_url
):
    (tmp_path / "mine.toml").write_text((files("monitor.providers") / "clio.toml").read_text() + BY_RULE)
    apps, more = {"clio": {"extra": 'provider_file = "mine.toml"'}}, MAIL.format(url=mailbox.url)
    async with rigged(tmp_path, sandbox, database_url, more=more, apps=apps) as rig:
        await rig.add(*NAMES)
        await rig.after(minutes=6)
        for name in NAMES:
            rig.sandbox.do(rig.grants[name], "expire_refresh", says="not for this address")
        await rig.after(minutes=8)
        for name in NAMES:
            assert await rig.settle(name) == ("broken", "egress_blocked")
        await rig.mails(hours=3)
        assert mailbox.taken == []
        assert await Two(rig, rig.watching, None).pages() == ["TokenHealthEgressBlocked/clio"]
        for name in NAMES:
            rig.sandbox.do(rig.grants[name], "restore")
        for _ in range(8):
            await rig.after(minutes=10)
        assert await Two(rig, rig.watching, None).pages() == []
