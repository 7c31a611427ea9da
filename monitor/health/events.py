"""What programs are told: every type of event, what it is about, and what its `data` holds.

An event is a confirmed fact: no doubt is ever one, and nobody hears of a quiet probe. Programs ignore types
and members that they do not know; here things are only added.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

LARGEST = 20_000  # bytes of a whole message


class Type(StrEnum):
    """A type of event, by the name that programs ask for it with: a group, a dot, and what came about."""

    CREATED = "connection.created"
    CHANGED = "connection.changed"
    REMOVED = "connection.removed"
    BROKEN = "connection.broken"
    CAUSE_CHANGED = "connection.cause_changed"
    RECOVERED = "connection.recovered"
    PAUSED = "connection.paused"
    RESUMED = "connection.resumed"
    TOKEN_RENEWED = "token.renewed"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_UPDATED = "incident.updated"
    INCIDENT_CLOSED = "incident.closed"
    GUARD_RAISED = "guard.raised"
    GUARD_LOWERED = "guard.lowered"
    FUSE_BLOWN = "fuse.blown"
    NOTICE_SENT = "notice.sent"
    NOTICE_OPENED = "notice.opened"
    NOTICE_FAILED = "notice.failed"
    AUTHORIZED = "authorization.completed"
    DECLINED = "authorization.declined"
    OTHER_ACCOUNT = "authorization.wrong_account"
    NOT_KEPT = "authorization.not_kept"
    EXPIRING = "grant.expiring"
    CAMPAIGN_STOPPED = "campaign.stopped"
    KEY_EXPIRING = "key.expiring"
    KEY_UNUSUAL = "key.unusual"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"

    @property
    def group(self) -> str:
        """What comes before the dot."""
        return self.value.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type says, and the members of its `data` besides those of what it is about."""

    says: str
    members: tuple[str, ...] = ()


# About a connection, whatever came about: who it is. With `sequence`, how it is from then on.
WHO = ("connection", "app", "client", "labels", "url")
HOW = ("sequence", "state", "cause", "owner", "generation")
_INCIDENT = ("incident", "about", "cause", "owner", "since", "part_of")
TABLE: Mapping[Type, Kind] = {
    Type.CREATED: Kind("a connection was added", HOW),
    Type.CHANGED: Kind("what is configured of a connection, its account or its tokens were changed", HOW),
    Type.REMOVED: Kind("a connection was removed; the rest is how it was last", HOW),
    Type.BROKEN: Kind("a break is confirmed", (*HOW, "was", "incident", "gap")),
    Type.CAUSE_CHANGED: Kind("a break has another cause, or another owner", (*HOW, "was", "incident")),
    Type.RECOVERED: Kind(
        "it works again; `gap` is from the last good probe before the break to this one",
        (*HOW, "was", "incident", "gap"),
    ),
    Type.PAUSED: Kind(
        "nobody looks at it any more; `by` is `person` or `maintenance`, `until` when a person's pause ends "
        "by itself, else null; written anew when a person gives it another end",
        (*HOW, "was", "by", "until"),
    ),
    Type.RESUMED: Kind(
        "it is looked at again; `by` is `person`, `maintenance`, or `service` where a pause's time was over",
        (*HOW, "was", "by"),
    ),
    Type.TOKEN_RENEWED: Kind(
        "a new access token is stored; only written while a webhook names this very type", HOW
    ),
    Type.INCIDENT_OPENED: Kind(
        "an incident of a connection, or of what several share, began; or a decision about it was taken back",
        _INCIDENT,
    ),
    Type.INCIDENT_UPDATED: Kind("its cause or owner is another one", _INCIDENT),
    Type.INCIDENT_CLOSED: Kind("it is over", (*_INCIDENT, "closed_at", "ended")),
    Type.GUARD_RAISED: Kind("the fleet guard holds what clients would be told", _INCIDENT),
    Type.GUARD_LOWERED: Kind("it holds it no more", _INCIDENT),
    Type.FUSE_BLOWN: Kind("more first mails want out than may be: none goes", ("wanted", "cap")),
    Type.NOTICE_SENT: Kind("a mail about the connection was taken", ("notice", "kind", "incident")),
    Type.NOTICE_OPENED: Kind("the link of a mail was opened for the first time", ("incident",)),
    Type.NOTICE_FAILED: Kind("a mail about the connection reached nobody", ("notice", "kind", "incident")),
    Type.AUTHORIZED: Kind("the client authorized the connection, and its new tokens are stored", HOW),
    Type.DECLINED: Kind("the client said no at the provider"),
    Type.OTHER_ACCOUNT: Kind("another account than the one on record was authorized; nothing was changed"),
    Type.NOT_KEPT: Kind(
        "the client approved, and what came would not do: `why` is `born_dead` (it ends at once) or "
        "`narrower` (what works reads more); nothing was changed",
        ("why",),
    ),
    Type.EXPIRING: Kind("an authorization ends on a known day, and the client will be told", ("expires_at",)),
    Type.CAMPAIGN_STOPPED: Kind(
        "a campaign stopped by itself, since a wave of it went wrong; a person lets it go on",
        ("campaign", "reason", "why"),
    ),
    Type.KEY_EXPIRING: Kind("an API key ends soon", ("key", "name", "expires_at")),
    Type.KEY_UNUSUAL: Kind("an API key is used as it never was", ("key", "name", "why")),
    Type.WEBHOOK_DISABLED: Kind("an endpoint gets nothing any more", ("webhook", "why")),
    Type.WEBHOOK_TEST: Kind("somebody tries an endpoint; sent to it alone, in no feed", ("webhook",)),
}  # fmt: skip

