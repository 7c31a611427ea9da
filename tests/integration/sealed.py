"""Every sealed text of a database, found without the list that rotations go by; and whether it opens."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from monitor.store.engine import Database
from monitor.store.metadata import METADATA
from monitor.tokens.vault import Cell, Vault, read_key_file

APP = "clio/clio/us"


async def sealed_texts(database: Database, *tables: str) -> list[tuple[Cell, str]]:
    """Every sealed text of the database, or of some tables."""
    found = []
    async with database.read() as conn:
        for name in tables or METADATA.tables:
            rows = (await conn.execute(select(METADATA.tables[name]))).mappings()
            found += [text for row in rows for text in _texts(name, row)]
    return found


def sealed_in_file(path: Path, *tables: str) -> list[tuple[Cell, str]]:
    """The same of an SQLite file, in a hundredth of the time: a play looks after each of its steps."""
    with contextlib.closing(sqlite3.connect(path)) as plain:
        plain.row_factory = sqlite3.Row
        rows = [(name, dict(row)) for name in tables for row in plain.execute(f"SELECT * FROM {name}")]  # noqa: S608
    return [text for name, row in rows for text in _texts(name, row)]


def _texts(table: str, row: Mapping[str, Any]) -> Iterator[tuple[Cell, str]]:
    for column, value in row.items():
        if isinstance(value, str) and value.startswith(("v1.", "v2.")):
            yield _cell(table, row, column), value


def _cell(table, row, column) -> Cell:
    match table, column:
        case "credential" | "held_grant", _:
            return Cell("credential", row["connection"], column, APP)
        case "own_secret", _:
            return Cell(table, row["name"], column)
        case "consent", "verifier":
            return Cell(table, row["state_hash"][:32], column)
        case "consent", "leftover":
            return Cell(table, str(row["id"]), column)
        case "key_check", _:
            return Cell(table, row["key_id"], column)
    raise AssertionError(f"{table}.{column} holds a sealed text, and no rotation knows of it")


async def everything_opens(database: Database, keys: Path) -> None:
    all_open(await sealed_texts(database), keys)


def all_open(texts: Iterable[tuple[Cell, str]], keys: Path) -> None:
    """What a process that starts at this moment could read: the file as it is on disk, and nothing else."""
    vault = Vault(read_key_file(keys))
    for cell, sealed in texts:
        vault.open(sealed, cell)
