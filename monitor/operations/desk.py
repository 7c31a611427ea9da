"""What people do with a fleet beside running it: take in, export, explain, ask a client, try a channel.

The commands here are the command line's today, and the API's when it comes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.mails import book
from alerts.mails.mailserver import on_record
from alerts.mails.told import Told
from alerts.pages import oncall
from alerts.silences import silences
from alerts.silences.windows import Scope
from monitor.errors import CannotDecrypt, ConfigurationError, ImportRefused, KeyMissing, NotFound
from monitor.health.cadence import stretched
from monitor.health.explain import Story
from monitor.health.probed import SPANS, Period, first_of, periods
from monitor.health.question import Question, held_back, later, question
from monitor.health.wave import members
from monitor.operations.intake import Record, utc
from monitor.secret import Secret
from monitor.settings.builders import binding, build_post
from monitor.settings.parts import Parts
from monitor.store import audit, bindings, connections, history, incidents, journal, links, waves
from monitor.store.bindings import HeldGrant
from monitor.store.connections import Imported, Known, NewConnection
from monitor.store.incidents import OpenIncident
from monitor.text.names import one_line
from monitor.text.spans import span
from monitor.tokens.grant import leftover_cell
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.vault import fingerprint
from monitor.watching.probe import next_refresh


async def take_in(parts: Parts, records: list[Record], actor: str, *, dry_run: bool = False) -> Imported:
    """Seal the tokens of imported records and store them, all or nothing."""
    _with_account(parts, records)
    await _not_the_old_tokens(parts, records)
    now = parts.clock.now()
    interval = parts.loaded.settings.schedule.interval.total_seconds()
    rate = max(float(parts.loaded.settings.schedule.concurrency), len(records) / interval)
    new = [
        _new_connection(parts, record, now + timedelta(seconds=index / rate))
        for index, record in enumerate(records)
    ]
    issuers = binding(parts).issuers
    return await connections.put(parts.database, new, now, actor, dry_run=dry_run, issuers=issuers)


def _with_account(parts: Parts, records: list[Record]) -> None:
    """Refuse records without an account, where the settings want one. Raises ImportRefused."""
    if parts.loaded.settings.connections.require_account:
        without = [record.id for record in records if not record.account_id]
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


def _new_connection(parts: Parts, record: Record, first_probe_at: datetime) -> NewConnection:
    app, tokens = parts.apps[record.app], record.tokens
    access = Secret(tokens.access_token.get_secret_value()) if tokens else None
    given = tokens.refresh_token.get_secret_value() if tokens and tokens.refresh_token else ""
    refresh = Secret(given) if given else None
    return NewConnection(
        id=record.id,
        place=app.place,
        client_name=record.client.name,
        contacts=record.client.contacts,
        locale=record.client.locale,
        timezone=record.client.timezone,
        scopes=record.scopes,
        account_id=record.account_id,
        labels=record.labels,
        access=parts.vault.seal(access, access_cell(record.id, app.place)) if access else None,
        refresh=parts.vault.seal(refresh, refresh_cell(record.id, app.place)) if refresh else None,
        access_expires_at=utc(tokens.expires_at) if tokens else None,
        imported=fingerprint(parts.import_key, access, refresh) if tokens else None,
        first_probe_at=first_probe_at,
    )


def export_tokens(parts: Parts, known: Known) -> dict[str, str]:
    """Open a connection's tokens for an export that was asked to contain them."""
    tokens = {}
    if known.sealed.access is not None:
        tokens["access_token"] = parts.vault.open(
            known.sealed.access, access_cell(known.id, known.place)
        ).reveal()
    if known.sealed.refresh is not None:
        tokens["refresh_token"] = parts.vault.open(
            known.sealed.refresh, refresh_cell(known.id, known.place)
        ).reveal()
    if known.sealed.access_expires_at is not None:
        tokens["expires_at"] = known.sealed.access_expires_at.isoformat()
    return tokens


