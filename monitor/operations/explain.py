"""Everything that explains a connection: how it is, why, who was told, what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerts.mails.told import document, remedies, sentence, what
from alerts.outbox.listing import Told
from alerts.silences.windows import FOREVER, Silenced
from monitor.errors import Remedy
from monitor.health.ages import Age
from monitor.health.campaign import Phase, how_far
from monitor.health.coming import Coming
from monitor.health.explain import Explanation, Story, explain
from monitor.health.pauses import Pause
from monitor.health.probed import SPANS, Period, first_of, periods
from monitor.health.proof import Proof, Seen, proof
from monitor.health.question import held_back, later
from monitor.operations import asked, documents, pauses, signals
from monitor.operations.actor import Actor, Right
from monitor.operations.ahead import ages_of, coming_of
from monitor.operations.asked import Asked
from monitor.operations.gathered import Gathered, gather
from monitor.operations.incidents import waves_open
from monitor.operations.mails import server_trouble
from monitor.providers.phrases import setting_in_words
from monitor.settings.parts import Parts
from monitor.store import audit, campaigns, history, journal
from monitor.store.audit import Entry
from monitor.store.connections import Known
from monitor.store.history import Changed
from monitor.store.incidents import OpenIncident
from monitor.store.links import Link
from monitor.text.names import one_line
from monitor.text.spans import span
from monitor.tokens.standing import next_refresh


async def story(parts: Parts, actor: Actor, connection_id: str) -> Story:
    """Gather everything that explains one connection. Raises NotFound."""
    return await _story(parts, actor, await gather(parts, actor, connection_id))


async def _story(parts: Parts, actor: Actor, record: Gathered) -> Story:
    known, now, settings = record.known, parts.clock.now(), parts.loaded.settings
    larger = record.open_ones[1] if len(record.open_ones) > 1 else None
    app, change = parts.apps.get(known.place.app), record.changes[0] if record.changes else None
    told, grant = record.told[:8], record.grant
    waits, choices = await _held_back(parts, actor, record.open_ones, now)
    heard = await signals.said_of(parts, actor, known.id, 5)
    return Story(
        id=known.id,
        client=one_line(known.client_name),
        provider=app.provider.title if app else known.place.provider,
        app=known.place.app,
        health=known.health,
        reasons=change.reasons if change else (),
        rule=known.health.rule,
        setting=setting_in_words(app.provider, known.health.rule) if app else "",
        evidence=change.evidence if change else (),
        evidence_at=change.at if change else None,
        scope=change.scope if change else None,
        last_probe_at=known.last_probe_at,
        last_success_at=known.last_success_at,
        next_probe_at=known.next_probe_at,
        next_refresh_at=next_refresh(known.id, known.sealed, app, settings.cadence, now) if app else None,
        incident_since=record.own.opened_at if record.own is not None else None,
        larger=_larger(larger, actor) if larger else None,
        waits=waits,
        choices=(*choices, *(one for said in told for one in remedies(said))),
        policy=settings.policy,
        said=(
            *((known.claim.sentence(now),) if known.claim is not None else ()),
            *(one.sentence for one in record.silences),
            *record.paged,
            *_steps(record.links, now),
            *await _campaign(parts, known.id),
            *await _mail_server(parts, actor, told),
            *(sentence(one, now) for one in told),
        ),
        rests=known.rests,
        pause=await _pause(parts, actor, known),
        configured=app is not None,
        doubt=known.doubt,
        unanswered=await _unanswered(parts, known),
        grace=app.provider.oauth.reuse_grace if app else timedelta(0),
        access_ends=known.sealed.access_expires_at,
        probed=await _probed(parts, known.id),
        held=grant.sentence if grant is not None else "",
        accounts=grant.account.ids if grant is not None else (),
        authorized_by=one_line(known.authorized_by or ""),
        mails=bool(settings.smtp.sender),
        middleware=tuple(signals.line(one) for one in heard),
        signals=[signals.document(one) for one in heard],
    )


async def _pause(parts: Parts, actor: Actor, known: Known) -> Pause | None:
    found = (await pauses.of(parts, [known])).get(known.id)
    if found is None or _sees_who(actor):
        return found
    return replace(found, by="")


async def _probed(parts: Parts, connection_id: str) -> tuple[Period, ...]:
    now, interval = parts.clock.now(), parts.loaded.settings.history.interval
    since = first_of(now, max(SPANS), interval)
    return periods(await history.counts(parts.database, connection_id, since), now, interval)


async def _unanswered(parts: Parts, known: Known) -> list[Mapping[str, Any]]:
    if known.doubt is None:
        return []
    return await journal.unanswered(parts.database, known.id, known.doubt.since)


async def _held_back(
    parts: Parts, actor: Actor, open_ones: Sequence[OpenIncident], now: datetime
) -> tuple[str, tuple[Remedy, ...]]:
    """Say why the first mail about a break is held or late, and what may be said about that."""
    own, larger = open_ones[0] if open_ones else None, open_ones[1] if len(open_ones) > 1 else None
    if own is None or own.told_at is not None or own.mails:
        return "", ()
    if larger is not None and larger.wave and not actor.only.whole:
        return "The fleet guard holds its mail: many broke together.", ()
    if larger is not None and larger.wave:
        for one in await waves_open(parts):
            if one.provider == larger.about.name:
                return held_back(one), one.choices
    return later(own.waits, parts.loaded.settings.guard.doubt_delay, own.opened_at, now), ()


async def _campaign(parts: Parts, connection_id: str) -> list[str]:
    """Say what a campaign that is not over asks its client, and how far that is."""
    found = await campaigns.of_connection(parts.database, connection_id)
    if found is None:
        return []
    of, row = found
    how = "it is not its turn yet" if row.wave is None else how_far(row.member).replace("_", " ")
    waits = " (paused)" if of.phase is Phase.PAUSED else ""
    return [f"Campaign {of.id}{waits} asks to approve again by {of.until.isoformat()}: {how}."]


async def _mail_server(parts: Parts, actor: Actor, told: Sequence[Told]) -> list[str]:
    """Say that the mail server takes nothing, where something is on its way."""
    if not any(one.state == "sending" for one in told):
        return []
    trouble = await server_trouble(parts, actor)
    return [trouble] if trouble else []


def _steps(links: Sequence[Link], now: datetime) -> list[str]:
    """Say how far the client came with the newest link that was opened."""
    for link in links:
        for done, verb in (
            (link.used_at, "approved"),
            (link.started_at, "started"),
            (link.opened_at, "opened"),
        ):
            if done is not None and (link.opened_at or link.started_at) is not None:
                return [f"The client {verb} the link {span(now - done)} ago (mail scanners open links, too)."]
    return []


def _larger(found: OpenIncident, actor: Actor) -> str:
    """Say what a connection's break is part of; how many others broke is not told to who sees a part."""
    if not actor.only.whole:
        return f"{found.cause.value} of {found.about}."
    whole = found.wave or found.guard
    return found.reasons[0] if whole and found.reasons else f"{found.cause.value} of {found.about}."


