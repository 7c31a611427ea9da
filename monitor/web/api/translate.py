"""What the house says when something is wrong, as problems for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from monitor.errors import (
    ChangedMeanwhile,
    ConfigurationError,
    Conflict,
    Exists,
    ImportRefused,
    Invalid,
    NotAdmitted,
    NotFound,
    Refused,
    TokenHealthError,
    Unavailable,
)
from monitor.operations.actor import MayNot
from monitor.operations.database import unwell
from monitor.web.api.problems import Problem, Wrong

MOST_ERRORS = 100  # of one answer; an import may have a mistake in each line


def problem_of(error: Exception) -> Problem | None:
    """Return the problem that an error is, None for a fault of ours."""
    match error:
        case Problem():
            return error
        case NotAdmitted():
            after = error.after.total_seconds() if error.after is not None else None
            return Problem(error.code, str(error), after=after, remedies=error.remedies)
        case Unavailable():
            return Problem(error.code, str(error), after=error.after.total_seconds())
        case MayNot():
            return Problem("missing_scope", str(error), needs=error.right.value)
        case RequestValidationError():
            return Problem("invalid", errors=_wrong(error.errors(), ()))
        case ValidationError():
            return of_body(error)
        case ImportRefused():
            wrong = [Wrong("", line) for line in error.problems[:MOST_ERRORS]]
            return Problem(
                "invalid", f"{len(error.problems)} lines cannot be taken; nothing was.", errors=wrong
            )
        case ChangedMeanwhile():
            return Problem("changed_meanwhile", str(error), revision=error.revision)
        case Invalid():
            return Problem("invalid", errors=[Wrong(f"/{error.at}", error.said)], remedies=error.remedies)
        case TokenHealthError():
            return Problem(_code(error), str(error), remedies=error.remedies)
    return Problem("database_unavailable") if unwell(error) else None


@contextmanager
def in_query() -> Iterator[None]:
    """Say of what an operation finds wrong that it stands in the query."""
    try:
        yield
    except Invalid as error:
        raise Problem("invalid", errors=[Wrong(f"?{error.at}", error.said)]) from None


def _code(error: TokenHealthError) -> str:
    match error:
        case NotFound():
            return "not_found"
        case Exists():
            return "exists"
        case Refused():
            return "beyond_own_rights"
        case Conflict() | ConfigurationError():
            return "wrong_state"
    return "internal" if type(error) is TokenHealthError else "wrong_state"


def of_body(error: ValidationError) -> Problem:
    """Return what is wrong with a body: not JSON at all, or not what it should hold."""
    found = error.errors(include_url=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in found):
        return Problem("malformed", _without_input(found[0]["msg"]))
    return Problem("invalid", errors=_wrong(found, ()))


def _wrong(found: Sequence[Any], prefix: tuple[str, ...]) -> Iterable[Wrong]:
    for one in found[:MOST_ERRORS]:
        where = tuple(map(str, one["loc"]))
        yield Wrong(_pointer(where), _said(one))


def _pointer(where: tuple[str, ...]) -> str:
    if where[:1] == ("query",):
        return f"?{'.'.join(where[1:])}"
    if where[:1] in (("path",), ("header",)):
        return ".".join(where)
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in where)


def _said(one: Any) -> str:
    match one["type"]:
        case "extra_forbidden":
            return "is not known here"
        case "missing":
            return "is missing"
        case "value_error":
            return str(one["ctx"]["error"])
    message = str(one["msg"])
    return message[:1].lower() + message[1:]


def _without_input(message: str) -> str:
    """Say why it is no JSON; pydantic's words name a place, and no value."""
    return message.removeprefix("Invalid JSON: ")[:200]
