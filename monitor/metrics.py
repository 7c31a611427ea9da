"""Every metric as a value, and the meters of this process.

The fleet's gauges are written out by `monitor.exposition` from one query; the counters and
histograms here belong to the process that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name, kind, help and labels, as they stand on /metrics."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


CONNECTION_UP = Metric(
    "token_health_connection_up",
    "gauge",
    "1 while the connection is healthy or only doubted, 0 while it is broken.",
    ("connection", "app", "provider", "client"),
)
CONNECTION_PROBLEM = Metric(
    "token_health_connection_problem",
    "gauge",
    "1 while the connection is broken; absent otherwise.",
    ("connection", "app", "provider", "client", "cause", "owner"),
)
CONNECTIONS = Metric(
    "token_health_connections", "gauge", "Connections by state.", ("provider", "app", "state")
)
ACCESS_EXPIRY = Metric(
    "token_health_access_token_expiry_timestamp_seconds",
    "gauge",
    "When the access token expires, in Unix time.",
    ("connection", "app", "provider"),
)
REFRESH_EXPIRY = Metric(
    "token_health_refresh_token_expiry_timestamp_seconds",
    "gauge",
    "When the refresh token runs out if it is not used, or at the latest, in Unix time.",
    ("connection", "app", "provider"),
)
LAST_SUCCESS = Metric(
    "token_health_last_success_timestamp_seconds",
    "gauge",
    "When a probe last found the connection healthy, in Unix time.",
    ("connection", "app", "provider"),
)
GUARD_ACTIVE = Metric(
    "token_health_guard_active",
    "gauge",
    "1 while the fleet guard is up over a group, so that client mails are held.",
    ("kind", "name", "cause"),
)
SCHEDULE_LAG = Metric(
    "token_health_schedule_lag_seconds",
    "gauge",
    "How long the most overdue probe of the fleet has been waiting.",
)
PROBE_INTERVAL = Metric(
    "token_health_probe_interval_seconds",
    "gauge",
    "The interval between two probes of a healthy connection of the app, as its limit allows.",
    ("provider", "app"),
)
INTERVAL_STRETCHED = Metric(
    "token_health_probe_interval_stretched",
    "gauge",
    "How many times longer than configured the app's interval is, because of its rate limit.",
    ("provider", "app"),
)
OPEN_INCIDENTS = Metric("token_health_incidents_open", "gauge", "Open incidents.", ("kind", "cause", "owner"))
PROCESSES = Metric("token_health_processes", "gauge", "Service processes that are alive.")
PROBES = Metric("token_health_probes", "counter", "Probes by what they found.", ("provider", "app", "cause"))
PROBE_DURATION = Metric(
    "token_health_probe_duration_seconds",
    "histogram",
    "Time of one request of a probe.",
    ("provider", "step"),
)
REFRESHES = Metric(
    "token_health_refreshes", "counter", "Refreshes by how they ended.", ("provider", "app", "result")
)
DETECTION = Metric(
    "token_health_detection_seconds",
    "histogram",
    "From the first sign of a break to its confirmation.",
    ("provider", "cause"),
)
RECOVERY = Metric(
    "token_health_recovery_seconds",
    "histogram",
    "From the confirmation of a break to its end.",
    ("provider", "cause"),
)
NOTIFICATIONS = Metric(
    "token_health_notifications",
    "counter",
    "Attempts to tell somebody, by how they ended.",
    ("channel", "kind", "result"),
)
OUTBOX_AGE = Metric(
    "token_health_outbox_oldest_age_seconds",
    "gauge",
    "How long the oldest message that should be out has been waiting.",
)
HELD = Metric(
    "token_health_notifications_held",
    "gauge",
    "Broken connections whose client is not told because the fleet guard holds it.",
)
FUSE = Metric(
    "token_health_mail_fuse_blown",
    "gauge",
    "1 while more first mails want out than email.max_per_hour allows, so that none goes.",
)
STEPS = Metric(
    "token_health_reauthorization_steps",
    "counter",
    "Steps of clients on their way back, from the mail to the approval.",
    ("provider", "step"),
)
STEP_SECONDS = Metric(
    "token_health_reauthorization_seconds",
    "histogram",
    "From the break to the first mail (mailed), and from the link's making to each later step.",
    ("provider", "step", "cause", "locale"),
)
FENCED = Metric(
    "token_health_fenced_verdicts",
    "counter",
    "Verdicts thrown away because the connection was changed or claimed by another process meanwhile.",
)
TICK_ERRORS = Metric(
    "token_health_tick_errors", "counter", "Errors of our own in the periodic work.", ("tick",)
)
IN_FLIGHT = Metric("token_health_probes_in_flight", "gauge", "Probes running in this process now.")
BUILD = Metric("token_health_build_info", "gauge", "1; the labels say what runs.", ("version", "python"))

FLEET = (
    CONNECTION_UP,
    CONNECTION_PROBLEM,
    CONNECTIONS,
    ACCESS_EXPIRY,
    REFRESH_EXPIRY,
    LAST_SUCCESS,
    GUARD_ACTIVE,
    SCHEDULE_LAG,
    PROBE_INTERVAL,
    INTERVAL_STRETCHED,
    OPEN_INCIDENTS,
    PROCESSES,
)
OWN = (
    PROBES,
    PROBE_DURATION,
    REFRESHES,
    DETECTION,
    RECOVERY,
    NOTIFICATIONS,
    OUTBOX_AGE,
    HELD,
    FUSE,
    STEPS,
    STEP_SECONDS,
    FENCED,
    TICK_ERRORS,
    IN_FLIGHT,
    BUILD,
)

_REQUEST_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_INCIDENT_SECONDS = (30, 60, 120, 300, 900, 3600, 14400, 86400, 259200, 864000)


class Meters:
    """This process's own counters, bound to a registry; children are kept, since `labels()` is slow."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.probes = self._counter(PROBES)
        self.refreshes = self._counter(REFRESHES)
        self.fenced = self._counter(FENCED)
        self.tick_errors = self._counter(TICK_ERRORS)
        self.in_flight = Gauge(IN_FLIGHT.name, IN_FLIGHT.help, registry=self.registry)
        self.build = Gauge(BUILD.name, BUILD.help, BUILD.labels, registry=self.registry)
        self.duration = self._histogram(PROBE_DURATION, _REQUEST_SECONDS)
        self.detection = self._histogram(DETECTION, _INCIDENT_SECONDS)
        self.recovery = self._histogram(RECOVERY, _INCIDENT_SECONDS)
        self.notifications = self._counter(NOTIFICATIONS)
        self.outbox_age = Gauge(OUTBOX_AGE.name, OUTBOX_AGE.help, registry=self.registry)
        self.held = Gauge(HELD.name, HELD.help, registry=self.registry)
        self.fuse = Gauge(FUSE.name, FUSE.help, registry=self.registry)
        self.steps = self._counter(STEPS)
        self.step_seconds = self._histogram(STEP_SECONDS, _INCIDENT_SECONDS)
        self._kept: dict[tuple[str, ...], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def _histogram(self, metric: Metric, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, registry=self.registry, buckets=buckets)

    def count_probe(self, provider: str, app: str, cause: str) -> None:
        """One more probe with this finding."""
        key = (provider, app, cause)
        child = self._kept.get(key)
        if child is None:
            child = self._kept[key] = self.probes.labels(*key)
        child.inc()

    def time_request(self, provider: str, step: str, seconds: float) -> None:
        """One more request of a probe."""
        key = (provider, step)
        child = self._timers.get(key)
        if child is None:
            child = self._timers[key] = self.duration.labels(*key)
        child.observe(seconds)

    def funnel(self, provider: str, step: str, cause: str, locale: str, seconds: float) -> None:
        """One more step of a client on the way back."""
        self.steps.labels(provider, step).inc()
        self.step_seconds.labels(provider, step, cause, locale).observe(max(0.0, seconds))
