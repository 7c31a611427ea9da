"""Campaigns: clients who work are asked ahead of time, in waves, to approve again by a day."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Response
from pydantic import Field
from starlette.requests import Request

from monitor.errors import Invalid
from monitor.health import campaign as decided
from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.operations import campaign_reports, campaigns
from monitor.operations.actor import Right
from monitor.operations.campaigns import LONGEST_REASON, Wanted
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, page, place, sliced
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.shapes import Time
from monitor.web.api.strict import Given, Line, Name, Shown
from monitor.web.paths import of_api

ROUTES = Routes("Campaigns")
_REFUSED = ("wrong_state", "beyond_own_rights")


class CampaignFilter(Given):
    """Which connections are asked: each that is given has to hold, and of several values one."""

    ids: tuple[Name, ...] = Field(default=(), max_length=10_000)
    state: tuple[State, ...] = ()
    cause: tuple[Cause, ...] = ()
    owner: tuple[Owner, ...] = ()
    provider: tuple[Name, ...] = ()
    app: tuple[Name, ...] = ()
    client: tuple[Name, ...] = ()
    labels: dict[Line, Line] = Field(default_factory=dict)
    q: Line = ""

    def chosen(self) -> dict[str, list[str]]:
        """Return it as operations read it."""
        found = {
            "id": list(self.ids),
            "state": [one.value for one in self.state],
            "cause": [one.value for one in self.cause],
            "owner": [one.value for one in self.owner],
            "provider": list(self.provider),
            "app": list(self.app),
            "client": list(self.client),
            **{f"label.{name}": [value] for name, value in self.labels.items()},
            "q": [self.q] if self.q else [],
        }
        return {name: values for name, values in found.items() if values}


class CampaignGiven(Given):
    """A campaign as it is wanted. `reason` is a sentence that clients read, as it stands."""

    filter: CampaignFilter
    reason: Annotated[Line, Field(min_length=1, max_length=LONGEST_REASON)]
    wave: Annotated[Line, Field(max_length=20, examples=["50/d"])]
    until: Annotated[date, Field(strict=False)]

    def wanted(self) -> Wanted:
        """Return it as operations take it. Raises Invalid."""
        try:
            pace = decided.pace_of(self.wave)
        except ValueError as error:
            raise Invalid("wave", str(error)) from None
        return Wanted(self.filter.chosen(), self.reason, pace, self.until)


class Why(Given):
    """Why it is done, for whoever wonders."""

    why: Annotated[Line, Field(max_length=LONGEST_REASON)] = ""


class ForecastShown(Shown):
    """How long it takes if nothing goes wrong; `needs` is the least pace that is in time."""

    clients: int
    next_wave: int
    waves: int
    last_wave: str
    in_time: bool
    needs: str | None


class DraftShown(Shown):
    """Whom a campaign would ask, and how long that takes; `first` names a hundred of them at most."""

    connections: int
    first: list[str]
    forecast: ForecastShown
    never_authorized: int
    in_another_campaign: int
    without_contact: int
    not_healthy: int


class CampaignShown(Shown):
    """A campaign. `state` is running, paused, done, over (its time) or stopped; `why` says why."""

    id: str
    reason: str
    filter: dict[str, list[str]]
    wave: str
    until: str
    state: str
    why: str | None
    stopped_by_itself: bool
    created: Time
    by: str
    changed: Time
    changed_by: str


class CampaignsShown(Shown):
    """A page of campaigns."""

    items: list[CampaignShown]
    next: str | None


class ProgressCounts(Shown):
    """How many connections came how far; each stands in one of the words from `to_come` to `gone`."""

    connections: int
    clients: int
    to_come: int
    invited: int
    opened: int
    approved: int
    declined: int
    wrong_account: int
    unusable: int
    broke: int
    refused: int
    gone: int
    invited_in_all: int
    opened_in_all: int
    approved_unasked: int
    without_contact: int
    not_healthy: int


class WaveShown(Shown):
    """What came of a wave, in clients."""

    number: int
    began: str
    written_to: int
    approved: int
    went_wrong: int


class DayShown(Shown):
    """What came about on a day of UTC, in connections."""

    day: str
    invited: int
    approved: int


class CampaignProgress(CampaignShown):
    """A campaign, and how far it is."""

    progress: ProgressCounts
    waves: list[WaveShown]
    days: list[DayShown]
    to_come: ForecastShown


class MemberShown(Shown):
    """A connection of a campaign; contacts are whole for who may write to them."""

    connection: str
    client: str | None
    contacts: list[str]
    progress: str
    wave: int | None
    invited: Time | None
    opened: Time | None
    approved: Time | None
    went_wrong: str | None
    went_wrong_at: Time | None


class MembersShown(Shown):
    """A page of a campaign's connections."""

    items: list[MemberShown]
    next: str | None


