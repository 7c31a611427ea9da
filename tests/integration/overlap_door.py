"""Who writes for the door: keys, people and their sessions, answers that are kept, jobs and plans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from alerts.mails.access import Doorbell
from alerts.mails.plan import MailPolicy
from alerts.mails.voice import Voice
from monitor.health.restriction import UNRESTRICTED
from monitor.store import api_keys, connections, idempotency, jobs, people, plans
from monitor.store.api_keys import ApiKey
from monitor.store.door_tables import api_key, job, person, plan, session
from monitor.store.door_tables import idempotency as answers
from monitor.store.engine import Database
from monitor.store.jobs import Job
from monitor.store.people import Keeps, Person
from monitor.store.plans import Planned
from monitor.text.ids import new_id
from tests.conftest import START
from tests.integration.test_store import new

NOW, DAY = START, timedelta(days=1)
FLEET = ("a", "b", "c", "d", "e")  # of `overlap.NAMES`
BELL = Doorbell(Voice(MailPolicy(), operator="ops@agency.example")).ring
KEYS = [
    ApiKey(
        f"key_{name}", name, f"hash {name}", None, None, ("tokens:read",), UNRESTRICTED, "ann", NOW, NOW + DAY,
        None, None, None, 1,
    ) for name in ("two", "one")
]  # fmt: skip
ANNA = Person("usr_anna", "anna", "admin", None, "https://login.example", "s1", NOW, None, 1)
KEEPS = Keeps("viewer", "https://login.example")  # somebody beside anna is left
PLAN = Planned(
    "plan_1", "ann", NOW, NOW + DAY, None, "", dict.fromkeys(FLEET, 1), {"remove": ["e"]}, "v1.k.x.y"
)
JOB = Job("job_1", "ann", {}, "pause", {}, list(FLEET), 0, [], "running", NOW, None, "p1", NOW - DAY)
TABLES = ("api_key", "person", "session", "idempotency", "job", "plan")


async def set_up(conn: Any) -> None:
    """Put into the scene who writes here, and what."""
    for one in KEYS:
        await conn.execute(
            insert(api_key).values(
                id=one.id, handle=one.id, name=one.name, hash=one.hash, scopes=list(one.scopes), made_by="ann",
                created_at=NOW, expires_at=one.expires_at,
            )
        )  # fmt: skip
    beside = replace(ANNA, id="usr_ben", name="ben", subject="s2")
    for one_of in (ANNA, beside):
        await conn.execute(
            insert(person).values(
                id=one_of.id, name=one_of.name, role="viewer", issuer=one_of.issuer, subject=one_of.subject,
                created_at=NOW,
            )
        )  # fmt: skip
    for number in range(3):
        await conn.execute(
            insert(session).values(
                hash=f"s{number}", person=ANNA.id, role="viewer", created_at=NOW - DAY, seen_at=NOW - DAY * number,
                expires_at=NOW + DAY,
            )
        )  # fmt: skip
        await conn.execute(
            insert(answers).values(id=f"r{number}", request="x", at=NOW, running_until=NOW + DAY)
        )
        values = {"principal": "ann", "created_at": NOW}
        await conn.execute(
            insert(job).values(
                id=f"job_{number}", actor={}, action="pause", options={}, ids=list(FLEET), failed=[],
                ended_at=NOW if number == 2 else None, lease_by="p1", lease_until=NOW - DAY, **values,
            )
        )  # fmt: skip
    await conn.execute(
        insert(plan).values(
            id=PLAN.id, expires_at=PLAN.expires_at, rests_on=dict(PLAN.rests_on), said=dict(PLAN.said),
            records=PLAN.records, **values,
        )
    )  # fmt: skip


async def _paused_for_a_request(database: Database, _of: Any) -> None:
    running = idempotency.RUNNING.set("r0")
    try:
        await connections.pause(database, FLEET[::-1], NOW, "key:k")
    finally:
        idempotency.RUNNING.reset(running)


async def _job_goes_on(database: Database, _of: Any) -> None:
    taken = await jobs.claim(database, "p2", NOW, DAY)
    if taken is not None:
        await jobs.step(database, taken, len(FLEET), [], NOW, DAY, ended="done")


def _another_key() -> ApiKey:
    return replace(KEYS[0], id=new_id("key"), name="another")


async def _apply(database: Database, _of: Any) -> None:
    items = [new(name, client_name="Another") for name in ("c", "a", "fresh")]
    await plans.apply(database, PLAN, UNRESTRICTED, items, ["e"], NOW, "ann", {})


async def _forget(database: Database, _of: Any) -> None:
    later: datetime = NOW + DAY * 400
    await people.forget(database, later, DAY, DAY)
    await jobs.forget(database, later)
    await plans.forget(database, later)
    await idempotency.forget(database, later)


WRITERS: dict[str, Callable[[Database, Any], Awaitable[object]]] = {
    "make a key": lambda db, _: api_keys.add(db, (k := _another_key()), k.id, NOW, BELL, "a new key"),
    "change a key": lambda db, _: api_keys.change(
        db, "one", {"scopes": ["tokens:read"]}, NOW, "ann", BELL, "more rights"
    ),
    "rotate a key": lambda db, _: api_keys.rotate(db, "one", "another hash", DAY, NOW, "ann"),
    "revoke a key": lambda db, _: api_keys.revoke(db, "one", NOW, "ann"),
    "use a key": lambda db, _: api_keys.used(db, "key_one", NOW),
    "find a key exposed": lambda db, _: api_keys.expose(db, KEYS[1], NOW, "10.0.0.1", BELL),
    "warn of the ends of keys": lambda db, _: api_keys.warn(db, KEYS, 3, NOW, BELL),
    "add somebody": lambda db, _: people.add(
        db, replace(ANNA, id=new_id("usr"), name=new_id("usr"), issuer=None, subject=None), "ann"
    ),
    "change somebody": lambda db, _: people.change(db, "anna", {"role": "operator"}, NOW, "ann", keeps=KEEPS),
    "forget somebody": lambda db, _: people.remove(db, "anna", NOW, "ann", keeps=KEEPS),
    "let somebody in whom a provider names": lambda db, _: people.from_provider(db, ANNA, NOW),
    "shut somebody out": lambda db, _: people.shut_out(db, "https://login.example", "s1", NOW),
    "begin a session": lambda db, _: people.begin(db, ANNA, new_id("s"), NOW + DAY, NOW),
    "use a session": lambda db, _: people.seen(db, "s1", NOW),
    "end a session": lambda db, _: people.end(db, "s1", NOW),
    "begin a request": lambda db, _: idempotency.begin(db, "r0", "x", NOW + DAY * 2),
    "pause for a request": _paused_for_a_request,
    "keep an answer": lambda db, _: idempotency.keep(db, "r0", 200, "v1.k.x.y"),
    "give a request up": lambda db, _: idempotency.give_up(db, "r0"),
    "take a job, and end it": _job_goes_on,
    "stop a job": lambda db, _: jobs.stop(db, "job_0", NOW, "ann"),
    "apply a plan": _apply,
    "forget what is old at the door": _forget,
}
# Those at work on connections, incidents and mails, whose locks somebody at the door takes, too. The others
# share no two locks with the door, and so wait in no circle with it.
MEETS = (
    "settle a batch that opens and closes", "import", "remove", "pause", "accept another account",
    "store what a client authorized", "store a refreshed pair", "plan and open mails", "forget what is old",
    "rotate keys", "claim", "windows begin and end", "judge the guard", "say who is on it", "change an endpoint",
    "put events in order", "count reads of tokens", "a program's first read",
)  # fmt: skip
