"""What comes in is taken strictly: unknown names are refused, a number is no string, text has no controls."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

# NUL, which PostgreSQL does not store, and what steers a terminal; a text of several lines may break them.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BREAKS = re.compile("[\t\n\r]")


def _no_controls(value: str) -> str:
    if _CONTROLS.search(value):
        raise ValueError("holds a control character")
    return value


def _one_line(value: str) -> str:
    if _BREAKS.search(_no_controls(value)):
        raise ValueError("holds a line break or a tab")
    return value


def whole(value: Any) -> Any:
    """Take a number of a query as it is written (a validator)."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("is no whole number of at most nine digits")
    return int(value) if isinstance(value, str) else value


LONGEST = timedelta(days=3653)
_SPAN = re.compile(r"([0-9]{1,9})([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _span(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is no length of time: 90, 90s, 5m, 2h, 3d")
    try:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ValueError("is longer than there is time") from None


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the years that there are") from None


def _bounded(value: timedelta) -> timedelta:
    if value > LONGEST:
        raise ValueError("is longer than ten years")
    return value


# Text of several lines, and of one.
Prose = Annotated[str, AfterValidator(_no_controls)]
Line = Annotated[str, AfterValidator(_one_line), Field(max_length=1000)]
Name = Annotated[str, AfterValidator(_one_line), Field(min_length=1, max_length=200)]
# A number of a query, and a length of time: `90` (seconds), `90s`, `5m`, `2h`, `3d`.
Whole = Annotated[int, BeforeValidator(whole)]
Number = Annotated[int, Field(ge=0, le=999_999_999), BeforeValidator(whole)]  # of an incident or a notice
Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    PlainSerializer(lambda span: f"{int(span.total_seconds())}s", when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,9}[smhd]?$"},
                {"type": "integer", "minimum": 0, "maximum": 999_999_999},
            ],
            "examples": ["90s", "5m"],
        }
    ),
]
Bounded = Annotated[Span, AfterValidator(_bounded)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]


class Given(BaseModel):
    """A body that comes in."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Shown(BaseModel):
    """A body that goes out: what is not declared is a fault of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)
