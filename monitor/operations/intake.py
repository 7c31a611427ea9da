"""Connections as files bring them: JSON Lines or CSV, every bad line named, none half taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from monitor.errors import ConfigurationError, ImportRefused, Invalid
from monitor.health.evidence import LONGEST_ACCOUNT, without_tokens
from monitor.operations import columns
from monitor.text import addresses
from monitor.text.jsontext import read_json
from monitor.text.names import unprintable
from monitor.text.tomlfile import Section, problems
from monitor.wire.apps import App
from monitor.wire.values import why_not

LARGEST_FILE = 200 * 1024 * 1024


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write one such as America/New_York") from None
    return name


_LANGUAGE = r"^[a-z]{2,3}([_-][A-Za-z0-9]{2,8})*$"
_ID = r"^[A-Za-z0-9][A-Za-z0-9._@:-]*$"


def _language(text: str) -> str:
    if not re.fullmatch(_LANGUAGE[1:-1], text):
        raise ValueError(f"{text[:40]!r} is no language; write one such as en, de or pt_BR")
    return text


def _name(text: str) -> str:
    if len(text) > 200:
        raise ValueError("is longer than 200 characters")
    if not re.fullmatch(_ID[1:-1], text):
        raise ValueError("is letters and digits, after the first one also . _ @ : -")
    return text


def _visible(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    if (found := unprintable(text)) is not None:
        raise ValueError(f"has line breaks or control characters in it ({found})")
    return text


def _short(most: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > most:
            raise ValueError(f"is longer than {most} characters")
        return _visible(text) if text else text

    return AfterValidator(check)


def _few(most: int) -> AfterValidator:
    def check(items: Any) -> Any:
        if len(items) > most:
            raise ValueError(f"has {len(items)} entries; {most} at most are taken")
        return items

    return AfterValidator(check)


Label = Annotated[str, _short(200)]


def _token(secret: SecretStr) -> SecretStr:
    """Refuse what no token is made of (RFC 6749 A.12: visible ASCII), such as a line break in it."""
    if any(not 0x21 <= ord(c) <= 0x7E for c in secret.get_secret_value()):
        raise ValueError("has spaces, line breaks or other characters that no token has")
    return secret


class Client(Section):
    """Whose connection it is."""

    name: Annotated[str, AfterValidator(_visible), _short(200)]
    contacts: Annotated[
        tuple[Annotated[str, AfterValidator(addresses.read)], ...], AfterValidator(addresses.once)
    ] = ()
    locale: Annotated[str, AfterValidator(_language), Field(json_schema_extra={"pattern": _LANGUAGE})] = "en"
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"


class Tokens(Section):
    """The tokens that the middleware holds today."""

    access_token: Annotated[SecretStr, Field(min_length=1), AfterValidator(_token)]
    refresh_token: Annotated[SecretStr, AfterValidator(_token)] | None = None
    expires_at: AwareDatetime | None = None


class Wanted(Section):
    """A connection as somebody wants it, but for its id."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True
    )

    app: Annotated[str, _short(100)]
    client: Client
    scopes: Annotated[tuple[Annotated[str, _short(200)], ...], _few(200)] = ()
    account_id: Annotated[str, _short(LONGEST_ACCOUNT)] | None = None
    tokens: Tokens | None = None
    labels: Annotated[dict[Label, Label], _few(50)] = Field(default_factory=dict)
    values: Annotated[dict[Label, Annotated[str, _short(500)]], _few(20)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_observed_yet(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "token_source" in data:
            raise ValueError(
                "token_source: connections whose tokens the middleware refreshes are not watched by this "
                "release; give tokens instead"
            )
        return data


class Record(Wanted):
    """One connection of an import file."""

    id: Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": _ID, "maxLength": 200})]


def read(path: Path, apps: Mapping[str, App]) -> list[Record]:
    """Read and check a whole file.

    Raises ImportRefused with one sentence a bad line; then nothing may be written.
    """
    records = parse(_text(path), apps, csv_=path.suffix.lower() == ".csv")
    if not records:
        raise ConfigurationError(f"{path}: there is no connection in this file.")
    return records


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line of a file that cannot be taken, and why, in one sentence."""

    line: int
    said: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What a file holds: its good records, and its bad lines."""

    records: list[Record]
    wrong: list[Wrong]


def parse(text: str, apps: Mapping[str, App], *, csv_: bool) -> list[Record]:
    """Do the same with a file's text, which may hold none. Raises ImportRefused."""
    found = look(text, apps, csv_=csv_)
    if found.wrong:
        raise ImportRefused([f"line {one.line}: {one.said}" for one in found.wrong])
    return found.records


def look(text: str, apps: Mapping[str, App], *, csv_: bool) -> Looked:
    """Read and check a file's text; nothing is raised for what is in it."""
    rows = columns.rows(text) if csv_ else _json_lines(text)
    found = Looked([], [])
    first_line: dict[str, int] = {}
    for line, row in rows:
        if isinstance(row, str):
            found.wrong.append(_wrong(line, row))
            continue
        try:
            record = Record.model_validate(row)
        except ValidationError as error:
            told = problems(error, Record)
            found.wrong.extend(_wrong(line, columns.of_column(one) if csv_ else one) for one in told)
            continue
        if (trouble := does_not_fit(record, apps)) is not None:
            found.wrong.append(_wrong(line, trouble))
        elif record.id in first_line:
            said = f"id {record.id!r} stands on line {first_line[record.id]} already"
            found.wrong.append(_wrong(line, said))
        else:
            first_line[record.id] = line
            found.records.append(record)
    return found


def _wrong(line: int, said: str) -> Wrong:
    return Wrong(line, without_tokens(said))


def one(given: Mapping[str, Any], apps: Mapping[str, App]) -> Record | list[str]:
    """Read one connection as somebody wrote it into a form; else what is wrong, a sentence each."""
    try:
        record = Record.model_validate(given)
    except ValidationError as error:
        return problems(error, Record)
    trouble = does_not_fit(record, apps)
    return record if trouble is None else [trouble]


def decoded(raw: bytes) -> str:
    """Read the bytes of a file. Raises Invalid for what is no text, or a workbook."""
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Invalid("file", "is a workbook or an archive; save the sheet as CSV (UTF-8) and choose that")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("file", f"is not UTF-8 text at byte {error.start}") from None


def may_hold_tokens(text: str) -> bool:
    """Whether something in a text looks like a token, under whatever heading it stands."""
    return without_tokens(text) != text


def is_csv(text: str) -> bool:
    """Whether a text is CSV, by how it begins: a line of JSON begins with a brace."""
    return not text.lstrip().startswith(("{", "["))


def does_not_fit(record: Record, apps: Mapping[str, App]) -> str | None:
    """Return why a record does not go with what is configured, None where it does."""
    app = apps.get(record.app)
    if app is None:
        if not apps:
            return f"app {record.app!r} is not configured: there is no [[apps]] yet. Add it there first"
        return f"app {record.app!r} is not configured; configured are {', '.join(apps)}"
    unknown = app.provider.unknown_scopes(record.scopes)
    if unknown:
        return f"scopes: {app.provider.title} has no {unknown[0]!r}; it has {', '.join(app.provider.scopes)}"
    return _values_do_not_fit(record, app)


def _values_do_not_fit(record: Record, app: App) -> str | None:
    for name, text in (record.values or {}).items():
        value = app.provider.values.get(name)
        if value is None or value.account:
            settable = [one for one, other in app.provider.values.items() if not other.account]
            return f"values: {app.provider.title} has no {name!r}; it has {', '.join(settable) or 'none'}"
        if (trouble := why_not(name, value, text, app.own)) is not None:
            return trouble
    account = (record.values or {}).get(app.provider.whoami.account_value)
    if None not in (account, record.account_id) and account != record.account_id:
        return f"account_id and values.{app.provider.whoami.account_value} are the same thing; give one"
    return None


def ending(records: Iterable[Record], apps: Mapping[str, App]) -> list[str]:
    """Return those whose tokens end, with nothing to renew them, though the provider could give it."""
    return [
        record.id
        for record in records
        if record.tokens is not None
        and not (record.tokens.refresh_token and record.tokens.refresh_token.get_secret_value())
        and (oauth := apps[record.app].provider.oauth).gives_refresh_token
        and (record.tokens.expires_at is not None or oauth.access_lifetime is not None)
    ]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigurationError(f"{path}: larger than 200 MiB; split it.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text at byte {error.start}.") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}.") from None


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    # Split at newlines only: str.splitlines also splits at U+2028, which may stand in a name.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = read_json(line)
        except ValueError as error:
            yield number, f"not JSON: {error}"
            if number == 1 and line.strip() in ("[", "[{"):
                return  # a whole array is wrong once, and not on each of its lines
            continue
        yield number, row if isinstance(row, dict) else "not a JSON object"


def needing_utf8(records: Iterable[Record]) -> list[tuple[str, str]]:
    """Return connections and contacts that only a mail server with SMTPUTF8 can be handed."""
    return [(r.id, to) for r in records for to in r.client.contacts if addresses.needs_utf8(to)]


def utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC."""
    return moment.astimezone(UTC) if moment is not None else None
