"""TOML files that people write: read, checked, and their mistakes named by line."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, get_args

import durationpy
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from monitor.errors import ConfigurationError
from monitor.text.spans import EXACT, span


class Section(BaseModel):
    """A table of a file that people write: unknown keys are mistakes, and values are not echoed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Place = tuple[int | str, ...]  # of a value in a document: ("rules", 3, "status")
# What pydantic puts in between: the kinds of a union, and validators.
_BETWEEN = re.compile(r"\[key\]|int|str|bool|(function|constrained|literal|tuple|dict|list|lax|is)[-\[].*")


def no_mistakes(found: Iterable[tuple[Place, str]]) -> None:
    """Raise what a validator of a whole table found, each mistake at its own place, all at once."""
    details = [
        InitErrorDetails(type=PydanticCustomError("value_error", said), loc=place, input=None)
        for place, said in found
    ]
    if details:
        raise ValidationError.from_exception_data("file", details, hide_input=True)


def parse_duration(value: object) -> object:
    """Turn `30s`, `5m`, `12h`, `30d` or `1h30m` into a timedelta."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is a duration such as 30s, 5m, 12h or 30d, in quotes")
    try:
        span: timedelta = durationpy.from_str(value.strip())
    except Exception:  # durationpy raises its own DurationError, and KeyError for odd units
        raise ValueError(f"{value!r} is no duration; write 30s, 5m, 12h or 30d") from None
    if span < timedelta(0):
        raise ValueError(f"{value!r} is negative")
    return span


def show_duration(length: timedelta) -> str:
    """Write a duration the way it may be configured: parse_duration reads it back."""
    return span(length, units=EXACT, short=True)


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(show_duration, return_type=str)
]


def positive(span: timedelta) -> timedelta:
    """Refuse a duration of nothing (a validator)."""
    if span <= timedelta(0):
        raise ValueError("has to be longer than 0")
    return span


Positive = Annotated[Duration, AfterValidator(positive)]


def read_toml(path: Path, what: str) -> tuple[dict[str, Any], str]:
    """Return the document and its text. `what` names the kind of file in errors."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such {what}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot read this {what}: {error}.") from None
    try:
        return tomllib.loads(text), text
    except ValueError as error:  # not TOML, or a number of more digits than Python reads
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: no {what}: its lists are nested too deeply.") from None


def problems(error: ValidationError, model: type[BaseModel], text: str = "") -> list[str]:
    """Return one sentence a mistake: `line 12: oauth.token: …`.

    Only places and messages: a value that failed may be a secret.
    """
    sentences = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        loc = tuple(part for part in item["loc"] if isinstance(part, int) or not _BETWEEN.fullmatch(part))
        sentences.append(at_line(text, loc, _message(item["type"], item["msg"], loc, model)))
    return list(dict.fromkeys(sentences))


def at_line(text: str, place: Place, said: str) -> str:
    """Return a sentence about a value of a file, with its place: `line 12: oauth.token: …`."""
    line, where = find_line(text, place), ".".join(map(str, place))
    return f"{f'line {line}: ' if line else ''}{where or 'the file'}: {said}"


def _message(kind: str, message: str, loc: Sequence[int | str], model: type[BaseModel]) -> str:
    if kind == "missing":
        return "is required and not there"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[-1]), known_keys(model, loc[:-1]), n=1, cutoff=0.5)
        known = ", ".join(known_keys(model, loc[:-1]))
        return "there is no such key" + (f"; did you mean {near[0]!r}?" if near else f"; known are {known}")
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the keys that may stand at a place of a model."""
    current: type[BaseModel] | None = model
    for part in loc:
        if current is None:
            return []
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part)
        if field is None:
            # A key of a table that maps names to models, such as [regions.us]: stay at its model.
            continue
        current = _model_in(field.annotation)
    return sorted(f.alias or n for n, f in current.model_fields.items()) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for arg in get_args(annotation) if (m := _model_in(arg)) is not None), None)


def find_line(text: str, loc: Sequence[int | str]) -> int | None:
    """Return the line where a key stands, or the nearest table that should have it (1-based)."""
    if not text:
        return None
    names = [part for part in loc if isinstance(part, str)]
    index = next((part for part in loc if isinstance(part, int)), 0)
    lines = text.splitlines()
    best: int | None = None
    header, seen_array = "", -1
    for number, line in enumerate(lines, 1):
        table = re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line)
        if table:
            header = table.group(2).replace('"', "")
            if table.group(1) == "[[" and names and header == names[0]:
                seen_array += 1
            if names and _starts(names, header.split(".")) and (seen_array in (-1, index)):
                best = number
            continue
        key = re.match(r"\s*([A-Za-z0-9_.\"-]+)\s*=", line)
        if key and seen_array in (-1, index):
            full = (header.split(".") if header else []) + key.group(1).replace('"', "").split(".")
            if full == names:
                return number
            if full == names[: len(full)]:
                best = number  # the key of an inline table, or of a list
    return best


def _starts(names: list[str], prefix: list[str]) -> bool:
    return names[: len(prefix)] == prefix
