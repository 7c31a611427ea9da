"""Which alert makes others pointless: one page for one incident, in Alertmanager and without it."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.rules import ahead, fleet, own
from alerts.rules.alert import Alert


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While `source` stands, `targets` are not told, where the labels of `equal` are the same in both."""

    source: Alert
    targets: tuple[Alert, ...]
    equal: tuple[str, ...] = ()


_REST = tuple(alert for alert in (*fleet.ALL, *ahead.ALL, *own.ALL) if alert is not own.DOWN)

ALL = (
    # The service being down silences the rest: it is what has become of the rest.
    Inhibition(own.DOWN, _REST),
    Inhibition(
        own.DATABASE_DOWN,
        (own.LOOP_STALLED, own.PROBES_LAGGING, own.OWN_ERRORS, own.OUTBOX_STUCK, own.REPLICA_MISSING),
    ),
    Inhibition(own.LOOP_STALLED, (own.PROBES_LAGGING,)),
    Inhibition(own.SMTP_DOWN, (own.OUTBOX_STUCK,)),
    # Our network silences all that is only seen through it.
    Inhibition(
        fleet.NETWORK_LOST,
        (
            fleet.PROVIDER_OUTAGE, fleet.EGRESS_BLOCKED, fleet.UNEXPECTED_ANSWERS, fleet.RATE_LIMITED,
            fleet.GUARD_HOLDING, fleet.CLIENT_BROKEN, own.SMTP_DOWN, own.PROBES_LAGGING, own.OUTBOX_STUCK,
        ),
    ),
    # A provider's outage silences what its connections show besides.
    Inhibition(
        fleet.PROVIDER_OUTAGE,
        (
            fleet.UNEXPECTED_ANSWERS, fleet.RATE_LIMITED, fleet.GUARD_HOLDING, fleet.CLIENT_BROKEN,
            fleet.FUNNEL_STUCK,
        ),
        ("provider",),
    ),
    Inhibition(fleet.APP_MISCONFIGURED, (fleet.GUARD_HOLDING,), ("provider",)),
    # Refreshes that are refused say the same as a shut door, and of how many.
    Inhibition(fleet.APP_MISCONFIGURED, (ahead.DOOR_SHUT,), ("provider", "app")),
    # The nearer end says all that the farther one does.
    Inhibition(ahead.SECRET_ENDS_SOON, (ahead.SECRET_ENDS,), ("provider", "app")),
    Inhibition(ahead.PROVIDER_END_NEAR, (ahead.PROVIDER_END_AHEAD,), ("provider",)),
    # What a refused address of ours makes of the fleet is no client's doing, and no firewall's page besides.
    Inhibition(fleet.EGRESS_BLOCKED, (fleet.GUARD_HOLDING, fleet.UNEXPECTED_ANSWERS), ("provider",)),
    Inhibition(fleet.UNEXPECTED_ANSWERS, (fleet.GUARD_HOLDING,), ("provider",)),
    Inhibition(fleet.GUARD_HOLDING, (fleet.FUSE_BLOWN,)),
)  # fmt: skip
