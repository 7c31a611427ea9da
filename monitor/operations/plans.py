"""Plans: what a file would change of the fleet is said first, and done as it was said or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from monitor.errors import Conflict, ImportRefused, NotFound
from monitor.health.restriction import Restriction
from monitor.operations import documents
from monitor.operations.actor import Actor, Right
from monitor.operations.imports import all_within, must_fit, sealed, tokens_of
from monitor.operations.intake import Record
from monitor.secret import Secret
from monitor.settings.builders import binding
from monitor.settings.parts import Parts
from monitor.store import connections, plans
from monitor.store.connections import Known
from monitor.store.plans import Planned
from monitor.text.ids import new_id
from monitor.tokens.vault import Cell, fingerprint

LIVES = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Diff:
    """What a plan would do: connections to be made, changed and removed, and how many stay as they are."""

    create: tuple[str, ...]
    change: tuple[Mapping[str, Any], ...]
    remove: tuple[str, ...]
    same: int

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "create": list(self.create),
            "change": [dict(one) for one in self.change],
            "remove": list(self.remove),
            "same": self.same,
        }


async def make(
    parts: Parts, actor: Actor, records: list[Record], within: str = "", *, only_named: bool = False
) -> Planned:
    """Say what would change if the fleet were as these records have it, and keep that for a day.

    `within` bounds it to a part of the fleet, `label.team=a`: what is outside is left alone. `only_named`
    leaves alone whatever the records do not name: nothing is removed. Raises ImportRefused, and Conflict for
    a part that is not understood.
    """
    actor.needs(Right.CONNECTIONS_WRITE)
    part, now = _part(actor, within), parts.clock.now()
    await all_within(parts, actor, records)
    await must_fit(parts, records)
    outside = [r.id for r in records if not part.covers(r.id, r.app, r.labels)]
    if outside:
        raise ImportRefused([f"{name}: lies outside of {within}" for name in outside])
    stood = {
        known.id: known
        for known in await connections.every(parts.database)
        if part.covers(known.id, known.place.app, known.labels)
    }
    rests_on: dict[str, int | None] = {name: known.revision for name, known in stood.items()}
    if only_named:
        named = {record.id for record in records}
        stood = {name: known for name, known in stood.items() if name in named}
        rests_on = {name: rests_on.get(name) for name in named}
    said = _diff(parts, actor, records, stood)
    plan_id = new_id("pln")
    lines = "\n".join(json.dumps(_line(record), ensure_ascii=False) for record in records)
    made = Planned(
        id=plan_id,
        principal=actor.name,
        created_at=now,
        expires_at=now + LIVES,
        applied_at=None,
        within=within,
        rests_on=rests_on,
        said={**said.document(), "only_named": only_named},
        records=parts.vault.seal(Secret(lines), _cell(plan_id)),
    )
    await plans.keep(parts.database, made, actor.name)
    return made


async def show(parts: Parts, actor: Actor, plan_id: str) -> Planned:
    """Return a plan of one's own. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_WRITE)
    found = await plans.show(parts.database, plan_id)
    if found.principal != actor.name or found.expires_at <= parts.clock.now():
        raise NotFound(f"There is no plan {plan_id!r}.")
    return found


@dataclass(frozen=True, slots=True)
class Added:
    """A connection that a plan adds, without its tokens."""

    id: str
    client: str
    app: str
    contacts: tuple[str, ...]
    tokens: bool


def added(parts: Parts, actor: Actor, made: Planned, most: int) -> list[Added]:
    """Return the first connections that a plan adds, as one reads them."""
    actor.needs(Right.CONNECTIONS_WRITE)
    wanted = set(made.said["create"][:most])
    found: list[Added] = []
    for line in _lines(parts, made):
        if len(found) == len(wanted):
            break
        one = json.loads(line)
        if one["id"] in wanted:
            client = one["client"]
            tokens = one.get("tokens") is not None
            found.append(Added(one["id"], client["name"], one["app"], tuple(client["contacts"]), tokens))
    return found


