"""How a connection was over a day, two weeks or a quarter: drawn for people, as values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alerts.mails.told import what
from alerts.outbox.listing import Told
from monitor.health.lifecycle import State
from monitor.health.probed import first_of
from monitor.health.timeline import Rest, Span, Timeline, Turn, Word, shortest, timeline
from monitor.operations.actor import Actor, Right
from monitor.operations.documents import iso
from monitor.operations.gathered import Gathered, gather
from monitor.settings.parts import Parts
from monitor.store import audit, history
from monitor.store.audit import Entry
from monitor.store.connections import Known
from monitor.store.links import Link

_PAUSES = {"connection.pause": True, "maintenance.begin": False}
_ENDS = ("connection.resume", "maintenance.end")


async def of(parts: Parts, actor: Actor, connection_id: str, over: Span | None = None) -> Timeline:
    """Return a connection's timeline, over the shortest span that shows its last change where none is given.

    Raises NotFound.
    """
    actor.needs(Right.CONNECTIONS_READ)
    return await of_gathered(parts, await gather(parts, actor, connection_id), over)


async def of_gathered(parts: Parts, record: Gathered, over: Span | None = None) -> Timeline:
    """Do the same from what is on record of it."""
    known, health = record.known, record.known.health
    now, interval = parts.clock.now(), parts.loaded.settings.history.interval
    over = over or shortest(health.since, now)
    begin = now - over.length
    about = _lying_over(known)
    entries = await audit.lines(parts.database, about, [*_PAUSES, *_ENDS], known.created_at)
    return timeline(
        over,
        await history.turns(parts.database, known.id, begin),
        _rests(entries, asleep=health.state is State.PAUSED),
        Turn(health.since, health.state, health.cause) if health.since is not None else None,
        await history.counts(parts.database, known.id, first_of(now, over.length, interval)),
        [*_mailed(record.told), *_done(record.links)],
        now,
        interval,
        await history.hours(parts.database, known.id) if over is Span.DAY else (),
    )


def _lying_over(known: Known) -> list[str]:
    """Return what a pause's line in the audit is about: the connection, or what a window lies over."""
    place = known.place
    return [
        known.id, "all", f"provider {place.provider}", f"app {place.app}", f"client {known.client_name}",
        f"connection {known.id}",
    ]  # fmt: skip


def _rests(entries: Sequence[Entry], *, asleep: bool) -> list[Rest]:
    """Return when nobody looked; what did not end yet counts only where it is asleep now."""
    found, open_ones = [], dict[str, Rest]()
    for one in entries:
        if one.action in _PAUSES:
            open_ones.setdefault(one.subject, Rest(one.at, None, whole=_PAUSES[one.action]))
        elif (begun := open_ones.pop(one.subject, None)) is not None:
            found.append(Rest(begun.begun_at, one.at, begun.whole))
    return [*found, *open_ones.values()] if asleep else found


def _mailed(told: Sequence[Told]) -> Iterator[Word]:
    for one in told:
        if one.state == "sent" and one.settled_at is not None:
            yield Word(one.settled_at, f"Mailed: {what(one)}")


def _done(found: Sequence[Link]) -> Iterator[Word]:
    for one in found:
        for at, says in ((one.opened_at, "opened"), (one.started_at, "started"), (one.used_at, "approved")):
            if at is not None:
                yield Word(at, f"Link {says}")


def document(found: Timeline) -> dict[str, Any]:
    """Return it as JSON."""
    return {
        "span": found.span.value,
        "from": iso(found.begun_at),
        "until": iso(found.ended_at),
        "states": [
            {
                "from": iso(one.begun_at),
                "until": iso(one.ended_at),
                "state": one.state.value if one.state is not None else None,
                "cause": one.cause.value if one.state in (State.BROKEN, State.SUSPECT) else None,
            }
            for one in found.stretches
        ],
        "answer_times": [
            {
                "from": iso(one.begun_at),
                "until": iso(one.ended_at),
                "mean_seconds": round(one.seconds, 3) if one.seconds is not None else None,
                "probes": one.probes,
                "good": one.good,
            }
            for one in found.paces
        ],
        "said": [{"at": iso(one.at), "what": one.what} for one in found.words],
    }
