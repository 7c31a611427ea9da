"""Alertmanager's v2 API: for those who run no Prometheus, or want pages as soon as a break is confirmed.

An alert stands in Alertmanager until its `endsAt`. It is posted again and again while it stands
(`keep_alive`), so that it outlives a restart of either side, and ends by itself if we are gone for good.
Posting the same alert twice is one alert, so a lost answer does no harm.
Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from alerts.channels.channel import Around, Given, Read, http_address
from alerts.channels.inert import inert
from alerts.outbox.envelope import Outcome
from monitor.errors import ConfigurationError
from monitor.secret import Secret
from monitor.text.tomlfile import Section
from monitor.wire.hooks import Hook

NAME = "alertmanager"
SECTION = "oncall"
TAKES_ANY = False
PATH = "/api/v2/alerts"
ALIVE = timedelta(minutes=10)  # how long an alert stands without another word from us


class Settings(Section):
    """What of [oncall] is an Alertmanager's."""

    alertmanager_url: Annotated[str, AfterValidator(http_address)] = ""
    alertmanager_url_env: str | None = None
    alertmanager_url_file: Path | None = None
    ca_file: Path | None = None


def given(settings: Settings, read: Read) -> list[Given]:
    """Return the one address of the settings: all pages go there, since it has routes of its own."""
    url = read(
        "oncall.alertmanager_url",
        settings.alertmanager_url,
        settings.alertmanager_url_env,
        settings.alertmanager_url_file,
    )
    if not url:
        return []
    try:
        http_address(url.reveal())
    except ValueError as error:
        # From a variable or a file, which the file's own check does not see; it may hold a password.
        raise ConfigurationError(f"oncall.alertmanager_url {error}.") from None
    return [Given(NAME, url)]


def claims(url: str) -> bool:
    """No address is known to be an Alertmanager's by its looks: it is told by its setting alone."""
    return False


def opened(name: str, url: Secret, around: Around) -> Alertmanager:
    """Open it. Raises ConfigurationError where its certificates cannot be read."""
    ca_file = around.settings.ca_file
    hook = Hook(url, ca_file=around.directory / ca_file if ca_file else None)
    return Alertmanager(hook, around.public_url)


class Alertmanager:
    """One Alertmanager, or the address in front of a cluster of them."""

    def __init__(self, hook: Hook, generator: str) -> None:
        self._hook, self._generator = hook, generator

    async def send(
        self, key: str, matter: dict[str, Any], *, over: bool, now: datetime
    ) -> tuple[Outcome, str]:
        """Post the alert, standing or ended."""
        return await self._post([self._alert(matter, now if over else now + ALIVE)])

    async def keep_alive(self, matters: Iterable[dict[str, Any]], now: datetime) -> tuple[Outcome, str]:
        """Post what stands once more, silences among it: Alertmanager's inhibition honours them.

        What cannot be written keeps nothing else from being kept alive.
        """
        alerts: list[dict[str, Any]] = []
        unwritten = []
        for matter in matters:
            try:
                alerts.append(self._alert(matter, now + ALIVE))
            except (KeyError, ValueError, TypeError) as error:
                unwritten.append(f"{type(error).__name__} in a stored page")
        outcome, answer = await self._post(alerts) if alerts else (Outcome.SENT, "")
        return (Outcome.FAILED, unwritten[0]) if unwritten and outcome is Outcome.SENT else (outcome, answer)

    def _alert(self, matter: dict[str, Any], ends_at: datetime) -> dict[str, Any]:
        since = datetime.fromisoformat(matter["since"])
        if "until" in matter:
            ends_at = min(ends_at, datetime.fromisoformat(matter["until"]))
        annotations = {"summary": inert(matter["summary"])}
        if "description" in matter:
            annotations["description"] = inert(matter["description"])
        if "runbook" in matter:
            annotations["runbook_url"] = matter["runbook"]
        return {
            "labels": matter["labels"],
            "annotations": annotations,
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
