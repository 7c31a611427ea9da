"""The fleet's list as a file that spreadsheets open: what a filter chooses, in its order."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence

from monitor.health.listing import Filter, Listed, Sort
from monitor.operations import documents, fleet
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts

MEDIA = "text/csv"
PIECE = 1 << 16  # characters
COLUMNS = (
    "id", "client", "state", "cause", "owner", "since", "provider", "region", "app", "last_probe",
    "next_probe", "confidence", "refresh_in_doubt_since", "on_it", "on_it_until", "custody", "labels",
)  # fmt: skip
# What a spreadsheet takes for a formula (OWASP, "CSV Injection"): where a cell begins, and where one
# would that is split at the other separators that spreadsheets know by their country, or at a line's end.
_FORMULA = re.compile(r"(?:^|(?<=[;\t\r\n|]))(?=[\t\r\n]|[ \u00a0]*[=+\-@\uff1d\uff0b\uff0d\uff20])")


async def written(parts: Parts, actor: Actor, which: Filter, sort: Sort) -> AsyncIterator[str]:
    """Return the list as CSV (RFC 4180), a piece at a time, its header first; no cell is a formula."""
    actor.needs(Right.CONNECTIONS_READ)
    return _pieces(parts, actor, which, sort)


async def _pieces(parts: Parts, actor: Actor, which: Filter, sort: Sort) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    async for one in fleet.every(parts, actor, which, sort):
        writer.writerow([harmless(cell) for cell in _cells(one)])
        if text.tell() > PIECE:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cells(one: Listed) -> Sequence[object]:
    row = documents.listed(one)
    claim = row["claim"] or {"who": "", "until": ""}
    return (
        row["id"], row["client"], row["state"], row["cause"], row["owner"], row["since"], row["provider"],
        row["region"], row["app"], row["last_probe"], row["next_probe"], row["confidence"],
        row["refresh_in_doubt_since"], claim["who"], claim["until"], row["custody"],
        "; ".join(f"{name}={value}" for name, value in sorted(row["labels"].items())),
    )  # fmt: skip


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe stands before it."""
    return _FORMULA.sub("'", cell) if isinstance(cell, str) else cell
