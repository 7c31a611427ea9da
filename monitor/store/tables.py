"""The tables.

A connection is three rows: who it is (`connection`, seldom written), how it is (`watch`, small and
written with each probe), and its credentials (`credential`, written with each refresh).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, Index, Text, false, text, true
from sqlmodel import Field, SQLModel

from monitor.health.lifecycle import State
from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table

_STATES = ", ".join(f"'{state.value}'" for state in State)


def _time(**kw: Any) -> Any:
    return Field(sa_type=UtcDateTime, **kw)


def _json(**kw: Any) -> Any:
    return Field(sa_type=JSON, **kw)


def _text() -> Any:
    return Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})


def _count(first: int = 0) -> Any:
    return Field(default=first, sa_column_kwargs={"server_default": str(first)})


def _no() -> Any:
    return Field(default=False, sa_column_kwargs={"server_default": false()})


def _yes() -> Any:
    return Field(default=True, sa_column_kwargs={"server_default": true()})


def _where(condition: str) -> Any:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _owner_row() -> Any:
    owner = ForeignKey("connection.id", ondelete="CASCADE")
    return Field(sa_column=Column("connection", Text, owner, primary_key=True))


class AppCheck(SQLModel, table=True):
    """How a door of an app is that clients pass when they connect: the last answer to a question there."""

    __tablename__ = "app_check"
    app: str = Field(primary_key=True, sa_type=Text)
    door: str = Field(primary_key=True, sa_type=Text)
    at: datetime = _time()
    outcome: str = Field(sa_type=Text)
    says: str = _text()
    rule: str = _text()
    refusals: int = _count()  # in a row
    since: datetime | None = _time(default=None)  # the first of them
    well_at: datetime | None = _time(default=None)
    next_at: datetime = _time()


class Connection(SQLModel, table=True):
    """Who a connection is: imported, and changed by people; its account also by the first good answer."""

    id: str = Field(primary_key=True, sa_type=Text)
    app: str = Field(sa_type=Text)
    provider: str = Field(sa_type=Text)
    region: str = Field(sa_type=Text)
    client_name: str = Field(sa_type=Text)
    contacts: list[str] = _json()
    locale: str = Field(default="en", sa_type=Text)
    timezone: str = Field(default="UTC", sa_type=Text)
    scopes: list[str] = _json()
    account_id: str | None = Field(default=None, sa_type=Text)
    account_name: str | None = Field(default=None, sa_type=Text)
    labels: dict[str, str] = _json()
    # What stands in its URLs and headers: the provider's [values], by name.
    provider_values: dict[str, str] = Field(
        default_factory=dict, sa_type=JSON, sa_column_kwargs={"server_default": "{}"}
    )
    created_at: datetime = _time()
    updated_at: datetime = _time()
    custody: str = Field(default="managed", sa_type=Text, sa_column_kwargs={"server_default": "managed"})
    handout: bool = _yes()  # whether programs get its access token
    revision: int = _count(1)  # counts the changes of what people configured of it
    claimed_by: str | None = Field(default=None, sa_type=Text)  # who said that they are on it
    claimed_until: datetime | None = _time(default=None)
    claimed_incident: int | None = None  # what they are on; None: the first authorization

    __table_args__ = (
        Index("connection_account", "account_id"),
        Index("connection_client", "client_name", "id"),
    )


class Watch(SQLModel, table=True):
    """How a connection is, when it is looked at next, and who is looking at it now.

    `lease_epoch` is the fencing number: whoever changes what a probe rests on raises it, and so does each
    verdict that is written; one that carries an older number is thrown away.
    """

    connection: str = _owner_row()
    app: str = Field(sa_type=Text)
    provider: str = Field(sa_type=Text)
    region: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    since: datetime | None = _time(default=None)
    cause: str = Field(default="ok", sa_type=Text)
    owner: str = Field(default="nobody", sa_type=Text)
    confidence: float = 0.0
    rule: str = Field(default="", sa_type=Text)
    candidate: str = Field(default="ok", sa_type=Text)
    streak: int = 0
    streak_since: datetime | None = _time(default=None)
    bad_since: datetime | None = _time(default=None)
    good_streak: int = 0
    flaps: float = 0.0
    flaps_at: datetime | None = _time(default=None)
    last_probe_at: datetime | None = _time(default=None)
    last_success_at: datetime | None = _time(default=None)
    last_seconds: float | None = None  # of the last probe
    paces: str = _text()  # how fast a day's good probes were answered (`monitor.health.paces`)
    next_probe_at: datetime | None = _time(default=None)  # None: not looked at (pending, paused)
    lease_by: str | None = Field(default=None, sa_type=Text)
    lease_until: datetime | None = _time(default=None)
    lease_epoch: int = 0
    judged_by: str | None = Field(default=None, sa_type=Text)  # the process that saw it change last
    others_asked_at: datetime | None = _time(default=None)  # when another process was asked to look
    scope_cursor: int = 0
    scope_checked_at: datetime | None = _time(default=None)
    scopes_all: bool = True  # check every scope with the next probe: right after an authorization
    reads: dict[str, str] = _json()  # scope -> last good read, since the authorization
    rests: str | None = Field(default=None, sa_type=Text)  # the maintenance that paused it, None: a person
    paused_until: datetime | None = _time(default=None)  # when a person's pause ends by itself, None: not
    brought_at: datetime | None = _time(default=None)  # by a signal, forward
    spared: bool = _no()  # a signal put its look off; never twice in a row
    sequence: int = _count()  # counts the events about it

    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="watch_state"),
        Index("watch_due", "app", "next_probe_at"),
        Index("watch_sums", "state", "cause", "owner", "provider", "app"),
        Index("watch_worst", "state", "owner", "since", "connection"),  # a list of the worst walks along it
        Index("watch_bad", "bad_since", **_where("bad_since IS NOT NULL")),
        Index("watch_lapses", "paused_until", **_where("paused_until IS NOT NULL")),
    )


class Credential(SQLModel, table=True):
    """A connection's tokens, sealed. `version` counts the pairs that were stored."""

    connection: str = _owner_row()
    access: str | None = Field(default=None, sa_type=Text)
    refresh: str | None = Field(default=None, sa_type=Text)
    version: int = 0
    issued_at: datetime | None = _time(default=None)
    access_expires_at: datetime | None = _time(default=None)
    authorized_at: datetime | None = _time(default=None)
    refresh_used_at: datetime | None = _time(default=None)
    granted: list[str] | None = Field(default=None, sa_type=JSON)
    lost: bool = False  # the refresh token is spent or given up (rotation.Journal.LOST)
    doubt_since: datetime | None = _time(default=None)  # a refresh's answer was lost: it may be spent
    doubt_tried_at: datetime | None = _time(default=None)  # when it was last sent again
    imported: str | None = Field(default=None, sa_type=Text)  # which tokens a file brought, as a hash
    expiry_assumed: bool = _no()  # the provider did not say when the access token ends: its file did
    refused_version: int | None = None  # the pair whose access token the provider's own API refused
    refresh_expires_at: datetime | None = _time(default=None)  # as an answer told: unless it is used before
    grant_ends_at: datetime | None = _time(default=None)  # as an answer told: whatever is done
    authorized_by: str | None = Field(default=None, sa_type=Text)  # whoami's user, at the last authorization
    demand_after: datetime | None = _time(default=None)  # no renewal on demand before: the last one failed

    # The calendar's: what ends first, by what an answer told, or by what the provider's file has.
    __table_args__ = (
        Index("credential_in_doubt", "doubt_since", **_where("doubt_since IS NOT NULL")),
        *(
            Index(f"credential_{column}", column, "connection", **_where(f"{column} IS NOT NULL"))
            for column in ("refresh_expires_at", "grant_ends_at")
        ),
        Index("credential_access_expires_at", "access_expires_at", "connection"),
        Index("credential_refresh_used_at", "refresh_used_at", "connection"),
        Index("credential_authorized_at", "authorized_at", "connection"),
    )


