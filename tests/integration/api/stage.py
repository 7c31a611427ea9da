"""A fleet in the middle of everything: a wave that is held, a mail that failed, silences, links, incidents."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import insert, select, update

from alerts.outbox.tables import delivery, notice, notice_item
from monitor.health.causes import Cause
from monitor.operations import links, notices, silences
from monitor.store.tables import connection, incident
from tests.conftest import MAIL, ME, START, rigged
from tests.integration.api.conftest import Api, served
from tests.integration.test_store import _break, _healthy
from tests.migration.rows import ROWS

FIRMS = [f"c{number:02}" for number in range(30)]
HOUR = timedelta(hours=1)
CONFIG = """
[http]
proxy = ""
[oncall]
urls = ["json://canary-page:canary-word@pages.example/"]
[[silences]]
name = "sunday"
all = true
weekly = "sun 02:00-04:00"
"""


@dataclass
class Stage:
    """An API over such a fleet, and the numbers of what is in it."""

    api: Api
    wave: int
    own: int  # the incident of c00
    failed: int  # a notice about c00 and c20
    waiting: int  # a notice about acme
    silence: str  # over c20
    answers: Counter[int] = field(default_factory=Counter)


@contextlib.asynccontextmanager
async def staged(folder, sandbox, database_url) -> AsyncIterator[Stage]:
    """Put it on the stage: `acme` and `bolt` are real, the firms are rows."""
    more = MAIL.format(url="smtp://canary-user:canary-password@127.0.0.1:9") + CONFIG
    async with rigged(folder, sandbox, database_url, more=more) as rig, served(rig, rig.watching) as api:
        database = rig.parts.database
        await _healthy(database, FIRMS, START)
        await _break(database, FIRMS[:8], Cause.REVOKED, START + timedelta(minutes=1))
        rig.clock.time = START + HOUR
        await rig.add("acme", "bolt", labels={"tier": "gold"})
        await rig.add("novice", tokens=False)
        await rig.look()
        failed = ROWS["notice"][0] | {"state": "failed", "outcome": "550 no it@firm.example here"}
        async with database.write() as conn:
            await conn.execute(
                update(connection).where(connection.c.id.in_(FIRMS)).values(contacts=["it@firm.example"])
            )
            own = (await conn.execute(select(incident.c.id).where(incident.c.name == "c00"))).scalar_one()
            wave = (await conn.execute(select(incident.c.id).where(incident.c.wave))).scalar_one()
            number = (await conn.execute(insert(notice).values(**failed).returning(notice.c.id))).scalar_one()
            letter = ROWS["delivery"][0] | {
                "notice": number, "state": "failed", "message_id": "<th.f@x.example>",
                "address": "it@firm.example",
            }  # fmt: skip
            await conn.execute(insert(delivery).values(**letter))
            for name, about in (("c00", own), ("c20", None)):
                item = {"notice": number, "connection": name, "incident": about, "cause": "revoked"}
                await conn.execute(insert(notice_item).values(**item, since=START))
        waiting = await links.mail(rig.parts, ME, "novice")
        await links.new(rig.parts, ME, "acme")
        laid = await notices.hold(rig.parts, ME, "connection", "c20", None, "moving")
        await silences.begin(rig.parts, ME, "client", "Firm acme", HOUR)
        yield Stage(api, wave, own, number, waiting, silences.numbered(laid))
