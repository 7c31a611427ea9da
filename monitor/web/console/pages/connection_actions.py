"""What one does with a connection at once: probe, pause, mute, take up. All but the probe can be undone."""

from __future__ import annotations

from datetime import timedelta

from monitor.health.lifecycle import State
from monitor.health.pauses import Pause
from monitor.operations import connections, notices, pauses, probes, silences
from monitor.operations.actor import Right
from monitor.operations.probes import Looked, Rounds
from monitor.text.names import one_line
from monitor.text.spans import span
from monitor.web.console.answers import Ask, Done, Field, Undo
from monitor.web.console.declared import action
from monitor.web.console.lengths import read_moment, read_span, span_field
from monitor.web.console.pages.connection import PATH, WAS, base
from monitor.web.console.texts import _
from monitor.web.console.visit import Visit

WAITS = timedelta(seconds=15)  # for a verdict: a person looks on
TAKEN_FOR = timedelta(days=2)


@action(f"{PATH}/probe", Right.CONNECTIONS_OPERATE, api=("probe_connection",))
async def probe_now(visit: Visit) -> Done:
    """Look at a connection now, wait for the verdict, and say it."""
    name = visit.path["connection"]
    found = await probes.now(visit.parts, visit.actor, name, WAITS, visit.work(Rounds))
    return Done(base(name), _said_of(found))


def _said_of(found: Looked) -> str:
    how = _(WAS[found.known.health.state])
    if not found.verdict:
        return _("The probe is on its way; this page shows what it finds.")
    if found.coalesced:
        return _("It was probed a moment ago: %(how)s.", how=how)
    if found.known.health.state is State.SUSPECT:
        return _("Probed: %(how)s. It is looked at again soon.", how=how)
    return _("Probed: %(how)s.", how=how)


async def _ask_pause(visit: Visit) -> Ask:
    known = await connections.show(visit.parts, visit.actor, visit.path["connection"])
    before = await _pause_of(visit, known.id)
    says = [
        _("Nobody looks at it until it is resumed, and its tokens are not refreshed."),
        _("What is open of it is closed, and mails that wait for its client are taken back."),
    ]
    if before is not None:
        end = _("until it is resumed")
        if before.until is not None:
            end = _("until %(until)s UTC", until=f"{before.until:%a %-d %b %H:%M}")
        says = [says[0], _("It is paused now %(end)s; what you choose takes the place of that.", end=end)]
    if known.sealed.refresh is not None and known.sealed.refresh_ends_at is not None:
        says.append(
            _("Its refresh token runs out on %(day)s if it stays paused.",
              day=f"{known.sealed.refresh_ends_at:%-d %B %Y}")
        )  # fmt: skip
    fields = [
        span_field(visit.given("for"), endless=_("until I resume it")),
        Field(
            "until", _("Or until (UTC)"), "datetime-local", visit.given("until")[:16],
            hint=_("It resumes by itself then."),
        ),
        Field(
            "reason", _("Why"), value=visit.given("reason", before.reason if before is not None else ""),
            hint=_("Whoever looks next reads this."),
        ),
    ]  # fmt: skip
    heading = _("Pause %(client)s?", client=one_line(known.client_name))
    note = _("Resume it at any time: then a probe looks at once.")
    button = _("Pause %(name)s", name=known.id)
    return Ask(heading, says, button, base(known.id), fields, note=note, here="/")


@action(f"{PATH}/pause", Right.CONNECTIONS_OPERATE, api=("pause_connection",), asks=_ask_pause)
async def pause_it(visit: Visit) -> Done:
    """Stop looking at a connection, for a time or until somebody resumes it."""
    name = visit.path["connection"]
    before = await _pause_of(visit, name)
    changed = await connections.pause(
        visit.parts, visit.actor, [name], length=read_span(visit.given("for")),
        until=read_moment(visit.given("until"), "until"), reason=visit.given("reason"),
    )  # fmt: skip
    if not changed:
        return Done(base(name), _("It was paused already."))
    now = await _pause_of(visit, name)
    said = _("Paused.")
    if now is not None and now.until is not None:
        said = _("Paused until %(until)s UTC.", until=f"{now.until:%a %-d %b %H:%M}")
    return Done(base(name), said, _paused_again(name, before) if before else Undo(f"{base(name)}/resume"))


