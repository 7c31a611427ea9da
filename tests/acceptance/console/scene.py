"""A fleet in the middle of everything, at one moment: made by the service's own functions, without one request.

What a provider answered is made up (`words`); what follows from it is the service's: verdicts, incidents, the
guard, mails to a real mailbox, held and unheld, silences, claims, a campaign. Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from alerts.mails.send import Pump
from alerts.outbox.tables import delivery
from alerts.webhooks import fanout
from monitor.health.classify import Reach
from monitor.metrics.meters import Meters
from monitor.operations import (
    api_keys,
    campaigns,
    connections,
    imports,
    intake,
    jobs,
    links,
    notices,
    people,
    plans,
    silences,
    webhooks,
)
from monitor.operations.campaigns import Wanted
from monitor.operations.jobs import Selection
from monitor.secret import Secret
from monitor.settings.builders import binding, build_pager, build_pump, tell_both
from monitor.settings.parts import Parts
from monitor.store import due, verdicts
from monitor.store.expected import Ordinary
from monitor.store.tables import watch
from monitor.store.verdicts import Settlement, Terms
from monitor.watching.judge import judge
from tests.acceptance.console import words
from tests.acceptance.console.words import Told
from tests.conftest import ME, GoingClock, Mailbox, by

NOW = datetime(2026, 11, 24, 14, 32, 6, tzinfo=UTC)
PASSWORD = "correct horse battery"
DANA, LOCAL = by("user:Dana Reyes"), by("loopback")
CONFIG = """
[database]
url = "{database}"
[schedule]
interval = "5m"
recheck = "30s"
[web]
public_url = "http://127.0.0.1:8080"
[people]
argon2 = "small"
[smtp]
url = "{smtp}"
from = "Northwind Integrations <integrations@northwind.example>"
[email]
delay = "10m"
quiet_hours = "20:00-07:00, weekends"
operator = "ops@northwind.example"
[brand]
support = "help@northwind.example"
"""
APPS = {
    "clio-us": ("clio", "us", 120), "clio-eu": ("clio", "eu", 60), "xero": ("xero", "", 60),
    "google-docs": ("google", "", 30), "qbo": ("quickbooks", "", 20), "entra-docs": ("microsoft", "", 10),
}  # fmt: skip
_APP = """
[[apps]]
id = "{id}"
provider = "{provider}"
{region}client_id = "{id}"
client_secret_env = "SECRET"
{more}
"""
ENVIRON = {"SECRET": "s3cret"}


class Clock(GoingClock):
    """A clock that goes on from whatever moment it is set to."""

    def set(self, moment: datetime) -> None:
        self.time += moment - self.now()


def clock() -> Clock:
    """Return the clock that the scene is played by."""
    return Clock()


def config(folder: Path, smtp: str, database: str) -> Path:
    """Write the scene's configuration."""
    text = CONFIG.format(database=database, smtp=smtp)
    for name, (provider, region, _) in APPS.items():
        text += _APP.format(
            id=name, provider=provider, region=f'region = "{region}"\n' if region else "",
            more='secret_expires = 2026-12-08\n' if name == "xero" else "",
        )  # fmt: skip
    path = folder / "token-health.toml"
    path.write_text(text)
    return path


def fleet() -> list[intake.Record]:
    """Every connection of the scene; its id says its firm and its app."""
    rows, number = [], 0
    for app, (provider, _region, count) in APPS.items():
        for at in range(count):
            name = words.firm(number)
            id_ = f"{name.lower().replace(' ', '-').replace('&', 'and')}-{app}-{at:02}"
            id_, name = words.ODD.get((app, at), (id_, name))
            rows.append(_record(number, id_, name, app, provider))
            number += 1
    return [intake.Record.model_validate(row) for row in rows]


def _record(number: int, id_: str, name: str, app: str, provider: str) -> dict[str, object]:
    slug = "".join(c for c in id_ if c.isalnum())[:30]
    scopes = ["contacts", "matters"] if provider == "clio" else []
    if number == 245:  # as many as a page has to bear
        scopes = [f"https://www.googleapis.com/auth/area.{n:02}.readonly" for n in range(40)]
    record: dict[str, object] = {
        "id": id_, "app": app, "scopes": scopes, "account_id": "51734",
        "client": {
            "name": name, "contacts": [f"it@{slug}.example", f"office@{slug}.example"],
            "locale": ("en", "de", "fr")[number % 3],
            "timezone": ("America/New_York", "Europe/London", "Australia/Sydney")[number % 3],
        },
        "labels": {"tier": ("gold", "silver")[number % 2], "team": "legal"},
        "tokens": {
            "access_token": f"access-{number}", "refresh_token": f"refresh-{number}",
            "expires_at": NOW + timedelta(days=number % 20 + 1),
        },
    }  # fmt: skip
    if provider in ("quickbooks", "xero", "microsoft"):
        record["values"] = {}
    if number % 40 == 7:  # never authorized
        del record["tokens"]
    return record


