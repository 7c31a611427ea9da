"""Takes secrets out of what is to be logged: by name, by type, by how a text looks, however deep. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

from monitor.health.evidence import redact
from monitor.secret import Secret
from monitor.text.echoes import REMOVED

LONGEST_TEXT = 2000  # characters of one value
LONGEST_WORD = 300  # of a value that is ours
MOST = 50  # entries of one list or dictionary
MOST_ALTOGETHER = 1000
DEEPEST = 12

# Names of fields whose text is secret, whatever it looks like; `connection_key` and the like are none.
_SECRET_NAME = re.compile(
    r"(^|_)(token|tokens|secret|secrets|password|passwd|passphrase|authorization|cookie|verifier|assertion"
    r"|credential|credentials|jwt|bearer|apikey|api_key|private_key|link)$"
    r"|^(code|auth_code|authorization_code|set_cookie|state)$"
)
# Our own words and names; rules such as rfc6749.invalid_grant+access_refused_early look like tokens.
_OUR_OWN = frozenset(
    {"timestamp", "level", "logger", "connection", "app", "rule", "was", "cause", "owner", "tick"}
    | {"exc_type", "filename", "lineno", "name"}
)
# An event of ours is a few words; whatever else comes as an event is a library's sentence.
_EVENT = re.compile(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)*")
_WORD = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*")
_NAMED = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-\s.]+")


def scrubbed(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of which nothing is secret, nothing endless, and everything plain data."""
    cleaner = _Cleaner()
    return {_key(key): cleaner.top(key, value) for key, value in event.items()}


class _Cleaner:
    """One event's: what it may still write, however it is nested."""

    def __init__(self) -> None:
        self._left = MOST_ALTOGETHER

    def top(self, key: str, value: Any) -> Any:
        if key == "event" and isinstance(value, str) and len(value) < 80 and _EVENT.fullmatch(value):
            return value
        return self._clean(key, value, 0)

    def _clean(self, name: str, value: Any, depth: int) -> Any:
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        number = isinstance(value, int | float) and not isinstance(value, Enum)
        if isinstance(value, Secret) or (_is_secret(name) and not (number and name == "code")):
            return REMOVED
        if number:
            return value
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._within(name, value, depth) if depth < DEEPEST and self._left > 0 else "…"
        return _text(name, value)

    def _within(self, name: str, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            found = {
                _key(key): self._clean(str(key), entry, depth + 1)
                for key, entry in itertools.islice(value.items(), MOST)
            }
            return found | {"…": f"{len(value) - MOST} more"} if len(value) > MOST else found
        # A pair such as a header: what the first names, the second is.
        if isinstance(value, list | tuple) and len(value) == 2 and _names_secret(value[0]):
            return [_text("", value[0]), REMOVED]
        cleaned = [self._clean(name, entry, depth + 1) for entry in itertools.islice(value, MOST)]
        return [*cleaned, f"… {len(value) - MOST} more"] if len(value) > MOST else cleaned


def _text(name: str, value: Any) -> str:
    text = _as_text(value)
    if name in _OUR_OWN and len(text) <= LONGEST_WORD and _WORD.fullmatch(text):
        return text
    return redact(text, LONGEST_TEXT)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: LONGEST_TEXT * 4]).decode("utf-8", "replace")
    try:
        if isinstance(value, Enum):
            return str(value.value)
        if isinstance(value, date | timedelta | PurePath):
            return str(value)
        return repr(value)
    except Exception as error:  # somebody's own repr: a line must be written all the same
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"


def _key(key: Any) -> str:
    return key if isinstance(key, str) and key.isidentifier() and len(key) < 32 else redact(str(key), 100)


def _names_secret(value: Any) -> bool:
    return isinstance(value, str | bytes) and _is_secret(_as_text(value))


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(_NAMED.sub("_", name).lower()) is not None
