"""The tables of whoever comes in: keys, people, sessions, what programs said, and what they are told.

Secrets of programs and people stand here as hashes only; what has to be read again is sealed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Text, text
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table


def _time(**kw: Any) -> Any:
    return Field(sa_type=UtcDateTime, **kw)


def _key() -> Any:
    return Field(primary_key=True, sa_type=Text)


def _text() -> Any:
    return Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})


def _revision() -> Any:
    return Field(default=1, sa_column_kwargs={"server_default": "1"})


def _of_connection(**kw: Any) -> Any:
    return Field(
        sa_column=Column(
            "connection", Text, ForeignKey("connection.id", ondelete="CASCADE"), nullable=False, **kw
        )
    )


class ApiKey(SQLModel, table=True):
    """A program's key, by the hash of its text. While it is rotated, two texts are good.

    `handle` is what its text says that it is. `only` is what it is restricted to
    (`health.restriction.Restriction`), None: nothing. `told_days` is the last warning given before its end.
    """

    __tablename__ = "api_key"
    id: str = _key()
    handle: str = Field(sa_type=Text, unique=True)
    name: str = Field(sa_type=Text)
    hash: str = Field(sa_type=Text)
    old_hash: str | None = Field(default=None, sa_type=Text)
    old_until: datetime | None = _time(default=None)
    scopes: list[str] = Field(sa_type=JSON)
    only: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    made_by: str = Field(sa_type=Text)
    created_at: datetime = _time()
    expires_at: datetime = _time()
    last_used_at: datetime | None = _time(default=None)
    revoked_at: datetime | None = _time(default=None)
    exposed_at: datetime | None = _time(default=None)  # it stood in a URL, so in somebody's log
    told_days: int | None = None
    networks: list[str] | None = Field(default=None, sa_type=JSON)  # from where it read tokens
    revision: int = _revision()


class TokenUse(SQLModel, table=True):
    """How often a key read a connection's token in an hour, and which generation last."""

    __tablename__ = "token_use"
    key: str = _key()
    connection: str = _key()
    hour: int = Field(primary_key=True, sa_type=BigInteger)  # its start, Unix seconds
    count: int
    first_at: datetime = _time()
    last_at: datetime = _time()
    generation: int

    __table_args__ = (Index("token_use_connection", "connection"),)


