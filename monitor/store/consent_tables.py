"""The tables of the road back: links, the trips that begin on them, and grants that wait for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Text, false
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table


def _time(**kw: Any) -> Any:
    return Field(sa_type=UtcDateTime, **kw)


def _text() -> Any:
    return Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})


def _no() -> Any:
    return Field(default=False, sa_column_kwargs={"server_default": false()})


def _owner_row() -> Any:
    owner = ForeignKey("connection.id", ondelete="CASCADE")
    return Field(sa_column=Column("connection", Text, owner, primary_key=True))


class Link(SQLModel, table=True):
    """A re-authorization link, by the hash of its secret. It serves one connection until it expires."""

    id: int | None = Field(default=None, primary_key=True)
    hash: str = Field(sa_type=Text, unique=True)
    connection: str = Field(
        sa_column=Column(Text, ForeignKey("connection.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    incident: int | None = None
    locale: str = Field(sa_type=Text)
    cause: str = Field(default="", sa_type=Text)
    sealed: str | None = Field(default=None, sa_type=Text)  # its secret, where it may be told again
    always: bool = False  # an operator's link: it starts also where nothing is broken
    made_at: datetime = _time()
    expires_at: datetime = _time()
    opened_at: datetime | None = _time(default=None)
    started_at: datetime | None = _time(default=None)
    used_at: datetime | None = _time(default=None)


class Consent(SQLModel, table=True):
    """One trip to the provider's consent page: bound to a browser, spent by its first callback.

    `outcome` is open, exchanging, or how it ended (`tokens.grant.Arrival`). `leftover` is a token that nobody
    needs any more, kept sealed until the provider has revoked it.
    """

    id: int | None = Field(default=None, primary_key=True)
    state_hash: str = Field(sa_type=Text, unique=True)
    browser_hash: str = Field(sa_type=Text)
    link: int = Field(sa_column=Column("link", ForeignKey("link.id", ondelete="CASCADE"), nullable=False))
    connection: str = Field(sa_type=Text, index=True)
    app: str = Field(sa_type=Text)
    redirect_uri: str = Field(sa_type=Text)
    verifier: str | None = Field(default=None, sa_type=Text)  # sealed
    begun_at: datetime = _time()
    expires_at: datetime = _time()
    spent_at: datetime | None = _time(default=None)
    outcome: str = Field(default="open", sa_type=Text)
    account_id: str | None = Field(default=None, sa_type=Text)
    account_name: str | None = Field(default=None, sa_type=Text)
    leftover: str | None = Field(default=None, sa_type=Text)  # a token to be revoked, sealed


class HeldGrant(SQLModel, table=True):
    """A first authorization that waits for a person (`store.bindings`): whose it is, and the pair, unused."""

    __tablename__ = "held_grant"
    connection: str = _owner_row()
    why: str = Field(sa_type=Text)  # asked, or the id of another client's connection that has the account
    account_id: str = Field(sa_type=Text)
    account_name: str | None = Field(default=None, sa_type=Text)
    user: str | None = Field(default=None, sa_type=Text)  # who approved, as the provider names them
    consent: int | None = None  # the trip it came by; None: a file
    held_at: datetime = _time()
    access: str = Field(sa_type=Text)
    refresh: str | None = Field(default=None, sa_type=Text)
    issued_at: datetime | None = _time(default=None)
    access_expires_at: datetime | None = _time(default=None)
    expiry_assumed: bool = _no()
    granted: list[str] | None = Field(default=None, sa_type=JSON)
    refresh_expires_at: datetime | None = _time(default=None)
    grant_ends_at: datetime | None = _time(default=None)
    # What the provider's [values] are in this grant, and the accounts that it reaches, as [id, name]: one of
    # these is named by whoever accepts.
    provider_values: dict[str, str] = Field(
        default_factory=dict, sa_type=JSON, sa_column_kwargs={"server_default": "{}"}
    )
    accounts: list[list[str]] = Field(
        default_factory=list, sa_type=JSON, sa_column_kwargs={"server_default": "[]"}
    )


link = table(Link)
consent = table(Consent)
held = table(HeldGrant)
