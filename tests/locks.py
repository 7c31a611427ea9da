"""Holds every transaction on PostgreSQL to the order of locks that `monitor.store.engine` writes down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, event

# The ranks of the order. What only inserts takes no part, nor what passes over what is locked.
IMPORTS, BINDINGS, INCIDENTS, NUMBERING = "7238917", "7238918", "7238916", "7238919"
RANK = {
    IMPORTS: 1, BINDINGS: 1.5, INCIDENTS: 2, NUMBERING: 2.5, "process": 3, "watch": 4,
    "connection": 5, "credential": 5, "refresh_journal": 5, "probe_count": 5, "history": 5, "link": 5, "consent": 5,
    "held_grant": 5,
    "incident": 6, "campaign": 6, "campaign_member": 6,
    "notice": 7, "notice_item": 7, "delivery": 7, "address": 7, "fuse": 7,
    "duty": 8, "budget": 8, "app_check": 8, "silence": 8, "key_check": 8, "audit": 8,
    "token_use": 8, "signal": 8, "webhook": 8, "event": 8,
    "api_key": 8, "person": 8, "session": 8, "sign_in_attempt": 8, "sign_in_trip": 8, "job": 8, "plan": 8,
}  # fmt: skip
# Not `idempotency`: a request's row is marked with the first line of its audit, wherever that is, and whoever
# waits for the row holds nothing else.
GATED = {"connection", "credential", "refresh_journal", "probe_count", "history"}
_WAITS = (
    re.compile(r"^\s*UPDATE (\w+)"),
    re.compile(r"^\s*DELETE FROM (\w+)"),
    re.compile(r"^\s*INSERT INTO (\w+) .*ON CONFLICT .*DO UPDATE", re.DOTALL),
    re.compile(r"FOR (?:NO KEY )?UPDATE OF (\w+)\s*$"),
    re.compile(r"FROM (\w+)\b.*FOR (?:NO KEY )?UPDATE\s*$", re.DOTALL),
)


# Who made the tables holds them alone until the end: nobody else can hold a row, or wait for one, in a circle.
_MADE = re.compile(r"^\s*CREATE TABLE connection\b")
_PASSES = re.compile(r"FROM (\w+)\b.*SKIP LOCKED\s*$", re.DOTALL)


def waited_for(statement: str, parameters: Any) -> str | None:
    """Return the table, or the advisory lock, that a statement may have to wait for."""
    if "SKIP LOCKED" in statement:
        return None
    if "pg_advisory_xact_lock" in statement:
        values = parameters.values() if isinstance(parameters, dict) else parameters
        return str(next(iter(values), "of the schema"))
    return next((m.group(1) for form in _WAITS if (m := form.search(statement))), None)


class Order:
    """What broke the order, since it was last asked."""

    def __init__(self, *, gates: bool = False) -> None:
        self._gates, self.broken = gates, list[str]()

    def note(self, held: list[str], lock: str, statement: str) -> None:
        """One more lock of a transaction that holds others."""
        if lock in held or lock not in RANK:
            return
        if lock in ("incident", "campaign", "campaign_member") and INCIDENTS in held:
            return  # nobody else can hold one meanwhile
        later = [known for known in held if RANK[known] > RANK[lock]]
        if later:
            self.broken.append(f"{lock} after {later}: {statement[:100]}")
        if self._gates and lock in GATED and "watch" not in held:
            self.broken.append(f"{lock} without its gate: {statement[:100]}")
        held.append(lock)

    def watching(self, engine: type[Engine] | Engine) -> Iterator[Order]:
        """Look at all transactions of an engine, or of every one."""

        def begin(conn: Connection) -> None:
            conn.info[self] = []
            conn.info.pop((self, "alone"), None)

        def execute(conn: Connection, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            if _MADE.match(statement):
                conn.info[self, "alone"] = True
            if (self, "alone") in conn.info:
                return
            if conn.dialect.name == "postgresql" and (passing := _PASSES.search(statement)):
                conn.info.setdefault(self, []).append(passing.group(1))  # held from here on, without a wait
            elif conn.dialect.name == "postgresql":
                lock = waited_for(statement, parameters)
                if lock is not None:
                    self.note(conn.info.setdefault(self, []), lock, statement)

        listeners = {"begin": begin, "commit": begin, "rollback": begin, "before_cursor_execute": execute}
        for name, listener in listeners.items():
            event.listen(engine, name, listener)
        yield self
        for name, listener in listeners.items():
            event.remove(engine, name, listener)
