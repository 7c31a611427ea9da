"""Alertmanager's v2 API: for those who run no Prometheus, or want pages as soon as a break is confirmed.

An alert stands in Alertmanager until its `endsAt`. It is posted again and again while it stands
(`keep_alive`), so that it outlives a restart of either side, and ends by itself if we are gone for good.
Posting the same alert twice is one alert, so a lost answer does no harm.
Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from alerts.channels import Outcome
from alerts.channels.inert import inert
from alerts.rules import own
from alerts.silences.windows import Over, Silenced
from monitor.wire.hooks import Hook

PATH = "/api/v2/alerts"
ALIVE = timedelta(minutes=10)  # how long an alert stands without another word from us


class Alertmanager:
    """One Alertmanager, or the address in front of a cluster of them."""

    def __init__(self, hook: Hook, generator: str) -> None:
        self._hook, self._generator = hook, generator

    async def send(
        self, key: str, matter: dict[str, Any], *, over: bool, now: datetime
    ) -> tuple[Outcome, str]:
        """Post the alert, standing or ended."""
        return await self._post([self._alert(matter, now if over else now + ALIVE)])

    async def keep_alive(
        self, matters: Iterable[dict[str, Any]], silences: Iterable[Silenced], now: datetime
    ) -> tuple[Outcome, str]:
        """Post what stands once more, and the silences: Alertmanager's inhibition honours them.

        What cannot be written keeps nothing else from being kept alive.
        """
        alerts: list[dict[str, Any]] = []
        unwritten = []
        for matter in matters:
            try:
                alerts.append(self._alert(matter, now + ALIVE))
            except (KeyError, ValueError, TypeError) as error:
                unwritten.append(f"{type(error).__name__} in a stored page")
        alerts += [_silence(silence, now) for silence in silences]
        outcome, answer = await self._post(alerts) if alerts else (Outcome.SENT, "")
        return (Outcome.FAILED, unwritten[0]) if unwritten and outcome is Outcome.SENT else (outcome, answer)

    def _alert(self, matter: dict[str, Any], ends_at: datetime) -> dict[str, Any]:
        since = datetime.fromisoformat(matter["since"])
        return {
            "labels": matter["labels"],
            "annotations": {
                "summary": inert(matter["summary"]),
                "description": inert(matter["description"]),
                "runbook_url": matter["runbook"],
            },
            "startsAt": since.isoformat(),
            # An end that is not after the beginning is refused (400).
            "endsAt": max(ends_at, since + timedelta(seconds=1)).isoformat(),
            "generatorURL": self._generator,
        }

    async def _post(self, alerts: list[dict[str, Any]]) -> tuple[Outcome, str]:
        status, text = await self._hook.post(PATH, alerts)
        if status is None:
            return Outcome.LATER, text
        if 200 <= status < 300:
            return Outcome.SENT, f"{status}"
        # What it does not understand it will not understand later; a refused login can be put right.
        passes = status not in (400, 413, 422)
        return (Outcome.LATER if passes else Outcome.FAILED), f"{self._hook.host}: {status} {text}"[:300]


def _silence(silence: Silenced, now: datetime) -> dict[str, Any]:
    labels = {
        "alertname": own.SILENCED.name,
        "severity": own.SILENCED.severity.value,
        "over": silence.over.value,
    }
    if silence.over is not Over.ALL:
        labels[silence.over.value] = silence.name
    end = min(silence.until, now + ALIVE) if silence.until else now + ALIVE
    return {
        "labels": labels,
        "annotations": {"summary": inert(silence.sentence)},
        "startsAt": min(silence.begun_at, now).isoformat(),
        "endsAt": max(end, now + timedelta(seconds=1)).isoformat(),
    }
