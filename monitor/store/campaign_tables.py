"""The tables of campaigns: what clients are asked ahead of time, and how far each connection came."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, Date, ForeignKey, Index, Text, false, text
from sqlmodel import Field, SQLModel

from monitor.store.engine import UtcDateTime
from monitor.store.metadata import table


def _time(**kw: Any) -> Any:
    return Field(sa_type=UtcDateTime, **kw)


def _text() -> Any:
    return Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})


class Campaign(SQLModel, table=True):
    """Clients who work are asked, in waves, to approve again by a day (`health.campaign.Phase`).

    `why` says why it is in its phase, `changed_by` who brought it there; what went wrong before `resumed_at`
    a person has answered.
    """

    id: str = Field(primary_key=True, sa_type=Text)
    reason: str = Field(sa_type=Text)
    chosen: dict[str, Any] = Field(sa_type=JSON)  # the filter that its members were found by
    pace: int  # so many clients a day at most
    until: date = Field(sa_type=Date)
    phase: str = Field(sa_type=Text)
    why: str = _text()
    halted: bool = Field(default=False, sa_column_kwargs={"server_default": false()})  # by itself
    created_at: datetime = _time()
    created_by: str = Field(sa_type=Text)
    changed_at: datetime = _time()
    changed_by: str = Field(sa_type=Text)
    resumed_at: datetime | None = _time(default=None)


class CampaignMember(SQLModel, table=True):
    """A connection of a campaign. It stays on record when the connection is removed.

    `standing`: its campaign is not over; of those a connection has one at most. `chosen_at`: its wave took
    it; `invited_at`: the mail left. `mishap`: what went wrong last (`health.campaign.Mishap`).
    """

    __tablename__ = "campaign_member"
    campaign: str = Field(
        sa_column=Column("campaign", Text, ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True)
    )
    connection: str = Field(primary_key=True, sa_type=Text)
    standing: bool = True
    wave: int | None = None
    chosen_at: datetime | None = _time(default=None)
    invited_at: datetime | None = _time(default=None)
    opened_at: datetime | None = _time(default=None)
    approved_at: datetime | None = _time(default=None)
    mishap: str = _text()
    mishap_at: datetime | None = _time(default=None)
    left_at: datetime | None = _time(default=None)  # the connection was removed

    __table_args__ = (
        Index(
            "campaign_member_standing",
            "connection",
            unique=True,
            sqlite_where=text("standing"),
            postgresql_where=text("standing"),
        ),
    )


campaign = table(Campaign)
campaign_member = table(CampaignMember)
