"""Whom this process heard from lately: tells the provider's outage from our own network's."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.health.classify import Reach
from monitor.health.evidence import Answer, Evidence, FaultKind, Step

# Longer than a recheck, so that one round of doubts sees the other hosts' answers.
MEMORY = timedelta(minutes=2)
_OWN = (FaultKind.OURS, FaultKind.EXHAUSTED)


class Hosts:
    """Remembers, for each host, the last answer and the last silence."""

    def __init__(self) -> None:
        self._answered: dict[str, datetime] = {}
        self._silent: dict[str, datetime] = {}

    def reach(self, evidence: Evidence, now: datetime) -> Reach:
        """Take in what one probe met; return whom it can be compared with, nobody where all was well."""
        self.note(evidence)
        quiet = all(exchange.outcome.ok for exchange in evidence.exchanges)
        return Reach() if quiet else self.view(now)

    def note(self, evidence: Evidence) -> None:
        """Take in what one probe met. Any HTTP answer counts: it proves that the network works."""
        for exchange in evidence.exchanges:
            if isinstance(exchange.outcome, Answer):
                self._answered[exchange.host] = evidence.at
                self._silent.pop(exchange.host, None)
            elif exchange.outcome.kind not in _OWN and exchange.step is not Step.INTROSPECT:
                # Introspection follows a refusal that the network has just carried: its silence is its own.
                self._silent[exchange.host] = evidence.at

    def view(self, now: datetime) -> Reach:
        """Return which hosts answered lately and have not fallen silent since, and which are silent."""
        silent = frozenset(host for host, at in self._silent.items() if now - at <= MEMORY)
        answered = frozenset(host for host, at in self._answered.items() if now - at <= MEMORY)
        return Reach(answered - silent, silent)