@dataclass(frozen=True, slots=True)
class Spoken:
    """A mail about a connection: which, how it stands, and what became of it at each address."""

    notice: int
    what: str
    state: str
    at: datetime
    to: tuple[tuple[str, str], ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """A connection explained, and what led there."""

    known: Known
    story: Story
    text: Explanation
    asked: Asked
    coming: Sequence[Coming]
    ages: Sequence[Age]
    proof: Sequence[Proof]
    incidents: Sequence[OpenIncident]  # its own that is open, and the larger one
    silences: Sequence[Silenced]  # that lie over it now
    before: Sequence[Changed]  # its changes, newest first; the first one is how it stands
    audit: Sequence[Entry]  # what people did with it, newest first
    told: Sequence[Told]
    paged: Sequence[str] = ()  # what on-call was told that it is part of

    @property
    def spoken(self) -> tuple[Spoken, ...]:
        """What was said about it or waits to be, newest first."""
        return tuple(
            Spoken(
                one.id, what(one), one.state, one.settled_at or one.due_at,
                tuple((sent.address, sent.state) for sent in one.envelopes),
                one.outcome if one.state in ("failed", "withdrawn") else one.reason,
            )
            for one in self.told
        )  # fmt: skip

    def document(self) -> dict[str, Any]:
        """Return it as `explain --json` gives it."""
        found = documents.row(self.known) | documents.explanation(
            self.story, self.text, [document(one) for one in self.told]
        )
        advice = self.asked.advice
        return found | {
            "road": [
                {
                    "step": one.fate.value,
                    "says": one.says,
                    "at": documents.iso(one.at),
                    "aside": one.aside or None,
                }
                for one in self.asked.steps
            ],
            "advice": {"tip": advice.tip.value, "says": advice.says} if advice is not None else None,
            "done": [
                {"at": documents.iso(one.at), "actor": one.actor, "action": one.action} for one in self.audit
            ],
            "coming": [{"at": documents.iso(one.at), "says": one.says} for one in self.coming],
        }


async def explained(parts: Parts, actor: Actor, connection_id: str) -> Explained:
    """Explain one connection: the whole chain, for people and for programs. Raises NotFound."""
    return await explain_it(parts, actor, await gather(parts, actor, connection_id))


async def explain_it(parts: Parts, actor: Actor, record: Gathered) -> Explained:
    """Do the same from what is on record of it."""
    actor.needs(Right.CONNECTIONS_READ)
    known, tale = record.known, await _story(parts, actor, record)
    road = await asked.of(parts, record)
    ends = max((one.lasts for one in record.silences), default=None)
    seen = [Seen(one.at, one.state, one.cause, one.evidence) for one in record.changes]
    return Explained(
        known=known,
        story=tale,
        text=explain(tale, parts.clock.now()),
        asked=road,
        coming=coming_of(parts, known, tale, road, ends if ends != FOREVER else None),
        ages=ages_of(parts, known),
        proof=proof(tale, seen),
        incidents=record.open_ones,
        silences=record.silences,
        before=record.changes,
        audit=await audit.of_subject(parts.database, known.id, 10) if _sees_who(actor) else (),
        told=record.told[:20],
        paged=record.paged,
    )


def _sees_who(actor: Actor) -> bool:
    """Whether somebody is told who did what with a connection: who operates it, or reads the audit."""
    return bool(actor.may & {Right.AUDIT_READ, Right.CONNECTIONS_OPERATE})
