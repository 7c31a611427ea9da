"""What campaigns look like: as JSON has them, and the report that people keep of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from monitor.health.campaign import Forecast
from monitor.operations import campaigns
from monitor.operations.actor import Actor
from monitor.operations.campaigns import Draft, Progress, far_of
from monitor.operations.documents import iso, mask
from monitor.settings.parts import Parts
from monitor.store.campaigns import Campaign, Row
from monitor.text.names import one_line
from monitor.text.spans import span

MOST = 1000  # connections of a list in a report


def campaign(of: Campaign) -> dict[str, Any]:
    """Return a campaign."""
    return {
        "id": of.id,
        "reason": of.reason,
        "filter": {name: list(values) for name, values in of.chosen.items()},
        "wave": f"{of.pace}/d",
        "until": of.until.isoformat(),
        "state": of.phase.value,
        "why": of.why or None,
        "stopped_by_itself": of.waits_for_person,
        "created": iso(of.created_at),
        "by": of.created_by,
        "changed": iso(of.changed_at),
        "changed_by": of.changed_by,
    }


def forecast(of: Forecast) -> dict[str, Any]:
    """Return how long a campaign takes."""
    return {
        "clients": of.clients,
        "next_wave": of.first_wave,
        "waves": of.waves,
        "last_wave": of.last_wave.isoformat(),
        "in_time": of.in_time,
        "needs": f"{of.needed}/d" if of.needed else None,
    }


def draft(of: Draft) -> dict[str, Any]:
    """Return whom a campaign would ask."""
    return {
        "connections": len(of.connections),
        "first": list(of.connections[:100]),
        "forecast": forecast(of.forecast),
        "never_authorized": of.never_authorized,
        "in_another_campaign": len(of.elsewhere),
        "without_contact": of.without_contact,
        "not_healthy": of.not_healthy,
    }


def progress(of: Progress) -> dict[str, Any]:
    """Return how far a campaign is."""
    return campaign(of.campaign) | {
        "progress": {
            "connections": of.connections,
            "clients": of.clients,
            **dict(of.far),
            "invited_in_all": of.invited,
            "opened_in_all": of.opened,
            "approved_unasked": of.approved_unasked,
            "without_contact": of.without_contact,
            "not_healthy": of.not_healthy,
        },
        "waves": [
            {
                "number": one.number, "began": one.began.isoformat(), "written_to": one.written_to,
                "approved": one.approved, "went_wrong": one.mishaps,
            }
            for one in of.waves
        ],
        "days": [
            {"day": day.isoformat(), "invited": invited, "approved": approved}
            for day, invited, approved in of.days
        ],
        "to_come": forecast(of.left),
    }  # fmt: skip


def member(who: Actor, row: Row) -> dict[str, Any]:
    """Return a connection of a campaign; contacts are whole for who may write to them."""
    return {
        "connection": row.connection,
        "client": one_line(row.client) or None,
        "contacts": [to if who.reads_addresses else mask(to) for to in row.contacts],
        "progress": far_of(row),
        "wave": row.wave,
        "invited": iso(row.invited_at),
        "opened": iso(row.opened_at),
        "approved": iso(row.approved_at),
        "went_wrong": row.mishap or None,
        "went_wrong_at": iso(row.mishap_at),
    }


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a campaign: its sums, how long approving took, who is left, and what went wrong."""

    progress: Progress
    took: timedelta | None  # from the invitation to the approval, the median
    left: tuple[Row, ...]
    wrong: tuple[Row, ...]
    who: Actor

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return progress(self.progress) | {
            "median_seconds_to_approve": round(self.took.total_seconds()) if self.took is not None else None,
            "left": [member(self.who, row) for row in self.left[:MOST]],
            "left_in_all": len(self.left),
            "wrong": [member(self.who, row) for row in self.wrong[:MOST]],
            "wrong_in_all": len(self.wrong),
        }

    def markdown(self) -> str:
        """Return it as people keep it."""
        of, found = self.progress.campaign, self.progress
        why = f": {of.why}" if of.why else ""
        lines = [
            f"# Campaign {of.id}",
            "",
            f"> {_plain(of.reason)}",
            "",
            f"Begun {of.created_at:%Y-%m-%d} by {_plain(of.created_by)}, until {of.until.isoformat()}, "
            f"at most {of.pace} clients a day. It is **{of.phase.value}**{_plain(why)}.",
            "",
            "| | connections |",
            "|---|---:|",
            f"| in all ({found.clients} clients) | {found.connections} |",
            f"| invited | {found.invited} |",
            f"| opened the link | {found.opened} |",
            f"| **approved** | **{found.far['approved']}** |",
            f"| of these before they were asked | {found.approved_unasked} |",
            *(f"| {title} | {found.far[word]} |" for word, title in _TITLES.items() if found.far.get(word)),
            f"| still to come | {found.far['to_come']} |",
            "",
            f"From invitation to approval: {span(self.took, units=2) if self.took else '–'} (median).",
            "",
            "## By day",
            "",
            "| day | invited | approved |",
            "|---|---:|---:|",
            *(f"| {day.isoformat()} | {invited} | {approved} |" for day, invited, approved in found.days),
        ]
        lines += _listed("What went wrong", self.wrong, self.who)
        lines += _listed("Who is left", self.left, self.who)
        return "\n".join(lines) + "\n"


_TITLES = {
    "declined": "declined",
    "wrong_account": "approved with another account",
    "unusable": "approved what could not be used",
    "broke": "broke within an hour of approving",
    "refused": "did not take the mail",
    "gone": "removed meanwhile",
}


def _listed(title: str, rows: Sequence[Row], who: Actor) -> list[str]:
    if not rows:
        return []
    lines = ["", f"## {title}", "", "| connection | client | contacts | so far |", "|---|---|---|---|"]
    for row in rows[:MOST]:
        shown = member(who, row)
        contacts = ", ".join(shown["contacts"]) or "none on record"
        so_far = row.mishap or far_of(row)
        lines.append(
            f"| {row.connection} | {_plain(row.client)} | {_plain(contacts)} | {so_far.replace('_', ' ')} |"
        )
    return [*lines, f"\n… and {len(rows) - MOST} more."] if len(rows) > MOST else lines


def _plain(text: str) -> str:
    """Return a text as Markdown shows it: what people wrote is neither a table's end nor a link."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in one_line(text, 500))


async def report(parts: Parts, actor: Actor, name: str) -> Report:
    """Return what came of a campaign. Raises NotFound."""
    found = await campaigns.show(parts, actor, name)
    rows = await campaigns.all_members(parts, actor, name)
    took = [
        (row.approved_at - row.invited_at).total_seconds()
        for row in rows
        if row.approved_at and row.invited_at and row.approved_at > row.invited_at
    ]
    return Report(
        found,
        timedelta(seconds=median(took)) if took else None,
        tuple(row for row in rows if row.known and row.approved_at is None),
        tuple(row for row in rows if row.mishap),
        actor,
    )
