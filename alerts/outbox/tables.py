"""The tables of the outbox: notices, what they are about, their deliveries, and what holds them back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Index, Text, text
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table


class Notice(SQLModel, table=True):
    """Something to be said to somebody, once. Written with what it is about.

    States: waiting, sending, sent, failed (nobody takes it), withdrawn (no longer true).
    """

    id: int | None = Field(default=None, primary_key=True)
    slot: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    client: str = Field(sa_type=Text)
    audience: str = Field(sa_type=Text)  # client, contacts, language and zone, as a hash
    locale: str = Field(sa_type=Text)
    timezone: str = Field(sa_type=Text)
    recipients: list[str] = Field(sa_type=JSON)
    number: int = 0
    reason: str = Field(sa_type=Text)
    requested_by: str | None = Field(
        default=None, sa_type=Text
    )  # a person asked for it: no rule takes it back
    state: str = Field(default="waiting", sa_type=Text)
    outcome: str = Field(default="", sa_type=Text)
    planned_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    look_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # not before: a probe is on its way
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    matter: dict[str, Any] | None = Field(default=None, sa_type=JSON)  # what its story says, as it was

    __table_args__ = (
        Index(
            "notice_one_waiting",
            "audience",
            "slot",
            unique=True,
            sqlite_where=text("state = 'waiting' AND requested_by IS NULL"),
            postgresql_where=text("state = 'waiting' AND requested_by IS NULL"),
        ),
        Index(
            "notice_due",
            "due_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("notice_client", "client"),
        # What people leaf through by its state, and what programs are told, which is far more.
        Index(
            "notice_people",
            "state",
            "settled_at",
            "id",
            sqlite_where=text("slot <> 'webhook'"),
            postgresql_where=text("slot <> 'webhook'"),
        ),
        Index(
            "notice_programs",
            "state",
            "settled_at",
            "id",
            sqlite_where=text("slot = 'webhook'"),
            postgresql_where=text("slot = 'webhook'"),
        ),
        Index("notice_audience", "audience", "slot"),
    )


class NoticeItem(SQLModel, table=True):
    """One connection that a notice is about. `since` is when it broke, or will expire."""

    __tablename__ = "notice_item"
    notice: int = Field(
        sa_column=Column("notice", ForeignKey("notice.id", ondelete="CASCADE"), primary_key=True)
    )
    connection: str = Field(primary_key=True, sa_type=Text)
    incident: int | None = None
    cause: str = Field(sa_type=Text)
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (Index("notice_item_connection", "connection"),)


class Delivery(SQLModel, table=True):
    """One envelope: a notice to one address. The Message-ID is the same for every attempt.

    `channel` is the name of what it goes over: "email", or a route of on-call's.

    States: waiting, sending, handed (all but the final dot was sent), sent, unconfirmed (handed, and the
    answer was lost), refused (the address), failed, withdrawn.
    """

    id: int | None = Field(default=None, primary_key=True)
    notice: int = Field(
        sa_column=Column("notice", ForeignKey("notice.id", ondelete="CASCADE"), nullable=False)
    )
    channel: str = Field(default="email", sa_type=Text, sa_column_kwargs={"server_default": "email"})
    address: str = Field(sa_type=Text)
    message_id: str = Field(sa_type=Text, unique=True)
    state: str = Field(default="waiting", sa_type=Text)
    attempts: int = 0
    next_at: datetime = Field(sa_type=UtcDateTime)
    lease_by: str | None = Field(default=None, sa_type=Text)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    answer: str = Field(default="", sa_type=Text)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (
        Index("delivery_notice", "notice"),
        Index(
            "delivery_bad",
            "state",
            "notice",
            sqlite_where=text("state IN ('unconfirmed', 'refused', 'failed')"),
            postgresql_where=text("state IN ('unconfirmed', 'refused', 'failed')"),
        ),
        Index(
            "delivery_open",
            "next_at",
            sqlite_where=text("state IN ('waiting', 'sending', 'handed')"),
            postgresql_where=text("state IN ('waiting', 'sending', 'handed')"),
        ),
    )


class Fuse(SQLModel, table=True):
    """What holds messages back while more of them want out than a cap allows: a row each, by name."""

    name: str = Field(primary_key=True, sa_type=Text)
    blown_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    wanted: int = 0
    released_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


notice = table(Notice)
notice_item = table(NoticeItem)
delivery = table(Delivery)
fuse = table(Fuse)
