"""What channels are handed: a page, what is silent, and a trial, as documents that are stored as they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alerts.pages.matters import Matter
from alerts.rules import own
from alerts.rules.alert import PREFIX, Severity
from alerts.silences.windows import Over, Silenced
from monitor.health.causes import Owner


def page(matter: Matter, runbooks: str) -> dict[str, Any]:
    """Return a matter as it is stored with its notice, and handed to channels."""
    return {
        "labels": matter.labels(),
        "summary": matter.summary,
        "description": matter.description,
        "runbook": matter.alert.runbook(runbooks),
        "since": matter.since.isoformat(),
    }


def silenced(silence: Silenced, now: datetime) -> dict[str, Any]:
    """Return a silence for a channel that is told all the time what stands: it may inhibit what is silent."""
    labels = {
        "alertname": own.SILENCED.name,
        "severity": own.SILENCED.severity.value,
        "over": silence.over.value,
    }
    if silence.over is not Over.ALL:
        labels[silence.over.value] = silence.name
    document = {
        "labels": labels,
        "summary": silence.sentence,
        "since": min(silence.begun_at, now).isoformat(),
    }
    return document | ({"until": silence.until.isoformat()} if silence.until else {})


def trial(team: str, runbooks: str, now: datetime) -> dict[str, Any]:
    """Return what a person sends to see whether a channel works."""
    return {
        "labels": {
            "alertname": f"{PREFIX}Test",
            "severity": Severity.TICKET.value,
            "owner": Owner.OPERATOR.value,
            "team": team,
        },
        "summary": "A test of Token Health's on-call channel",
        "description": "Nobody has to do anything.",
        "runbook": f"{runbooks}/README.md",
        "since": now.isoformat(),
    }
