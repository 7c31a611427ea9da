"""What Prometheus, Alertmanager and Grafana load: this package's files, made the agency's own."""

from __future__ import annotations

from importlib import resources
from typing import Literal

from alerts.rules import alertmanager
from alerts.rules.alert import RUNBOOKS, TEAM
from monitor.operations.actor import Actor, Right
from monitor.settings.whole import Settings

RULES = "token-health.rules.yml"


def files(
    settings: Settings, actor: Actor, what: Literal["rules", "dashboards", "alertmanager"]
) -> dict[str, str]:
    """Return file names with their texts."""
    actor.needs(Right.SETTINGS_READ)
    runbooks, team = settings.oncall.runbooks, settings.oncall.team
    match what:
        case "rules":
            text = (resources.files("alerts.rules") / RULES).read_text(encoding="utf-8")
            return {RULES: _own(text, runbooks).replace(f"team: {TEAM}\n", f"team: {team}\n")}
        case "alertmanager":
            return {"alertmanager.yml": alertmanager.text(team, sorted({*settings.teams.values(), team}))}
        case "dashboards":
            folder = resources.files("dashboards.generated")
            return {
                item.name: _own(item.read_text(encoding="utf-8"), runbooks)
                for item in sorted(folder.iterdir(), key=lambda item: item.name)
                if item.name.endswith(".json")
            }


def _own(text: str, runbooks: str) -> str:
    return text.replace(RUNBOOKS, runbooks.rstrip("/"))
