"""What incidents, links, changes, apps and lines of the audit look like as JSON; connections: `documents`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from alerts.mails import told
from alerts.outbox.listing import Told
from alerts.silences.windows import Silenced, Window
from monitor.health.calendar import Entry as Ending
from monitor.health.doors import Standing
from monitor.operations.actor import Actor
from monitor.operations.apps import Used
from monitor.operations.checks import Check
from monitor.operations.costs import Costs
from monitor.operations.documents import iso, listed, mask, remedy, wave
from monitor.operations.fleet import Summary
from monitor.operations.horizon import Horizon
from monitor.operations.incidents import Shown
from monitor.operations.probes import Looked
from monitor.operations.silences import name_of
from monitor.store.audit import Entry
from monitor.store.history import Changed
from monitor.store.incident_details import Belongs
from monitor.store.links import Link

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"'@]+@[^\s<>()\[\],;:\"'@]+\.[^\s<>()\[\],;:\"'@]+")


def for_eyes(who: Actor, document: Any) -> Any:
    """Return a document as somebody may see it: who only looks sees no address whole, wherever it stands."""
    return document if who.reads_addresses else _masked(document)


def row_for_eyes(who: Actor, row: dict[str, Any]) -> dict[str, Any]:
    """Return a connection's row as somebody may see it: who is on it, people write as they like."""
    return row if row["claim"] is None else row | {"claim": for_eyes(who, row["claim"])}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _masked(getattr(value, one.name)) for one in fields(value)})
    if isinstance(value, str) and not isinstance(value, Enum):
        return _ADDRESS.sub(lambda found: mask(found[0]), value)
    return value


def incident(one: Shown) -> dict[str, Any]:
    """Return an incident, with what was asked to be told beside it."""
    seen, word = one.seen, one.acknowledged
    found: dict[str, Any] = {
        "id": seen.id,
        "about": {"kind": seen.about.kind.value, "name": seen.about.name},
        "cause": seen.cause.value,
        "owner": seen.owner.value,
        "guard": seen.guard,
        "wave": seen.wave,
        "members": seen.members,
        "part_of": seen.part_of,
        "reasons": list(seen.reasons),
        "opened": iso(seen.opened_at),
        "updated": iso(seen.updated_at),
        "closed": iso(seen.closed_at),
        "ended": seen.ended or None,
        "mails": seen.mails or None,
        "told": iso(seen.told_at),
        "acknowledged": {"by": word.by, "at": iso(word.at), "note": word.note or None} if word else None,
    }
    if one.connections is not None:
        found["connections"] = [listed(row) for row in one.connections]
    if one.question is not None:
        found["question"] = wave(one.question)
    if one.notices is not None:
        found["notices"] = [told.document(notice) for notice in one.notices]
    return found


def belongs(one: Belongs) -> dict[str, Any]:
    """Return a connection of an incident, with what became of it."""
    return {
        "incident": one.incident,
        "id": one.connection,
        "client": one.client,
        "app": one.place.app,
        "provider": one.place.provider,
        "region": one.place.region,
        "state": one.state,
        "cause": one.cause,
        "broke": iso(one.broke_at),
        "closed": iso(one.closed_at),
        "ended": one.ended or None,
        "mails": one.mails or None,
        "told": iso(one.told_at),
    }


def notice(one: Told) -> dict[str, Any]:
    """Return what was told, or waits to be."""
    return told.document(one)


def summary(found: Summary) -> dict[str, Any]:
    """Return the fleet in sums; null is what whoever asks may not see."""
    counts = found.counts
    fuse = found.fuse
    return {
        "total": counts.total,
        "states": dict(counts.states),
        "owners": dict(counts.owners),
        "causes": dict(counts.causes),
        "providers": dict(counts.providers),
        "apps": dict(counts.apps),
        "guards": _each(found.guards),
        "incidents": _each(found.shared),
        "fuse": None
        if fuse is None
        else {
            "blown_since": iso(fuse.blown_at),
            "wanted": fuse.wanted,
            "released_until": iso(fuse.released_until),
        },
        "silences": None if found.silent is None else [silence(one) for one in found.silent],
    }


def _each(found: Iterable[Shown] | None) -> list[dict[str, Any]] | None:
    return None if found is None else [incident(one) for one in found]


def change(number: int, one: Changed) -> dict[str, Any]:
    """Return one change of a verdict, with what it rested on."""
    return {
        "id": number,
        "at": iso(one.at),
        "state": one.state.value,
        "cause": one.cause.value,
        "owner": one.owner.value,
        "confidence": one.confidence,
        "rule": one.rule,
        "scope": one.scope,
        "reasons": list(one.reasons),
        "evidence": list(one.evidence),
    }


def link(one: Link) -> dict[str, Any]:
    """Return a link, never what opens it."""
    return {
        "id": one.name,
        "incident": one.incident,
        "cause": one.cause or None,
        "made": iso(one.made_at),
        "expires_at": iso(one.expires_at),
        "opened": iso(one.opened_at),
        "started": iso(one.started_at),
        "used": iso(one.used_at),
    }


def looked(one: Looked) -> dict[str, Any]:
    """Return what came of asking for a probe."""
    health = one.known.health
    return {
        "id": one.known.id,
        "verdict": one.verdict,
        "coalesced": one.coalesced,
        "state": health.state.value,
        "cause": health.cause.value,
        "owner": health.owner.value,
        "found": health.candidate.value if one.verdict else None,
        "last_probe": iso(one.known.last_probe_at),
    }


