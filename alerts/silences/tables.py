"""The table of silences."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text, false
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table


class Silence(SQLModel, table=True):
    """What nobody is told about: everything, or one provider, app, client or connection.

    It begins at `begun_at`, also when that is yet to come. One that pauses is a maintenance window: its
    connections are not looked at while it holds.
    """

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(sa_type=Text)  # all, provider, app, client, connection
    name: str = Field(default="", sa_type=Text)
    reason: str = Field(default="", sa_type=Text)
    by: str = Field(sa_type=Text)
    begun_at: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pauses: bool = Field(default=False, sa_column_kwargs={"server_default": false()})


silence = table(Silence)
