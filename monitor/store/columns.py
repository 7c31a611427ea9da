"""A connection's health and its credentials as columns, and back.

Who selects `HEALTH` reads it with `read_health`; who writes `health_columns` is `fence`, which moves
connections, and `verdicts`, which settles what probes found (a test keeps it so).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from monitor.health.causes import Cause, Owner
from monitor.health.claim import Claim
from monitor.health.lifecycle import Health, State
from monitor.health.rotation import Doubt
from monitor.store.tables import connection, credential, incident, watch


class Sealed(NamedTuple):
    """A connection's credentials as stored: ciphertexts and times."""

    access: str | None
    refresh: str | None
    version: int
    issued_at: datetime | None
    access_expires_at: datetime | None
    authorized_at: datetime | None
    refresh_used_at: datetime | None
    granted: frozenset[str] | None
    lost: bool
    doubt: Doubt | None = None
    assumed: bool = False  # when the access token ends is what the provider's file says
    refused: int | None = None  # the version whose access token the provider's API refused
    refresh_ends_at: datetime | None = None  # as the provider told: unless it is used before
    grant_ends_at: datetime | None = None  # as the provider told: whatever is done


HEALTH = (
    watch.c.state,
    watch.c.since,
    watch.c.cause,
    watch.c.owner,
    watch.c.confidence,
    watch.c.rule,
    watch.c.candidate,
    watch.c.streak,
    watch.c.streak_since,
    watch.c.bad_since,
    watch.c.good_streak,
    watch.c.flaps,
    watch.c.flaps_at,
)
CREDENTIAL = (
    credential.c.access,
    credential.c.refresh,
    credential.c.version,
    credential.c.issued_at,
    credential.c.access_expires_at,
    credential.c.authorized_at,
    credential.c.refresh_used_at,
    credential.c.granted,
    credential.c.lost,
    credential.c.doubt_since,
    credential.c.doubt_tried_at,
    credential.c.expiry_assumed,
    credential.c.refused_version,
    credential.c.refresh_expires_at,
    credential.c.grant_ends_at,
)

# Who is on what is open of a connection, for whoever joins `incident` on this: an incident that is over joins
# no more, and so its claim ends with it.
CLAIM = (
    connection.c.claimed_by,
    connection.c.claimed_until,
    connection.c.claimed_incident,
    incident.c.id.label("claimed_open"),
)
CLAIMED = (incident.c.id == connection.c.claimed_incident) & incident.c.closed_at.is_(None)

# What a text of the table means; a dict's look-up takes a tenth of an enum's call.
_STATES = {state.value: state for state in State}
_CAUSES = {cause.value: cause for cause in Cause}
_OWNERS = {owner.value: owner for owner in Owner}


def sealed_of(row: Any) -> Sealed:
    """Read the credential columns of a row."""
    return read_sealed([getattr(row, column.name) for column in CREDENTIAL])


def read_sealed(values: Sequence[Any]) -> Sealed:
    """Read the columns of `CREDENTIAL`, in their order."""
    (
        access, refresh, version, issued, expires, authorized, used, granted, lost, since, tried, assumed,
        refused, refresh_ends, grant_ends,
    ) = values  # fmt: skip
    return Sealed(
        access, refresh, version, issued, expires, authorized, used,
        frozenset(granted) if granted is not None else None,
        lost,
        # Hardly ever there is a doubt about a stored refresh token.
        Doubt(since, tried) if since is not None else None,
        assumed, refused, refresh_ends, grant_ends,
    )  # fmt: skip


def read_claim(values: Sequence[Any], *, newcomer: bool) -> Claim | None:
    """Read the columns of `CLAIM`, in their order; of a newcomer a claim is about the first authorization."""
    who, until, about, still_open = values
    stands = newcomer if about is None else still_open is not None
    return Claim(who, until) if until is not None and stands else None


def health_of(row: Any) -> Health:
    """Read the health columns of a row."""
    return read_health(tuple(getattr(row, column.name) for column in HEALTH))


def read_health(values: Sequence[Any]) -> Health:
    """Read the columns of `HEALTH`, in their order."""
    state, since, cause, owner, confidence, rule, candidate, *rest = values
    return Health(
        _STATES[state], since, _CAUSES[cause], _OWNERS[owner], confidence, rule, _CAUSES[candidate], *rest
    )


def health_columns(health: Health) -> dict[str, Any]:
    """Return a health as the columns of the watch table."""
    return {
        "state": health.state.value,
        "since": health.since,
        "cause": health.cause.value,
        "owner": health.owner.value,
        "confidence": health.confidence,
        "rule": health.rule,
        "candidate": health.candidate.value,
        "streak": health.streak,
        "streak_since": health.streak_since,
        "bad_since": health.bad_since,
        "good_streak": health.good_streak,
        "flaps": health.flaps,
        "flaps_at": health.flaps_at,
    }
