"""The tables of the outbox: notices, what they are about, their deliveries, and who is not told now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Index, Text, false, text
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.tables import table


class Notice(SQLModel, table=True):
    """Something to be said to a client or the operator, once. Written with what it is about.

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
    matter: dict[str, Any] | None = Field(default=None, sa_type=JSON)  # what on-call is told, as it was

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

    `channel` is "email" for clients and the operator; on-call's have the name of their route.

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
            "delivery_open",
            "next_at",
            sqlite_where=text("state IN ('waiting', 'sending', 'handed')"),
            postgresql_where=text("state IN ('waiting', 'sending', 'handed')"),
        ),
    )


class Address(SQLModel, table=True):
    """An address that refused mail; tried again with the next notice, and cleared when it takes one."""

    address: str = Field(primary_key=True, sa_type=Text)
    refused_at: datetime = Field(sa_type=UtcDateTime)
    answer: str = Field(sa_type=Text)


class MailServer(SQLModel, table=True):
    """The mail server as it was last found, for people: since when it takes nothing, and why."""

    __tablename__ = "mail_server"
    name: str = Field(primary_key=True, sa_type=Text)
    down_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    answer: str = Field(default="", sa_type=Text)
    utf8: bool | None = None  # whether it offers SMTPUTF8; None while nobody could ask


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


class Fuse(SQLModel, table=True):
    """The last fuse before clients: one row. Blown while more first mails want out than the cap allows."""

    name: str = Field(primary_key=True, sa_type=Text)
    blown_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    wanted: int = 0
    released_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


notice = table(Notice)
notice_item = table(NoticeItem)
delivery = table(Delivery)
address = table(Address)
mail_server = table(MailServer)
silence = table(Silence)
fuse = table(Fuse)
