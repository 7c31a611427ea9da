"""Where all tables are registered, the store's and those of alerts."""

from __future__ import annotations

from sqlalchemy import Table
from sqlmodel import SQLModel

METADATA = SQLModel.metadata


def table(model: type[SQLModel]) -> Table:
    """Return a model's Core table, for statements in bulk."""
    found = model.__table__  # type: ignore[attr-defined]
    assert isinstance(found, Table)  # noqa: S101 - for the type checker
    return found
