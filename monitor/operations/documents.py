"""What each thing looks like as JSON: said once, for `--json` and for programs alike (contract.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from alerts.mails.told import document
from alerts.pages import wording
from alerts.webhooks.deliveries import Delivery
from alerts.webhooks.endpoints import Endpoint
from monitor.errors import Remedy
from monitor.health.causes import Cause
from monitor.health.explain import Explanation, Story
from monitor.health.lifecycle import State
from monitor.health.listing import Listed
from monitor.health.question import Question
from monitor.health.restriction import as_document
from monitor.operations.checks import Check
from monitor.operations.notices import Outbox
from monitor.operations.oncall import Watch
from monitor.operations.silences import Silences
from monitor.operations.webhooks import Made, Shown
from monitor.providers.schema import Provider
from monitor.store.api_keys import ApiKey
from monitor.store.connections import Known
from monitor.store.events import Event
from monitor.store.people import Person


def iso(moment: datetime | None) -> str | None:
    """Return a time as RFC 3339 has it, in whole seconds of UTC."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None


def row(known: Known | Listed) -> dict[str, Any]:
    """Return a connection as a row of the fleet."""
    health = known.health
    return {
        "id": known.id,
        "app": known.place.app,
        "client": known.client_name,
        "state": health.state.value,
        "cause": _cause(known),
        "owner": health.owner.value,
        "since": iso(health.since),
        "last_probe": iso(known.last_probe_at),
        "next_probe": iso(known.next_probe_at),
        "confidence": health.confidence,
        "refresh_in_doubt_since": iso(known.doubt.since) if known.doubt is not None else None,
        "claim": {"who": known.claim.who, "until": iso(known.claim.until)} if known.claim else None,
        "paused_until": iso(known.paused_until),
    }


def _cause(known: Known | Listed) -> str | None:
    if known.health.state in (State.PENDING, State.PAUSED):
        return None
    return known.health.cause.value if known.health.state is not State.HEALTHY else Cause.OK.value


def connection(known: Known) -> dict[str, Any]:
    """Return a connection whole: who it is, and what is known of its tokens, never the tokens."""
    return row(known) | {
        "contacts": list(known.contacts),
        "locale": known.locale,
        "timezone": known.timezone,
        "scopes": list(known.scopes),
        "account_id": known.account_id,
        "account_name": known.account_name,
        "values": dict(known.values),
        "labels": dict(known.labels),
        "provider": known.place.provider,
        "region": known.place.region,
        "created": iso(known.created_at),
        "last_success": iso(known.last_success_at),
        "tokens": _tokens(known),
    }


def _tokens(known: Known) -> dict[str, Any]:
    sealed = known.sealed
    return {
        "access_token": "stored" if sealed.access else None,
        "refresh_token": "stored" if sealed.refresh else None,
        "access_expires_at": iso(sealed.access_expires_at),
        "refresh_last_used_at": iso(sealed.refresh_used_at),
        "refresh_expires_at": iso(sealed.refresh_ends_at),
        "grant_ends_at": iso(sealed.grant_ends_at),
        "authorized_at": iso(sealed.authorized_at),
        "authorized_by": known.authorized_by,
        "pairs_stored": sealed.version,
        "refresh_in_doubt_since": iso(known.doubt.since) if known.doubt else None,
        "refresh_last_tried_at": iso(known.doubt.tried_at) if known.doubt else None,
        "refresh_lost": sealed.lost,
    }


def status(known: Known, open_incidents: Iterable[int]) -> dict[str, Any]:
    """Return how a connection is, with what is known of its tokens and the incidents that are open."""
    return row(known) | {
        "provider": known.place.provider,
        "region": known.place.region,
        "custody": known.custody,
        "labels": dict(known.labels),
        "revision": known.revision,
        "account_id": known.account_id,
        "account_name": known.account_name,
        "values": dict(known.values),
        "last_success": iso(known.last_success_at),
        "tokens": _tokens(known),
        "incidents": list(open_incidents),
    }


