"""Fleets written down row by row, as no service would come to them soon: for what only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from monitor.health.causes import Cause, Owner, Subject
from monitor.health.lifecycle import State
from monitor.health.listing import ALWAYS, Key, rank
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, incident, watch
from tests.conftest import START


@dataclass(frozen=True)
class One:
    """A connection, as far as a list asks."""

    id: str
    state: State = State.HEALTHY
    owner: Owner = Owner.NOBODY
    cause: Cause = Cause.OK
    since: datetime | None = START
    client: str = "Firm"
    app: str = "clio"
    labels: dict[str, str] = field(default_factory=dict)
    account: str | None = None

    @property
    def key(self) -> Key:
        return Key(rank(self.state, self.owner), self.since or ALWAYS, self.id, self.client)


async def write(database: Database, ones: Sequence[One]) -> None:
    """Write connections; of each that is broken, its incident."""
    rows: dict[Any, list[dict[str, Any]]] = {connection: [], watch: [], credential: [], incident: []}
    for one in ones:
        place = {"app": one.app, "provider": one.app, "region": "us"}
        rows[connection].append(
            place | {
                "id": one.id, "client_name": one.client, "contacts": [f"it@{one.id}.example"], "scopes": [],
                "labels": one.labels, "account_name": one.account, "created_at": START, "updated_at": START,
                "provider_values": {},
            }
        )  # fmt: skip
        rows[watch].append(
            place | {
                "connection": one.id, "state": one.state.value, "since": one.since, "cause": one.cause.value,
                "owner": one.owner.value, "candidate": one.cause.value, "reads": {},
                "next_probe_at": START + timedelta(minutes=5),
            }
        )  # fmt: skip
        rows[credential].append({"connection": one.id, "access": "v1.k.x.y", "refresh": "v1.k.x.z"})
        if one.state is State.BROKEN:
            rows[incident].append(
                _incident(Subject.CONNECTION, one.id, one.cause, one.owner, one.since or START)
            )
    async with database.write() as conn:
        for table, some in rows.items():
            if some:
                await conn.execute(insert(table), some)


def _incident(kind: Subject, name: str, cause: Cause, owner: Owner, since: datetime) -> dict[str, Any]:
    return {
        "kind": kind.value, "name": name, "cause": cause.value, "owner": owner.value, "reasons": [], "guard": False,
        "opened_at": since, "updated_at": since, "turned_at": since,
    }  # fmt: skip


async def share(
    database: Database, members: Sequence[str], *, name: str = "clio", cause: Cause = Cause.PROVIDER_OUTAGE,
    owner: Owner = Owner.PROVIDER, since: datetime = START, wave: bool = False,
) -> int:  # fmt: skip
    """Make the breaks of these one incident of a provider; return its number."""
    async with database.write() as conn:
        values = _incident(Subject.PROVIDER, name, cause, owner, since) | {"wave": wave, "guard": wave}
        values |= {"begun_at": since, "joined_at": since} if wave else {}
        number = (await conn.execute(insert(incident).values(values).returning(incident.c.id))).scalar_one()
        mine = (incident.c.kind == Subject.CONNECTION.value) & incident.c.name.in_(members)
        await conn.execute(update(incident).where(mine).values(parent_id=number))
        return int(number)


async def number_of(database: Database, name: str) -> int:
    """Return the number of a connection's incident."""
    async with database.read() as conn:
        return int((await conn.execute(select(incident.c.id).where(incident.c.name == name))).scalar_one())
