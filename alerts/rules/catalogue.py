"""All alerts, in the order in which people meet them."""

from __future__ import annotations

from alerts.rules import ahead, fleet, own
from alerts.rules.alert import Alert

ALL: tuple[Alert, ...] = (*fleet.ALL, *ahead.ALL, *own.ALL)
BY_NAME = {alert.name: alert for alert in ALL}