class Person(SQLModel, table=True):
    """A person who may sign in: with a password here, or through the OIDC provider that named them."""

    id: str = _key()
    name: str = Field(sa_type=Text, unique=True)
    role: str = Field(sa_type=Text)
    password: str | None = Field(default=None, sa_type=Text)  # argon2id
    issuer: str | None = Field(default=None, sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = _time()
    signed_in_at: datetime | None = _time(default=None)
    revision: int = _revision()

    __table_args__ = (Index("person_subject", "issuer", "subject", unique=True),)


class Session(SQLModel, table=True):
    """Somebody who is signed in, by the hash of what the browser's cookie says."""

    hash: str = _key()
    person: str = Field(
        sa_column=Column(Text, ForeignKey("person.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    role: str = Field(sa_type=Text)
    created_at: datetime = _time()
    seen_at: datetime = _time()
    expires_at: datetime = _time()


class SignInAttempt(SQLModel, table=True):
    """One attempt to sign in, counted by the name that was tried and by the address, both as hashes."""

    __tablename__ = "sign_in_attempt"
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _time()
    name: str = Field(sa_type=Text)
    address: str = Field(sa_type=Text)

    __table_args__ = (
        Index("sign_in_attempt_name", "name", "at"),
        Index("sign_in_attempt_address", "address", "at"),
    )


class SignInTrip(SQLModel, table=True):
    """Somebody who is under way to the OIDC provider, by hashes of the state and of the browser's cookie."""

    __tablename__ = "sign_in_trip"
    state: str = _key()
    browser: str = Field(sa_type=Text)
    target: str = Field(sa_type=Text)  # the page that they wanted
    expires_at: datetime = _time()


class Idempotency(SQLModel, table=True):
    """What was answered to a request that carried an Idempotency-Key; sealed, as it may hold a secret."""

    id: str = _key()  # SHA-256 of who asked and the header's text
    request: str = Field(sa_type=Text)  # SHA-256 of method, path and body
    at: datetime = _time()
    running_until: datetime | None = _time(default=None)  # None: it is answered
    status: int | None = None
    answer: str | None = Field(default=None, sa_type=Text)  # headers and body, sealed

    __table_args__ = (Index("idempotency_at", "at"),)


class Signal(SQLModel, table=True):
    """What a program says that it saw of a connection; shown apart from what we saw."""

    id: str = _key()
    connection: str = _of_connection()
    received_at: datetime = _time()
    at: datetime | None = _time(default=None)
    key: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    generation: int | None = None
    asked: str = _text()
    scope: str | None = Field(default=None, sa_type=Text)
    status: int | None = None
    headers: dict[str, str] | None = Field(default=None, sa_type=JSON)
    says: str = _text()
    effect: str = Field(sa_type=Text)
    why: str = _text()
    times: int = Field(default=1, sa_column_kwargs={"server_default": "1"})  # with those it stands for

    __table_args__ = (
        Index("signal_connection", "connection", "received_at"),
        Index("signal_received", "received_at"),
    )


class Event(SQLModel, table=True):
    """Something that came about, for programs: written in the transaction in which it did.

    `number` is its place in the feed, given once it is committed, so that who reads on from a place misses
    nothing; None: not yet. `sequence` rises by connection.
    """

    id: str = _key()
    number: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    at: datetime = _time()
    type: str = Field(sa_type=Text)
    connection: str | None = Field(default=None, sa_type=Text)
    app: str | None = Field(default=None, sa_type=Text)
    labels: dict[str, str] | None = Field(default=None, sa_type=JSON)
    sequence: int | None = Field(default=None, sa_type=BigInteger)
    data: dict[str, Any] = Field(sa_type=JSON)

    __table_args__ = (
        Index(
            "event_unnumbered",
            "at",
            sqlite_where=text("number IS NULL"),
            postgresql_where=text("number IS NULL"),
        ),
        Index("event_at", "at"),
    )


class Job(SQLModel, table=True):
    """Work on many connections that a program asked for at once; whoever holds its lease goes on with it."""

    id: str = _key()
    principal: str = Field(sa_type=Text)
    actor: dict[str, Any] = Field(sa_type=JSON)  # who asked, and what they may, at that time
    action: str = Field(sa_type=Text)
    options: dict[str, Any] = Field(sa_type=JSON)
    ids: list[str] = Field(sa_type=JSON)
    done: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    failed: list[dict[str, str]] = Field(sa_type=JSON)
    state: str = Field(default="running", sa_type=Text)
    created_at: datetime = _time()
    ended_at: datetime | None = _time(default=None)
    lease_by: str | None = Field(default=None, sa_type=Text)
    lease_until: datetime | None = _time(default=None)

    __table_args__ = (
        Index(
            "job_running",
            "created_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("job_created", "created_at"),
    )


class Plan(SQLModel, table=True):
    """The fleet as somebody wants it, and what that would change; sealed, as it may hold tokens."""

    id: str = _key()
    principal: str = Field(sa_type=Text)
    created_at: datetime = _time()
    expires_at: datetime = _time()
    applied_at: datetime | None = _time(default=None)
    within: str = _text()
    rests_on: dict[str, Any] = Field(sa_type=JSON)  # revision of each connection that it was made from
    said: dict[str, Any] = Field(sa_type=JSON)  # what it would create, change and remove
    records: str = Field(sa_type=Text)

    __table_args__ = (Index("plan_expires", "expires_at"),)


class Webhook(SQLModel, table=True):
    """One endpoint, which events it wants, and the secrets that sign for it, sealed.

    `state`: active, disabled (by a person), gone (it answered 410) or failing (for too long). A secret whose
    key is lost is None, until it is rotated. `only` is the part of the fleet that it is told of.
    """

    id: str = _key()
    url: str = Field(sa_type=Text)
    events: list[str] = Field(sa_type=JSON)
    only: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    secret: str | None = Field(default=None, sa_type=Text)
    old_secret: str | None = Field(default=None, sa_type=Text)
    old_until: datetime | None = _time(default=None)
    state: str = Field(default="active", sa_type=Text)
    failing_since: datetime | None = _time(default=None)
    made_by: str = Field(sa_type=Text)
    created_at: datetime = _time()
    revision: int = _revision()


api_key = table(ApiKey)
token_use = table(TokenUse)
person = table(Person)
session = table(Session)
attempt = table(SignInAttempt)
trip = table(SignInTrip)
idempotency = table(Idempotency)
signal = table(Signal)
event = table(Event)
webhook = table(Webhook)
job = table(Job)
plan = table(Plan)