class RefreshJournal(SQLModel, table=True):
    """One line a refresh: written before the request, closed with what became of it.

    The unique index makes a refresh single-flight in all processes: only one line is open.
    """

    __tablename__ = "refresh_journal"
    id: int | None = Field(default=None, primary_key=True)
    connection: str = Field(
        sa_column=Column(Text, ForeignKey("connection.id", ondelete="CASCADE"), nullable=False)
    )
    process: str = Field(sa_type=Text)
    version: int
    begun_at: datetime = _time()
    ended_at: datetime | None = _time(default=None)
    outcome: str = Field(default="open", sa_type=Text)
    evidence: dict[str, Any] | None = Field(default=None, sa_type=JSON)  # of a refresh that got no answer

    __table_args__ = (
        Index("refresh_journal_single_flight", "connection", unique=True, **_where("ended_at IS NULL")),
        Index("refresh_journal_connection", "connection", "id"),
    )


class Incident(SQLModel, table=True):
    """A confirmed break: of a connection, or of something larger that its connections share.

    A *wave* is what the fleet guard holds of one provider's clients (`monitor.health.wave`); its members keep
    it as their parent when it is over, so that it never becomes what is usual.
    """

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    cause: str = Field(sa_type=Text)
    owner: str = Field(sa_type=Text)
    guard: bool = False  # the fleet guard is up over it now
    reasons: list[str] = _json()
    opened_at: datetime = _time()
    updated_at: datetime = _time()
    closed_at: datetime | None = _time(default=None)
    parent_id: int | None = Field(default=None, foreign_key="incident.id", index=True)
    # What was said of held mails: released, dropped; canary: its client is asked on trial.
    mails: str = _text()
    turned_at: datetime | None = _time(default=None)  # a connection's: since when its client mends it, or not
    ended: str = _text()  # how a connection's closed: alone, authorized; otherwise nothing
    told_at: datetime | None = _time(default=None)  # when its client was first told
    waits: str = _text()  # what its first mail waits for besides its time: doubt, trouble
    wave: bool = _no()
    # Of a wave (`monitor.health.wave.Wave` says what they mean):
    begun_at: datetime | None = _time(default=None)
    joined_at: datetime | None = _time(default=None)
    sent: int = _count()
    total: int = _count()
    tried: int = _count()
    sent_at: datetime | None = _time(default=None)
    spoken_at: datetime | None = _time(default=None)

    __table_args__ = (
        Index("incident_turned", "turned_at"),
        Index("incident_opened", "opened_at"),
        Index("incident_closed", "closed_at", **_where("closed_at IS NOT NULL")),
        Index("incident_one_open", "kind", "name", "wave", unique=True, **_where("closed_at IS NULL")),
    )


