"""What follows from evidence about one connection, whoever brought it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from monitor.health.evidence import Identity
from monitor.health.finding import Finding
from monitor.health.lifecycle import Verdict


class Ruling(NamedTuple):
    """How a connection is from now on, why, when it is looked at again, and what is kept of it.

    `account` is whom its token speaks for, where that has to be put on record; `kept` is the evidence as it
    is kept, given where the verdict changed.
    """

    at: datetime
    finding: Finding
    verdict: Verdict
    next_probe_at: datetime | None
    account: Identity | None = None
    kept: Sequence[Mapping[str, Any]] = ()
