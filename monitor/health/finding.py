"""What the evidence of one probe comes to: one cause, how sure we are, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.health.causes import Cause, Owner, consequence


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause with what speaks for it. `confidence` runs from 0 to 1."""

    cause: Cause
    owner: Owner
    confidence: float
    rule: str
    reasons: tuple[str, ...] = ()
    scope: str | None = None
    retry_at: datetime | None = None

    @property
    def ok(self) -> bool:
        return self.cause is Cause.OK


def found(
    cause: Cause,
    confidence: float,
    rule: str,
    *reasons: str,
    owner: Owner | None = None,
    scope: str | None = None,
    retry_at: datetime | None = None,
) -> Finding:
    """Make a finding; the owner is the cause's own unless said otherwise."""
    return Finding(cause, owner or consequence(cause).owner, confidence, rule, reasons, scope, retry_at)
