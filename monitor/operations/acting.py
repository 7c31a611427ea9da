"""Acting on many connections: what would be done with which, which are left out and why, and the doing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerts.mails import asking
from alerts.silences import silences
from alerts.silences.windows import Over, Scope
from monitor.errors import NotFound, TokenHealthError
from monitor.health.acting import EVER, Action, Facts, Setup, Stand, Why, why_not
from monitor.health.listing import Filter, Listed, Sort
from monitor.operations import connections, fleet, pauses, probes, reach
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_post
from monitor.settings.parts import Parts
from monitor.store import connections as stored
from monitor.store import stands

NEEDS: Mapping[Action, Right] = {
    Action.PROBE: Right.CONNECTIONS_OPERATE,
    Action.LINK: Right.LINKS_CREATE,
    Action.PAUSE: Right.CONNECTIONS_OPERATE,
    Action.RESUME: Right.CONNECTIONS_OPERATE,
    Action.HOLD: Right.NOTICES_OPERATE,
    Action.UNHOLD: Right.NOTICES_OPERATE,
    Action.REMOVE: Right.CONNECTIONS_WRITE,
}
TAKES_BACK: Mapping[Action, Action] = {
    Action.PAUSE: Action.RESUME,
    Action.RESUME: Action.PAUSE,
    Action.HOLD: Action.UNHOLD,
}
ASKED_AGAIN = timedelta(hours=1)  # nobody has the same client mailed twice within it, by acting on many


def needed(action: Action) -> frozenset[Right]:
    """Return the rights that an action on many needs."""
    return frozenset({Right.CONNECTIONS_OPERATE, NEEDS[action]})


@dataclass(frozen=True, slots=True)
class Options:
    """What an action takes beside its connections.

    A hold and a pause have a reason, and an end unless it is lifted or resumed. `since` is when it was
    asked for; `laid`, of an unhold, is when the holds were laid that it lifts, of the same person: those of
    one job.
    """

    since: datetime
    until: datetime | None = None
    reason: str = ""
    laid: datetime | None = None

    def document(self) -> dict[str, Any]:
        """Return them as they are kept with a job."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "reason": self.reason,
            "laid": self.laid.isoformat() if self.laid else None,
        }

    @classmethod
    def read(cls, written: Mapping[str, Any], since: datetime) -> Options:
        """Read what `document` wrote; a job of an earlier release has none."""

        def moment(name: str) -> datetime | None:
            return datetime.fromisoformat(written[name]) if written.get(name) else None

        return cls(moment("since") or since, moment("until"), written.get("reason", ""), moment("laid"))


LASTING = frozenset({Action.HOLD, Action.PAUSE})


def lasting(
    action: Action, now: datetime, length: timedelta | None, until: datetime | None, reason: str
) -> Options:
    """Return the options of a hold or a pause for so long, or until then; else until it is ended.

    Raises Invalid.
    """
    said = pauses.reason_of(reason)
    ends = pauses.ending if action is Action.PAUSE else pauses.end_of
    return Options(now, ends(now, length, until), said)


@dataclass(frozen=True, slots=True)
class Would:
    """What an action would do: with which connections, and which it leaves out, by the reason why."""

    action: Action
    todo: tuple[Stand, ...]
    left: Mapping[Why, tuple[Stand, ...]]

    @property
    def found(self) -> int:
        """How many connections the selection has."""
        return len(self.todo) + sum(map(len, self.left.values()))

    @property
    def mails(self) -> list[list[Stand]]:
        """The connections of each mail that would go out."""
        return asking.told_together(self.todo) if self.action is Action.LINK else []


async def would(parts: Parts, actor: Actor, action: Action, which: Filter, options: Options) -> Would:
    """Say what an action would do with a selection; nothing is done. Raises MayNot."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    actor.needs(NEEDS[action])
    rows = [row async for row in fleet.every(parts, actor, which, Sort.ID)]
    return await _sorted_out(parts, actor, action, rows, options)


async def would_with(
    parts: Parts, actor: Actor, action: Action, ids: Sequence[str], options: Options
) -> Would:
    """Do the same with connections by their ids. Raises NotFound where one is not there."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    found = await would(parts, actor, action, Filter(ids=frozenset(ids)), options) if ids else None
    there = {one.id for one in _all(found)} if found else set()
    if missing := set(ids) - there:
        raise NotFound(f"There is no connection {min(missing)!r}.")
    return found or Would(action, (), {})


