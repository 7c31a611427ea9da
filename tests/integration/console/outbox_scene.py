"""An outbox in every state, put straight into its tables: what a service would have left there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from alerts.outbox.tables import delivery, notice, notice_item
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, incident, watch

H, M, D = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
OPEN = ("waiting", "sending")


@dataclass
class Scene:
    """Puts clients and notices there. `at` is now."""

    database: Database
    at: datetime
    incidents: dict[str, int] = field(default_factory=dict)

    async def firm(
        self, name: str, client: str = "", *, state: str = "broken", zone: str = "UTC", **of: Any
    ) -> None:
        """A client with one connection, that broke three hours ago unless it is in another state."""
        base = {"app": "clio", "provider": "clio", "region": "us"}
        ill = state == "broken"
        async with self.database.write() as conn:
            await conn.execute(
                insert(connection).values(
                    id=name, client_name=client or f"Firm {name}", contacts=[f"it@{name}.example"], locale="en",
                    timezone=zone, scopes=[], labels={}, created_at=self.at - 9 * D, updated_at=self.at, **base,
                )
            )  # fmt: skip
            await conn.execute(
                insert(watch).values(
                    connection=name, state=state, since=self.at - 3 * H, cause="revoked" if ill else "ok",
                    owner="client" if ill else "nobody", candidate="revoked" if ill else "ok", reads={},
                    scopes_all=False, last_probe_at=self.at, **base,
                )
            )  # fmt: skip
            tokens = {"access": "v1.k.x.y", "refresh": "v1.k.x.z"}
            await conn.execute(insert(credential).values(connection=name, version=1, lost=False, **tokens))
            if ill:
                self.incidents[name] = await self._incident(conn, name, **of)

    async def wave(self, *names: str) -> int:
        """A wave that the fleet guard holds, and its members."""
        async with self.database.write() as conn:
            number = await self._incident(
                conn, "clio", kind="provider", wave=True, guard=True, reasons=["they broke together"],
                begun_at=self.at - H, joined_at=self.at - H, parent_id=None,
            )  # fmt: skip
        for name in names:
            await self.firm(name, parent_id=number)
        return number

    async def _incident(self, conn: Any, name: str, **more: Any) -> int:
        values: dict[str, Any] = {
            "kind": "connection", "name": name, "cause": "revoked", "owner": "client", "reasons": [],
            "opened_at": self.at - 3 * H, "updated_at": self.at - 3 * H, "turned_at": self.at - 3 * H,
        } | more  # fmt: skip
        return int(
            (await conn.execute(insert(incident).values(**values).returning(incident.c.id))).scalar_one()
        )

    async def say(
        self,
        name: str,
        slot: str = "ask",
        kind: str = "revoked",
        state: str = "waiting",
        *,
        due: timedelta = timedelta(0),
        to: Sequence[tuple[str, str, str, str]] | None = None,
        cause: str = "revoked",
        **more: Any,
    ) -> int:
        """Write a notice about a firm; `due` from now, `to`: channel, address, state and answer of envelopes."""
        due_at = self.at + due
        values: dict[str, Any] = {
            "slot": slot, "kind": kind, "client": f"Firm {name}" if name else "", "audience": f"{name}/{slot}/{kind}",
            "locale": "en", "timezone": "UTC", "recipients": [f"it@{name}.example"], "number": 0, "state": state,
            "reason": "confirmed broken, and the client can mend it", "outcome": "", "planned_at": due_at - H,
            "due_at": due_at, "settled_at": None if state == "waiting" else due_at,
        } | more  # fmt: skip
        if to is None:
            to = [
                (
                    "email",
                    f"it@{name}.example",
                    state if state in (*OPEN, "sent", "failed") else "withdrawn",
                    "",
                )
            ]
        async with self.database.write() as conn:
            made = await conn.execute(insert(notice).values(**values).returning(notice.c.id))
            number = int(made.scalar_one())
            if name in self.incidents or name:
                about = {"connection": name, "incident": self.incidents.get(name), "since": self.at - 3 * H}
                await conn.execute(insert(notice_item).values(notice=number, cause=cause, **about))
            for index, (channel, address, became, answer) in enumerate(to):
                open_ = became in ("waiting", "sending", "handed")
                await conn.execute(
                    insert(delivery).values(
                        notice=number, channel=channel, address=address, message_id=f"<{number}.{index}@x>",
                        state="waiting" if became == "sending" else became, attempts=1 if answer else 0,
                        answer=answer, next_at=self.at + 5 * M, settled_at=None if open_ else due_at,
                    )
                )  # fmt: skip
        return number
