"""A connection changed in part: what is given takes the place of what is there, the rest stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.operations import connections, documents, imports
from monitor.operations.actor import Actor
from monitor.operations.intake import Record
from monitor.settings.parts import Parts


async def change(
    parts: Parts,
    actor: Actor,
    connection_id: str,
    patch: Mapping[str, Any],
    *,
    expected: int | None = None,
    handout: bool | None = None,
) -> None:
    """Change a connection by a merge patch (RFC 7396) of what people configured of it: None takes out.

    `expected` is the revision that it is taken to have; without, it rests on what is read here. Raises
    NotFound, Conflict where it was changed meanwhile, pydantic's ValidationError for what no connection is
    like, and what `imports.put_one` does.
    """
    known = await connections.show(parts, actor, connection_id)
    merged = _merged({k: v for k, v in documents.record(known).items() if k != "id"}, patch)
    merged.setdefault("values", {})  # None takes them out, and does not leave them as they are
    record = record_of(connection_id, merged)
    wanted = {connection_id: known.revision if expected is None else expected}
    await imports.put_one(parts, actor, record, wanted, handout)


def record_of(connection_id: str, wanted: Mapping[str, Any]) -> Record:
    """Read a connection as somebody wants it. Raises pydantic's ValidationError."""
    given = {name: value for name, value in wanted.items() if value is not None}
    return Record.model_validate({"id": connection_id} | given)


def _merged(known: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    found = dict(known) if isinstance(known, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = _merged(found.get(name), value)
    return found