@dataclass
class Scene:
    """The fleet, and the hand that moves it through time."""

    parts: Parts
    clock: Clock
    pump: Pump
    terms: Terms
    mailbox: Mailbox
    ids: dict[str, list[str]] = field(default_factory=dict)  # of those with tokens, by app
    plan: str = ""
    job: str = ""
    how: dict[str, Told] = field(default_factory=dict)  # what a provider says of each that is not well

    def at(self, ago: timedelta) -> datetime:
        self.clock.set(NOW - ago)
        return NOW - ago

    async def look(self, ids: Sequence[str]) -> None:
        """Look at some, and write what follows."""
        now = self.clock.now()
        apps = self.parts.apps
        cadence = self.parts.loaded.settings.cadence
        leases = await due.claim_named(
            self.parts.database, "scene", ids, now, timedelta(minutes=5), apps=list(apps)
        )
        settled = []
        for lease in leases:
            app = apps[lease.place.app]
            evidence = self.how.get(lease.id, words.well)(app, now)
            ruling = judge(
                lease.id, lease.health, evidence, rules=app.rules,
                reach=Reach(answered=frozenset({evidence.exchanges[0].host})),
                policy=self.parts.loaded.settings.policy, cadence=cadence, now=now,
            )  # fmt: skip
            settled.append(Settlement(lease, ruling, seconds=0.08 + len(lease.id) % 7 / 100))
        await verdicts.settle(self.parts.database, settled, self.terms, now)

    async def turn(self, ids: Sequence[str], how: Told, ago: timedelta, looks: int = 6) -> None:
        """Have some answered so from a moment on, and look until it is confirmed."""
        at = self.at(ago)
        self.how |= dict.fromkeys(ids, how)
        for step in range(looks):
            self.clock.set(at + step * timedelta(seconds=35))
            await self.look(ids)

    async def now(self, ids: Sequence[str], how: Told = words.well) -> None:
        """Have some answered so from now on, look until it is so, and have the feed tell it."""
        self.how |= dict.fromkeys(ids, how)
        for _ in range(3):
            self.clock.tick(seconds=35)
            await self.look(ids)
        await fanout.put_in_order(self.parts.database, self.clock.now())

    async def mails(self, ago: timedelta) -> None:
        """Send what is due by a moment, after the look at each that a mail waits for."""
        self.at(ago)
        for _ in range(2):
            await self.pump.plan()
            await self.pump.pump()
            await self.look([one for one in self.how if one in self._broken_for_clients()])
            self.clock.tick(seconds=20)
        await self.pump.pump()

    def _broken_for_clients(self) -> set[str]:
        told = (words.revoked, words.expired, words.narrowed, words.other_account, words.lost)
        return {one for one, how in self.how.items() if how in told}


async def play(parts: Parts, clock: Clock, mailbox: Mailbox) -> Scene:
    """Live through forty days, and stop at NOW."""
    meters = Meters()
    pump = build_pump(parts, meters, "scene")
    assert pump is not None
    tell = tell_both(pump, build_pager(parts, meters, "scene"))
    settings = parts.loaded.settings
    terms = Terms("scene", settings.guard_policy, settings.history.interval, tell, Ordinary(), binding(parts))
    scene = Scene(parts, clock, pump, terms, mailbox)
    await _people(scene)
    await _fleet(scene)
    await _singles(scene)
    await _masses(scene)
    await _by_hand(scene)
    await _rest(scene)
    return scene


async def _people(scene: Scene) -> None:
    scene.at(timedelta(days=40))
    for name, role in (("Priya Nair", "admin"), ("Dana Reyes", "operator"), ("Vera Lindt", "viewer")):
        await people.add(scene.parts, ME, name, role, Secret(PASSWORD))
    await api_keys.new(scene.parts, ME, "middleware", ["tokens:read", "events:read"])
    await webhooks.add(scene.parts, ME, "https://hooks.northwind.example/token-health", ["connection.*"])


async def _fleet(scene: Scene) -> None:
    records = fleet()
    await imports.take_in(scene.parts, ME, records)
    for one in records:
        if one.tokens is not None:
            scene.ids.setdefault(one.app, []).append(one.id)
    everybody = [name for ids in scene.ids.values() for name in ids]
    scene.at(timedelta(days=39))
    for _ in range(2):
        await scene.look(everybody)
        scene.clock.tick(minutes=5)


