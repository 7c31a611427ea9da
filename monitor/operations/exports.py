"""Connections as files take them away; with tokens for whoever has the key file anyway."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from monitor.errors import Conflict
from monitor.host import files
from monitor.operations import documents
from monitor.operations.actor import Actor, Right
from monitor.operations.columns import COLUMNS
from monitor.settings.parts import Parts
from monitor.store import audit, connections
from monitor.store.connections import Known
from monitor.tokens.refresh import access_cell, refresh_cell


async def records(parts: Parts, actor: Actor, *, with_secrets: bool = False) -> AsyncIterator[dict[str, Any]]:
    """Return all connections as an import takes them; the audit has it first where tokens are among it."""
    actor.needs(Right.HOST if with_secrets else Right.CONNECTIONS_READ)
    fleet = [
        known
        for known in await connections.every(parts.database)
        if actor.only.covers(known.id, known.place.app, known.labels)
    ]
    if with_secrets:
        await audit.write_down(
            parts.database,
            parts.clock.now(),
            actor.name,
            "connections.export_secrets",
            "connections",
            count=len(fleet),
        )
    for known in fleet:
        found = documents.record(known)
        if not found["values"]:
            del found["values"]  # an import leaves those as they are that a client's authorization brings
        if not actor.reads_addresses:
            found["client"]["contacts"] = [documents.mask(one) for one in known.contacts]
        if with_secrets and known.sealed.access is not None:
            found["tokens"] = tokens_of(parts, known)
        yield found


async def write(found: AsyncIterator[dict[str, Any]], path: Path) -> int:
    """Write connections as JSON Lines into a new file for its owner only; return how many.

    Raises Conflict where the file is there already or cannot be written; then nothing is left of it.
    """
    try:
        handle = files.create(path)
    except FileExistsError:
        raise Conflict(f"{path}: is there already; nothing was written. Name another file.") from None
    except OSError as error:
        raise Conflict(f"{path}: cannot be written: {error.strerror}.") from None
    count = 0
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            async for one in found:
                file.write(json.dumps(one, ensure_ascii=False) + "\n")
                count += 1
    except BaseException:
        os.unlink(path)
        raise
    return count


async def as_csv(parts: Parts, actor: Actor) -> AsyncIterator[str]:
    """Return all connections as CSV that an import takes, a piece at a time, its header first."""
    found = [one async for one in records(parts, actor)]
    labels = sorted({name for one in found for name in one["labels"]})
    columns = [name for name in COLUMNS if name not in ("access_token", "refresh_token", "expires_at")]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*columns, *(f"label.{name}" for name in labels)])
    for one in found:
        flat = one | one["client"] | {"client_name": one["client"]["name"]}
        flat |= {name: " ".join(flat[name]) for name in ("contacts", "scopes")}
        writer.writerow(
            [*(flat[name] for name in columns), *(one["labels"].get(name, "") for name in labels)]
        )
        if text.tell() > 65536:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def tokens_of(parts: Parts, known: Known) -> dict[str, str]:
    """Return the tokens of a connection in clear, as an import takes them."""
    tokens = {}
    if known.sealed.access is not None:
        tokens["access_token"] = parts.vault.open(
            known.sealed.access, access_cell(known.id, known.place)
        ).reveal()
    if known.sealed.refresh is not None:
        tokens["refresh_token"] = parts.vault.open(
            known.sealed.refresh, refresh_cell(known.id, known.place)
        ).reveal()
    if known.sealed.access_expires_at is not None:
        tokens["expires_at"] = known.sealed.access_expires_at.isoformat()
    return tokens
