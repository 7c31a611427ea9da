"""The file of a backup: all rows as they were at one moment, checked as a whole, with no key in it.

A file is gzip'd lines of JSON: what it is (format, schema, the names of its keys), parts of tables, and at
the end how many rows there were with the SHA-256 of all lines before. It goes into SQLite or PostgreSQL,
whichever it came from. Stored tokens stay sealed; the keys that open them are backed up apart, or one file is
all that a thief needs.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import alerts.tables  # noqa: F401 - theirs are backed up, too
import monitor.store.campaign_tables
import monitor.store.consent_tables
import monitor.store.door_tables  # noqa: F401
from monitor import __version__
from monitor.clock import Clock
from monitor.errors import Conflict, KeyMissing, NotFound, Remedy, SchemaNotCurrent, TokenHealthError
from monitor.host import files
from monitor.store import audit, dumping, schema, sealing
from monitor.store.alone import alone
from monitor.store.dumping import Shape
from monitor.store.engine import Database
from monitor.tokens.vault import Vault

FORMAT, VERSION = "token-health backup", 1
LONGEST_LINE = 256 * 1024 * 1024  # characters; a part is some hundred rows


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup is of. `keys` has the known text under each key, to recognise it by."""

    revision: str
    made_at: datetime
    made_by: str
    keys: Mapping[str, str]
    tables: Mapping[str, Shape]

    def document(self) -> dict[str, Any]:
        """Return it as the first line has it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "schema": self.revision,
            "made_at": self.made_at.isoformat(),
            "made_by": self.made_by,
            "keys": dict(self.keys),
            "tables": [[s.name, s.columns, s.kinds] for s in self.tables.values()],
        }


@dataclass(frozen=True, slots=True)
class Done:
    """What a backup or a restore did."""

    head: Head
    rows: Mapping[str, int]
    in_doubt: int = 0


async def backup(database: Database, path: Path, clock: Clock, by: str) -> Done:
    """Write a backup while services run; nothing is left of one that fails. Raises Conflict over a file."""
    if await schema.current(database) != (revision := schema.head()):
        raise SchemaNotCurrent(
            f"{database.name}: its schema is not this version's.",
            Remedy("database.upgrade", "brings it there"),
        )
    shapes = {shape.name: shape for shape in dumping.shapes()}
    made_at, rows = clock.now(), Counter[str]()
    part = path.with_name(f".{path.name}.part")
    try:
        handle = files.create(part)
    except OSError as error:
        raise Conflict(f"{part}: cannot be written: {error.strerror}; nothing was backed up.") from None
    try:
        with os.fdopen(handle, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
                out = _Lines(packed)
                async with dumping.moment(database) as conn:
                    head = Head(revision, made_at, __version__, await sealing.checks_of(conn), shapes)
                    out.write(head.document())
                    for shape in shapes.values():
                        async for found in dumping.parts(conn, shape):
                            out.write({"table": shape.name, "rows": found})
                            rows[shape.name] += len(found)
                out.write({"rows": dict(rows), "sha256": out.digest})
            raw.flush()
            os.fsync(raw.fileno())
        os.link(part, path)  # as one step, and over nothing that is there
    except FileExistsError:
        raise Conflict(f"{path}: is there already; nothing was written. Name another file.") from None
    except OSError as error:
        raise TokenHealthError(
            f"{path}: cannot be written: {error.strerror}; nothing was backed up."
        ) from None
    finally:
        part.unlink(missing_ok=True)
    await audit.write_down(database, clock.now(), by, "database.backup", path.name, rows=rows.total())
    return Done(head, rows)


class _Lines:
    def __init__(self, out: gzip.GzipFile) -> None:
        self._out, self._sum = out, hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()

    def write(self, document: dict[str, Any]) -> None:
        line = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._sum.update(line)
        self._out.write(line)


async def restore(
    database: Database,
    path: Path,
    vault: Vault,
    clock: Clock,
    by: str,
    *,
    replace: bool,
    reused: Collection[str] = (),
) -> Done:
    """Put a backup into a database, whole or not at all. `reused`: apps whose refresh tokens do not rotate.

    Raises Conflict for a damaged file or a database that holds something (unless `replace`), KeyMissing
    without the backup's keys, SchemaNotCurrent for a newer version's, AlreadyRunning where a service runs.
    """
    head, rows = check(path)  # to its last byte, before anything is touched
    if not schema.knows(head.revision):
        raise SchemaNotCurrent(
            f"{path}: its schema is {head.revision}, which this version does not know: {head.made_by} made "
            "it. Install that version or a later one, and restore again."
        )
    _verify(vault, head.keys, path)
    await dumping.refuse_a_running_service(database)
    async with alone(database, "restore"):
        if not replace and not await dumping.is_empty(database):
            raise Conflict(
                f"{database.name}: holds connections or an audit already, so nothing was restored. Name an "
                "empty database.",
                Remedy("database.replace", "loses what is in this one", str(path)),
            )
        what = dumping.Restored(
            head.made_at,
            clock.now(),
            by,
            reused,
            {"of": head.made_at.isoformat(), "file": path.name},
        )
        in_doubt = await dumping.restore(database, head.revision, lambda: _parts(path, head), what)
    return Done(head, rows, in_doubt)


def _verify(vault: Vault, keys: Mapping[str, str], path: Path) -> None:
    missing = vault.missing(keys)
    if missing:
        raise KeyMissing(
            f"{path}: its tokens are sealed with {', '.join(missing)}, which is not among the keys at hand "
            f"({', '.join(vault.key_ids)}); nothing was restored. Put the key file's own backup in place, or "
            "add its lines to the key file: the first line seals, all of them open."
        )


def check(path: Path) -> tuple[Head, Mapping[str, int]]:
    """Read a backup to its end; return what it is and how many rows it holds. Raises Conflict, NotFound."""
    total, rows, head, end = hashlib.sha256(), Counter[str](), None, None
    for line in _lines(path):
        if end is not None:
            raise _damaged(path, "something follows its end")
        document = _document(path, line)
        if head is None:
            head = _head(path, document)
        elif "sha256" in document:
            end = document
            continue
        elif document.get("table") in head.tables and isinstance(document.get("rows"), list):
            rows[document["table"]] += len(document["rows"])
        else:
            raise _damaged(path, "it has a line that no backup has")
        total.update(line)
    if head is None or end is None:
        raise _damaged(path, "its end is missing")
    if end["sha256"] != total.hexdigest() or end.get("rows") != dict(rows):
        raise _damaged(path, "its checksum does not fit")
    return head, rows


def _parts(path: Path, head: Head) -> Iterator[tuple[Shape, list[list[Any]]]]:
    for line in _lines(path):
        document = _document(path, line)
        if "table" in document:
            yield head.tables[document["table"]], document["rows"]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as packed:
            while line := packed.readline(LONGEST_LINE):
                yield line
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no such file.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise _damaged(path, "it is cut off, or was never one") from None
    except OSError as error:
        raise Conflict(f"{path}: cannot be read: {error.strerror}.") from None


def _document(path: Path, line: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        if isinstance(document := json.loads(line), dict):
            return document
    raise _damaged(path, "it has a line that is no JSON object")


def _head(path: Path, document: dict[str, Any]) -> Head:
    if document.get("format") != FORMAT:
        raise _damaged(path, "it does not begin as one")
    if document.get("version") != VERSION:
        raise Conflict(
            f"{path}: is a backup of format {document.get('version')!r}, which a newer version reads."
        )
    try:
        return Head(
            document["schema"],
            datetime.fromisoformat(document["made_at"]).astimezone(UTC),
            str(document["made_by"]),
            dict(document["keys"]),
            {name: Shape(name, tuple(columns), tuple(kinds)) for name, columns, kinds in document["tables"]},
        )
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, "its first line is not whole") from None


def _damaged(path: Path, why: str) -> Conflict:
    return Conflict(
        f"{path}: is no whole backup of Token Health: {why}. Nothing was restored; take another one."
    )