class History(SQLModel, table=True):
    """Every change of a verdict, with the evidence for it."""

    id: int | None = Field(default=None, primary_key=True)
    connection: str = Field(
        sa_column=Column(Text, ForeignKey("connection.id", ondelete="CASCADE"), nullable=False)
    )
    at: datetime = _time()
    state: str = Field(sa_type=Text)
    cause: str = Field(sa_type=Text)
    owner: str = Field(sa_type=Text)
    confidence: float
    rule: str = Field(sa_type=Text)
    scope: str | None = Field(default=None, sa_type=Text)
    reasons: list[str] = _json()
    evidence: list[dict[str, Any]] = _json()

    __table_args__ = (Index("history_connection", "connection", "id"), Index("history_at", "at"))


class ProbeCount(SQLModel, table=True):
    """How many probes found what, per connection and interval: the quiet part of the history."""

    __tablename__ = "probe_count"
    connection: str = _owner_row()
    bucket: int = Field(primary_key=True, sa_type=BigInteger)  # start of the interval, Unix seconds
    cause: str = Field(primary_key=True, sa_type=Text)
    probes: int
    seconds: float


class Audit(SQLModel, table=True):
    """What people and the service did. Triggers refuse to change or remove a line."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _time()
    actor: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    detail: dict[str, Any] = _json()

    __table_args__ = (Index("audit_subject", "subject", "id"),)


class FleetHour(SQLModel, table=True):
    """How many connections were alike at an hour: what the fleet is compared with a day after."""

    __tablename__ = "fleet_hour"
    hour: int = Field(primary_key=True, sa_type=BigInteger)  # its beginning, Unix seconds
    state: str = Field(primary_key=True, sa_type=Text)
    cause: str = Field(primary_key=True, sa_type=Text)
    owner: str = Field(primary_key=True, sa_type=Text)
    provider: str = Field(primary_key=True, sa_type=Text)
    app: str = Field(primary_key=True, sa_type=Text)
    connections: int


class Process(SQLModel, table=True):
    """A running service process; one whose beat is old is gone."""

    id: str = Field(primary_key=True, sa_type=Text)
    role: str = Field(sa_type=Text)
    version: str = Field(sa_type=Text)
    started_at: datetime = _time()
    beat_at: datetime = _time()
    # Which providers refuse this process alone, each with since when: its address may be barred there.
    blocked: dict[str, str] = Field(
        default_factory=dict, sa_type=JSON, sa_column_kwargs={"server_default": "{}"}
    )


class Duty(SQLModel, table=True):
    """Work that one process does for all: who holds it, until when."""

    name: str = Field(primary_key=True, sa_type=Text)
    holder: str = Field(sa_type=Text)
    until: datetime = _time()


class Budget(SQLModel, table=True):
    """When the next request of an app with an app-wide limit may start, whoever sends it."""

    app: str = Field(primary_key=True, sa_type=Text)
    free_at: datetime = _time()


class KeyCheck(SQLModel, table=True):
    """A known text under each encryption key in use: shows at start whether the key is the right one."""

    __tablename__ = "key_check"
    key_id: str = Field(primary_key=True, sa_type=Text)
    sealed: str = Field(sa_type=Text)
    added_at: datetime | None = _time(default=None)  # None: before this was written down


class OwnSecret(SQLModel, table=True):
    """A secret of the service's own, sealed: made once, and sealed anew with each rotation."""

    __tablename__ = "own_secret"
    name: str = Field(primary_key=True, sa_type=Text)
    sealed: str = Field(sa_type=Text)


connection = table(Connection)
watch = table(Watch)
credential = table(Credential)
journal = table(RefreshJournal)
incident = table(Incident)
history = table(History)
probe_count = table(ProbeCount)
audit = table(Audit)
fleet_hour = table(FleetHour)
process = table(Process)
duty = table(Duty)
budget = table(Budget)
key_check = table(KeyCheck)
secret = table(OwnSecret)
app_check = table(AppCheck)
