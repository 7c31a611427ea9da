"""A break that its client would be asked to mend: what the fleet guard counts, and what a wave is made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from monitor.health.causes import TABLE, Cause, Owner
from monitor.health.incidents import Place

DAY = timedelta(days=1)  # what is older is nobody's surprise: it raises no guard and joins no wave
PROOF = timedelta(hours=1)  # from an authorization until it is known whether it mended anything
# How a break closed; anything else (a pause, an import, another account accepted) says nothing about it.
ALONE, AUTHORIZED = "alone", "authorized"
# What was said of a break's first mail: by a person, or (the last) by the rule, which asks a few on trial.
RELEASED, DROPPED, CANARY = "released", "dropped", "canary"
# What a break's first mail waits for, besides its time.
IN_DOUBT, IN_TROUBLE = "doubt", "trouble"

MAILABLE = frozenset(cause for cause, row in TABLE.items() if row.client_mail and row.owner is Owner.CLIENT)


class Break(NamedTuple):
    """One connection's break. `at` is when it turned into one that the client mends.

    `authorized_at` is the connection's newest authorization; `healthy` and `rule` are the connection's now;
    `reachable` says whether the client has an address.
    """

    incident: int
    connection: str
    client: str
    place: Place
    at: datetime
    closed_at: datetime | None = None
    ended: str = ""
    told_at: datetime | None = None
    mails: str = ""
    waits: str = ""
    authorized_at: datetime | None = None
    healthy: bool = False
    reachable: bool = True
    cause: Cause = Cause.REVOKED
    rule: str = ""

    @property
    def untold(self) -> bool:
        """Whether it stands, and nobody was told or has said what is to be told."""
        return self.closed_at is None and self.told_at is None and not self.mails

    def counts(self, settle: timedelta, now: datetime) -> bool:
        """Whether it speaks for an incident: it stands, or healed by itself less than `settle` ago.

        What a person decided about, or an authorization mended, was somebody's own.
        """
        if self.mails in (RELEASED, DROPPED):
            return False
        if self.closed_at is None:
            return True
        return self.ended == ALONE and now - self.closed_at < settle


def asks_client(cause: Cause, owner: Owner) -> bool:
    """Whether a confirmed break of this cause is one that its client is asked to mend."""
    return owner is Owner.CLIENT and cause in MAILABLE


def clients(breaks: Iterable[Break]) -> set[str]:
    """Return whose breaks these are."""
    return {one.client for one in breaks}
