"""Answers of a provider as somebody wrote them down: HTTP as `curl -i` prints it, and what it is about.

    # about: the client removed the app
    # verdict: revoked
    # proved: seen
    # source: where it is from
    # step: refresh
    HTTP/1.1 400 Bad Request
    content-type: application/json

    {"error": "invalid_grant"}

Several answers of one look follow one another, each below its `# step:`. A line of `#` without a key is a
note.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from monitor.errors import ConfigurationError
from monitor.health.causes import Cause
from monitor.text.tomlfile import parse_duration

if TYPE_CHECKING:
    from monitor.wire.client import Reply

SUFFIX = ".http"
LARGEST_FILE = 256 * 1024
# Verdicts besides the causes: a refused access token whose refresh is not among the answers; how a trip to
# the consent page ends; what a made-up code tells of our app.
REFRESHES = "refresh"
BORN_DEAD, DECLINED, REFUSED = "born_dead", "declined", "refused"
GOOD, UNCLEAR = "good", "unclear"
VERDICTS = (*Cause, REFRESHES, BORN_DEAD, DECLINED, REFUSED, GOOD, UNCLEAR)
STEPS = ("whoami", "refresh", "scope", "code", "callback", "exchange", "introspect")
PROVED = ("seen", "community", "unproved")
_KEY = re.compile(r"#\s*([a-z][a-z_]*):\s*(.*)")
_STATUS = re.compile(r"HTTP/\d(?:\.\d)?\s+(\d{3})\b")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)")
# Where an answer has no Date, it came at this time: only lifetimes and waits are counted from it.
SOME_DAY = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Message:
    """One answer, and to what: `code` is the token endpoint's to a code, `scope` the one that was checked."""

    step: str
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    scope: str | None = None

    @property
    def reply(self) -> Reply:
        """What the wire would have brought."""
        from monitor.wire.client import Reply

        return Reply(self.status, self.headers, self.body)

    @property
    def query(self) -> dict[str, str]:
        """What a browser brings back to us with it: the query of its Location (RFC 6749 4.1.2)."""
        for name, value in self.headers:
            if name.lower() == b"location":
                return dict(parse_qsl(urlsplit(value.decode("latin-1")).query))
        return {}

    @property
    def at(self) -> datetime | None:
        """When it was given, by its Date (RFC 9110 6.6.1)."""
        for name, value in self.headers:
            if name.lower() == b"date":
                try:
                    date = parsedate_to_datetime(value.decode("latin-1"))
                except ValueError:
                    return None
                return date if date.tzinfo else date.replace(tzinfo=UTC)
        return None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one file has: the answers of a look, what they must come to, and what was known before."""

    name: str
    verdict: str  # one of VERDICTS
    messages: tuple[Message, ...]
    about: str = ""
    source: str = ""
    proved: str = "unproved"
    rule: str | None = None  # the rule that must decide, where that matters
    heard: str | None = None  # what the refresh must mean for the token that was sent
    setting: str | None = None  # which of [settings] must be named
    account: str | None = None  # the one on record
    granted: frozenset[str] | None = None
    read_before: frozenset[str] = frozenset()
    idle: timedelta | None = None  # since the refresh token was last used
    age: timedelta | None = None  # since the client authorized
    access: timedelta = timedelta(hours=1)  # until the access token ends; 0: it has
    refresh_token: bool = True

    @property
    def at(self) -> datetime:
        """When it happened."""
        return next((m.at for m in self.messages if m.at is not None), SOME_DAY)


_OF_A_MESSAGE = ("step", "scope")
_OF_THE_ANSWERS = ("about", "verdict", "source", "proved", "rule", "heard", "setting")
_OF_BEFORE = ("account", "granted", "read_before", "idle", "age", "access", "refresh_token")
KEYS = (*_OF_THE_ANSWERS, *_OF_BEFORE, *_OF_A_MESSAGE)


class _Wrong(ValueError):
    """A line that cannot be read; its number and what is wrong with it."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")


def read_directory(directory: Path) -> list[Recorded]:
    """Read all answers of a directory. Raises ConfigurationError that names each mistake's file and line."""
    if not directory.is_dir():
        raise ConfigurationError(f"{directory}: there is no such directory.")
    paths = sorted(directory.rglob(f"*{SUFFIX}"))
    if not paths:
        raise ConfigurationError(f"{directory}: has no answers; a file of them ends with {SUFFIX}.")
    found, wrong = [], []
    for path in paths:
        name = path.relative_to(directory).as_posix()
        try:
            found.append(parse(name, _text(path)))
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        raise ConfigurationError(f"{directory}: answers that cannot be read:\n  " + "\n  ".join(wrong))
    return found


