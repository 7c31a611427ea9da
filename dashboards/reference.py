"""Writes docs/metrics.md: every metric as the code has it, and how many series there are of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from monitor.health.causes import TABLE
from monitor.health.lifecycle import State
from monitor.metrics import catalogue as m
from monitor.metrics.metric import Metric

FILE = Path(__file__).parents[1] / "docs" / "metrics.md"
HEAD = """\
# Metrics

Generated from `monitor/metrics/catalogue.py` by `make generate`. Served on `/metrics` as text, and as OpenMetrics with exemplars
for who asks for it; `promtool check metrics` finds no fault.

No token, address or secret is ever a label. `metrics.client_names = false` leaves the clients' names out.

## How many series

| of what | series |
|---|---|
| 1,000 connections, `metrics.connections = "all"` (the default) | {each:,} |
| 1,000 connections, `metrics.connections = "broken"` | 0 |
| each broken connection (`all` and `broken`) | {broken} |
| each connection whose client was mailed within 30 days (`all` and `broken`) | up to {mailed} |
| `metrics.connections = "none"` | 0 of any connection |
| each provider, in each process | {provider} |
| each language of a provider's clients, in each process | {language} |
| each app | up to {app} |
| each process | about 300 |

{optional} is written only where the provider lets refresh tokens run
out. Everything else does not grow with the fleet: labels are providers, apps, causes, steps, channels and languages, all of
them named in files.

Without a series for each connection some alerts have no data: with "broken" `TokenHealthMassExpiryAhead`, with "none" also
`TokenHealthRefreshLost`, `TokenHealthClientBroken`, and of `TokenHealthAppMisconfigured` the missing scopes. A channel of
the service's own is told all of these but the first.

## From a spike to a connection

`token_health_probes_total` and `token_health_probe_duration_seconds` carry exemplars: a probe that found something wrong, and
a request of half a second or more, leave the id of their connection. Prometheus keeps them with
`--enable-feature=exemplar-storage`; Grafana shows them as points that lead to the dashboard *Connection*. Without exemplars:
`token-health status`, worst first.
"""
SPANS = {
    "How the fleet is": (
        "Written by the one process that leads, from the database, so that each stands there once however many "
        "processes are scraped. While the lead moves, a scrape may have them twice or not at all: take `max by`.",
        m.FLEET,
    ),
    "What this process did": (
        "Each process counts its own. Gauges of the outbox, silences and the mail server are set by the one that "
        "leads.",
        m.OWN,
    ),
}


def text() -> str:
    """Return the page."""
    asked = sum(1 for row in TABLE.values() if row.client_mail)
    parts = [
        HEAD.format(
            each=1000 * len(m.EACH),
            broken=len(m.EACH_BROKEN),
            mailed=4,
            language=4 * asked * (len(m.INCIDENT_SECONDS) + 3),
            provider=2 * (len(TABLE) - 1) * (len(m.INCIDENT_SECONDS) + 3) + len(m.STEP_NAMES),
            app=6 + len(State) + len(TABLE),
            optional=f"`{m.REFRESH_EXPIRY.name}`",
        )
    ]
    for title, (about, metrics) in SPANS.items():
        parts.append(f"## {title}\n\n{about}\n\n{_table(metrics)}")
    parts.append(
        "Beside them each process has the standard `process_*` (CPU, memory, files, start) and `python_gc_*` of the "
        "Prometheus client library.\n"
    )
    return "\n".join(parts)


def _table(metrics: Iterable[Metric]) -> str:
    rows = ["| metric | type | labels | |", "|---|---|---|---|"]
    for metric in metrics:
        name = metric.name + ("_total" if metric.kind == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(rows) + "\n"