def silence(one: Silenced | Window) -> dict[str, Any]:
    """Return a silence: a person's, or one of the configuration, which may not hold now."""
    found = one.document() if isinstance(one, Silenced) else _window(one)
    number = found["id"]
    return found | {"id": name_of(one), "number": number, "from_file": number is None}


def _window(one: Window) -> dict[str, Any]:
    return {
        "id": None,
        "over": one.over.value,
        "name": one.name,
        "reason": one.reason or one.title,
        "by": f"the configuration ({one.title})",
        "from": iso(one.begin),
        "until": iso(one.until),
        "maintenance": one.pauses,
    }


def app(one: Used) -> dict[str, Any]:
    """Return an app as it is used, never its secret."""
    limits = one.app.limits if one.app is not None else None
    return {
        "id": one.id,
        "configured": one.app is not None,
        "provider": one.provider,
        "region": one.app.region if one.app else None,
        "base_url": one.app.base_url if one.app else None,
        "scopes": sorted(one.app.scopes) if one.app else [],
        "team": one.settings.team if one.settings else None,
        "callback": one.settings.callback if one.settings else None,
        "connections": one.connections,
        "interval_seconds": round(one.interval.total_seconds()) if one.app else None,
        "configured_interval_seconds": round(one.configured.total_seconds()),
        "stretched": one.app is not None and one.interval > one.wanted,
        "budget": None
        if limits is None or limits.requests_per_minute is None
        else {
            "requests_per_minute": limits.requests_per_minute,
            "per": limits.per,
            "share": limits.share,
            "free_at": iso(one.free_at),
        },
        "cost": costs(one.costs) if one.costs is not None and one.app is not None else None,
        "last_probe": iso(one.probed_at),
        "last_success": iso(one.well_at),
        "secret_expires": str(one.settings.secret_expires)
        if one.settings and one.settings.secret_expires
        else None,
        "doors": {door.value: standing(known) for door, known in sorted(one.doors.items())},
        "states": dict(one.sums.states),
        "causes": dict(one.sums.causes),
    }


def costs(one: Costs) -> dict[str, Any]:
    """Return what looking at an app's connections costs at its provider."""
    share = one.cost.limit_share(one.allowed)
    return {
        "connections": one.cost.connections,
        "interval_seconds": round(one.cost.interval.total_seconds()),
        "reads_per_month": one.cost.reads_per_month,
        "reads_per_month_limit": one.allowed.reads_per_month,
        "limit_share": round(share, 4) if share is not None else None,
        "live_access_tokens": one.allowed.live_access_tokens,
        "grants_per_user": one.allowed.grants_per_user,
        "says": list(one.says),
        "trouble": one.trouble,
    }


def standing(one: Standing) -> dict[str, Any]:
    """Return how a door of an app is that clients pass when they connect."""
    return {
        "outcome": one.seen.outcome.value,
        "says": one.seen.says,
        "rule": one.seen.rule or None,
        "at": iso(one.at),
        "refused_since": iso(one.since),
        "refusals": one.refusals,
        "last_good": iso(one.well_at),
    }


def ending(one: Ending, now: datetime) -> dict[str, Any]:
    """Return an entry of the calendar."""
    prevention = one.prevented_by
    return {
        "at": iso(one.at),
        "kind": one.kind.value,
        "about": {"kind": one.about, "name": one.name},
        "title": one.title,
        "what": one.what,
        "needs": one.needs.value,
        "urgency": one.urgency(now).value,
        "prevented_by": {"at": iso(prevention.at), "what": prevention.what} if prevention else None,
        "provider": one.provider or None,
        "app": one.app or None,
        "client": one.client or None,
        "connections": one.connections,
        "page": one.page or None,
    }


def horizon(found: Horizon) -> dict[str, Any]:
    """Return what ends in the weeks ahead, in sums."""
    return {
        "at": iso(found.at),
        "weeks": [
            {"begins": str(one.begins), "client": one.client, "operator": one.operator} for one in found.weeks
        ],
        "days": [
            {
                "on": str(one.on),
                "kind": one.kind.value,
                "needs": one.needs.value,
                "provider": one.provider or None,
                "app": one.app or None,
                "count": one.count,
                "asked": one.asked,
            }
            for one in found.groups
        ],
        "kept": [
            {
                "provider": one.provider,
                "count": one.count,
                "first": iso(one.first),
                "left": one.left,
                "left_first": iso(one.left_first),
            }
            for one in found.kept
        ],
        "unknown": list(found.unknown),
    }


def entry(one: Entry) -> dict[str, Any]:
    """Return a line of the audit."""
    detail = dict(one.detail)
    return {
        "at": iso(one.at),
        "actor": one.actor,
        "action": one.action,
        "subject": one.subject,
        "from": detail.pop("from", None),
        "request_id": detail.pop("request_id", None),
        "detail": detail,
    }


def check(one: Check) -> dict[str, Any]:
    """Return what one check of the checkup found, with what mends it."""
    remedies = [remedy(what) for what in one.remedies]
    return {"check": one.name, "ok": one.ok, "says": one.says, "remedies": remedies}
