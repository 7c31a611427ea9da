"""Acting on many: the question before it, and the doing."""

from __future__ import annotations

from monitor.errors import Invalid
from monitor.health.acting import Action
from monitor.operations import acting, jobs
from monitor.operations.acting import Options, Would
from monitor.operations.actor import Right
from monitor.text.ids import new_id
from monitor.web.console import chosen
from monitor.web.console.acting_words import WORDS, why_left
from monitor.web.console.answers import Answer, Ask, Done, Field, LeftOut, Undo
from monitor.web.console.declared import action
from monitor.web.console.lengths import read_span, span_field
from monitor.web.console.texts import gettext as _
from monitor.web.console.texts import ngettext
from monitor.web.console.visit import Visit

LARGEST = 1 << 20  # bytes: ids of a page's rows, or a filter
TYPED_ABOVE = 20
NAMED = 3  # of those that are left out, and of clients that are mailed
USUAL = "1d"


async def ask_bulk(visit: Visit) -> Ask:
    """Say what would be done with what was chosen, which of it not, and why."""
    does, selection = _action(visit), chosen.selection(visit)
    found = await jobs.would(visit.parts, visit.actor, does, selection, _options(visit, does))
    n, words = len(found.todo), WORDS[does]
    count = len(found.mails) if does is Action.LINK else n
    back = visit.back("/")
    left = [
        LeftOut(len(some), why_left(why, len(some)), [one.id for one in some[:NAMED]])
        for why, some in found.left.items()
    ]
    if not n:
        nothing = ngettext(
            "Nothing would be done with this connection.",
            "Nothing would be done with any of these %(n)s connections.",
            found.found,
        )
        if not found.found:
            nothing = _("No connection matches any more.")
        return Ask(nothing, (), "", back, left_out=left, here="/")
    return Ask(
        words.asks(count),
        _says(visit, found, count),
        words.button(count),
        back,
        fields=_fields(visit, does) if does in acting.LASTING else (),
        hidden=[
            ("action", does.value), *chosen.hidden(visit), ("expect", str(found.found)), ("back", back),
            ("job", new_id("job")),
        ],
        left_out=left,
        typed=n if does is Action.REMOVE and n > TYPED_ABOVE else None,
        danger=does is Action.REMOVE,
        note=_(words.note) if words.note else "",
        to="/bulk/do",
        here="/",
    )  # fmt: skip


@action("/bulk", Right.CONNECTIONS_OPERATE, api=("begin_bulk",), asks=ask_bulk, largest=LARGEST)
async def choose_bulk(visit: Visit) -> Answer:
    """Ask what to do with what was chosen; a probe alone is begun without a question."""
    if _action(visit) is Action.PROBE:
        return await _begun(visit, Action.PROBE)
    return await ask_bulk(visit)


@action("/bulk/do", Right.CONNECTIONS_OPERATE, api=("begin_bulk",), asks=ask_bulk, largest=LARGEST)
async def do_bulk(visit: Visit) -> Done:
    """Do it: few at once, many in the background; nothing where the choice has changed since it was asked."""
    return await _begun(visit, _action(visit))


async def _begun(visit: Visit, does: Action) -> Done:
    parts, actor, selection, options = (
        visit.parts,
        visit.actor,
        chosen.selection(visit),
        _options(visit, does),
    )
    if does is Action.REMOVE:
        found = await jobs.would(parts, actor, does, selection, options)
        typed = visit.given("typed").replace(",", "")
        if len(found.todo) > TYPED_ABOVE and typed != str(len(found.todo)):
            raise Invalid("typed", _("the number is another; nothing was removed."))
    if selection.expect is None:  # a probe is not asked about before, and so nobody was told a number
        found = await jobs.would(parts, actor, does, selection, options)
        selection = jobs.Selection(selection.which, selection.ids, found.found)
    made = await jobs.begin_few(parts, actor, does.value, selection, options, job_id=visit.given("job"))
    words, here = WORDS[does], f"/jobs/{made.id}"
    if made.ended_at is None:
        total = made.options["todo"]
        return Done(here, _("%(what)s, in the background.", what=words.goes_on(total)))
    undo = Undo(f"{here}/undo", [("back", visit.back("/"))]) if jobs.taken_back_by(made) else None
    # What was left out, or failed, is on the job's own page, each with its reason.
    return Done(here if made.failed else visit.back("/"), words.done(len(jobs.done_with(made))), undo)


def _action(visit: Visit) -> Action:
    try:
        return Action(visit.given("action"))
    except ValueError:
        raise Invalid("action", _("choose what to do.")) from None


def _options(visit: Visit, does: Action) -> Options:
    if does not in acting.LASTING:
        return Options(visit.now)
    length = read_span(_length(visit, does))
    return acting.lasting(does, visit.now, length, None, visit.given("reason"))


def _length(visit: Visit, does: Action) -> str:
    """Return the length that was chosen; chosen, too, is none: until somebody ends it."""
    chosen_none = "for" in visit.form or "for" in visit.query
    return visit.given("for") if chosen_none or does is Action.PAUSE else USUAL


def _fields(visit: Visit, does: Action) -> list[Field]:
    endless = _("until somebody resumes them") if does is Action.PAUSE else ""
    return [
        span_field(_length(visit, does), endless=endless),
        Field(
            "reason", _("Reason"), value=visit.given("reason"),
            hint=_("It stands beside each of them, and in the audit.") if does is Action.PAUSE
            else _("It stands beside each of them, in the outbox and in the audit."),
        ),
    ]  # fmt: skip


def _says(visit: Visit, found: Would, count: int) -> list[str]:
    n = len(found.todo)
    says = [_(WORDS[found.action].does)]
    if found.action is Action.LINK:
        addresses = {to for some in found.mails for to in some[0].facts.contacts}
        to = ngettext("one address", "%(n)s addresses", len(addresses))
        told = ngettext("one connection", "%(n)s connections", n)
        says.insert(
            0,
            ngettext(
                "One mail goes to %(to)s, about %(told)s.",
                "%(n)s mails go to %(to)s, about %(told)s: to each client one about all that it has to mend.",
                count, to=to, told=told,
            ),
        )  # fmt: skip
        clients = list(dict.fromkeys(some[0].row.client_name for some in found.mails))
        named = ", ".join(clients[:NAMED])
        more = len(clients) - NAMED
        if more > 0:
            named = ngettext(
                "%(named)s and one more client", "%(named)s and %(n)s more clients", more, named=named
            )
        says.insert(1, _("To %(named)s.", named=named))
    if visit.given("all") == "1":
        match = ngettext(
            "The one connection that matches just now is meant",
            "All %(n)s connections that match just now are meant",
            found.found,
        )
        says.append(
            _(
                "%(match)s (%(which)s). If others match by the time you go on, nothing is done and you are "
                "asked again.",
                match=match,
                which=chosen.sentence(visit) or _("everything"),
            )
        )
    return says
