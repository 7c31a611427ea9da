"""The table of endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table


class Webhook(SQLModel, table=True):
    """One endpoint, which events it wants, and the secrets that sign for it, sealed.

    `state`: active, disabled (by a person), gone (it answered 410) or failing (for too long).
    """

    id: str = Field(primary_key=True, sa_type=Text)
    url: str = Field(sa_type=Text)
    events: list[str] = Field(sa_type=JSON)
    only: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    secret: str = Field(sa_type=Text)
    old_secret: str | None = Field(default=None, sa_type=Text)
    old_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: str = Field(default="active", sa_type=Text)
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    made_by: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    revision: int = Field(default=1, sa_column_kwargs={"server_default": "1"})


webhook = table(Webhook)
