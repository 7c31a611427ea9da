"""What stands open, sorted by who has to act: the decisions that wait for a person first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from alerts.mails.fuse import FuseState
from alerts.mails.refusals import undeliverable
from alerts.mails.truth import audience
from alerts.outbox import listing as outbox
from alerts.outbox.listing import Told
from alerts.pages.called import Called
from monitor.health.breaks import CANARY
from monitor.health.causes import Owner, Subject
from monitor.health.holding import Held
from monitor.health.incidents import About
from monitor.health.listing import Filter, Listed
from monitor.health.pattern import Pattern, pattern
from monitor.health.question import Question, question
from monitor.health.wave import Members, Outcome, densest, members
from monitor.operations import accounts, incidents, notices, reach
from monitor.operations.actor import Actor, Right
from monitor.operations.blocks import Beside, Block, Sample, beside, blocks, calls_of, samples_of, trouble_of
from monitor.operations.incidents import Shown, Wanted
from monitor.settings.parts import Parts
from monitor.store import incident_details as details
from monitor.store import incident_pages, listing, waves
from monitor.store.bindings import HeldGrant
from monitor.store.incident_details import Open, Reader, Tally
from monitor.store.incident_pages import Seen
from monitor.text import addresses

SHARED = 50  # incidents that are shown whole
SINGLES = 20  # of the operator, a row each
FEW = 8  # of clients, and of those that ended lately
LARGER = [kind.value for kind in Subject if kind is not Subject.CONNECTION]


@dataclass(frozen=True, slots=True)
class Letters:
    """What releasing a wave would write: how many mails to how many addresses, and who gets none."""

    mails: int
    addresses: int
    nobody: int  # clients without an address
    refused: int  # addresses that refused mail before
    asleep: int  # mails that wait for the end of their readers' quiet hours


class Canary(NamedTuple):
    """A client that was asked on trial, and what came of it."""

    client: str
    connection: str
    told_at: datetime | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Decision:
    """A wave, as the question that it is, with all that one has to know to answer it."""

    block: Block
    question: Question
    pattern: Pattern
    letters: Letters
    clients: tuple[tuple[str, str], ...]  # those who are held, by name, each with a connection
    canaries: tuple[Canary, ...]
    members: Members

    @property
    def where(self) -> About:
        """The narrowest that all who are held have alike: their region, their app, or the provider."""
        region, app = self.pattern.trait("region"), self.pattern.trait("app")
        provider = self.block.shown.seen.about
        if region is not None and region.shared:
            return About(Subject.REGION, f"{provider.name}/{region.values[0][0]}")
        return About(Subject.APP, app.values[0][0]) if app is not None and app.shared else provider

    @property
    def beside(self) -> Beside:
        """How many connections there are in that, and elsewhere at the provider."""
        return beside(self.where, self.block.shares)

    def first(self, count: int) -> list[str]:
        """Return who would be asked first, by name."""
        return sorted(densest(self.members, count), key=str.casefold)


@dataclass(frozen=True, slots=True)
class Single:
    """The incident of one connection that is part of nothing larger."""

    shown: Shown
    row: Listed | None  # None: the connection was removed
    told: Told | None = None
    sample: Sample | None = None
    call: Called | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An incident that is over, with what became of its connections where several shared it."""

    shown: Shown
    tally: Tally
    row: Listed | None


@dataclass(frozen=True, slots=True)
class Board:
    """What stands at a moment; of clients' own incidents and of what ended lately the first few."""

    at: datetime
    open: Open
    decisions: tuple[Decision, ...]
    waiting: tuple[HeldGrant, ...]
    shared: tuple[Block, ...]  # the operator's first, then the longest broken
    ours: tuple[Single, ...]
    theirs: tuple[Single, ...]
    ended: tuple[Ended, ...]
    fuse: FuseState

    @property
    def left_out(self) -> int:
        """How many that several share are too many to be shown."""
        return self.open.waves + sum(self.open.shared.values()) - len(self.decisions) - len(self.shared)

    @property
    def needs(self) -> int:
        """How many things wait for a person of the operator."""
        return needing(self.open, len(self.waiting))


def needing(found: Open, waiting: int) -> int:
    """Return how many things wait for a person: waves, what is the operator's, and accounts that wait."""
    owner = Owner.OPERATOR.value
    return found.waves + found.shared.get(owner, 0) + found.single.get(owner, 0) + waiting


async def decisions(parts: Parts, actor: Actor) -> int:
    """Return how many things wait for a person of the operator, in one count."""
    actor.needs(Right.INCIDENTS_READ)
    return needing(await details.counted(parts.database), len(await accounts.waiting(parts, actor)))


async def board(parts: Parts, actor: Actor) -> Board:
    """Return what stands open. It is of the whole fleet. Raises Refused."""
    actor.needs(Right.INCIDENTS_READ)
    reach.whole(actor, "what stands open is of more")
    larger = await incident_pages.pressing(parts.database, Wanted(open=True, kinds=LARGER), SHARED)
    found = await blocks(parts, await incidents.those(parts, actor, larger))
    return Board(
        parts.clock.now(),
        await details.counted(parts.database),
        tuple(await _decisions(parts, [one for one in found if one.shown.seen.wave])),
        tuple(await accounts.waiting(parts, actor)),
        tuple(one for one in found if not one.shown.seen.wave),
        tuple(await _singles(parts, actor, Owner.OPERATOR, SINGLES)),
        tuple(await _singles(parts, actor, Owner.CLIENT, FEW)),
        tuple((await ended(parts, actor, FEW)).rows),
        await notices.fuse_now(parts, actor),
    )


