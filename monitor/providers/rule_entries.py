"""A rule as a provider file writes it, and the rule that it means."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from monitor.health.causes import Cause
from monitor.health.evidence import Content, Step
from monitor.health.rules import Rule
from monitor.providers.kinds import Many, Pattern, ReadHeader, Status
from monitor.text.tomlfile import Duration, Place, Section, no_mistakes


class RuleEntry(Section):
    """A rule of the provider's own; the first match wins, before the rules of the standards.

    All that it names has to fit. `fields` are the further fields that `[errors] fields` names, `headers`
    those of `[errors] headers`, `text` what a body says that is not JSON.
    """

    step: (
        Literal[Step.REFRESH, Step.WHOAMI, Step.SCOPE, Step.CALLBACK, Step.EXCHANGE, Step.AUTHORIZE] | None
    ) = None
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
        found: list[tuple[Place, str]] = []
        if self.cause is Cause.OK:
            found.append((("cause",), "a rule names a failure; 'ok' is what remains when none matches"))
        named = (self.status, self.error, self.description, self.challenge, self.content, self.text)
        if all(value is None for value in named) and not self.fields and not self.headers:
            nothing = (
                "a rule has to name a status, error, description, challenge, content, text, field or header"
            )
            found.append(((), nothing))
        if self.setting and self.cause is not Cause.POLICY_BLOCKED:
            found.append((("setting",), "setting goes with cause = 'policy_blocked' alone"))
        if self.step is Step.CALLBACK:
            found += self._fits_a_callback()
        if self.text is not None and self.content not in (None, Content.OTHER):
            text = "text is of a body that is neither JSON nor HTML: leave content out"
            found.append((("content",), text))
        no_mistakes(found)
        return self

    def _fits_a_callback(self) -> list[tuple[Place, str]]:
        """A browser brings `error` and `error_description` back, and nothing else (RFC 6749 4.1.2.1)."""
        found: list[tuple[Place, str]] = []
        brought = {"step", "error", "description", "setting", "cause"}
        if more := sorted(self.model_fields_set - brought):
            found.append(((more[0],), f'step = "callback" has error and description alone, no {more[0]}'))
        if self.cause is not Cause.POLICY_BLOCKED:
            found.append((("cause",), "step = \"callback\" goes with cause = 'policy_blocked' alone"))
        return found

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