async def _singles(scene: Scene) -> None:
    """Clients who broke one by one, the oldest first, and what they were mailed."""
    us, google = scene.ids["clio-us"], scene.ids["google-docs"]
    day, hour = timedelta(days=1), timedelta(hours=1)
    for number, (name, how, ago) in enumerate(
        (
            (google[0], words.expired, 10 * day), ("long-clio", words.revoked, 6 * day),
            (us[2], words.narrowed, 3 * day), (us[3], words.revoked, 2 * day),
            (scene.ids["qbo"][1], words.lost, 26 * hour), (us[5], words.expired, 23 * hour),
            (us[6], words.revoked, 22 * hour), ("arabic-clio", words.other_account, 19 * hour),
            (us[8], words.revoked, 7 * hour), (us[9], words.revoked, 4 * hour),
            (us[0], words.revoked, 2 * hour),
        )
    ):  # fmt: skip
        await scene.turn([name], how, ago)
        if number == 6:  # its server takes no such address
            scene.mailbox.recipients |= dict.fromkeys(_addresses(name), "550 5.1.1 no such user")
        await scene.mails(ago - timedelta(minutes=20))


def _addresses(name: str) -> list[str]:
    slug = "".join(c for c in name if c.isalnum())[:30]
    return [f"it@{slug}.example", f"office@{slug}.example"]


async def _masses(scene: Scene) -> None:
    minute = timedelta(minutes=1)
    await scene.turn(scene.ids["entra-docs"], words.misconfigured, 130 * minute)
    await scene.turn(scene.ids["clio-us"][20:21], words.firewall, 50 * minute)
    await scene.turn(scene.ids["xero"], words.down, 40 * minute, looks=9)
    await scene.turn(scene.ids["clio-eu"][:24], words.revoked, 25 * minute)
    await scene.turn(scene.ids["clio-us"][30:31], words.revoked, 9 * minute)
    await scene.turn(scene.ids["clio-us"][31:32], words.revoked, timedelta(seconds=14), looks=1)
    await scene.turn(scene.ids["qbo"][4:5], words.silent, timedelta(seconds=60), looks=1)


async def _by_hand(scene: Scene) -> None:
    """What people did."""
    parts, us = scene.parts, scene.ids["clio-us"]
    scene.at(timedelta(minutes=5))
    await notices.ask_first(parts, DANA, "clio", 2)
    few = Selection(None, (us[40], "unbroken-clio", scene.ids["qbo"][6], scene.ids["xero"][2]), 4)
    scene.job = (await jobs.begin_few(parts, LOCAL, "pause", few)).id
    await connections.pause(
        parts, DANA, [us[40]], length=timedelta(days=5), reason="They change their offices"
    )
    records = [one for one in fleet() if one.app == "qbo"][2:]
    scene.plan = (await plans.make(parts, LOCAL, records, only_named=True)).id
    await connections.claim(parts, DANA, us[3], "Dana Reyes", NOW + timedelta(days=2))
    await notices.hold(parts, DANA, "connection", us[2], timedelta(days=6), "They move offices")
    await silences.begin(
        parts, DANA, "app", "google-docs", timedelta(hours=6), reason="Their planned maintenance",
        start=NOW + timedelta(days=2), maintenance=True,
    )  # fmt: skip
    await silences.begin(parts, DANA, "client", words.ODD["xero", 3][1], None, reason="They were called")
    await links.make(parts, DANA, us[0])
    reason = "Google’s broad permissions end in June, and finer ones come."
    await campaigns.begin(
        parts, DANA, Wanted({"provider": ["google"]}, reason, 5, date(2027, 5, 31))
    )  # fmt: skip


async def _rest(scene: Scene) -> None:
    """Bring everything to the moment of the scene: looks that were and come, and one mail without a receipt."""
    parts = scene.parts
    scene.at(timedelta(minutes=2))
    await scene.pump.plan()
    everybody = [name for ids in scene.ids.values() for name in ids if name not in scene.how]
    await scene.look(everybody)
    async with parts.database.write() as conn:
        await conn.execute(
            update(watch).where(watch.c.next_probe_at < NOW).values(next_probe_at=NOW + timedelta(minutes=4))
        )
        perhaps = (delivery.c.state == "sent") & (delivery.c.id % 7 == 0)
        await conn.execute(update(delivery).where(perhaps).values(state="unconfirmed"))
    await fanout.put_in_order(parts.database, NOW)
    scene.clock.set(NOW)