async def decision(parts: Parts, actor: Actor, number: int) -> Decision | None:
    """Return an open wave as the question that it is; None for what is none, or over. Raises NotFound."""
    shown = await incidents.show(parts, actor, number)
    if not shown.seen.wave or shown.seen.closed_at is not None:
        return None
    reach.whole(actor, "a wave is held over more")
    return next(iter(await _decisions(parts, await blocks(parts, [shown]))), None)


async def _decisions(parts: Parts, found: Sequence[Block]) -> list[Decision]:
    if not found:
        return []
    held = {known.id: known for known in await waves.open_now(parts.database)}
    refused = {address.lower() for address, _, _ in await undeliverable(parts.database)}
    made = []
    for block in found:
        if (known := held.get(block.number)) is not None:
            letters = _letters(parts, await details.readers(parts.database, known.id), refused)
            made.append(_decision(parts, block, known.held, known.reasons, letters))
    return made


def _decision(parts: Parts, block: Block, held: Held, why: tuple[str, ...], letters: Letters) -> Decision:
    now, policy = parts.clock.now(), parts.loaded.settings.guard_policy.wave
    left = [one for one in held.breaks if one.untold]
    clients = {
        one.client: one.connection for one in sorted(left, key=lambda one: one.connection, reverse=True)
    }
    of = members(held.breaks, now)
    asked = question(block.shown.seen.about.name, held.wave, of, why, policy, now)
    ordered = sorted(clients.items(), key=lambda one: (one[0].casefold(), one[1]))
    return Decision(block, asked, pattern(left), letters, tuple(ordered), _canaries(held, of), of)


def _canaries(held: Held, of: Members) -> tuple[Canary, ...]:
    found = {one.client: one for one in held.breaks if one.mails == CANARY}
    return tuple(
        Canary(client, one.connection, one.told_at, of.outcome(client))
        for client, one in sorted(found.items(), key=lambda item: (item[1].at, item[0]))
    )


def _letters(parts: Parts, readers: Sequence[Reader], refused: set[str]) -> Letters:
    now, quiet = parts.clock.now(), parts.loaded.settings.mail_policy.quiet
    mails = {audience(one.client, one.contacts, one.locale, one.timezone): one for one in readers}
    written = [one for one in mails.values() if one.contacts]
    to = {addresses.mailbox(address) for one in written for address in one.contacts}
    return Letters(
        len(written),
        sum(len({addresses.mailbox(address) for address in one.contacts}) for one in written),
        len(mails) - len(written),
        len(to & refused),
        sum(quiet.allowed(now, one.timezone) > now for one in written),
    )


async def single(parts: Parts, shown: Shown) -> Single:
    """Return the incident of one connection with what one has to know of it."""
    return (await _with_rest(parts, [shown], 1))[0]


async def _singles(parts: Parts, actor: Actor, owner: Owner, limit: int) -> list[Single]:
    which = Wanted(open=True, owners=[owner.value], single=True)
    found = await incident_pages.pressing(parts.database, which, limit)
    return await _with_rest(parts, await incidents.those(parts, actor, found), limit)


async def _with_rest(parts: Parts, found: Sequence[Shown], limit: int) -> list[Single]:
    if not found:
        return []
    seen = [one.seen for one in found]
    rows = await _rows(parts, seen)
    told = await outbox.page(parts.database, outbox.Wanted(incidents=[one.id for one in seen]), 4 * limit)
    samples = await samples_of(parts, {one.id: one.about.name for one in seen})
    calls = await calls_of(
        parts,
        {
            one.id: trouble_of(one, row.place, row.client_name)
            for one in seen
            if (row := rows.get(one.about.name)) is not None
        },
    )
    return [
        Single(
            one,
            rows.get(name := one.seen.about.name),
            next((said for said in told if name in said.connections), None),
            samples.get(one.seen.id),
            calls.get(one.seen.id),
        )
        for one in found
    ]


async def _rows(parts: Parts, found: Sequence[Seen]) -> dict[str, Listed]:
    names = frozenset(one.about.name for one in found if one.about.kind is Subject.CONNECTION)
    if not names:
        return {}
    page = await listing.page(parts.database, Filter(ids=names), limit=len(names))
    return {row.id: row for row in page.rows}


@dataclass(frozen=True, slots=True)
class Over:
    """Some that are over, what ended last first; the next page is that `before` a time and a number."""

    rows: list[Ended]
    before: tuple[datetime, int] | None


async def ended(parts: Parts, actor: Actor, limit: int, before: tuple[datetime, int] | None = None) -> Over:
    """Return incidents that are over, and were no part of something larger; what ended last first."""
    actor.needs(Right.INCIDENTS_READ)
    wanted = Wanted(apart=True, only=actor.only)
    seen = await incident_pages.closed(parts.database, wanted, limit + 1, before)
    more, seen = len(seen) > limit, seen[:limit]
    shown = await incidents.those(parts, actor, seen)
    tallies = await details.tallies(parts.database, [one.id for one in seen])
    rows = await _rows(parts, seen)
    last = seen[-1] if more else None
    return Over(
        [Ended(one, tallies.get(one.seen.id, Tally()), rows.get(one.seen.about.name)) for one in shown],
        (last.closed_at, last.id) if last is not None and last.closed_at is not None else None,
    )
