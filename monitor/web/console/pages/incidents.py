"""Incidents: what is open, which decision waits for a person, and what ended lately."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from monitor.health.causes import Owner
from monitor.operations import board, incident_story, records
from monitor.operations.actor import Right
from monitor.operations.board import Board
from monitor.web.console import incident_words
from monitor.web.console.answers import Shown
from monitor.web.console.declared import page
from monitor.web.console.pages.incident_acts import LARGEST, number
from monitor.web.console.texts import gettext as _
from monitor.web.console.texts import ngettext
from monitor.web.console.visit import Visit

HERE = "/incidents"
PAGE = 50


@page("/incidents", Right.INCIDENTS_READ)
async def show_incidents(visit: Visit) -> Shown:
    """Show what is open, the decisions that wait for a person first; or all that is over."""
    if visit.query.get("closed"):
        return await _closed(visit)
    found = await board.board(visit.parts, visit.actor)
    return Shown(
        "incidents.html.j2", _("Incidents"), HERE,
        board=found, verdict=_verdict(found), beside=_beside(found), eyes=_eyes(visit),
        may_act=visit.may(Right.INCIDENTS_OPERATE), may_hold=visit.may(Right.NOTICES_OPERATE),
        mailing=bool(visit.parts.loaded.settings.smtp.sender), words=incident_words,
    )  # fmt: skip


@page("/incidents/{number:int}", Right.INCIDENTS_READ)
async def show_incident(visit: Visit) -> Shown:
    """Show an incident whole: who belongs to it, what was said about it, and what became of it when."""
    one = number(visit)
    after = visit.query.get("after", "")
    found = await incident_story.story(
        visit.parts, visit.actor, one, PAGE, int(after) if after.isdecimal() and len(after) < 16 else 0
    )
    return Shown(
        "incident.html.j2", _("Incident %(number)s", number=one), HERE,
        story=found, after=after, timeline=incident_words.timeline(found), eyes=_eyes(visit),
        may_act=visit.may(Right.INCIDENTS_OPERATE), may_hold=visit.may(Right.NOTICES_OPERATE),
        may_audit=visit.may(Right.AUDIT_READ),
        mailing=bool(visit.parts.loaded.settings.smtp.sender), words=incident_words,
    )  # fmt: skip


async def _closed(visit: Visit) -> Shown:
    found = await board.ended(visit.parts, visit.actor, PAGE, _before(visit.query.get("before", "")))
    after = ""
    if found.before is not None:
        moment, number = found.before
        after = f"/incidents?closed=1&before={moment.timestamp():.6f}-{number}"
    return Shown(
        "incidents_closed.html.j2", _("Incidents that are over"), HERE, found=found, after=after,
        first=not visit.query.get("before"), words=incident_words,
    )  # fmt: skip


def _before(text: str) -> tuple[datetime, int] | None:
    """Read where a page begins; what is none of ours is the beginning."""
    moment, _dash, last = text.partition("-")
    try:
        return incident_words.moment(float(moment)), min(int(last), LARGEST)
    except (ValueError, OverflowError, OSError):
        return None


def _eyes(visit: Visit) -> Callable[[str], str]:
    """Return what shows people's words: who only looks sees no address whole in them."""
    return lambda text: str(records.for_eyes(visit.actor, text))


def _verdict(found: Board) -> str:
    if not found.open.total and not found.needs:
        return _("No incident is open.")
    stands = ngettext("%(n)s open incident.", "%(n)s open incidents.", found.open.total)
    if not found.needs:
        return f"{stands} {_('None needs you.')}"
    return f"{stands} {ngettext('%(n)s thing needs you.', '%(n)s things need you.', found.needs)}"


def _beside(found: Board) -> str:
    opened = found.open
    if not opened.total:
        return _("Whatever breaks is listed here, and whether it waits for you.")
    said = []
    if larger := opened.waves + sum(opened.shared.values()):
        said.append(
            ngettext("%(n)s stands for %(of)s connections together",
                     "%(n)s stand for %(of)s connections together", larger, of=f"{opened.members:,}")
        )  # fmt: skip
    if singles := sum(opened.single.values()):
        clients = opened.single.get(Owner.CLIENT.value, 0)
        alone = ngettext("%(n)s is a single connection", "%(n)s are single connections", singles)
        waits = ngettext("%(n)s waits for its client", "%(n)s wait for their clients", clients)
        said.append(f"{alone}, {waits}" if clients < singles else waits)
    return f"{'; '.join(said)}."
