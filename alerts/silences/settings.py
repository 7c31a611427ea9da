"""[[silences]] of token-health.toml: what nobody is told about, and maintenance windows."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, model_validator

from alerts.silences.windows import Over, Weekly, Window
from monitor.text.tomlfile import Section


class SilenceSettings(Section):
    """[[silences]]: what nobody is told about, once or every week; with `pause`, a maintenance window."""

    name: str = Field(min_length=1)
    all: bool = False
    provider: str = ""
    app: str = ""
    client: str = ""
    connection: str = ""
    begin: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = None
    weekly: str = ""
    timezone: str = "UTC"
    reason: str = ""
    pause: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> SilenceSettings:
        if len(self._given) != 1:
            raise ValueError(
                f"silence {self.name!r} lies over one of: provider, app, client, connection, or all = true"
            )
        if bool(self.weekly) == bool(self.until):
            raise ValueError(f"silence {self.name!r} needs either weekly, or until (and perhaps from)")
        if self.begin and self.until and self.begin >= self.until:
            raise ValueError(f"silence {self.name!r} ends before it begins")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                f"silence {self.name!r}: {self.timezone!r} is no time zone; write Europe/Berlin"
            ) from None
        if self.weekly:
            Weekly.parse(self.weekly, self.timezone)
        return self

    @property
    def _given(self) -> list[tuple[Over, str]]:
        named = [(over, str(getattr(self, over.value))) for over in Over if over is not Over.ALL]
        return [item for item in named if item[1]] + ([(Over.ALL, "")] if self.all else [])

    def window(self) -> Window:
        """Return it as a value."""
        ((over, name),) = self._given
        weekly = Weekly.parse(self.weekly, self.timezone) if self.weekly else None
        begin: datetime | None = self.begin
        return Window(self.name, over, name, self.reason, self.pause, begin, self.until, weekly)