# Too many for whoever did not ask for them by their whole name.
_ONLY_BY_NAME = frozenset({Type.TOKEN_RENEWED})
# How a trip to the consent page ended, where programs are told of it.
OF_TRIP: Mapping[str, Type] = {
    "stored": Type.AUTHORIZED,
    "declined": Type.DECLINED,
    "wrong_account": Type.OTHER_ACCOUNT,
    "born_dead": Type.NOT_KEPT,
    "narrower": Type.NOT_KEPT,
}
EVERYTHING = "*"


def patterns() -> list[str]:
    """Return all that may be asked for: each type, each group, everything."""
    return [EVERYTHING, *sorted({f"{one.group}.*" for one in Type}), *(one.value for one in Type)]


def unknown(asked: Iterable[str]) -> list[str]:
    """Return what of these is nothing that may be asked for."""
    known = set(patterns())
    return [one for one in asked if one not in known]


def wanted(asked: Iterable[str], of: str) -> bool:
    """Whether whoever asks for these wants an event of a type."""
    by_name = of in _ONLY_BY_NAME
    group = f"{of.partition('.')[0]}.*"
    return any(one == of or (not by_name and one in (EVERYTHING, group)) for one in asked)


def types_of(asked: Iterable[str]) -> list[str]:
    """Return the types that whoever asks for these wants."""
    listed = list(asked)
    return [one.value for one in Type if wanted(listed, one.value)]


def moment(at: datetime | None) -> str | None:
    """Return a time as events say it: RFC 3339, whole seconds of UTC."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z") if at is not None else None


def message(of: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Return an event as it is sent, of at most `LARGEST` bytes: what labels it has are left out first."""
    whole = _written(of, at, data)
    return (
        whole if len(whole) <= LARGEST else _written(of, at, {**data, "labels": {}, "labels_left_out": True})
    )


def _written(of: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    document = {"type": of, "timestamp": moment(at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def about_connection(
    connection: str, app: str, client: str, labels: Mapping[str, str], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the data of an event about a connection."""
    who = {"connection": connection, "app": app, "client": client, "labels": dict(labels)}
    return {**who, **more, "url": f"/api/v1/connections/{connection}/status"}


def how(sequence: int, state: str, cause: str, owner: str, generation: int) -> dict[str, Any]:
    """Return how a connection is after an event; `sequence` rises with each about the same connection."""
    return {"sequence": sequence, "state": state, "cause": cause, "owner": owner, "generation": generation}


def was(state: str, cause: str) -> dict[str, Any]:
    """Return how a connection was before."""
    return {"was": {"state": state, "cause": cause}}


def gap(last_good: datetime | None, to: datetime) -> dict[str, Any]:
    """Return the time in which a connection may have missed something: who syncs has to catch up."""
    return {"gap": {"from": moment(last_good), "to": moment(to)}}
