"""Metrics of what lies ahead: what ends, whether anybody could still connect, and what probing costs."""

from __future__ import annotations

from monitor.metrics.metric import Metric

NEXT_END = Metric(
    "token_health_next_end_timestamp_seconds",
    "gauge",
    "When the next thing of its kind ends that somebody has to act on before, in Unix time; of grants and "
    "tokens those of the next 90 days. What the service prevents by itself is not among them.",
    ("kind", "provider", "app"),
)
GRANTS_ENDING = Metric(
    "token_health_grants_ending",
    "gauge",
    "Authorizations that end within 30 days whatever is done, so that their clients have to authorize again, "
    "and that no campaign asks for.",
    ("provider", "app"),
)
DOOR_UP = Metric(
    "token_health_door_up",
    "gauge",
    "1 while the authorize or token endpoint takes our app, as far as it was asked; 0 once it has refused it "
    "twice in a row.",
    ("provider", "app", "door"),
)
READS = Metric(
    "token_health_metered_reads_per_month",
    "gauge",
    "Reads that probing takes in 30 days at the app's interval, where the provider meters them.",
    ("provider", "app"),
)
READS_LIMIT = Metric(
    "token_health_metered_reads_per_month_limit",
    "gauge",
    "Reads a month that the provider lets an app make in all.",
    ("provider", "app"),
)

ALL = (NEXT_END, GRANTS_ENDING, DOOR_UP, READS, READS_LIMIT)