def _lines(parts: Parts, made: Planned) -> list[str]:
    text = parts.vault.open(made.records, _cell(made.id)).reveal()
    return [line for line in text.split("\n") if line]


async def apply(parts: Parts, actor: Actor, plan_id: str, *, remove: bool = False) -> Planned:
    """Make the fleet as a plan has it, whole or not at all. What it removes has to be agreed to.

    Raises NotFound, Conflict, ImportRefused, and ChangedMeanwhile where anything of it moved.
    """
    made = await show(parts, actor, plan_id)
    removed = list(made.said["remove"])
    if removed and not remove:
        raise Conflict(f"The plan also removes connections, {len(removed)} in all; say that it may.")
    records = [Record.model_validate_json(line) for line in _lines(parts, made)]
    touched = {*made.said["create"], *(one["id"] for one in made.said["change"])}
    await all_within(parts, actor, records)
    new = await sealed(parts, [record for record in records if record.id in touched])
    await plans.apply(
        parts.database, made, _part(actor, made.within), new, removed, parts.clock.now(), actor.name,
        binding(parts).issuers,
    )  # fmt: skip
    return made


def document(made: Planned) -> dict[str, Any]:
    """Return a plan as JSON has it."""
    return {
        "id": made.id,
        "only_named": False,
        **made.said,
        "within": made.within,
        "expires_at": documents.iso(made.expires_at),
        "applied_at": documents.iso(made.applied_at),
    }


def _part(actor: Actor, within: str) -> Restriction:
    only = actor.only
    if not within:
        return replace(only, networks=())
    name, equals, value = within.removeprefix("label.").partition("=")
    if not within.startswith("label.") or not (name and equals and value):
        raise Conflict(f"{within!r} names no part of the fleet; write label.NAME=VALUE.")
    if name in only.labels and value not in only.labels[name]:
        raise Conflict(f"{within} lies outside of what {actor.name} is restricted to.")
    return replace(only, labels={**only.labels, name: (value,)}, networks=())


def _diff(parts: Parts, actor: Actor, records: list[Record], stood: Mapping[str, Known]) -> Diff:
    create, change, same = [], [], 0
    for record in records:
        known = stood.get(record.id)
        if known is None:
            create.append(record.id)
            continue
        found = list(_changes(parts, actor, record, known))
        change += found
        same += not found
    remove = sorted(stood.keys() - {record.id for record in records})
    return Diff(tuple(create), tuple(change), tuple(remove), same)


def _changes(parts: Parts, actor: Actor, record: Record, known: Known) -> Any:
    was, will = documents.record(known), record.model_dump(mode="json", exclude={"tokens"})
    if record.account_id is None:
        will["account_id"] = was["account_id"]  # left out: keeps the one that was found out
    if record.values is None:
        will["values"] = was["values"]
    pairs = [
        (f"/{name}", was[name], will[name]) for name in ("app", "scopes", "account_id", "labels", "values")
    ]
    pairs += [(f"/client/{name}", was["client"][name], will["client"][name]) for name in was["client"]]
    for at, before, after in pairs:
        if _listed(before) != _listed(after):
            hide = at == "/client/contacts" and not actor.reads_addresses
            yield {
                "id": record.id,
                "at": at,
                "was": _listed([documents.mask(one) for one in before] if hide else before),
                "will": _listed([documents.mask(one) for one in after] if hide else after),
            }
    access, refresh = tokens_of(record)
    if access is not None and fingerprint(parts.import_key, access, refresh) != known.imported:
        stored = "stored" if known.sealed.access else None
        yield {"id": record.id, "at": "/tokens", "was": stored, "will": "others"}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _line(record: Record) -> dict[str, Any]:
    found = record.model_dump(mode="json", exclude={"tokens"})
    if record.tokens is not None:
        tokens = record.tokens
        found["tokens"] = {
            "access_token": tokens.access_token.get_secret_value(),
            "refresh_token": tokens.refresh_token.get_secret_value() if tokens.refresh_token else None,
            "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
        }
    return found


def _cell(plan_id: str) -> Cell:
    return Cell("plan", plan_id, "records")
