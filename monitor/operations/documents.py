"""What each thing looks like as JSON: said once, for `--json` and for programs alike (contract.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from monitor.errors import Remedy
from monitor.health.causes import Cause
from monitor.health.explain import Explanation, Story
from monitor.health.lifecycle import State
from monitor.health.listing import Listed
from monitor.store.connections import Known


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
    }


def _cause(known: Known | Listed) -> str | None:
    if known.health.state in (State.PENDING, State.PAUSED):
        return None
    return known.health.cause.value if known.health.state is not State.HEALTHY else Cause.OK.value


def connection(known: Known) -> dict[str, Any]:
    """Return a connection whole: who it is, and what is known of its tokens, never the tokens."""
    sealed = known.sealed
    return row(known) | {
        "contacts": list(known.contacts),
        "locale": known.locale,
        "timezone": known.timezone,
        "scopes": list(known.scopes),
        "account_id": known.account_id,
        "account_name": known.account_name,
        "labels": dict(known.labels),
        "provider": known.place.provider,
        "region": known.place.region,
        "created": iso(known.created_at),
        "last_success": iso(known.last_success_at),
        "tokens": {
            "access_token": "stored" if sealed.access else None,
            "refresh_token": "stored" if sealed.refresh else None,
            "access_expires_at": iso(sealed.access_expires_at),
            "refresh_last_used_at": iso(sealed.refresh_used_at),
            "authorized_at": iso(sealed.authorized_at),
            "pairs_stored": sealed.version,
            "refresh_in_doubt_since": iso(known.doubt.since) if known.doubt else None,
            "refresh_last_tried_at": iso(known.doubt.tried_at) if known.doubt else None,
            "refresh_lost": sealed.lost,
        },
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
        "rule": story.rule,
        "evidence": list(story.evidence),
        "evidence_at": iso(story.evidence_at),
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
    }
