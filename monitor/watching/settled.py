"""What looks and settled verdicts leave behind beside the database: counts, and a line of the log."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from monitor.health.causes import Cause
from monitor.health.classify import EXHAUSTED
from monitor.health.evidence import Fault, FaultKind
from monitor.health.lifecycle import State
from monitor.health.ruling import Ruling
from monitor.metrics.meters import Meters
from monitor.store.due import Lease
from monitor.store.verdicts import Settlement
from monitor.tokens.refresh import Refreshed
from monitor.watching.probe import Looked
from monitor.wire.apps import App

log = structlog.get_logger("monitor.loop")


def measure(meters: Meters, app: App, looked: Looked, connection: str) -> None:
    """Count what one look asked of the provider, and how its refresh ended."""
    name = app.provider.name
    for exchange in looked.evidence.exchanges:
        meters.time_request(name, exchange.step.value, exchange.seconds, connection)
        if isinstance(exchange.outcome, Fault) and exchange.outcome.kind is FaultKind.EXHAUSTED:
            # Not the provider's and not the client's: on-call hears of it as of every error of our own.
            meters.tick_errors.labels("exhausted").inc()
            log.error(
                "process.exhausted",
                connection=connection,
                step=exchange.step.value,
                detail=exchange.outcome.detail,
                sent=exchange.outcome.perhaps_sent,
            )
    for result in looked.refresh_results:
        meters.refreshes.labels(name, app.id, result).inc()


def measure_refresh(meters: Meters, app: App, done: Refreshed, connection: str) -> None:
    """Count a refresh that a program asked for, as one of a probe."""
    for exchange in done.exchanges:
        meters.time_request(app.provider.name, exchange.step.value, exchange.seconds, connection)
    for result in done.results:
        meters.refreshes.labels(app.provider.name, app.id, result).inc()


def note(meters: Meters, settled: Iterable[Settlement]) -> None:
    """Count verdicts that were written, and log those that changed something."""
    for settlement in settled:
        lease, ruling = settlement.lease, settlement.ruling
        place, verdict = lease.place, ruling.verdict
        if ruling.finding.rule != EXHAUSTED:
            meters.count_probe(place.provider, place.app, ruling.finding.cause.value, lease.id)
        if verdict.detected_after is not None:
            meters.detection.labels(place.provider, verdict.health.cause.value).observe(
                verdict.detected_after.total_seconds()
            )
        if verdict.recovered_after is not None:
            meters.recovery.labels(place.provider, lease.health.cause.value).observe(
                verdict.recovered_after.total_seconds()
            )
        if verdict.changed:
            _log_change(lease, ruling)


def _log_change(lease: Lease, ruling: Ruling) -> None:
    before, after, finding = lease.health, ruling.verdict.health, ruling.finding
    say = log.warning if after.state is State.BROKEN else log.info
    say(
        f"connection.{after.state.value}",
        connection=lease.id,
        app=lease.place.app,
        was=before.state.value,
        cause=after.cause.value if after.cause is not Cause.OK else None,
        owner=after.owner.value if after.cause is not Cause.OK else None,
        confidence=finding.confidence,
        rule=finding.rule,
    )
