"""A rule as a provider file writes it, and the rule that it means."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from monitor.health.causes import Cause
from monitor.health.evidence import Content, Step
from monitor.health.rules import Rule
from monitor.providers.kinds import Many, Pattern, ReadHeader, Status
from monitor.text.tomlfile import Duration, Section


class RuleEntry(Section):
    """A rule of the provider's own; the first match wins, before the rules of the standards.

    All that it names has to fit. `fields` are the further fields that `[errors] fields` names, `headers`
    those of `[errors] headers`, `text` what a body says that is not JSON.
    """

    step: Literal[Step.REFRESH, Step.WHOAMI, Step.SCOPE, Step.EXCHANGE, Step.AUTHORIZE] | None = None
    status: Status | None = None
    error: Many | None = None
    description: Pattern | None = None
    challenge: str | None = None
    content: Content | None = None
    fields: dict[str, Many] = Field(default_factory=dict)  # one of these texts, each
    headers: dict[ReadHeader, Pattern] = Field(default_factory=dict)
    text: Pattern | None = None
    weigh: bool = False
    wait: Duration | None = None  # how long it wants to be left alone, where no header says so
    setting: str = ""  # which of [settings] the client's administrator has to change
    cause: Cause

    @model_validator(mode="after")
    def _says_something(self) -> RuleEntry:
        if self.cause is Cause.OK:
            raise ValueError("a rule names a failure; 'ok' is what remains when none matches")
        named = (self.status, self.error, self.description, self.challenge, self.content, self.text)
        if all(value is None for value in named) and not self.fields and not self.headers:
            raise ValueError(
                "a rule has to name a status, error, description, challenge, content, text, field or header"
            )
        if self.setting and self.cause is not Cause.POLICY_BLOCKED:
            raise ValueError("setting goes with cause = 'policy_blocked' alone")
        if self.text is not None and self.content not in (None, Content.OTHER):
            raise ValueError("text is of a body that is neither JSON nor HTML: leave content out")
        return self

    def rule(self, name: str) -> Rule:
        """Return the rule that this entry means."""
        text = str(self.status) if self.status is not None else ""
        low = int(text.replace("xx", "00")) if text else 0
        high = int(text.replace("xx", "99")) if text else 0
        return Rule(
            name=name,
            cause=self.cause,
            step=self.step,
            status=(low, high) if text else None,
            error=frozenset(self.error) if self.error is not None else None,
            description=self.description,
            content=Content.OTHER if self.text is not None else self.content,
            challenge=self.challenge,
            weigh=self.weigh,
            fields=tuple((field, frozenset(texts)) for field, texts in self.fields.items()),
            headers=tuple(self.headers.items()),
            text=self.text,
            wait=self.wait,
            setting=self.setting or None,
        )
