"""An alert as a value: its texts, its Prometheus expression, and who is told how loudly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from monitor.health.causes import TABLE, Cause

# Where the runbooks are, unless `oncall.runbooks` says otherwise.
RUNBOOKS = "https://github.com/token-health/token-health/blob/main/docs/runbooks"
TEAM = "integrations"  # unless `oncall.team` or an app's `team` says otherwise
PREFIX = "TokenHealth"


class Severity(StrEnum):
    """How loudly: a page wakes somebody, a ticket waits for the morning, the last is only for inhibition."""

    PAGE = "page"
    TICKET = "ticket"
    NONE = "none"

    @classmethod
    def of(cls, cause: Cause) -> Severity:
        """Return how loudly a cause is told, by its row. Raises ValueError where on-call is not told."""
        call = TABLE[cause].call
        if call is None:
            raise ValueError(f"{cause.value}: on-call is not told of it")
        return cls(call.value)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    `summary` and `description` name labels in braces, and `{value}`, which for an alert about connections
    is how many. `wait` and `keep` are Prometheus's `for` and `keep_firing_for`: short, since the service
    has confirmed what it exports already; `keep` bridges the seconds in which the duty of exporting the
    fleet moves from one process to another, and flapping.
    """

    name: str
    severity: Severity
    owner: str
    summary: str
    description: str
    expr: str
    wait: str = "0s"
    keep: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # fixed ones, beside severity, owner and team
    by: tuple[str, ...] = ()  # labels the expression keeps: one matter each, or one in all
    has_team: bool = False  # the expression brings the team of the app
    unit: str = "humanize"  # how Prometheus writes {value}
    again: timedelta | None = None  # the service tells it again while it stands so long and nobody answers

    def runbook(self, base: str = RUNBOOKS) -> str:
        """Return where its runbook is."""
        return f"{base.rstrip('/')}/{self.name}.md"

    def rule(self) -> dict[str, object]:
        """Return it as Prometheus's rule file has it."""
        labels = {"severity": self.severity.value, "owner": self.owner, "team": TEAM, **self.labels}
        if self.has_team:
            del labels["team"]
        rule: dict[str, object] = {"alert": self.name, "expr": self.expr}
        if self.wait != "0s":
            rule["for"] = self.wait
        if self.keep:
            rule["keep_firing_for"] = self.keep
        rule["labels"] = labels
        if self.severity is not Severity.NONE:
            rule["annotations"] = {
                "summary": self._template(self.summary),
                "description": self._template(self.description),
                "runbook_url": self.runbook(),
            }
        return rule

    def _template(self, text: str) -> str:
        def of(match: re.Match[str]) -> str:
            name = match.group(1)
            return f"{{{{ $value | {self.unit} }}}}" if name == "value" else f"{{{{ $labels.{name} }}}}"

        return re.sub(r"\{(\w+)\}", of, text)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule: `level:metric:operations`, as Prometheus's documentation names them."""

    name: str
    expr: str

    def rule(self) -> dict[str, object]:
        """Return it as Prometheus's rule file has it."""
        return {"record": self.name, "expr": self.expr}
