"""Connections as rows of CSV: the columns, how a row is read, and how its mistakes are told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

COLUMNS = (
    "id",
    "app",
    "client_name",
    "contacts",
    "locale",
    "timezone",
    "scopes",
    "account_id",
    "access_token",
    "refresh_token",
    "expires_at",
)


def rows(text: str) -> Iterator[tuple[int, Any]]:
    """Read CSV with a header; `contacts` and `scopes` hold several, separated by spaces or semicolons."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        yield from _rows(reader)
    except csv.Error as error:
        said = "a field is longer than 128 KiB" if "field limit" in str(error) else f"not CSV: {error}"
        yield reader.line_num + 1, said


def _rows(reader: csv.DictReader[str]) -> Iterator[tuple[int, Any]]:
    header = reader.fieldnames or []
    if len(header) == 1 and ";" in header[0]:
        yield 1, "the columns are separated by semicolons; separate them by commas"
        return
    if twice := [name for name in header if list(header).count(name) > 1]:
        yield 1, f"column {twice[0]!r} stands there twice"
        return
    unknown = [n for n in header if n not in COLUMNS and not n.startswith(("label.", "value."))]
    missing = [n for n in ("id", "app", "client_name") if n not in header]
    if unknown or missing:
        said = f"unknown column {unknown[0]!r}" if unknown else f"column {missing[0]!r} is missing"
        yield 1, f"{said}; the columns are {', '.join(COLUMNS)}, label.NAME and value.NAME"
        return
    for row in reader:
        if None in row or None in row.values():
            yield reader.line_num, f"has another number of columns than the header's {len(header)}"
            continue
        yield reader.line_num, _record_of(row)


def _record_of(row: dict[str, str]) -> dict[str, Any]:
    def several(name: str) -> list[str]:
        return (row.get(name) or "").replace(";", " ").split()

    client: dict[str, Any] = {"name": row["client_name"], "contacts": several("contacts")}
    client |= {name: row[name] for name in ("locale", "timezone") if row.get(name)}
    record: dict[str, Any] = {
        "id": row["id"],
        "app": row["app"],
        "client": client,
        "scopes": several("scopes"),
        "labels": {n.removeprefix("label."): v for n, v in row.items() if n.startswith("label.") and v},
    }
    if row.get("account_id"):
        record["account_id"] = row["account_id"]
    values = {n.removeprefix("value."): v for n, v in row.items() if n.startswith("value.") and v}
    if values:
        record["values"] = values
    tokens = {n: row[n] for n in ("access_token", "refresh_token", "expires_at") if row.get(n)}
    if tokens:
        record["tokens"] = tokens
    return record


def template() -> str:
    """Return a file of no connection: the columns of an import."""
    return ",".join((*COLUMNS, "label.team")) + "\n"


_COLUMN = re.compile(
    r"(?:client\.(name)|client\.(\w+?)|tokens\.(\w+)|(labels|values)\.(.+?)|(\w+))(?:\.\d+)?: "
)


def of_column(sentence: str) -> str:
    """Name in a sentence the column that a line of CSV has, and not the place in its record."""
    match = _COLUMN.match(sentence)
    if match is None:
        return sentence
    name, client, token, kind, own, plain = match.groups()
    column = "client_name" if name else f"{kind[:-1]}.{own}" if kind else client or token or plain
    return f"{column}: {sentence[match.end() :]}"