async def story(parts: Parts, connection_id: str) -> Story:
    """Gather everything that explains one connection. Raises NotFound."""
    known = await connections.show(parts.database, connection_id)
    newest = await history.timeline(parts.database, connection_id, 1)
    open_ones = await incidents.of_connection(parts.database, connection_id)
    larger = open_ones[1] if len(open_ones) > 1 else None
    app, change = parts.apps.get(known.place.app), newest[0] if newest else None
    now = parts.clock.now()
    told = await book.about_connection(parts.database, connection_id, 8)
    settings = parts.loaded.settings
    waits, choices = await _held_back(parts, open_ones, now)
    grant = await bindings.of_connection(parts.database, connection_id)
    return Story(
        id=known.id,
        client=one_line(known.client_name),
        provider=app.provider.title if app else known.place.provider,
        app=known.place.app,
        health=known.health,
        reasons=change.reasons if change else (),
        rule=known.health.rule,
        evidence=change.evidence if change else (),
        evidence_at=change.at if change else None,
        scope=change.scope if change else None,
        last_probe_at=known.last_probe_at,
        last_success_at=known.last_success_at,
        next_probe_at=known.next_probe_at,
        next_refresh_at=next_refresh(known.id, known.sealed, app, settings.cadence, now) if app else None,
        incident_since=open_ones[0].opened_at if open_ones else None,
        larger=_larger(larger) if larger else None,
        waits=waits,
        choices=choices,
        policy=settings.policy,
        said=(
            *await _silenced(parts, known),
            *await _paged(parts, known),
            *await _steps(parts, connection_id),
            *await _mail_server(parts, told),
            *(one.sentence(now) for one in told),
        ),
        rests=known.rests,
        configured=app is not None,
        doubt=known.doubt,
        unanswered=await _unanswered(parts, known),
        grace=app.provider.oauth.reuse_grace if app else timedelta(0),
        access_ends=known.sealed.access_expires_at,
        probed=await _probed(parts, connection_id),
        held=grant.sentence if grant is not None else "",
        account=grant.account.id if grant is not None else "",
        mails=bool(settings.smtp.sender),
    )


async def _probed(parts: Parts, connection_id: str) -> tuple[Period, ...]:
    now, interval = parts.clock.now(), parts.loaded.settings.history.interval
    since = first_of(now, max(SPANS), interval)
    return periods(await history.counts(parts.database, connection_id, since), now, interval)


async def _unanswered(parts: Parts, known: Known) -> list[Mapping[str, Any]]:
    if known.doubt is None:
        return []
    return await journal.unanswered(parts.database, known.id, known.doubt.since)


async def _held_back(
    parts: Parts, open_ones: list[OpenIncident], now: datetime
) -> tuple[str, tuple[str, ...]]:
    """Say why the first mail about a break is held or late, and what may be said about that."""
    own, larger = open_ones[0] if open_ones else None, open_ones[1] if len(open_ones) > 1 else None
    if own is None or own.told_at is not None or own.mails:
        return "", ()
    if larger is not None and larger.wave:
        for one in await questions(parts):
            if one.provider == larger.about.name:
                return held_back(one)
    return later(own.waits, parts.loaded.settings.guard.doubt_delay, own.opened_at, now), ()


async def _silenced(parts: Parts, known: Known) -> list[str]:
    now = parts.clock.now()
    scope = Scope(known.place.provider, known.place.app, known.client_name, known.id)
    standing = await silences.standing(parts.database, parts.loaded.settings.windows, now)
    return [item.sentence for item in standing if item.covers(scope) and item.begun_at <= now]


async def _mail_server(parts: Parts, told: Sequence[Told]) -> list[str]:
    """Say that the mail server takes nothing, where something is on its way."""
    if not any(one.state == "sending" for one in told):
        return []
    trouble = await mail_server_trouble(parts)
    return [trouble] if trouble else []


async def mail_server_trouble(parts: Parts) -> str:
    """Say since when the service has found that the mail server takes nothing; empty where it does."""
    if not parts.loaded.settings.smtp.sender:
        return ""
    name = parts.loaded.mail_server().name
    return (await on_record(parts.database, name)).sentence(name, parts.clock.now())


async def _paged(parts: Parts, known: Known) -> list[str]:
    """Say what on-call was told that this connection is part of."""
    async with parts.database.read() as conn:
        standing = await oncall.standing_pages(conn)
    mine = {"connection": known.id, "app": known.place.app, "provider": known.place.provider}
    return [
        f"On-call was told over {', '.join(took) or 'no channel yet'}: {matter['summary']}."
        for _, matter, took in standing
        if matter["labels"].get("cause", known.health.cause.value) == known.health.cause.value
        and all(matter["labels"].get(name, value) == value for name, value in mine.items())
    ]


