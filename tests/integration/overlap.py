"""Two transactions on one PostgreSQL, staged: the first stops after a lock, the second runs until it waits."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound
from sqlalchemy.util import await_only

from alerts.mails import campaigning, forward, opening, reconcile, truth
from alerts.mails.fuse import Cap
from alerts.mails.plan import MailPolicy
from alerts.mails.story import MAIL
from alerts.mails.voice import Voice
from alerts.outbox import claims, notices
from alerts.outbox.tables import delivery, notice, notice_item
from alerts.pages import reconcile as pages
from alerts.pages.truth import Oncall
from alerts.webhooks import deliveries, endpoints, fanout
from alerts.webhooks.endpoints import State
from monitor.errors import Conflict, TokenHealthError
from monitor.health import doors
from monitor.health.campaign import Phase
from monitor.health.causes import Cause
from monitor.health.claim import Claim
from monitor.health.classify import found
from monitor.health.events import Type, types_of
from monitor.health.evidence import Identity
from monitor.health.guard import GuardPolicy
from monitor.health.lifecycle import Policy, step
from monitor.health.rotation import Ending, Journal
from monitor.health.ruling import Ruling
from monitor.store import (
    app_checks,
    campaigns,
    claimed,
    connections,
    custody,
    due,
    events,
    guarding,
    history,
    hours,
    imports,
    journal,
    links,
    maintenance,
    pauses,
    processes,
    published,
    sealing,
    signals,
    told_links,
    uses,
    verdicts,
)
from monitor.store.bindings import Account
from monitor.store.campaign_tables import campaign, campaign_member
from monitor.store.campaigns import Campaign
from monitor.store.consent_tables import consent, link
from monitor.store.door_tables import webhook
from monitor.store.due import Lease
from monitor.store.engine import Database
from monitor.store.journal import Line, SealedPair
from monitor.store.links import Trip
from monitor.store.sealing import SealedCell
from monitor.store.signals import Move, Signal
from monitor.store.tables import connection, credential, incident, process, watch
from monitor.store.tables import journal as journal_table
from monitor.store.uses import Use
from monitor.store.verdicts import Settlement, Terms
from monitor.text.ids import new_id
from tests.conftest import START
from tests.integration import overlap_door
from tests.integration.test_store import new

NOW = START
DAY = timedelta(days=1)
UNTIL = date(2027, 6, 30)
LEASE = timedelta(minutes=2)
# By another order than that of their ids, as a file may have them.
NAMES = ("e", "c", "a", "d", "b")
AT_WORK = ("a", "b", "c")  # leased by p1; b is broken, d paused, and e rests
VOICE = Voice(MailPolicy(delay=timedelta(0)), operator="ops@agency.example", apps=frozenset({"app"}))
ONCALL = Oncall(routes=(), apps={"app": "clio"})
PAIR = SealedPair("v1.k.new.a", "v1.k.new.r", NOW, NOW + DAY)
_LOCKS = re.compile(r"^\s*(UPDATE|DELETE)|FOR (NO KEY )?UPDATE|advisory_xact_lock", re.IGNORECASE)


@dataclass
class Scene:
    """Five connections in the middle of everything, and what writers work with."""

    leases: list[Lease]
    entries: dict[str, Line]
    trips: dict[str, Trip]


# In the order in which rows refer to each other.
TABLES = (
    "connection", "watch", "credential", "refresh_journal", "link", "consent", "incident", "notice", "notice_item",
    "delivery", "process", "webhook", "event", "campaign", "campaign_member", *overlap_door.TABLES,
)  # fmt: skip
_KEEP = "; ".join(f"CREATE TABLE kept_{name} AS TABLE {name}" for name in TABLES)
_EMPTIED = (
    "notice", "connection", "incident", "process", "duty", "fuse", "webhook", "event", "campaign",
    *overlap_door.TABLES[::-1],
)  # fmt: skip
_RESTORE = "; ".join(
    [f"DELETE FROM {name}" for name in _EMPTIED]  # noqa: S608
    + [f"INSERT INTO {name} SELECT * FROM kept_{name}" for name in TABLES]  # noqa: S608
)


async def set_up(database: Database) -> Scene:
    """Set the scene, and keep a copy of each table: what `restore` puts back in one round trip."""
    states = {"b": "broken", "d": "paused", "e": "paused"}
    ill = {"cause": "refresh_lost", "owner": "client", "candidate": "refresh_lost", "bad_since": NOW}
    async with database.write() as conn:
        await conn.execute(
            insert(connection),
            [
                {
                    "id": name, "app": "app", "provider": "clio", "region": "us", "client_name": f"Firm {name}",
                    "contacts": ["it@firm.example"], "locale": "en", "timezone": "UTC", "scopes": [],
                    "labels": {}, "created_at": NOW, "updated_at": NOW,
                } for name in NAMES
            ],
        )  # fmt: skip
        for name in NAMES:
            values = {
                "connection": name, "app": "app", "provider": "clio", "region": "us", "reads": {},
                "state": states.get(name, "healthy"), "since": NOW - DAY, "last_probe_at": NOW - DAY,
                "next_probe_at": NOW if name in AT_WORK else None, "rests": "all" if name == "e" else None,
                "paused_until": NOW + DAY if name == "d" else None,
            }  # fmt: skip
            await conn.execute(insert(watch).values(**values | (ill if name == "b" else {})))
        await conn.execute(
            insert(credential),
            [
                {"connection": n, "access": "v1.k.x.y", "refresh": "v1.k.x.z", "version": 0, "lost": False}
                for n in NAMES
            ],
        )
        await conn.execute(
            insert(process).values(id="p1", role="all", version="1", started_at=NOW - DAY, beat_at=NOW - DAY)
        )
        await conn.execute(
            insert(webhook).values(id="wh_1", url="https://x", events=["*"], made_by="test", created_at=NOW)
        )
        number = (
            await conn.execute(
                insert(incident)
                .values(kind="connection", name="b", cause="refresh_lost", owner="client", reasons=[],
                        opened_at=NOW - DAY, updated_at=NOW - DAY)
                .returning(incident.c.id)
            )
        ).scalar_one()  # fmt: skip
        on_it = {"claimed_by": "Anna", "claimed_until": NOW + DAY, "claimed_incident": number}
        await conn.execute(update(connection).where(connection.c.id == "b").values(on_it))
        await _a_mail_on_its_way(conn, number)
        await overlap_door.set_up(conn)
        runs = {"reason": "so", "chosen": {}, "pace": 9, "until": UNTIL, "phase": "running"}
        times = {"created_at": NOW, "created_by": "test", "changed_at": NOW, "changed_by": "test"}
        await conn.execute(insert(campaign).values(id="cmp_1", **runs, **times))
        members = [{"campaign": "cmp_1", "connection": name} for name in ("a", "c")]
        await conn.execute(insert(campaign_member), members)
    leases = await due.claim_named(database, "p1", AT_WORK, NOW, LEASE, apps=["app"])
    async with database.write() as conn:
        entries, trips = {}, {}
        for name in NAMES:
            made = insert(journal_table).values(
                connection=name, process="p1", version=0, begun_at=NOW, outcome="open"
            )
            number = (await conn.execute(made.returning(journal_table.c.id))).scalar_one()
            entries[name] = Line(number, name, "p1", 0, NOW)
            trips[name] = await _trip(conn, name)
        await conn.execute(text(_KEEP))
    return Scene(leases, entries, trips)


async def _a_mail_on_its_way(conn: Any, number: int) -> None:
    made = await conn.execute(
        insert(notice)
        .values(
            slot="ask", kind="refresh_lost", client="Firm b", locale="en", timezone="UTC", number=0, reason="",
            audience=truth.audience("Firm b", ["it@firm.example"], "en", "UTC"), state="sending",
            recipients=["it@firm.example"], outcome="", planned_at=NOW - DAY, due_at=NOW - DAY, settled_at=NOW - DAY,
        )
        .returning(notice.c.id)
    )  # fmt: skip
    mail = made.scalar_one()
    await conn.execute(
        insert(notice_item).values(
            notice=mail, connection="b", incident=number, cause="refresh_lost", since=NOW
        )
    )
    await conn.execute(
        insert(delivery).values(
            notice=mail, address="it@firm.example", message_id=f"<{mail}@x>", state="sending", attempts=1,
            next_at=NOW, lease_by="p1", lease_until=NOW - DAY, answer="",
        )
    )  # fmt: skip


async def _trip(conn: Any, name: str) -> Trip:
    made = insert(link).values(
        hash=f"link {name}", connection=name, locale="en", cause="", always=True, made_at=NOW - DAY,
        expires_at=NOW + DAY,
    )  # fmt: skip
    number = (await conn.execute(made.returning(link.c.id))).scalar_one()
    values = {
        "browser_hash": "b", "link": number, "connection": name, "app": "app", "redirect_uri": "http://x",
        "verifier": None, "begun_at": NOW, "expires_at": NOW + DAY, "spent_at": None, "outcome": "open",
        "account_id": None, "account_name": None,
    }  # fmt: skip
    going = insert(consent).values(state_hash=f"state {name}", **values)
    return Trip(id=(await conn.execute(going.returning(consent.c.id))).scalar_one(), **values)


# -- the writers --------------------------------------------------------------------------------------

Writer = Callable[[Database, Scene], Awaitable[object]]


def _settlements(of: Scene, cause: Cause) -> list[Settlement]:
    finding, firm = found(cause, 1.0, "test"), Identity("1", "Firm")
    return [
        Settlement(
            lease, Ruling(NOW, finding, step(lease.health, finding, Policy(), NOW), NOW + DAY, firm), 0.1
        )
        for lease in reversed(of.leases)
    ]


async def _settle(database: Database, of: Scene, cause: Cause) -> None:
    async def tell(conn: Any, about: Any, now: Any) -> None:
        await reconcile.bring_in_line(conn, await published.clients_of(conn, about), VOICE, now)
        await pages.bring_in_line(conn, ONCALL, now, tickets=False)

    await verdicts.settle(database, _settlements(of, cause), Terms("p1", GuardPolicy(), tell=tell), NOW)


async def _import(database: Database, _of: Scene) -> None:
    items = [new(name, imported="second", client_name="Another") for name in (*NAMES, "new")]
    await imports.put(database, items, NOW, "test")


async def _reseal(database: Database, _of: Scene) -> None:
    await sealing.replace(
        database, sealing.PLACES[0], [(SealedCell(n, n, "v1.k.x.y"), "v2.k.x.y") for n in NAMES]
    )


async def _mails_out(database: Database, _of: Scene) -> None:
    await reconcile.plan_all(database, VOICE, NOW)
    await opening.open_due(database, VOICE, Cap(30), NOW + timedelta(minutes=1))


async def _brought_forward(database: Database, _of: Scene) -> None:
    await reconcile.plan_all(database, VOICE, NOW)
    async with database.read() as conn:
        rows = await conn.execute(
            select(notice.c.id).where(notice.c.state == "waiting").order_by(notice.c.id)
        )
    for number in rows.scalars():
        with contextlib.suppress(Conflict):
            await forward.send_now(database, VOICE, number, NOW, "test")


async def _forget(database: Database, _of: Scene) -> None:
    later = NOW + DAY * 2000
    await history.forget(database, history.Kept(), later)
    await links.forget(database, later)
    await notices.forget(database, later)


async def _told_programs(database: Database, of: Scene) -> None:
    async with database.write() as conn:
        await events.concerned(conn, Type.DECLINED, {"b": {}}, NOW)
    await fanout.put_in_order(database, NOW)


async def _disabled(database: Database, of: Scene) -> None:
    await _told_programs(database, of)
    await endpoints.note_failure(database, "wh_1", NOW)
    await endpoints.disable(database, "wh_1", State.GONE, "it answered 410", NOW)


async def _sent_again(database: Database, of: Scene) -> None:
    await _told_programs(database, of)
    endpoint = await endpoints.find(database, "wh_1")
    types = types_of(endpoint.events)
    await deliveries.replay(database, "wh_1", endpoint.wants, types, NOW - DAY, NOW + DAY, NOW, "test")
    await fanout.forget(database, NOW + DAY * 60)


async def _doors_kept(database: Database, _of: Scene) -> None:
    await app_checks.plan(database, "app", NOW, NOW + DAY)
    found = [doors.after(None, doors.Seen(one, doors.Outcome.GOOD, "good"), NOW) for one in doors.Door]
    await app_checks.keep(database, "app", found, NOW + DAY)
    await app_checks.forget(database, [])


async def _recover(database: Database, of: Scene) -> None:
    await claims.claim(database, MAIL, "p2", NOW)


def _asks(name: str) -> Campaign:
    return Campaign(name, "so", {}, 9, UNTIL, Phase.RUNNING, "", False, NOW, "test", NOW, "test", None)


WRITERS: dict[str, Writer] = {
    "begin a campaign": lambda db, _: campaigns.begin(
        db, _asks(new_id("cmp")), ["b", "d", "e"], NOW, "test"
    ),
    "pause a campaign": lambda db, _: campaigns.move(db, "cmp_1", Phase.PAUSED, NOW, "test"),
    "move campaigns on": lambda db, _: campaigning.advance(db, VOICE, NOW),
    "settle a batch that opens and closes": lambda db, of: _settle(db, of, Cause.REFRESH_LOST),
    "settle a batch of good ones": lambda db, of: _settle(db, of, Cause.OK),
    "import": _import,
    "remove": lambda db, _: connections.remove(db, NAMES, NOW, "test"),
    "pause": lambda db, _: connections.pause(db, NAMES, NOW, "test"),
    "resume": lambda db, _: connections.resume(db, NAMES, NOW, "test", apps=["app"]),
    "pauses that are over": lambda db, _: pauses.end(db, NOW + DAY),
    "accept another account": lambda db, _: connections.set_account(db, "b", "2", NOW, "test"),
    "store what a client authorized": lambda db, of: links.replace_pair(
        db, of.trips["b"], PAIR, account=Account("1"), leftover=None, now=NOW
    ),
    "begin a trip": lambda db, of: links.begin_trip(
        db, _link_of(of), state=links.fresh_secret(), browser=links.fresh_secret(), app="app",
        redirect_uri="http://x", verifier=None, now=NOW, expires_at=NOW + DAY,
    ),
    "begin a refresh": lambda db, of: journal.begin(db, "b", "p1", of.leases[0].epoch, 0, NOW),
    "store a refreshed pair": lambda db, of: journal.store_pair(db, of.entries["b"], PAIR, NOW),
    "close a refresh that is lost": lambda db, of: journal.close(db, of.entries["b"], Ending(Journal.LOST, lost=True), NOW),
    "claim": lambda db, _: due.claim(db, "p2", ["app"], 10, NOW + DAY, LEASE),
    "give leases back": lambda db, _: due.release(db, "p1"),
    "bury a process": lambda db, _: processes.beat(db, "p2", "all", "1", NOW, timedelta(0)),
    "leave": lambda db, _: processes.leave(db, "p1"),
    "windows begin and end": lambda db, _: maintenance.keep(db, {"window": ("app", "app")}, NOW),
    "look at some sooner": lambda db, _: due.bring_forward(db, NAMES, NOW - DAY),
    "rotate keys": _reseal,
    "judge the guard": lambda db, _: guarding.judge_again(db, GuardPolicy(), NOW),
    "plan and open mails": _mails_out,
    "bring a mail forward": _brought_forward,
    "claim mails, and those of the dead": _recover,
    "forget what is old": _forget,
    "write down the fleet's sums": lambda db, _: hours.note(db, NOW),
    "claim on demand": lambda db, _: custody.claim(db, "p2", "b", 0, NOW + DAY, LEASE),
    "give a demand's lease back": lambda db, of: custody.give_back(db, of.leases[0], "p1", NOW + DAY, NOW),
    "take a signal": lambda db, _: signals.take(db, _signal(), Move(NOW - DAY, NOW, 0), NOW),
    "count signals": lambda db, _: signals.conclude(db, {"sig_1": 2}, ["a", "b"]),
    "count reads of tokens": lambda db, _: uses.add(db, [Use("k", n, 0, 1, NOW, NOW, 0) for n in ("b", "a")]),
    "a program's first read": lambda db, _: uses.note_first(db, Use("k", "b", 0, 0, NOW, NOW, 0), "key:k", "10.0.0.0/24", NOW),
    "tell a link again": lambda db, _: told_links.standing_or(
        db, "b", links.fresh_secret(), "v1.k.x.y", locale="en", now=NOW, expires_at=NOW + DAY, incident=None,
        cause="", actor="test",
    ),
    "hand tokens out no more": lambda db, _: connections.set_handout(db, "b", False, NOW, "test"),
    "say who is on it": lambda db, _: claimed.lay(db, "b", Claim("Anna", NOW + DAY), NOW, "test"),
    "say that nobody is on it": lambda db, _: claimed.take_back(db, "b", NOW, "test"),
    "put events in order": _told_programs,
    "disable an endpoint": _disabled,
    "send again what an endpoint was sent": _sent_again,
    "change an endpoint": lambda db, _: endpoints.change(db, "wh_1", None, {"events": ["*"]}, NOW, "test"),
    "plan and keep how doors are": _doors_kept,
    "remove an endpoint": lambda db, _: endpoints.remove(db, "wh_1", None, NOW, "test"),
}  # fmt: skip


def _signal() -> Signal:
    number = new_id("sig")
    return Signal(number, "b", NOW, NOW, "k", "unauthorized", 0, "", None, 401, None, "", "probe_now", "")


def _link_of(of: Scene) -> Any:
    trip = of.trips["b"]
    return links.Link(trip.link, "lnk_1", "b", "clio", None, "en", "", True, NOW, NOW + DAY, None, None, None)


# -- the stage ----------------------------------------------------------------------------------------


@dataclass
class Stage:
    """One database three times, so that each transaction has connections of its own, and one looks on."""

    first: Database
    second: Database
    onlooker: Database
    of: Scene
    taken_back: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first.on_taken_back = self.second.on_taken_back = self.taken_back.append

    async def overlap(self, one: Writer, other: Writer, at: int = 1) -> bool:
        """Stop `one` after its lock number `at`, let `other` run until it waits or is done, then let `one` go.

        False where `one` takes fewer locks. What was taken back is in `taken_back`.
        """
        self.taken_back.clear()
        await self.restore()
        stopped, go = asyncio.Event(), asyncio.Event()
        count = 0

        def after(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            nonlocal count
            if not go.is_set() and _LOCKS.search(statement):
                count += 1
                if count == at:
                    stopped.set()
                    await_only(go.wait())

        engine = self.first._writer.sync_engine
        event.listen(engine, "after_cursor_execute", after)
        try:
            begun = asyncio.ensure_future(_run(one(self.first, self.of)))
            await asyncio.wait(
                {begun, reached := asyncio.ensure_future(stopped.wait())}, return_when="FIRST_COMPLETED"
            )
            if not stopped.is_set():
                reached.cancel()
                await begun
                return False
            later = asyncio.ensure_future(_run(other(self.second, self.of)))
            await self.until_one_waits(later)
            go.set()
            await asyncio.gather(begun, later)
            return True
        finally:
            go.set()
            event.remove(engine, "after_cursor_execute", after)

    async def restore(self) -> None:
        """Put everything back as it was set up."""
        async with self.onlooker.write() as conn:
            await conn.execute(text(_RESTORE))

    async def until_one_waits(self, unless: asyncio.Future[None] | None = None) -> None:
        """Wait until a transaction waits for another's lock, or a task is done instead."""
        while not (unless is not None and unless.done()) and not await self._waits():
            await asyncio.sleep(0.002)  # noqa: TID251 - the other one is at work

    async def _waits(self) -> bool:
        """Whether a transaction waits for another's lock, as PostgreSQL itself says."""
        async with self.onlooker.read() as conn:
            rows = await conn.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1"))
            return rows.first() is not None


async def _run(work: Awaitable[object]) -> None:
    try:
        await work
    except (TokenHealthError, IntegrityError, NoResultFound):
        pass  # the other one removed the connection first, and it is said so
    except DBAPIError as error:
        raise AssertionError(f"{getattr(error.orig, 'sqlstate', None)}: {error.statement}") from None
