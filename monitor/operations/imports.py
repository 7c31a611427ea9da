"""Connections as files bring them: their tokens sealed, and all of them stored or none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from alerts.mails.language import languages as spoken
from monitor.errors import CannotDecrypt, ImportRefused, KeyMissing, Refused
from monitor.operations.actor import Actor, Right, no_connection
from monitor.operations.intake import Record, does_not_fit, utc
from monitor.secret import Secret
from monitor.settings.builders import binding
from monitor.settings.parts import Parts
from monitor.store import connections, imports, within
from monitor.store.imports import Imported, NewConnection
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.vault import fingerprint


async def take_in(
    parts: Parts,
    actor: Actor,
    records: list[Record],
    *,
    dry_run: bool = False,
    expected: Mapping[str, int | None] | None = None,
    handout: bool | None = None,
    alone: bool = False,
) -> Imported:
    """Seal the tokens of imported records and store them, all or nothing.

    `expected` are revisions that some are taken to have, None: not to be there. Raises ImportRefused, and
    what `store.imports.put` does.
    """
    actor.needs(Right.CONNECTIONS_WRITE)
    await all_within(parts, actor, records)
    now, new = parts.clock.now(), await sealed(parts, records)
    if handout is not None:
        new = [replace(one, handout=handout) for one in new]
    issuers = binding(parts).issuers
    return await imports.put(
        parts.database, new, now, actor.name,
        dry_run=dry_run, issuers=issuers, expected=expected, alone=alone,
    )  # fmt: skip


async def put_one(
    parts: Parts, actor: Actor, record: Record, expected: Mapping[str, int | None], handout: bool | None
) -> None:
    """Add or change one connection that is `expected` to have a revision, or not to be there; none: whatever.

    Raises ImportRefused for what does not go with what is configured, and what `take_in` does.
    """
    actor.needs(Right.CONNECTIONS_WRITE)
    if (trouble := does_not_fit(record, parts.apps)) is not None:
        raise ImportRefused([trouble])
    await take_in(parts, actor, [record], expected=expected, handout=handout, alone=True)


async def sealed(parts: Parts, records: list[Record]) -> list[NewConnection]:
    """Return connections as they are stored, each first looked at in its turn. Raises ImportRefused."""
    await must_fit(parts, records)
    now = parts.clock.now()
    interval = parts.loaded.settings.schedule.interval.total_seconds()
    rate = max(float(parts.loaded.settings.schedule.concurrency), len(records) / interval)
    return [
        _new_connection(parts, record, now + timedelta(seconds=index / rate))
        for index, record in enumerate(records)
    ]


async def must_fit(parts: Parts, records: list[Record]) -> None:
    """Let pass what goes with the settings, and with what is stored. Raises ImportRefused."""
    _with_account(parts, records)
    await _not_the_old_tokens(parts, records)


async def all_within(parts: Parts, who: Actor, records: list[Record]) -> None:
    """Let pass where all of it is within what there is for an actor, before and after. Raises Refused."""
    if who.only.whole:
        return
    known = await within.of(parts.database, [record.id for record in records])
    for record in records:
        was = known.get(record.id)
        if was is not None and not who.only.covers(record.id, *was):
            raise no_connection(record.id)
        if not who.only.covers(record.id, record.app, record.labels):
            raise Refused(f"{record.id} would lie outside of what {who.name} is restricted to.")


def languages() -> tuple[str, ...]:
    """Return the languages in which a client can be written to."""
    return spoken()


def _account_of(parts: Parts, record: Record) -> str | None:
    """Return a record's account; where a value of it is the account, that says it, too."""
    named = parts.apps[record.app].provider.whoami.account_value
    return record.account_id or (record.values or {}).get(named)


def _with_account(parts: Parts, records: list[Record]) -> None:
    """Refuse records without an account, where the settings want one. Raises ImportRefused."""
    if parts.loaded.settings.connections.require_account:
        without = [record.id for record in records if not _account_of(parts, record)]
        if without:
            raise ImportRefused(
                [f"{name}: account_id is missing, and connections.require_account is set" for name in without]
            )


async def _not_the_old_tokens(parts: Parts, records: list[Record]) -> None:
    """Refuse the stored tokens of a connection under another app: they would go to its provider.

    Such as an export with secrets whose app was edited. Raises ImportRefused.
    """
    given = {record.id: record for record in records if record.tokens is not None}
    places = {name: parts.apps[record.app].place for name, record in given.items()}
    refused = []
    for name, place, sealed in await connections.moving(parts.database, places):
        tokens = given[name].tokens
        assert tokens is not None  # noqa: S101 - only those with tokens are asked for
        news = {one.get_secret_value() for one in (tokens.access_token, tokens.refresh_token) if one}
        for text, cell in ((sealed.access, access_cell), (sealed.refresh, refresh_cell)):
            with contextlib.suppress(CannotDecrypt, KeyMissing):
                if text is not None and parts.vault.open(text, cell(name, place)).reveal() in news:
                    refused.append(
                        f"{name}: these tokens are of app {place.app!r}, not of app {given[name].app!r}"
                    )
                    break
    if refused:
        raise ImportRefused(refused)


def tokens_of(record: Record) -> tuple[Secret | None, Secret | None]:
    """Return access and refresh token that a record brings."""
    tokens = record.tokens
    if tokens is None:
        return None, None
    given = tokens.refresh_token.get_secret_value() if tokens.refresh_token else ""
    return Secret(tokens.access_token.get_secret_value()), Secret(given) if given else None


def _new_connection(parts: Parts, record: Record, first_probe_at: datetime) -> NewConnection:
    app, tokens = parts.apps[record.app], record.tokens
    access, refresh = tokens_of(record)
    return NewConnection(
        id=record.id,
        place=app.place,
        client_name=record.client.name,
        contacts=record.client.contacts,
        locale=record.client.locale,
        timezone=record.client.timezone,
        scopes=record.scopes,
        account_id=_account_of(parts, record),
        labels=record.labels,
        access=parts.vault.seal(access, access_cell(record.id, app.place)) if access else None,
        refresh=parts.vault.seal(refresh, refresh_cell(record.id, app.place)) if refresh else None,
        access_expires_at=utc(tokens.expires_at) if tokens else None,
        imported=fingerprint(parts.import_key, access, refresh) if tokens else None,
        first_probe_at=first_probe_at,
        values=record.values,
    )