async def _steps(parts: Parts, connection_id: str) -> list[str]:
    """Say how far the client came with the newest link that was opened."""
    now = parts.clock.now()
    for link in await links.of_connection(parts.database, connection_id):
        for done, verb in (
            (link.used_at, "approved"),
            (link.started_at, "started"),
            (link.opened_at, "opened"),
        ):
            if done is not None and (link.opened_at or link.started_at) is not None:
                return [f"The client {verb} the link {span(now - done)} ago (mail scanners open links, too)."]
    return []


async def new_link(parts: Parts, connection_id: str, actor: str) -> str:
    """Make a link that an operator hands over; it starts whatever the connection's state is."""
    known = await connections.show(parts.database, connection_id)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    settings, now = parts.loaded.settings, parts.clock.now()
    open_ones = await incidents.of_connection(parts.database, connection_id)
    secret = await links.issue(
        parts.database,
        connection_id,
        locale=known.locale,
        now=now,
        expires_at=now + settings.email.link_lifetime,
        incident=open_ones[0].id if open_ones else None,
        cause="pending" if known.newcomer else known.health.cause.value,
        always=True,
    )
    await audit.write_down(parts.database, now, actor, "link.made", connection_id)
    return f"{settings.web.public_url}/r/{secret.reveal()}"


async def ask_client(parts: Parts, connection_id: str, actor: str) -> int:
    """Have the client mailed now; return the notice's number. Raises where it would mend nothing."""
    post = build_post(parts)
    if post is None:
        raise ConfigurationError(
            f"{parts.loaded.path}: set smtp.from (and smtp.url) first; then mails go out."
        )
    known = await connections.show(parts.database, connection_id)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    return await book.request(parts.database, post.voice, known, parts.clock.now(), actor)


async def questions(parts: Parts) -> list[Question]:
    """Return the open waves, each as the question it is."""
    now, policy = parts.clock.now(), parts.loaded.settings.guard_policy.wave
    return [
        question(known.provider, known.held.wave, members(known.held.breaks, now), known.reasons, policy, now)
        for known in await waves.open_now(parts.database)
    ]


async def accept_account(parts: Parts, connection_id: str, account: str, actor: str) -> str | None:
    """Take another account as the right one from now on; return the one before."""
    known = await connections.show(parts.database, connection_id)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    await connections.set_account(parts.database, connection_id, account, parts.clock.now(), actor)
    return known.account_id


async def refuse_account(parts: Parts, connection_id: str, actor: str) -> HeldGrant:
    """Refuse the account whose authorization waits for a person, and give the grant back.

    It is revoked where revoking ends nothing else: the account may be another client's, whose own grant
    works. Raises NotFound where none waits.
    """
    grant = await bindings.of_connection(parts.database, connection_id)
    if grant is None:
        raise NotFound(f"{connection_id}: no authorization waits for a decision.")
    app, leftover = parts.apps.get(grant.place.app), None
    if app is not None and grant.consent is not None and app.provider.oauth.revoke_ends == "grant":
        bearer = app.provider.oauth.revoke_with == "bearer" or grant.refresh is None
        text, cell = (grant.access, access_cell) if bearer else (grant.refresh or "", refresh_cell)
        with contextlib.suppress(CannotDecrypt, KeyMissing):
            token = parts.vault.open(text, cell(connection_id, grant.place))
            leftover = parts.vault.seal(token, leftover_cell(grant.consent))
    await bindings.refuse(parts.database, connection_id, leftover, parts.clock.now(), actor)
    return grant


def not_watched(app: str, count: int) -> str:
    """Say that nobody looks at the connections of an app that is not configured, and what to do."""
    these, are = (f"{count} connections", "are") if count != 1 else ("1 connection", "is")
    return (
        f"{these} of app {app!r}, which is not in [[apps]], {are} not looked at: add the app again, or "
        "pause, remove or import them with another app."
    )


def _larger(found: OpenIncident) -> str:
    whole = found.wave or found.guard
    return found.reasons[0] if whole and found.reasons else f"{found.cause.value} of {found.about}."


async def stretched_apps(parts: Parts) -> list[tuple[str, timedelta, timedelta]]:
    """Return the apps whose limit makes their interval longer: id, the interval, the configured one."""
    wanted = parts.loaded.settings.schedule.interval
    sizes = await connections.per_app(parts.database)
    found = []
    for app in parts.apps.values():
        interval = stretched(wanted, sizes.get(app.id, 0), app.limits.app_wide)
        if interval > wanted:
            found.append((app.id, timedelta(seconds=round(interval.total_seconds())), wanted))
    return found
