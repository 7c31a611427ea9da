"""The tables of mails: addresses that refused one, and the mail server as it was found."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table


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


address = table(Address)
mail_server = table(MailServer)
