"""The meters of this process: counters, gauges and histograms that belong to the process that counts."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from monitor.health.causes import TABLE, Cause, consequence
from monitor.metrics import catalogue
from monitor.metrics.catalogue import INCIDENT_SECONDS, STEP_NAMES
from monitor.metrics.metric import Metric

disable_created_metrics()  # type: ignore[no-untyped-call]

SLOW = 0.5  # seconds: from here on a request is worth a look at its connection
_REQUEST_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 15, 60)
_TICK_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15)
LONGEST_EXEMPLAR = 100  # of the 128 characters that OpenMetrics allows, name included


class Meters:
    """This process's own counters, bound to a registry; children are kept, since `labels()` is slow."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.probes = self._counter(catalogue.PROBES)
        self.refreshes = self._counter(catalogue.REFRESHES)
        self.fenced = self._counter(catalogue.FENCED)
        self.tick_errors = self._counter(catalogue.TICK_ERRORS)
        self.tick_seconds = self._histogram(catalogue.TICK_SECONDS, _TICK_SECONDS)
        self.in_flight = self._gauge(catalogue.IN_FLIGHT)
        self.build = self._gauge(catalogue.BUILD)
        self.database_up = self._gauge(catalogue.DATABASE_UP)
        self.database_up.set(1)
        self.egress_blocked = self._gauge(catalogue.EGRESS_BLOCKED)
        self.taken_back = self._counter(catalogue.TAKEN_BACK)
        for why in ("deadlock", "serialization", "busy"):
            self.taken_back.labels(why)
        self.loop_tick = self._gauge(catalogue.LOOP_TICK)
        self.silence = self._gauge(catalogue.SILENCE)
        self.smtp_up = self._gauge(catalogue.SMTP_UP)
        self.smtp_down_since = self._gauge(catalogue.SMTP_DOWN_SINCE)
        self.duration = self._histogram(catalogue.PROBE_DURATION, _REQUEST_SECONDS)
        self.detection = self._histogram(catalogue.DETECTION, INCIDENT_SECONDS)
        self.recovery = self._histogram(catalogue.RECOVERY, INCIDENT_SECONDS)
        self.notifications = self._counter(catalogue.NOTIFICATIONS)
        self.webhook_deliveries = self._counter(catalogue.WEBHOOK_DELIVERIES)
        self.outbox_age = self._gauge(catalogue.OUTBOX_AGE)
        self.fuse = self._gauge(catalogue.FUSE)
        self.steps = self._counter(catalogue.STEPS)
        self.api_requests = self._counter(catalogue.API_REQUESTS)
        self.step_seconds = self._histogram(catalogue.STEP_SECONDS, INCIDENT_SECONDS)
        self.token_requests = self._counter(catalogue.TOKEN_REQUESTS)
        self.token_wait = self._histogram(catalogue.TOKEN_WAIT, _TOKEN_SECONDS)
        self.signals = self._counter(catalogue.SIGNALS)
        self._kept: dict[tuple[str, ...], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def with_process(self) -> Meters:
        """Add CPU, memory and files of this process, and its garbage collector; once, in a service."""
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        return self

    def begin(self, speaking: Iterable[tuple[str, str]]) -> None:
        """Let counters of rare events begin at 0: Prometheus counts no first step out of nothing.

        `speaking` has each provider with each locale of its clients.
        """
        for provider, locale in speaking:
            for step in STEP_NAMES:
                self.steps.labels(provider, step)
            for cause in TABLE:
                if cause is not Cause.OK:
                    self.detection.labels(provider, cause.value)
                    self.recovery.labels(provider, cause.value)
                if consequence(cause).client_mail:
                    for step in STEP_NAMES[:4]:
                        self.step_seconds.labels(provider, step, cause.value, locale)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def _histogram(self, metric: Metric, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, registry=self.registry, buckets=buckets)

    def count_probe(self, provider: str, app: str, cause: str, connection: str = "") -> None:
        """One more probe with this finding; a bad one leaves its connection as an exemplar."""
        key = (provider, app, cause)
        child = self._kept.get(key)
        if child is None:
            child = self._kept[key] = self.probes.labels(*key)
        if cause != "ok" and 0 < len(connection) <= LONGEST_EXEMPLAR:
            child.inc(exemplar={"connection": connection})
        else:
            child.inc()

    def time_request(self, provider: str, step: str, seconds: float, connection: str = "") -> None:
        """One more request of a probe; a slow one leaves its connection as an exemplar."""
        key = (provider, step)
        child = self._timers.get(key)
        if child is None:
            child = self._timers[key] = self.duration.labels(*key)
        if seconds >= SLOW and 0 < len(connection) <= LONGEST_EXEMPLAR:
            child.observe(seconds, {"connection": connection})
        else:
            child.observe(seconds)

    def funnel(self, provider: str, step: str, cause: str, locale: str, seconds: float) -> None:
        """One more step of a client on the way back."""
        self.steps.labels(provider, step).inc()
        self.step_seconds.labels(provider, step, cause, locale).observe(max(0.0, seconds))
