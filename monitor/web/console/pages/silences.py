"""Silences: what nobody is told about for a while, laid by people or given by the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.errors import ConfigurationError, NotFound
from monitor.health.listing import Filter
from monitor.operations import fleet, silences
from monitor.operations.actor import Right
from monitor.operations.records import for_eyes
from monitor.operations.silences import Over, Silenced, Weekly, Window
from monitor.web.console.answers import Ask, Done, Field, Shown, Undo
from monitor.web.console.declared import action, page
from monitor.web.console.lengths import read_moment, read_span, span_field
from monitor.web.console.texts import N_, ngettext
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit

HERE = "/silences"
USUAL = "2h"
LONGEST = 500  # characters of a reason
OVER = {
    "provider": N_("a provider"), "app": N_("an app"), "client": N_("a client"),
    "connection": N_("a connection"), "all": N_("everything"),
}  # fmt: skip
DAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


@dataclass(frozen=True, slots=True)
class Row:
    """A silence as the page shows it."""

    id: str
    over: str
    name: str
    begin: datetime | None
    until: datetime | None
    reason: str
    by: str
    maintenance: bool
    number: int | None
    weekly: str = ""


@page("/silences", Right.SILENCES_READ)
async def show_silences(visit: Visit) -> Shown:
    """Show what is silent now, what will be, and what the configuration gives."""
    found = await silences.every(visit.parts, visit.actor)
    theirs = [one for one in found.laid if one.number is not None]
    now = [_row(visit, one) for one in theirs if one.begun_at <= found.at]
    given = [_row(visit, one) for one in found.laid if one.number is None]
    return Shown(
        "silences.html.j2", _("Silences"), HERE, verdict=_verdict(len(now) + len(given)),
        holding=now, given=given,
        coming=[_row(visit, one) for one in theirs if one.begun_at > found.at],
        not_now=[_row(visit, one) for one in found.not_now], words=OVER,
        file=visit.parts.loaded.path.name, may_write=visit.may(Right.SILENCES_WRITE),
    )  # fmt: skip


def _verdict(count: int) -> str:
    if not count:
        return _("Nothing is silent.")
    return ngettext("%(n)s silence holds.", "%(n)s silences hold.", count)


def _row(visit: Visit, one: Silenced | Window) -> Row:
    shown, name = for_eyes(visit.actor, one.reason), silences.name_of(one)
    if isinstance(one, Silenced):
        return Row(
            name, one.over.value, one.name, one.begun_at, one.until, shown, for_eyes(visit.actor, one.by),
            one.pauses, one.number,
        )  # fmt: skip
    weekly = _weekly(one.weekly) if one.weekly is not None else ""
    return Row(
        name, one.over.value, one.name, one.begin, one.until, shown or one.title, one.title, one.pauses, None,
        weekly,
    )  # fmt: skip


def _weekly(one: Weekly) -> str:
    days = ", ".join(_(DAYS[day]) for day in sorted(one.days)) if len(one.days) < 7 else _("each day")
    return f"{days} {one.start:%H:%M}–{one.end:%H:%M} {one.zone}"


# -- one more -------------------------------------------------------------------------------------------


async def ask_silence(visit: Visit) -> Ask:
    """Ask what is to be silent, for how long and why."""
    over, name = visit.given("over", "provider"), visit.given("name")
    says = [
        _("No client is told anything about it, and on-call neither. What breaks is found all the same; what "
          "still stands when the silence is over is told then."),
    ]  # fmt: skip
    if lies := await _lies_over(visit, over, name):
        says.append(lies)
    return Ask(
        _("Lay a silence"), says, _("Lay the silence"), HERE, here=HERE,
        fields=[
            Field("over", _("Over"), "select", over, options=[(one, _(word)) for one, word in OVER.items()]),
            Field("name", _("Name"), value=name, hint=_("of the provider, app or client, or the "
                                                        "connection's id; empty for everything")),
            Field("from", _("From"), "datetime-local", visit.given("from"),
                  hint=_("UTC; empty: from now on")),
            span_field(visit.given("for", USUAL), _("from its beginning")),
            Field("until", _("Until"), "datetime-local", visit.given("until"),
                  hint=_("UTC; instead of a length")),
            Field("reason", _("Reason"), value=visit.given("reason"), hint=_("for whoever wonders")),
            Field("maintenance", _("Maintenance"), "checkbox", visit.given("maintenance"),
                  hint=_("what is well is not looked at meanwhile, either")),
        ],
        note=_("It can be ended at any time."),
    )  # fmt: skip


async def _lies_over(visit: Visit, over: str, name: str) -> str:
    """Say over how many connections it would lie; nothing while it is not named."""
    named = frozenset([name])
    which = {
        "all": Filter(), "provider": Filter(providers=named), "app": Filter(apps=named),
        "client": Filter(clients=named), "connection": Filter(ids=named),
    }.get(over)  # fmt: skip
    if which is None or (not name and over != "all") or not visit.may(Right.CONNECTIONS_READ):
        return ""
    count = (await fleet.counts(visit.parts, visit.actor, which)).total
    return ngettext("It lies over %(n)s connection.", "It lies over %(n)s connections.", count)


@action("/silences/new", Right.SILENCES_WRITE, asks=ask_silence, api=("create_silence",))
async def lay_silence(visit: Visit) -> Done:
    """Lay a silence."""
    over, name, reason = visit.given("over"), visit.given("name"), visit.given("reason")
    if over not in OVER:
        raise ConfigurationError(_("Say what it lies over."))
    if (over == Over.ALL.value) == bool(name):
        raise ConfigurationError(
            _("What lies over everything has no name.") if name else _("Name what it lies over.")
        )
    if len(reason) > LONGEST:
        raise ConfigurationError(_("A reason has %(n)s characters at most.", n=LONGEST))
    begin = read_moment(visit.given("from"), _("From"))
    until = read_moment(visit.given("until"), _("Until"))
    length = read_span(visit.given("for"))
    if until is not None:
        length = until - (begin or visit.now)
        if begin is not None and until <= begin:
            raise ConfigurationError(_("It would end before it begins."))
    try:
        made = await silences.begin(
            visit.parts, visit.actor, over, name, length, start=begin, reason=reason,
            maintenance=bool(visit.given("maintenance")),
        )  # fmt: skip
    except NotFound as error:  # of what was named, not of this page
        raise ConfigurationError(str(error)) from None
    said = _("A silence lies over %(what)s.", what=name or _("everything"))
    if made.to_come:
        said = _("A silence over %(what)s is to come.", what=name or _("everything"))
    if made.beside:
        said += " " + ngettext(
            "One more lies over the same.", "%(n)s more lie over the same.", len(made.beside)
        )
    return Done(HERE, said, Undo(f"/silences/{silences.numbered(made.number)}/end"))


# -- its end --------------------------------------------------------------------------------------------


async def ask_end_silence(visit: Visit) -> Ask:
    """Say what it means to end a silence."""
    one = _row(visit, await silences.find(visit.parts, visit.actor, _name(visit)))
    comes = one.begin is not None and one.begin > visit.now
    what = one.name or _("everything")
    if one.number is None:
        return Ask(
            _("The silence over %(what)s cannot be ended here", what=what),
            [_("It stands in %(file)s as “%(title)s”, and ends there.", file=visit.parts.loaded.path.name,
               title=one.by)],
            "", HERE, here=HERE,
        )  # fmt: skip
    says = [_("What waits is told then, as far as it is still true.")]
    if one.maintenance:
        says.append(_("What it paused is looked at again."))
    return Ask(
        _("Call off the silence over %(what)s?", what=what) if comes
        else _("End the silence over %(what)s?", what=what),
        [] if comes else says,
        _("Call it off") if comes else _("End the silence"), HERE, here=HERE,
        note=_("Undo lays it again, as it was. A mail that has left by then cannot be taken back."),
    )  # fmt: skip


@action("/silences/{silence}/end", Right.SILENCES_WRITE, asks=ask_end_silence, api=("end_silence",))
async def end_silence_here(visit: Visit) -> Done:
    """End a silence, or call it off."""
    found = await silences.find(visit.parts, visit.actor, _name(visit))
    await silences.remove(visit.parts, visit.actor, _name(visit))
    what = found.name or _("everything")
    return Done(HERE, _("The silence over %(what)s is ended.", what=what), _again(found, visit.now))


def _name(visit: Visit) -> str:
    """Return what programs call the silence of a path; people may write its number, as commands have it."""
    text = visit.path["silence"]
    return silences.numbered(int(text)) if text.isdecimal() and len(text) < 16 else text


def _again(was: Silenced | Window, now: datetime) -> Undo | None:
    """Return what lays it again as it was."""
    if not isinstance(was, Silenced):
        return None
    fields = [("over", was.over.value), ("name", was.name), ("reason", was.reason), ("for", "")]
    if was.begun_at > now:
        fields.append(("from", was.begun_at.isoformat()))
    if was.until is not None:
        fields.append(("until", was.until.isoformat()))
    if was.pauses:
        fields.append(("maintenance", "1"))
    return Undo("/silences/new", fields)