async def _pause_of(visit: Visit, name: str) -> Pause | None:
    known = await connections.show(visit.parts, visit.actor, name)
    return (await pauses.of(visit.parts, [known])).get(name)


def _paused_again(name: str, before: Pause) -> Undo:
    """Return what pauses it as it was, as far as that still lies ahead."""
    fields = [("until", before.until.isoformat())] if before.until is not None else []
    return Undo(f"{base(name)}/pause", [*fields, ("reason", before.reason)])


@action(f"{PATH}/resume", Right.CONNECTIONS_OPERATE, api=("resume_connection",))
async def resume_it(visit: Visit) -> Done:
    """Look at a connection again."""
    name = visit.path["connection"]
    before = await _pause_of(visit, name)
    changed = await connections.resume(visit.parts, visit.actor, [name])
    said = _("Resumed; a probe looks at it next.") if changed else _("It was not paused.")
    return Done(base(name), said, _paused_again(name, before or Pause()) if changed else None)


@action(f"{PATH}/claim", Right.CONNECTIONS_OPERATE, api=("claim_connection",))
async def claim_it(visit: Visit) -> Done:
    """Say that one is on it."""
    name, until = visit.path["connection"], visit.now + TAKEN_FOR
    door, _sep, person = visit.actor.name.partition(":")
    laid = await connections.claim(visit.parts, visit.actor, name, person or door, until)
    said = _("%(who)s is on it until %(until)s UTC: the client is not reminded before.",
             who=laid.who, until=f"{laid.until:%a %-d %b %H:%M}")  # fmt: skip
    return Done(base(name), said, Undo(f"{base(name)}/unclaim"))


@action(f"{PATH}/unclaim", Right.CONNECTIONS_OPERATE, api=("unclaim_connection",))
async def unclaim_it(visit: Visit) -> Done:
    """Say that nobody is on it any more."""
    name = visit.path["connection"]
    was = await connections.unclaim(visit.parts, visit.actor, name)
    said = _("Nobody is on it; reminders go when they are due.") if was else _("Nobody was on it.")
    return Done(base(name), said, Undo(f"{base(name)}/claim") if was else None)


async def _ask_mute(visit: Visit) -> Ask:
    known = await connections.show(visit.parts, visit.actor, visit.path["connection"])
    fields = [
        span_field(visit.given("for", "1d"), endless=_("until somebody unmutes it")),
        Field("reason", _("Why"), value=visit.given("reason"), hint=_("Whoever looks next reads this.")),
        Field(
            "maintenance", _("Do not look at it either, while it is well"), "checkbox",
            visit.given("maintenance"),
        ),
    ]  # fmt: skip
    says = [
        _("Nobody is told anything about it meanwhile: its client gets no mail, on-call no page."),
        _("Mails that wait are held, and go out afterwards if they are still true."),
    ]
    return Ask(
        _("Mute %(client)s?", client=one_line(known.client_name)), says,
        _("Mute %(name)s", name=known.id), base(known.id), fields,
        note=_("Unmute it at any time."), here="/",
    )  # fmt: skip


@action(f"{PATH}/mute", Right.SILENCES_WRITE, api=("create_silence", "hold_notices"), asks=_ask_mute)
async def mute_it(visit: Visit) -> Done:
    """Tell nobody anything about a connection for a while."""
    name = visit.path["connection"]
    begun = await silences.begin(
        visit.parts, visit.actor, "connection", name, read_span(visit.given("for")),
        reason=one_line(visit.given("reason"))[:200], maintenance=bool(visit.given("maintenance")),
    )  # fmt: skip
    said = _("Muted until somebody unmutes it.")
    if begun.until is not None:
        said = _("Muted for %(span)s.", span=span(begun.until - begun.begin))
    return Done(base(name), said, Undo(f"{base(name)}/unmute"))


@action(f"{PATH}/unmute", Right.NOTICES_OPERATE, api=("release_notices", "end_silence"))
async def unmute_it(visit: Visit) -> Done:
    """End what people laid over a connection."""
    name = visit.path["connection"]
    await notices.unhold(visit.parts, visit.actor, "connection", name)
    return Done(base(name), _("No longer muted; what is still true is told when it is due."))
