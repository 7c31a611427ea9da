"""From a reply to an answer: what rules match and people read. Pure.

Errors come in many shapes: RFC 6749's `error` and `error_description`, an object with `type` and
`message` (Clio's API), a `message` alone, a 200 that says `"ok": false` (Slack). The usual ones are
read here; a provider's file may name others.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jmespath

from monitor.health.evidence import Answer, Content, Step, redact
from monitor.health.rules import Rule, with_wait
from monitor.providers.schema import Errors
from monitor.secret import Secret
from monitor.text.echoes import without

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Reply

# No provider's pause is obeyed for longer: a header with a typo must not silence a connection for ever.
LONGEST_WAIT = timedelta(hours=24)
LONGEST_WINDOW = timedelta(hours=1)
MOST_TEXTS = 10  # of one further field
# A word with underscores, such as a long error code; a random token has digits, or letters of both kinds.
_CONSTANT = re.compile(r"[A-Z]+(_[A-Z]+)*|[a-z]+(_[a-z]+)*")
_DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
# The parts of WWW-Authenticate (RFC 9110 11.6.1): name=value of a challenge, or the scheme that begins one.
_PART = re.compile(r"""([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([\w-]+)""")


@lru_cache(maxsize=256)
def _query(expression: str) -> Any:
    return jmespath.compile(expression)


def pick_all(expressions: tuple[str, ...], document: Any) -> list[str | None]:
    """Return what each of several JMESPaths finds."""
    return [pick(expression, document) for expression in expressions]


@lru_cache(maxsize=256)
def _steps(expression: str) -> tuple[str, ...] | None:
    """Return the names of a plain dotted path, None where it takes the whole of JMESPath."""
    return tuple(expression.split(".")) if _DOTTED.match(expression) else None


def _scalar(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return str(value) if not isinstance(value, float) or math.isfinite(value) else None
    except ValueError:  # a whole number of thousands of digits
        return None


def pick(expression: str, document: Any) -> str | None:
    """Return what a JMESPath finds as text; numbers become text, everything else None."""
    if not expression:
        return None
    steps = _steps(expression)
    value = document
    if steps is not None:
        # Nearly all are paths like data.account.id; the interpreter takes ten times as long for these.
        for name in steps:
            value = value.get(name) if isinstance(value, dict) else None
        return _scalar(value)
    return _scalar(find(expression, document))


def read_as(
    step: Step, reply: Reply, errors: Errors, rules: tuple[Rule, ...], now: datetime
) -> tuple[Answer, Any]:
    """Read the reply to a step, with the wait that the provider's rules ask for where it names none."""
    answer, document = read(reply, errors, now)
    return with_wait(rules, step, answer, now), document


def pick_list(expression: str, document: Any) -> list[str | None]:
    """Return what a JMESPath finds as texts, one or a list of them; what is no text is None in its place."""
    found = find(expression, document)
    if isinstance(found, list):
        return [_scalar(one) for one in found]
    return [] if found is None else [_scalar(found)]


def find(expression: str, document: Any) -> Any:
    """Return what a JMESPath finds, as it is; None where it finds nothing, or cannot be followed."""
    try:
        return _query(expression).search(document) if expression else None
    except jmespath.exceptions.JMESPathError:
        return None


def read(reply: Reply, errors: Errors, now: datetime) -> tuple[Answer, Any]:
    """Return the answer, and the document it carried (None where it was not JSON)."""
    content, document = _content(reply)
    status = reply.status
    if status == 200 and content is Content.JSON and not _says_no(document, errors):
        pause = retry_at(reply, now) if reply.header(b"x-ratelimit-remaining") == "0" else None
        return (_PLAIN_OK if pause is None else Answer(200, retry_at=pause)), document
    sent = reply.sent
    error, description = _error(document, errors, status)
    challenge = _challenge(reply.headers(b"www-authenticate"))
    description = description or challenge.get("error_description")
    refusal = document is not None and holds(errors.refusal, document)
    failed = refusal or error is not None or not 200 <= status < 300
    return (
        Answer(
            status=status,
            content=content,
            error=_code(error, sent) if error else None,
            description=redact(description, 200, sent) if description else None,
            challenge=redact(challenge["error"], 80, sent) if challenge.get("error") else None,
            sample=redact(_text_of(reply.body), sent=sent) if status != 200 or error or refusal else "",
            retry_at=retry_at(reply, now),
            redirect=_host(reply.header(b"location") or "", sent) if 300 <= status < 400 else None,
            refusal=refusal,
            fields=_fields(errors, document, sent) if failed else (),
            headers=_headers(errors, reply) if failed else (),
        ),
        document,
    )


def _says_no(document: Any, errors: Errors) -> bool:
    """Whether there is any word of an error in a document, so that all of it has to be read."""
    return (
        "error" in document
        or (bool(errors.code) and pick(errors.code, document) is not None)
        or (bool(errors.refusal) and holds(errors.refusal, document))
    )


def _code(text: str, sent: tuple[Secret, ...]) -> str:
    """Return an error's code as rules compare it: a long word is no token, unless it is one that we sent."""
    if len(text) <= 80 and _CONSTANT.fullmatch(text):
        return without(text, sent)
    return redact(text, 80, sent)


def holds(expression: str, document: Any) -> bool:
    """Whether a JMESPath finds something that is true, as JMESPath has it."""
    value = find(expression, document)
    return value is not None and value is not False and value not in ("", [], {})


def _fields(
    errors: Errors, document: Any, sent: tuple[Secret, ...]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what the file's further fields have: texts, numbers as text, or lists of those."""
    found = []
    for name, expression in errors.fields.items():
        value = find(expression, document)
        several = value[:MOST_TEXTS] if isinstance(value, list) else [value]
        texts = tuple(_code(text, sent) for one in several if (text := _scalar(one)))
        if texts:
            found.append((name, texts))
    return tuple(found)


def _headers(errors: Errors, reply: Reply) -> tuple[tuple[str, str], ...]:
    """Return the headers that the file wants kept; several of a name are one (RFC 9110 5.3)."""
    said = ((name, reply.headers(name.encode())) for name in errors.headers)
    return tuple((name, redact(", ".join(texts), 300, reply.sent, ids=True)) for name, texts in said if texts)


def _text_of(body: bytes) -> str:
    return body[:2048].decode("utf-8", "replace")


def _host(location: str, sent: tuple[Secret, ...]) -> str | None:
    try:
        host = urlsplit(location).hostname
    except ValueError:  # http://[bad
        return None
    return redact(host, 253, sent) if host else None


_PLAIN_OK = Answer(200)


def _content(reply: Reply) -> tuple[Content, Any]:
    body = reply.body.strip()
    if not body:
        return Content.EMPTY, None
    if body[:1] in (b"{", b"["):
        try:
            document = json.loads(body.decode())
        except (ValueError, RecursionError):
            return Content.OTHER, None
        return Content.JSON, document
    start = body[:256].lstrip().lower()
    html = start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start
    return (Content.HTML if html else Content.OTHER), None


def _error(document: Any, errors: Errors, status: int) -> tuple[str | None, str | None]:
    if document is None:
        return None, None
    code = pick(errors.code, document)
    description = pick(errors.description, document)
    if not isinstance(document, dict):
        return code, description  # a list has no usual place
    stated = document.get("error")
    if isinstance(stated, dict):
        code = code or _text(stated.get("type")) or _text(stated.get("code"))
        description = description or _text(stated.get("message"))
    elif status >= 400 or isinstance(stated, str):
        code = code or _text(stated)
        description = (
            description or _text(document.get("error_description")) or _text(document.get("message"))
        )
    return code, description


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _challenge(headers: list[str]) -> dict[str, str]:
    """Return what a Bearer challenge says (RFC 6750 3); another scheme says nothing of ours."""
    said: dict[str, str] = {}
    for header in headers:
        scheme = ""
        for name, quoted, bare, begun in _PART.findall(header):
            if begun:
                scheme = begun.lower()
            elif scheme == "bearer":
                said.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or bare)
    return said


def retry_at(reply: Reply, now: datetime) -> datetime | None:
    """Return when the provider takes requests again, if it says so.

    Retry-After in seconds or as a date (RFC 9110 10.2.3); else, once nothing is left, X-RateLimit-Reset
    in Unix time.
    """
    text = reply.header(b"retry-after")
    wait: timedelta | None = None
    if text is not None:
        wait = asked_to_wait(text, now)
    elif (reply.header(b"x-ratelimit-remaining") or "").strip() == "0":
        try:
            reset = float(reply.header(b"x-ratelimit-reset") or "")
            # A moment on their clock, not ours: a clock that is off must not silence us for long.
            wait = min(datetime.fromtimestamp(reset, UTC) - now, LONGEST_WINDOW)
        except (ValueError, OverflowError, OSError):
            wait = None
    if wait is None or wait <= timedelta(0):
        return None
    return now + min(wait, LONGEST_WAIT)


def asks_to_come_again(reply: Reply, now: datetime) -> bool:
    """Whether a reply is no answer yet: an outage, or a limit with whatever status it is said."""
    return reply.status >= 500 or reply.status == 429 or retry_at(reply, now) is not None


def asked_to_wait(text: str, now: datetime) -> timedelta | None:
    """Read Retry-After, seconds or a date (RFC 9110 10.2.3); None for what is neither."""
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