def _text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(text) > LARGEST_FILE:
        raise ValueError(f"is longer than {LARGEST_FILE // 1024} KiB")
    return text


def parse(name: str, text: bytes) -> Recorded:
    """Read one file. Raises ValueError that names the line."""
    said: dict[str, tuple[int, str]] = {}
    messages: list[Message] = []
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    number = 0
    while number < len(lines):
        line = lines[number].decode("utf-8", "replace").strip()
        number += 1
        if line.startswith("#"):
            _take(line, number, said)
        elif line.startswith("HTTP/"):
            number, message = _message(lines, number, line, said)
            messages.append(message)
        elif line:
            raise _Wrong(number, "an answer begins with its status line, such as HTTP/1.1 400 Bad Request")
    if not messages:
        raise _Wrong(max(number, 1), "there is no answer: HTTP/1.1 400 Bad Request, its headers and its body")
    return _recorded(name, said, tuple(messages))


def _take(line: str, number: int, said: dict[str, tuple[int, str]]) -> None:
    key = _KEY.fullmatch(line)
    if key is None:
        return  # a note
    word, value = key.group(1), key.group(2).strip()
    if word not in KEYS:
        near = difflib.get_close_matches(word, KEYS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(KEYS)}"
        raise _Wrong(number, f"there is no key {word!r}; {hint}")
    if word in said:
        raise _Wrong(number, f"{word} is there twice; line {said[word][0]} has it already")
    said[word] = (number, value)


def _message(
    lines: list[bytes], number: int, first: str, said: dict[str, tuple[int, str]]
) -> tuple[int, Message]:
    """Read a message from the line after its status line on; return where the next thing begins."""
    status = _STATUS.match(first)
    if status is None or not 200 <= int(status.group(1)) <= 599:
        raise _Wrong(
            number, f"{first[:40]!r} is no status line of an answer, such as HTTP/1.1 400 Bad Request"
        )
    at, step = said.pop("step", (number, ""))
    if step not in STEPS:
        raise _Wrong(at, f"# step: says to what it is an answer: {', '.join(STEPS)}")
    at, scope = said.pop("scope", (at, ""))
    if bool(scope) != (step == "scope"):
        raise _Wrong(at, "# scope: names the scope that was checked, of the step 'scope' alone")
    headers = []
    while number < len(lines) and lines[number].strip():
        header = _FIELD.fullmatch(lines[number].decode("latin-1").strip())
        if header is None:
            raise _Wrong(number + 1, "is no header (name: value); an empty line goes before the body")
        headers.append((header.group(1).encode(), header.group(2).encode("latin-1")))
        number += 1
    body = []
    number += 1
    while number < len(lines) and not re.match(rb"#\s*step:", lines[number]):
        body.append(lines[number])
        number += 1
    return number, Message(
        step, int(status.group(1)), tuple(headers), b"\n".join(body).strip(b"\n"), scope or None
    )


def _recorded(name: str, said: dict[str, tuple[int, str]], messages: tuple[Message, ...]) -> Recorded:
    def text(key: str) -> str:
        return said.get(key, (0, ""))[1]

    def words(key: str) -> frozenset[str]:
        return frozenset(text(key).replace(",", " ").split())

    for key in _OF_A_MESSAGE:
        if key in said:
            raise _Wrong(said[key][0], f"# {key}: has no answer below it")
    if text("verdict") not in VERDICTS:
        known = ", ".join(VERDICTS)
        raise _Wrong(said.get("verdict", (1, ""))[0], f"# verdict: says what must come of it, one of {known}")
    if (text("proved") or "unproved") not in PROVED:
        raise _Wrong(said["proved"][0], f"proved is one of {', '.join(PROVED)}")
    if (text("refresh_token") or "none") != "none":
        raise _Wrong(said["refresh_token"][0], "refresh_token is 'none', or left out where there is one")
    return Recorded(
        name,
        text("verdict"),
        messages,
        about=text("about"),
        source=text("source"),
        proved=text("proved") or "unproved",
        rule=text("rule") or None,
        heard=text("heard") or None,
        setting=text("setting") or None,
        account=text("account") or None,
        granted=words("granted") if "granted" in said else None,
        read_before=words("read_before"),
        idle=_length("idle", said),
        age=_length("age", said),
        access=_length("access", said) or (timedelta(hours=1) if "access" not in said else timedelta(0)),
        refresh_token="refresh_token" not in said,
    )


def _length(key: str, said: dict[str, tuple[int, str]]) -> timedelta | None:
    if key not in said:
        return None
    try:
        length = parse_duration(said[key][1])
    except ValueError as error:
        raise _Wrong(said[key][0], f"{key}: {error}") from None
    assert isinstance(length, timedelta)  # noqa: S101 - parse_duration returns nothing else of a text
    return length
