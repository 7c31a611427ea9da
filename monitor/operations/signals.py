"""What programs say that they saw of connections: heard, kept apart from what we saw, at most looked into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.errors import CannotDecrypt, KeyMissing, NotFound
from monitor.health import signals as rules
from monitor.health.cadence import scope_due
from monitor.health.evidence import redact
from monitor.health.signals import FAILURES, Done, Effect, Kind, Said, Watched
from monitor.operations.actor import Actor, Right, no_connection
from monitor.operations.documents import iso
from monitor.operations.reach import all_of
from monitor.secret import Secret
from monitor.settings.builders import Watching
from monitor.settings.parts import Parts
from monitor.store import signals
from monitor.store.signals import Looked, Move, Signal, Standing
from monitor.text.ids import new_id
from monitor.text.names import one_line
from monitor.tokens.refresh import access_cell
from monitor.tokens.standing import next_refresh
from monitor.wire.answers import asked_to_wait
from monitor.wire.apps import App

MOST = 100  # of one batch
LONGEST_WAIT = timedelta(seconds=60)
KEPT_HEADERS = ("www-authenticate", "retry-after", "date", "content-type")
_LIMITS = "x-ratelimit-"
_LONGEST_VALUE, _MOST_HEADERS = 200, 12
FIRST_LOOK, SLOWER, LAST_LOOK = 0.05, 1.5, 1.0  # seconds between looks whether we have looked


@dataclass(frozen=True, slots=True)
class Reported:
    """A signal as a program sends it. Which token is meant is said by `generation`, or by its hash."""

    kind: Kind
    at: datetime | None = None
    generation: int | None = None
    sha256: str | None = None
    asked: str = ""
    scope: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was done about a signal; `looked` is what our own look found, where it was waited for."""

    connection: str
    done: Done
    probe_at: datetime | None
    generation: int | None
    at: datetime
    looked: Looked | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        found: dict[str, Any] = {
            "connection": self.connection,
            "effect": self.done.effect.value,
            "why": self.done.why or None,
            "probe_at": iso(self.probe_at),
            "generation": self.generation,
            "server_time": iso(self.at),
        }
        if self.looked is not None:
            found["looked"] = {"cause": self.looked.cause, "at": iso(self.looked.at)}
            found["generation"] = self.looked.generation
        return found


async def report(
    parts: Parts,
    watching: Watching,
    actor: Actor,
    connection_id: str,
    given: Reported,
    *,
    wait: timedelta | None = None,
) -> Heard:
    """Hear a signal about a connection. `wait` is how long our own look is waited for. Raises NotFound."""
    actor.needs(Right.SIGNALS_WRITE)
    standing = await signals.standing(parts.database, connection_id)
    if standing is None:
        raise no_connection(connection_id)
    actor.sees(connection_id, standing.place.app, standing.labels)
    now, token = parts.clock.now(), _token(parts, connection_id, standing)
    wanted = asked_to_wait(given.headers.get("retry-after", ""), now)
    said = Said(given.kind, given.at or now, _current(given, standing, token), wanted)
    app = parts.apps.get(standing.place.app)
    done = rules.about(said, _watched(watching, connection_id, standing, app, now), now)
    key = actor.name.partition(":")[2]
    if done.effect is Effect.PROBE_NOW and not watching.hearing.may_bring_forward(key, standing.place.app):
        done = Done(Effect.COALESCED, "the program's share of looks is used")
    if done.look_at is None and watching.hearing.stands_for(connection_id, given.kind, done.effect):
        if done.effect is not Effect.IGNORED:
            done = Done(Effect.COALESCED, done.why or "one like it came a moment ago")
    else:
        done = await _keep(parts, watching, key, connection_id, given, token, done, standing, app, now)
    watching.meters.signals.labels(given.kind.value, done.effect.value).inc()
    probe_at = done.look_at or standing.next_probe_at
    heard = Heard(connection_id, done, probe_at, standing.sealed.version, now)
    if (
        wait
        and given.kind in FAILURES
        and said.current
        and done.effect in (Effect.PROBE_NOW, Effect.COALESCED)
    ):
        since = now if done.effect is Effect.PROBE_NOW else standing.brought_at
        looked = await _looked(parts, connection_id, since, now + wait) if since is not None else None
        return Heard(connection_id, done, probe_at, heard.generation, parts.clock.now(), looked)
    return heard


