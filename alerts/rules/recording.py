"""Recording rules: what alerts and dashboards ask again and again, without the labels of a scrape."""

from __future__ import annotations

from alerts.rules.alert import Recording
from monitor.metrics import catalogue as m

# The process that holds the fleet's duty exports the fleet. While the duty moves, two may for one scrape:
# `max by` takes one of them.
CONNECTIONS = Recording(
    "token_health:connections:max", f"max by (provider, app, state) ({m.CONNECTIONS.name})"
)
HEALTHY = Recording(
    "token_health:healthy:ratio",
    f'sum by (provider, app) ({CONNECTIONS.name}{{state=~"healthy|suspect"}})'
    f' / sum by (provider, app) ({CONNECTIONS.name}{{state=~"healthy|suspect|broken"}})',
)
INCIDENTS = Recording(
    "token_health:incident_connections:max",
    f"max by (kind, name, provider, app, team, cause, owner) ({m.INCIDENT.name})",
)
APPS = Recording("token_health:app_info:max", f"max by (provider, app, team) ({m.APP_INFO.name})")
PROBLEMS = Recording(
    "token_health:connection_problem:max",
    f"max by (connection, app, provider, client, cause, owner) ({m.PROBLEM.name})",
)
PROBES = Recording(
    "token_health:probes:rate5m", f"sum by (provider, app, cause) (rate({m.PROBES.name}_total[5m]))"
)
PROBE_P95 = Recording(
    "token_health:probe_duration_seconds:p95_5m",
    f"histogram_quantile(0.95, sum by (le, provider, step) (rate({m.PROBE_DURATION.name}_bucket[5m])))",
)
PROCESSES = Recording("token_health:processes:max", f"max ({m.PROCESSES.name})")
LAG = Recording("token_health:schedule_lag_seconds:max", f"max ({m.SCHEDULE_LAG.name})")

ALL = (CONNECTIONS, HEALTHY, INCIDENTS, APPS, PROBLEMS, PROBES, PROBE_P95, PROCESSES, LAG)


def with_team(expr: str) -> str:
    """Add the app's team to an expression that has `provider` and `app`; its value stays."""
    return f"({expr})\n* on (provider, app) group_left (team) {APPS.name}"