async def do(
    parts: Parts, actor: Actor, action: Action, ids: Sequence[str], options: Options
) -> list[dict[str, str]]:
    """Do it with these; return those with which it was not done, and why.

    Whether it may be done with each is looked at anew: they may have changed since it was asked for.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    actor.needs(NEEDS[action])
    rows = {row.id: row async for row in fleet.every(parts, actor, Filter(ids=frozenset(ids)), Sort.ID)}
    found = await _sorted_out(parts, actor, action, [rows[name] for name in ids if name in rows], options)
    left = dict(found.left)
    if action is Action.LINK:  # has its mail since this was asked for: of this work, cut off, or of another
        left.pop(Why.ASKED_LATELY, None)
    failed = left_out(left)
    if action is not Action.REMOVE:  # what is gone is removed
        failed += [_failed(name, connections_gone(name)) for name in ids if name not in rows]
    if found.todo:
        failed += await _DOERS[action](parts, actor, found.todo, options)
    return failed


def left_out(left: Mapping[Why, Sequence[Stand]]) -> list[dict[str, str]]:
    """Return as failures what was left out, but for what is as it was to be."""
    return [
        {"id": one.id, "code": why.value, "said": why.says}
        for why, some in left.items()
        if not why.as_wanted
        for one in some
    ]


def connections_gone(name: str) -> NotFound:
    """Return what is said of a connection that is gone meanwhile."""
    return NotFound(f"There is no connection {name!r} any more.")


def _all(found: Would) -> Iterable[Stand]:
    yield from found.todo
    for some in found.left.values():
        yield from some


async def _sorted_out(
    parts: Parts, actor: Actor, action: Action, rows: Sequence[Listed], options: Options
) -> Would:
    setup = Setup(parts.apps, bool(parts.loaded.settings.smtp.sender), options.until)
    todo: list[Stand] = []
    left: defaultdict[Why, list[Stand]] = defaultdict(list)
    for stand in await _stands(parts, actor, action, rows, options):
        why = why_not(action, stand, setup)
        (todo if why is None else left[why]).append(stand)
    if action is Action.LINK:  # those that are told together are worked together
        todo.sort(key=lambda one: (one.row.client_name, one.id))
    return Would(action, tuple(todo), {why: tuple(left[why]) for why in Why if why in left})


async def _stands(
    parts: Parts, actor: Actor, action: Action, rows: Sequence[Listed], options: Options
) -> list[Stand]:
    ids = [row.id for row in rows]
    match action:
        case Action.LINK | Action.PAUSE:
            known = await stands.facts(parts.database, ids)
            since = min(options.since, parts.clock.now() - ASKED_AGAIN)
            asked = await asking.lately(parts.database, ids, since) if action is Action.LINK else set()
            return [Stand(row, replace(known.get(row.id, Facts()), asked=row.id in asked)) for row in rows]
        case Action.HOLD | Action.UNHOLD:
            return await _silent(parts, actor, rows, options)
        case _:
            return [Stand(row) for row in rows]


async def _silent(parts: Parts, actor: Actor, rows: Sequence[Listed], options: Options) -> list[Stand]:
    now = parts.clock.now()
    laid = [one for one in await silences.standing(parts.database, (), now) if one.begun_at <= now]
    own: dict[str, datetime] = {}
    for one in laid:
        if one.over is Over.CONNECTION and (
            options.laid is None or (one.by, one.begun_at) == (actor.name, options.laid)
        ):
            own[one.name] = max(own.get(one.name, one.begun_at), one.until or EVER)
    wide = [one for one in laid if one.over is not Over.CONNECTION]
    found = []
    for row in rows:
        scope = Scope(row.place.provider, row.place.app, row.client_name, row.id)
        wider = any(one.covers(scope) for one in wide)
        found.append(Stand(row, Facts(held=own.get(row.id), wider=wider)))
    return found


Doer = Callable[[Parts, Actor, Sequence[Stand], Options], Awaitable[list[dict[str, str]]]]


def _at_once(act: Callable[[Parts, Actor, Sequence[str], Options], Awaitable[Any]]) -> Doer:
    """Do it with all; where one of them keeps the others from it, with each by itself."""

    async def doer(
        parts: Parts, actor: Actor, some: Sequence[Stand], options: Options
    ) -> list[dict[str, str]]:
        try:
            await act(parts, actor, [one.id for one in some], options)
        except TokenHealthError as error:
            if len(some) == 1:
                gone = act is _remove and isinstance(error, NotFound)
                return [] if gone else [_failed(some[0].id, error)]
            return [failure for one in some for failure in await doer(parts, actor, [one], options)]
        return []

    return doer


async def _mail(parts: Parts, actor: Actor, some: Sequence[Stand], options: Options) -> list[dict[str, str]]:
    """Have the clients mailed, one mail to each; one that cannot be written keeps no other from its own."""
    actor.needs(Right.LINKS_CREATE)
    await reach.all_of(parts, actor, [one.id for one in some])
    post = build_post(parts)
    assert post is not None  # noqa: S101 - without a sender all of them were left out
    failed = []
    for together in asking.told_together(some):
        try:
            known = [await stored.show(parts.database, one.id) for one in together]
            await asking.request_together(parts.database, post.voice, known, parts.clock.now(), actor.name)
        except TokenHealthError as error:
            if len(together) > 1:
                for one in together:
                    failed += await _mail(parts, actor, [one], options)
            else:
                failed.append(_failed(together[0].id, error))
    return failed


async def _probe(parts: Parts, actor: Actor, ids: Sequence[str], _options: Options) -> None:
    await probes.soon(parts, actor, ids)


async def _pause(parts: Parts, actor: Actor, ids: Sequence[str], options: Options) -> None:
    if options.laid is None:
        await connections.pause(parts, actor, ids, until=options.until, reason=options.reason)
        return
    # A resumption is taken back: each has the end and the reason that it had.
    alike: defaultdict[tuple[datetime | None, str], list[str]] = defaultdict(list)
    for name, before in (await pauses.last(parts, ids)).items():
        if before.until is None or before.until > parts.clock.now():  # else it would be over by now
            alike[before.until, before.reason].append(name)
    for (until, reason), some in alike.items():
        await connections.pause(parts, actor, some, until=until, reason=reason)


async def _resume(parts: Parts, actor: Actor, ids: Sequence[str], _options: Options) -> None:
    await connections.resume(parts, actor, ids)


async def _remove(parts: Parts, actor: Actor, ids: Sequence[str], _options: Options) -> None:
    await connections.remove(parts, actor, ids)


async def _hold(parts: Parts, actor: Actor, ids: Sequence[str], options: Options) -> None:
    actor.needs(Right.NOTICES_OPERATE)
    await reach.all_of(parts, actor, ids)
    await silences.begin_each(parts.database, ids, options.reason, options.since, options.until, actor.name)


async def _unhold(parts: Parts, actor: Actor, ids: Sequence[str], options: Options) -> None:
    actor.needs(Right.NOTICES_OPERATE)
    await reach.all_of(parts, actor, ids)
    await silences.end_each(parts.database, ids, parts.clock.now(), actor.name, options.laid)


_DOERS: Mapping[Action, Doer] = {
    Action.PROBE: _at_once(_probe),
    Action.LINK: _mail,
    Action.PAUSE: _at_once(_pause),
    Action.RESUME: _at_once(_resume),
    Action.HOLD: _at_once(_hold),
    Action.UNHOLD: _at_once(_unhold),
    Action.REMOVE: _at_once(_remove),
}


def _failed(name: str, error: TokenHealthError) -> dict[str, str]:
    code = "not_found" if isinstance(error, NotFound) else "wrong_state"
    return {"id": name, "code": code, "said": str(error)}