def explanation(story: Story, text: Explanation, told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return why a connection is as it is; `told` are the documents of what was said about it."""
    return {
        "headline": text.headline,
        "why": text.why,
        "who_acts": text.who,
        "told": text.told,
        "next": text.next,
        "remedies": [remedy(one) for one in text.remedies],
        "pause": {
            "by": story.pause.by or None,
            "until": iso(story.pause.until),
            "reason": story.pause.reason,
        }
        if story.pause is not None
        else None,
        "rule": story.rule,
        "evidence": list(story.evidence),
        "evidence_at": iso(story.evidence_at),
        "signals": list(story.signals),
        "probes": [
            {
                "since": iso(period.since),
                "probes": period.probes,
                "good": period.good,
                "mean_seconds": period.seconds,
                "others": {cause.value: number for cause, number in period.others.items()},
            }
            for period in story.probed
        ],
        "notifications": list(told),
    }


def remedy(one: Remedy) -> dict[str, Any]:
    """Return what mends something: which operation, on what, and what it does."""
    return {"operation": one.operation, "on": one.subject or None, "does": one.does, **dict(one.options)}


def record(known: Known) -> dict[str, Any]:
    """Return a connection as an import takes it, without its tokens."""
    return {
        "id": known.id,
        "app": known.place.app,
        "client": {
            "name": known.client_name,
            "contacts": known.contacts,
            "locale": known.locale,
            "timezone": known.timezone,
        },
        "scopes": known.scopes,
        "account_id": known.account_id,
        "labels": dict(known.labels),
        "values": dict(known.values),
    }


def whole(known: Known, *, masked: bool = False) -> dict[str, Any]:
    """Return a connection as programs read and write it; addresses `masked` for who may only look."""
    found = record(known)
    if masked:
        found["client"]["contacts"] = [mask(address) for address in known.contacts]
    return found | {
        "custody": known.custody,
        "handout": known.handout,
        "paused": known.health.state is State.PAUSED,
        "paused_until": iso(known.paused_until),
        "account_name": known.account_name,
        "created": iso(known.created_at),
        "updated": iso(known.updated_at),
        "revision": known.revision,
    }


def mask(address: str) -> str:
    """Return an address that one recognises and cannot write to: `i…@acme.example`."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"


def listed(found: Listed) -> dict[str, Any]:
    """Return a connection as a row of a list."""
    return row(found) | {
        "provider": found.place.provider,
        "region": found.place.region,
        "custody": found.custody,
        "labels": dict(found.labels),
        "revision": found.revision,
    }


def silences(found: Silences) -> list[dict[str, Any]]:
    """Return what is silent, and what will be."""
    return [one.document() | {"holds": one.begun_at <= found.at} for one in found.laid]


def outbox(found: Outbox) -> dict[str, Any]:
    """Return what clients were told and what waits, with all that holds it back."""
    return {
        "notices": [document(one) for one in found.notices],
        "holds": [one.document() for one in found.holds],
        "guards": [wave(one) for one in found.waves],
        "undeliverable": [
            {"address": one.address, "since": str(one.since), "answer": one.answer}
            for one in found.undeliverable
        ],
        "mail_server": found.trouble or None,
    }


def wave(one: Question) -> dict[str, Any]:
    """Return a wave as the question that it is."""
    found = asdict(one) | {
        "over": one.provider,
        "holds": one.held_connections,
        "mails": "",
        "since": iso(one.since),
        "next_at": iso(one.next_at),
        "choices": [remedy(choice) for choice in one.choices],
    }
    return {name: value for name, value in found.items() if name != "provider"}


def on_call(watch: Watch) -> dict[str, Any]:
    """Return what on-call has to know, what was told, and what is not told and why."""
    return {
        "matters": [
            wording.page(matter, watch.runbooks) | {"told": list(watch.told.get(key, ()))}
            for key, matter in watch.matters.items()
        ],
        "not_told": dict(watch.quiet),
        "over_soon": watch.over_soon,
        "channels": list(watch.channels),
    }


def event(one: Event) -> dict[str, Any]:
    """Return an event of the feed."""
    return {"id": one.id, "type": one.type, "timestamp": iso(one.at), "data": dict(one.data)}


def webhook(one: Endpoint) -> dict[str, Any]:
    """Return an endpoint, without its secrets."""
    return {
        "id": one.id,
        "url": one.url,
        "events": list(one.events),
        "only": as_document(one.only),
        "state": one.state.value,
        "both_secrets_until": iso(one.old_until),
        "made_by": one.made_by,
        "created_at": iso(one.created_at),
        "revision": one.revision,
    }


def webhook_status(shown: Shown) -> dict[str, Any]:
    """Return how an endpoint is: since when it takes nothing, and how many deliveries wait and failed."""
    return {
        "id": shown.endpoint.id,
        "state": shown.endpoint.state.value,
        "failing_since": iso(shown.endpoint.failing_since),
        "waiting": shown.waiting,
        "failed": shown.failed,
    }


def webhook_made(made: Made) -> dict[str, Any]:
    """Return an endpoint with its secret, which is shown this once."""
    return webhook(made.endpoint) | {"secret": made.secret.reveal()}


def delivery(one: Delivery) -> dict[str, Any]:
    """Return what became of an event for an endpoint."""
    return {
        "id": one.id,
        "event": one.event,
        "type": one.type,
        "state": one.state,
        "attempts": one.attempts,
        "answer": one.answer or None,
        "next_at": iso(one.next_at),
        "settled_at": iso(one.settled_at),
    }


def checks(found: Iterable[Check]) -> list[dict[str, Any]]:
    """Return what a checkup found."""
    return [{"check": one.name, "ok": one.ok, "says": one.says} for one in found]


def provider(known: Provider) -> dict[str, Any]:
    """Return a provider as a row of the catalogue."""
    return {"name": known.name, "title": known.title, "regions": list(known.regions)}


def provider_whole(known: Provider) -> dict[str, Any]:
    """Return all that is understood of a provider's file."""
    understood = known.model_dump(mode="json", exclude_none=True)
    understood["oauth"]["after_lost_answer"] = known.oauth.habit.habit.value
    return understood


def api_key(one: ApiKey, now: datetime) -> dict[str, Any]:
    """Return a key, without its text, which nobody has but its holder."""
    rotating = one.old_until is not None and now < one.old_until
    return {
        "id": one.id,
        "name": one.name,
        "scopes": list(one.scopes),
        "only": as_document(one.only) or {},
        "state": one.state(now),
        "made_by": one.made_by,
        "created_at": iso(one.created_at),
        "expires_at": iso(one.expires_at),
        "last_used_at": iso(one.last_used_at),
        "revoked_at": iso(one.revoked_at),
        "exposed_at": iso(one.exposed_at),
        "old_secret_until": iso(one.old_until) if rotating else None,
        "revision": one.revision,
    }


def person(one: Person) -> dict[str, Any]:
    """Return somebody who may sign in."""
    return {
        "id": one.id,
        "name": one.name,
        "role": one.role,
        "issuer": one.issuer,
        "created_at": iso(one.created_at),
        "signed_in_at": iso(one.signed_in_at),
        "revision": one.revision,
    }
