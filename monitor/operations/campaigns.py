"""Campaigns: clients who work are asked ahead of time, in waves, to approve again by a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from alerts.mails.truth import audience
from monitor.errors import ConfigurationError, Conflict, Invalid, NotFound, Remedy
from monitor.health import campaign as decided
from monitor.health.campaign import Forecast, Phase
from monitor.health.lifecycle import State
from monitor.health.listing import Filter, Sort
from monitor.operations import fleet, reach
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_post
from monitor.settings.parts import Parts
from monitor.store import campaigns, published
from monitor.store.campaigns import Campaign, Row
from monitor.text.ids import new_id
from monitor.text.names import one_line

LONGEST_REASON = 300
# What a filter may choose by, and the member of `Filter` that it is; beside these `q` and `label.NAME`.
WORDS = {
    "state": "states", "cause": "causes", "owner": "owners", "provider": "providers", "app": "apps",
    "client": "clients", "custody": "custodies", "id": "ids",
}  # fmt: skip
Chosen = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A campaign as somebody wants it: which connections, why, how fast, and by when."""

    chosen: Chosen
    reason: str
    pace: int
    until: date


@dataclass(frozen=True, slots=True)
class Draft:
    """Whom a campaign would ask, and how long that takes."""

    connections: tuple[str, ...]
    forecast: Forecast
    never_authorized: int  # they are asked for the first time anyway, and are no members
    elsewhere: Mapping[str, str]  # in another campaign, by its name
    without_contact: int
    not_healthy: int  # members whose turn comes when they work


def filter_of(chosen: Chosen) -> Filter:
    """Read which connections are meant. Raises Invalid for what is no filter, or none at all."""
    found: dict[str, Any] = {}
    labels: dict[str, str] = {}
    text = ""
    for name, values in chosen.items():
        if not values or not all(values):
            raise Invalid("filter", f"{name} has no value")
        if name in WORDS:
            found[WORDS[name]] = frozenset(values)
        elif name.startswith("label.") and len(values) == 1:
            labels[name.removeprefix("label.")] = values[0]
        elif name == "q":
            text = values[0]
        else:
            known = ", ".join([*WORDS, "q", "label.NAME"])
            raise Invalid("filter", f"{name!r} is nothing to choose connections by; those are {known}")
    if not (found or labels or text):
        raise Invalid("filter", "chooses nothing: say which connections are to be asked")
    return replace(Filter(labels=labels, text=text), **found)


async def draft(parts: Parts, actor: Actor, wanted: Wanted) -> Draft:
    """Say whom a campaign would ask, in how many waves, and whether it is in time; nothing is begun.

    Raises Invalid, and Refused for who sees a part of the fleet only.
    """
    actor.needs(Right.CONNECTIONS_READ)
    reach.whole(actor, "a campaign asks clients of more")
    _check(wanted, parts.clock.now())
    return await _draft(parts, actor, wanted)


async def _draft(parts: Parts, actor: Actor, wanted: Wanted) -> Draft:
    rows = [row async for row in fleet.every(parts, actor, filter_of(wanted.chosen), Sort.ID)]
    taken = await campaigns.elsewhere(parts.database)
    mine = {row.id: row for row in rows if not row.newcomer and row.id not in taken}
    audiences = await _audiences(parts, {row.client_name for row in mine.values()}, mine.keys())
    reached = {name for name, (_, contacts) in audiences.items() if contacts}
    clients = len({audiences[name][0] for name in reached})
    return Draft(
        tuple(sorted(mine)),
        decided.forecast(clients, wanted.pace, parts.clock.now(), wanted.until),
        sum(1 for row in rows if row.newcomer),
        {row.id: taken[row.id] for row in rows if row.id in taken},
        len(mine) - len(reached),
        sum(1 for row in mine.values() if row.health.state is not State.HEALTHY),
    )


