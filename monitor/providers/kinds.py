"""The kinds of values that stand in a provider file, each checked where it is read."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

import jmespath
import jmespath.exceptions
from pydantic import AfterValidator, BeforeValidator, Field

# `{values.realm}`: a value of the connection; `{hosts.token}`: a further host of the region.
PLACEHOLDER = re.compile(r"\{(values|hosts)\.([a-z][a-z0-9_]*)\}")
_BRACED = re.compile(r"\{\s*(?:values|hosts)\s*\.[^}]*\}?")
_HEADER = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_STATUS = re.compile(r"^[1-5](\d\d|xx)$")
_STANDARD_HEADERS = frozenset(
    {"authorization", "cookie", "host", "content-length", "content-type", "transfer-encoding", "connection"}
)

_SECRET_HEADERS = frozenset({"set-cookie", "set-cookie2", "authorization", "cookie"})


def _https(url: str) -> str:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise ValueError("is a URL that starts with https://")
    if parts.scheme == "http" and not local:
        raise ValueError("has to start with https://, since bearer tokens are sent there")
    if parts.query or parts.fragment:
        raise ValueError("is a URL without ? or #")
    return url.rstrip("/")


def _page(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.netloc:
        raise ValueError("is the https:// address of a page")
    return url


def templated(text: str) -> str:
    """Refuse placeholders that are none: `{values.NAME}` and `{hosts.NAME}`, in small letters."""
    for braced in _BRACED.findall(text):
        if not PLACEHOLDER.fullmatch(braced):
            raise ValueError(
                f"has {braced}, which is no placeholder; write {{values.name}} or {{hosts.name}}"
            )
    return text


def _path(path: str) -> str:
    if path and not path.startswith(("/", "{hosts.", "{values.")):
        raise ValueError(
            "is a path that starts with /, below the region's base_url, or with {hosts.NAME} or {values.NAME}"
        )
    return templated(path)


def _jmespath(expression: str) -> str:
    try:
        if expression:
            jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"is no JMESPath expression: {first}") from None
    return expression


def _pattern(expression: str) -> str:
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return expression


def _status(status: int | str) -> int | str:
    if not _STATUS.match(str(status)):
        raise ValueError(f"status {status!r} is a number such as 403, or a class such as '4xx'")
    return status


def _header_name(name: str) -> str:
    if not _HEADER.match(name):
        raise ValueError(f"{name!r} is no name of a header (RFC 9110 5.1)")
    return name.lower()


def _kept_header(name: str) -> str:
    if _header_name(name) in _SECRET_HEADERS:
        raise ValueError(f"{name!r} carries what is secret, so it is never kept")
    return name.lower()


def _sent_header(name: str) -> str:
    _header_name(name)
    if name.lower() in _STANDARD_HEADERS:
        raise ValueError(f"{name!r} is a header that the service itself sends")
    return name


def _sent_value(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError("a header's value is printable ASCII (RFC 9110 5.5)")
    return templated(text)


def _many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _languages(value: Any) -> Any:
    return {"en": value} if isinstance(value, str) else value


def _has_english(texts: dict[str, str]) -> dict[str, str]:
    if "en" not in texts:
        raise ValueError('has to say it in English, too: { en = "…", de = "…" }, or one text for all')
    return texts


BaseUrl = Annotated[str, AfterValidator(_https)]
OptionalUrl = Annotated[str, AfterValidator(lambda url: _https(url) if url else url)]
Page = Annotated[str, AfterValidator(_page)]
Path = Annotated[str, AfterValidator(_path)]
Query = Annotated[str, AfterValidator(_jmespath)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Status = Annotated[int | str, AfterValidator(_status)]
Many = Annotated[tuple[str, ...], BeforeValidator(_many)]  # one text, or a list of them
ReadHeader = Annotated[str, AfterValidator(_kept_header)]  # of an answer, by its lower-case name
SentHeaders = dict[Annotated[str, AfterValidator(_sent_header)], Annotated[str, AfterValidator(_sent_value)]]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
# A text in several languages, by their codes; English has to be there, and stands in for those left out.
Localized = Annotated[dict[str, str], BeforeValidator(_languages), AfterValidator(_has_english)]


def holds_of_nothing(expression: str) -> bool:
    """Whether a JMESPath finds something, as JMESPath has it, in a document without anything."""
    try:
        return bool(expression) and jmespath.search(expression, {}) not in (None, False, "", [], {})
    except jmespath.exceptions.JMESPathError:
        return False


def placeholders(text: str) -> set[tuple[str, str]]:
    """Return what a template needs, as ("values" or "hosts", name)."""
    return set(PLACEHOLDER.findall(text))