class ReportShown(CampaignProgress):
    """What came of a campaign; a thousand connections at most are named in each list."""

    median_seconds_to_approve: int | None
    left: list[MemberShown]
    left_in_all: int
    wrong: list[MemberShown]
    wrong_in_all: int


@ROUTES.get("/campaigns", needs=Right.CONNECTIONS_READ, shows=CampaignsShown, problems=("bad_cursor",))
async def list_campaigns(
    request: Request, response: Response, parts: Here, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List campaigns, by id."""
    rows = [campaign_reports.campaign(one) for one in await campaigns.every(parts, actor)]
    return sliced(request, response, actor, rows, "id", limit, cursor)


@ROUTES.post(
    "/campaigns", needs=Right.CONNECTIONS_WRITE, takes=CampaignGiven, shows=CampaignShown, status=201,
    problems=_REFUSED,
)  # fmt: skip
async def create_campaign(
    response: Response, parts: Here, actor: Who, given: Annotated[CampaignGiven, BODY]
) -> Any:
    """Ask clients who work, in waves, to approve again by a day; the first wave is a small one."""
    made, _ = await campaigns.begin(parts, actor, given.wanted())
    response.headers["Location"] = of_api("campaigns", made.id)
    return campaign_reports.campaign(made)


@ROUTES.post(
    "/campaigns/preview", needs=Right.CONNECTIONS_WRITE, takes=CampaignGiven, shows=DraftShown,
    problems=("beyond_own_rights",), kept=False,
)  # fmt: skip
async def preview_campaign(parts: Here, actor: Who, given: Annotated[CampaignGiven, BODY]) -> Any:
    """Say whom a campaign would ask, in how many waves, and whether it is in time; nothing is begun."""
    return campaign_reports.draft(await campaigns.draft(parts, actor, given.wanted()))


@ROUTES.get("/campaigns/{campaign}", needs=Right.CONNECTIONS_READ, shows=CampaignProgress)
async def show_campaign(parts: Here, actor: Who, campaign: Name) -> Any:
    """Show a campaign, and how far it is."""
    return campaign_reports.progress(await campaigns.show(parts, actor, campaign))


@ROUTES.get(
    "/campaigns/{campaign}/members", needs=Right.CONNECTIONS_READ, shows=MembersShown,
    problems=("bad_cursor",),
)  # fmt: skip
async def list_members(
    request: Request, response: Response, parts: Here, actor: Who, campaign: Name, limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List the connections of a campaign, by id."""
    told = place(request, actor, cursor)
    after = str(told[0]) if told else ""
    rows, last = await campaigns.members(parts, actor, campaign, limit, after)
    shown = [campaign_reports.member(actor, row) for row in rows]
    return page(request, response, actor, shown, [last] if last is not None else None)


@ROUTES.get("/campaigns/{campaign}/report", needs=Right.CONNECTIONS_READ, shows=ReportShown)
async def report_campaign(parts: Here, actor: Who, campaign: Name) -> Any:
    """Report what came of a campaign: its sums, how long approving took, who is left, what went wrong."""
    return (await campaign_reports.report(parts, actor, campaign)).document()


@ROUTES.post(
    "/campaigns/{campaign}/pause", needs=Right.CONNECTIONS_WRITE, takes=Why, shows=CampaignShown,
    problems=("wrong_state",),
)  # fmt: skip
async def pause_campaign(parts: Here, actor: Who, campaign: Name, given: Annotated[Why, BODY]) -> Any:
    """Invite and remind nobody until it is resumed."""
    return campaign_reports.campaign(await campaigns.pause(parts, actor, campaign, given.why))


@ROUTES.post(
    "/campaigns/{campaign}/resume", needs=Right.CONNECTIONS_WRITE, takes=Given, shows=CampaignShown,
    problems=("wrong_state",),
)  # fmt: skip
async def resume_campaign(parts: Here, actor: Who, campaign: Name) -> Any:
    """Go on; what went wrong until now is taken as answered."""
    return campaign_reports.campaign(await campaigns.resume(parts, actor, campaign))


@ROUTES.post(
    "/campaigns/{campaign}/stop", needs=Right.CONNECTIONS_WRITE, takes=Why, shows=CampaignShown,
    problems=("wrong_state",),
)  # fmt: skip
async def stop_campaign(parts: Here, actor: Who, campaign: Name, given: Annotated[Why, BODY]) -> Any:
    """End a campaign for good; links that are out go on working until they expire."""
    return campaign_reports.campaign(await campaigns.stop(parts, actor, campaign, given.why))