async def _audiences(
    parts: Parts, names: set[str], ids: Collection[str]
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return of connections who is told together, and at which addresses."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    listed = sorted(names)
    async with parts.database.read() as conn:
        for start in range(0, len(listed), published.PART):
            for row in await published.standing(conn, listed[start : start + published.PART]):
                key = audience(row.client, row.contacts, row.locale, row.timezone)
                found[row.id] = (key, row.contacts)
    return {name: one for name, one in found.items() if name in ids}


def _check(wanted: Wanted, now: datetime) -> None:
    reason = wanted.reason
    if not reason.strip() or one_line(reason, LONGEST_REASON) != " ".join(reason.split()):
        said = f"is a sentence that clients read: one line of 1 to {LONGEST_REASON} characters"
        raise Invalid("reason", said)
    if wanted.until <= now.date():
        raise Invalid("until", f"{wanted.until.isoformat()} is no day to come")
    if (wanted.until - now.date()).days > 1100:
        raise Invalid("until", "is more than three years from now")
    filter_of(wanted.chosen)


async def begin(parts: Parts, actor: Actor, wanted: Wanted) -> tuple[Campaign, Draft]:
    """Begin a campaign: its first wave goes out as soon as clients are awake.

    Raises Invalid, Conflict where no connection is left for it, and ConfigurationError while mails are off.
    """
    actor.needs(Right.CONNECTIONS_WRITE)
    reach.whole(actor, "a campaign asks clients of more")
    now = parts.clock.now()
    _check(wanted, now)
    if build_post(parts) is None:
        raise ConfigurationError("Mails are off, since smtp.from is not set: nobody could be invited.")
    drafted = await _draft(parts, actor, wanted)
    if not drafted.connections and not drafted.elsewhere:
        raise Conflict("There is no such connection that was ever authorized: nobody could be asked.")
    if not drafted.connections:
        raise Conflict("Each of these connections is in another campaign, which is not over.")
    name = new_id("cmp")
    made = Campaign(
        name, " ".join(wanted.reason.split()), {k: list(v) for k, v in wanted.chosen.items()}, wanted.pace,
        wanted.until, Phase.RUNNING, "", False, now, actor.name, now, actor.name, None,
    )  # fmt: skip
    await campaigns.begin(parts.database, made, drafted.connections, now, actor.name)
    return await campaigns.show(parts.database, name), drafted


async def every(parts: Parts, actor: Actor) -> list[Campaign]:
    """Return all campaigns, newest first; none to who sees a part of the fleet only."""
    actor.needs(Right.CONNECTIONS_READ)
    return await campaigns.every(parts.database) if actor.only.whole else []


async def _find(parts: Parts, actor: Actor, name: str) -> Campaign:
    if not actor.only.whole:
        raise NotFound(f"There is no campaign {name!r}.", Remedy("campaigns.every", "shows those there are"))
    return await campaigns.show(parts.database, name)


async def pause(parts: Parts, actor: Actor, name: str, why: str = "") -> Campaign:
    """Invite and remind nobody until it is resumed. Raises NotFound, Conflict."""
    return await _move(parts, actor, name, Phase.PAUSED, why)


async def resume(parts: Parts, actor: Actor, name: str) -> Campaign:
    """Go on; what went wrong until now is taken as answered. Raises NotFound, Conflict."""
    return await _move(parts, actor, name, Phase.RUNNING, "")


async def stop(parts: Parts, actor: Actor, name: str, why: str = "") -> Campaign:
    """End it for good; links that are out go on working until they expire. Raises NotFound, Conflict."""
    return await _move(parts, actor, name, Phase.STOPPED, why)


async def _move(parts: Parts, actor: Actor, name: str, to: Phase, why: str) -> Campaign:
    actor.needs(Right.CONNECTIONS_WRITE)
    await _find(parts, actor, name)
    said = one_line(why, LONGEST_REASON)
    return await campaigns.move(parts.database, name, to, parts.clock.now(), actor.name, said)


# -- how far it is ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wave:
    """What came of a wave, in clients: written to, approved, and with whom something went wrong."""

    number: int
    began: date
    written_to: int
    approved: int
    mishaps: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is, in connections unless said otherwise."""

    campaign: Campaign
    connections: int
    clients: int
    far: Mapping[str, int]  # by `health.campaign.how_far`
    invited: int  # in all, whatever came of it
    opened: int
    approved_unasked: int  # before it was their turn
    without_contact: int
    not_healthy: int  # asked by a mail of their own, where their client can mend it
    days: tuple[tuple[date, int, int], ...]  # day, invited, approved
    waves: tuple[Wave, ...]
    left: Forecast  # of the clients still to come


async def show(parts: Parts, actor: Actor, name: str) -> Progress:
    """Return how far a campaign is. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    found = await _find(parts, actor, name)
    async with parts.database.read() as conn:
        rows = await campaigns.rows(conn, name)
    return progress(found, rows, parts.clock.now())


def progress(of: Campaign, rows: Sequence[Row], now: datetime) -> Progress:
    """Return how far a campaign with these connections is."""
    far = Counter(far_of(row) for row in rows)
    open_rows = [row for row in rows if row.known and row.approved_at is None]
    to_come = {_client(row) for row in open_rows if row.wave is None and row.contacts}
    invited = Counter(row.invited_at.date() for row in rows if row.invited_at)
    approved = Counter(row.approved_at.date() for row in rows if row.approved_at)
    return Progress(
        of,
        len(rows),
        len({_client(row) for row in rows}),
        {word: far[word] for word in decided.HOW_FAR},
        invited.total(),
        sum(1 for row in rows if row.opened_at),
        sum(1 for row in rows if row.approved_at and not row.invited_at),
        sum(1 for row in open_rows if not row.contacts),
        sum(1 for row in open_rows if row.state != State.HEALTHY),
        tuple((day, invited[day], approved[day]) for day in sorted(invited.keys() | approved.keys())),
        tuple(_waves(rows)),
        decided.forecast(
            len(to_come), of.pace, now, of.until, begun=any(row.wave is not None for row in rows)
        ),
    )


def far_of(row: Row) -> str:
    """Say in one word how far a connection came."""
    return decided.how_far(row.member)


def _client(row: Row) -> str:
    return audience(row.client, row.contacts, row.locale, row.timezone) if row.known else row.connection


def _waves(rows: Sequence[Row]) -> list[Wave]:
    found = []
    for number in sorted({row.wave for row in rows if row.wave is not None}):
        mine = [row for row in rows if row.wave == number]
        written = [row for row in mine if row.member.written_at is not None]
        found.append(
            Wave(
                number,
                min(row.chosen_at for row in mine if row.chosen_at is not None).date(),
                len({_client(row) for row in written}),
                len({_client(row) for row in mine if row.approved_at is not None}),
                len({_client(row) for row in mine if row.mishap}),
            )
        )
    return found


async def members(
    parts: Parts, actor: Actor, name: str, limit: int = 50, after: str = ""
) -> tuple[list[Row], str | None]:
    """Return a page of a campaign's connections, by id; and after which one the next page begins."""
    actor.needs(Right.CONNECTIONS_READ)
    await _find(parts, actor, name)
    async with parts.database.read() as conn:
        rows = await campaigns.rows(conn, name, after, limit + 1)
    return rows[:limit], rows[limit - 1].connection if len(rows) > limit else None


async def all_members(parts: Parts, actor: Actor, name: str) -> list[Row]:
    """Return all connections of a campaign, by id. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    await _find(parts, actor, name)
    async with parts.database.read() as conn:
        return await campaigns.rows(conn, name)