async def report_all(
    parts: Parts, watching: Watching, actor: Actor, given: Sequence[tuple[str, Reported]]
) -> list[Heard]:
    """Hear several signals; what is about no connection that there is for the program, is ignored."""
    actor.needs(Right.SIGNALS_WRITE)
    heard = []
    for connection_id, one in given:
        try:
            heard.append(await report(parts, watching, actor, connection_id, one))
        except NotFound as error:
            done = Done(Effect.IGNORED, str(error))
            heard.append(Heard(connection_id, done, None, None, parts.clock.now()))
    return heard


async def said_of(parts: Parts, actor: Actor, connection_id: str, limit: int = signals.KEPT) -> list[Signal]:
    """Return what programs said of a connection, newest first. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    await all_of(parts, actor, [connection_id])
    if await signals.looked(parts.database, connection_id) is None:
        raise no_connection(connection_id)
    return await signals.of_connection(parts.database, connection_id, limit)


def document(one: Signal) -> dict[str, Any]:
    """Return a signal as JSON."""
    found = one._asdict() | {"received_at": iso(one.received_at), "at": iso(one.at)}
    return found | {"asked": one.asked or None, "says": one.says or None, "why": one.why or None}


def line(one: Signal) -> str:
    """Say a signal in one line."""
    said = f"{one.received_at:%Y-%m-%d %H:%M} UTC, {one.key}: {one.kind}"
    said += f" of {one.scope}" if one.scope else ""
    asked = f"{one.asked} → {one.status}" if one.asked and one.status else one.asked or one.status
    said += f", {asked}" if asked else ""
    said += f" “{one_line(one.says)}”" if one.says else ""
    said += f" ({one.times} times)" if one.times > 1 else ""
    return f"{said}. {_DONE[Effect(one.effect)]}" + (f": {one.why}." if one.why else ".")


_DONE = {
    Effect.PROBE_NOW: "We looked at once",
    Effect.SPARED: "Our next look came later",
    Effect.COALESCED: "Nothing more was done",
    Effect.RECORDED: "Noted",
    Effect.IGNORED: "Ignored",
}


async def _keep(
    parts: Parts,
    watching: Watching,
    key: str,
    connection_id: str,
    given: Reported,
    token: Secret | None,
    done: Done,
    standing: Standing,
    app: App | None,
    now: datetime,
) -> Done:
    """Write a signal down, and move the next look; say what came of that."""
    sent = (token,) if token is not None else ()
    kept = Signal(
        id=new_id("sig"),
        connection=connection_id,
        received_at=now,
        at=given.at,
        key=key,
        kind=given.kind.value,
        generation=given.generation,
        # Part by part: a whole address is long enough to look like a token.
        asked="/".join(redact(part, sent=sent) for part in _shown(given.asked).split("/"))[:400],
        scope=redact(given.scope, 200, sent) if given.scope else None,
        status=given.status,
        headers=_headers(given.headers, sent),
        says=redact(given.body, sent=sent),
        effect=done.effect.value,
        why=done.why,
    )
    move = None
    if done.look_at is not None:
        checks = _place_of(given.scope, standing, app) if given.kind is Kind.FORBIDDEN else None
        move = Move(done.look_at, standing.next_probe_at, checks)
    if not await signals.take(parts.database, kept, move, now):
        other = Effect.COALESCED if done.effect is Effect.PROBE_NOW else Effect.RECORDED
        done = Done(other, "another signal was taken at the same moment")
    watching.hearing.written(connection_id, given.kind, done.effect, kept.id)
    return done


def _token(parts: Parts, connection_id: str, standing: Standing) -> Secret | None:
    """Return the access token, to know it by its hash and to take it out of what is kept."""
    if standing.sealed.access is None:
        return None
    try:
        return parts.vault.open(standing.sealed.access, access_cell(connection_id, standing.place))
    except (CannotDecrypt, KeyMissing):
        return None


def _current(given: Reported, standing: Standing, token: Secret | None) -> bool | None:
    said: list[bool] = []
    if given.generation is not None:
        said.append(given.generation == standing.sealed.version)
    if given.sha256 is not None and token is not None:
        said.append(hashlib.sha256(token.reveal().encode()).hexdigest() == given.sha256.lower())
    return all(said) if said else None


def _watched(
    watching: Watching, connection_id: str, standing: Standing, app: App | None, now: datetime
) -> Watched:
    cadence = watching.admission.cadences.get(standing.place.app)
    busy = None
    if app is not None and cadence is not None:
        busy = next_refresh(connection_id, standing.sealed, app, cadence, now)
        if _has_scope_due(watching, standing, app):
            busy = now
    return Watched(
        standing.health.state,
        cadence.interval if cadence is not None else timedelta(0),
        standing.last_probe_at,
        standing.next_probe_at,
        standing.sealed.authorized_at,
        standing.brought_at,
        standing.spared,
        busy,
    )


def _has_scope_due(watching: Watching, standing: Standing, app: App) -> bool:
    """Whether the next look has a scope to check."""
    checkable = _checkable(standing, app)
    if standing.scopes_all or standing.next_probe_at is None:
        return True
    every = watching.scope_every
    due = scope_due(
        checkable, standing.scope_cursor, standing.scope_checked_at, every, standing.next_probe_at
    )
    return due is not None


def _checkable(standing: Standing, app: App) -> tuple[str, ...]:
    return tuple(scope for scope in standing.scopes if app.checks(scope))


def _place_of(scope: str | None, standing: Standing, app: App | None) -> int | None:
    """Return where a named scope stands among those that a look may check, None where it may not."""
    checkable = _checkable(standing, app) if app is not None else ()
    return checkable.index(scope) if scope in checkable else None


def _shown(asked: str) -> str:
    """Leave method and address of what was asked, without credentials and query."""
    method, _, url = asked.partition(" ")
    if not url:
        method, url = "", method
    url = url.partition("?")[0].partition("#")[0]
    scheme, slashes, rest = url.partition("://")
    host, slash, path = (rest if slashes else scheme).partition("/")
    host = host.rpartition("@")[2]
    shown = f"{scheme}://{host}{slash}{path}" if slashes else f"{host}{slash}{path}"
    return f"{method} {shown}".strip()


def _headers(given: Mapping[str, str], sent: Sequence[Secret]) -> dict[str, str] | None:
    kept = {
        name: redact(value, _LONGEST_VALUE, sent)
        for name, value in sorted((name.lower(), value) for name, value in given.items())
        if name in KEPT_HEADERS or name.startswith(_LIMITS)
    }
    return dict(list(kept.items())[:_MOST_HEADERS]) or None


async def _looked(parts: Parts, connection_id: str, since: datetime, until: datetime) -> Looked | None:
    """Wait for our own look since a time, and return what it left; None where none came in time."""
    pause = FIRST_LOOK
    while True:
        found = await signals.looked(parts.database, connection_id)
        if found is None:
            raise no_connection(connection_id)
        if found.began_at is not None and found.began_at >= since:
            return found
        left = (until - parts.clock.now()).total_seconds()
        if left <= 0:
            return None
        await parts.clock.sleep(min(pause, left))
        pause = min(pause * SLOWER, LAST_LOOK)
