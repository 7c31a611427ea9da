"""A fleet of so many connections, as one finds it on a bad day: what the console's pages are measured over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert, select

from monitor.health.causes import Cause, Owner, Subject
from monitor.health.lifecycle import State
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, incident, watch

PART = 2_000
APPS = (
    ("clio-us", "clio", "us"), ("clio-eu", "clio", "eu"), ("clio-ca", "clio", "ca"), ("xero", "xero", ""),
    ("google-docs", "google", ""), ("qbo", "quickbooks", ""),
)  # fmt: skip
_FIRST = (
    "Harcourt",
    "Pinecrest",
    "Okafor",
    "Riverside",
    "Sterling",
    "Dubois",
    "Tanaka",
    "Keller",
    "Whitfield",
)
_SECOND = ("Legal", "Chambers", "Law Group", "Family Law", "Solicitors", "Advocates", "Injury Law", "LLP")
OUTAGE, WAVE = "xero", "clio"


def firm(number: int) -> str:
    """Return the client of a connection: three connections a client."""
    number //= 3
    return f"{_FIRST[number % 9]} {_SECOND[number // 9 % 8]} {number}"


def _how(number: int, size: int) -> tuple[State, Cause, Owner]:
    # 3 in 100 are not well, most of them in one outage.
    place = number % 200
    if place == 0:
        return State.BROKEN, (Cause.REVOKED, Cause.REFRESH_EXPIRED)[number // 200 % 2], Owner.CLIENT
    if place == 1:
        return (
            State.BROKEN,
            Cause.APP_MISCONFIGURED if number % 400 == 1 else Cause.UNEXPECTED,
            Owner.OPERATOR,
        )
    if place == 2:
        return State.SUSPECT, Cause.PROVIDER_OUTAGE, Owner.NOBODY
    if place == 3:
        return State.PENDING, Cause.OK, Owner.NOBODY
    if place == 4:
        return State.PAUSED, Cause.OK, Owner.NOBODY
    return State.HEALTHY, Cause.OK, Owner.NOBODY


def _rows(size: int, now: datetime) -> Iterator[dict[str, dict[str, Any]]]:
    for number in range(size):
        name, (app, provider, region) = f"c-{number:06}", APPS[number % len(APPS)]
        state, cause, owner = _how(number, size)
        if app == OUTAGE and number % 20 == 3:  # 5 in 100 of its clients
            state, cause, owner = State.BROKEN, Cause.PROVIDER_OUTAGE, Owner.PROVIDER
        since = now - timedelta(minutes=number * 7919 % 500_000)
        broken = state is State.BROKEN
        place = {"app": app, "provider": provider, "region": region}
        found: dict[str, dict[str, Any]] = {
            "connection": place | {
                "id": name, "client_name": firm(number), "contacts": [f"it@{name}.example"], "scopes": ["contacts"],
                "account_id": str(number), "account_name": firm(number),
                "labels": {"tier": ("gold", "silver", "bronze")[number % 3]}, "created_at": since, "updated_at": since,
                "provider_values": {},
            },
            "watch": place | {
                "connection": name, "state": state.value, "since": since, "cause": cause.value, "owner": owner.value,
                "candidate": cause.value, "bad_since": since if broken else None, "reads": {}, "last_probe_at": now,
                "next_probe_at": None if state in (State.PENDING, State.PAUSED) else now + timedelta(minutes=number % 60),
            },
            "credential": {"connection": name, "access": "x" * 120, "refresh": "x" * 120, "access_expires_at": now},
        }  # fmt: skip
        if broken:
            shared = (
                1 if owner is Owner.PROVIDER else 2 if owner is Owner.CLIENT and number % 400 == 0 else None
            )
            found["incident"] = {
                "kind": Subject.CONNECTION.value, "name": name, "cause": cause.value, "owner": owner.value,
                "reasons": [], "opened_at": since, "updated_at": since, "parent_id": shared, "turned_at": since,
            }  # fmt: skip
        yield found


async def fill(database: Database, size: int, now: datetime) -> None:
    """Write them all, with an outage and a wave over some."""
    shared = [
        {"kind": Subject.PROVIDER.value, "name": OUTAGE, "cause": Cause.PROVIDER_OUTAGE.value,
         "owner": Owner.PROVIDER.value, "wave": False},
        {"kind": Subject.PROVIDER.value, "name": WAVE, "cause": Cause.REVOKED.value, "owner": Owner.OPERATOR.value,
         "wave": True},
    ]  # fmt: skip
    began = now - timedelta(hours=1)
    for one in shared:
        one.update(reasons=["many at once"], opened_at=began, updated_at=now, guard=one["wave"])
        one.update({"begun_at": began, "joined_at": began} if one["wave"] else {})
    async with database.write() as conn:
        for one in shared:
            await conn.execute(insert(incident).values(one))
    tables: tuple[Table, ...] = (connection, watch, credential, incident)
    waiting: dict[str, list[dict[str, Any]]] = {table.name: [] for table in tables}
    for rows in [*_rows(size, now), None]:
        for name, row in (rows or {}).items():
            waiting[name].append(row)
        if rows is None or len(waiting["connection"]) == PART:
            async with database.write() as conn:
                for table in tables:
                    if waiting[table.name]:
                        await conn.execute(insert(table), waiting[table.name])
                        waiting[table.name].clear()
    async with database.read() as conn:
        assert (await conn.execute(select(connection.c.id).limit(1))).first() or not size
