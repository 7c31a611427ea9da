"""What people do about incidents: decide about a wave, take it back, take an incident up, hold its mails."""

from __future__ import annotations

from monitor.errors import ConfigurationError, Conflict, NotFound
from monitor.health.causes import Subject
from monitor.operations import board, incidents, notices, silences
from monitor.operations.actor import Right
from monitor.operations.board import Decision
from monitor.text.spans import span
from monitor.web.console import incident_words as words
from monitor.web.console.answers import Ask, Done, Field, LeftOut, Undo
from monitor.web.console.declared import action
from monitor.web.console.lengths import SPANS, read_span, span_field
from monitor.web.console.texts import gettext as _
from monitor.web.console.texts import ngettext
from monitor.web.console.visit import Visit

HERE = "/incidents"
LARGEST = 2**31 - 1  # number of an incident
TYPED = 20  # above so many connections, what nobody hears of has its number typed


def number(visit: Visit) -> int:
    """Return the incident that a path names. Raises NotFound for a number that the database has not."""
    found = int(visit.path["number"])
    if found > LARGEST:
        raise NotFound(_("There is no such incident."))
    return found


def _page(visit: Visit) -> str:
    return f"/incidents/{number(visit)}"


# -- a wave ---------------------------------------------------------------------------------------------


async def ask_decide(visit: Visit) -> Ask:
    """Say what a decision about a wave does."""
    found = await board.decision(visit.parts, visit.actor, number(visit))
    if found is None:
        raise Conflict(_("Incident %(number)s holds nothing back.", number=number(visit)))
    match visit.given("mails", "wait"):
        case "release":
            return _ask_release(visit, found)
        case "first":
            return _ask_first(visit, found)
        case "drop":
            return _ask_drop(visit, found)
    return Ask(
        _("Wait, and hold the mails"), [words.letters(found), found.question.next], "", HERE, here=HERE,
        note=_("Nothing is to be done for that: it is what happens while nobody decides."),
    )  # fmt: skip


def _to_undo(visit: Visit) -> str:
    return span(visit.parts.loaded.settings.email.release_delay)


def _ask_release(visit: Visit, found: Decision) -> Ask:
    letters = found.letters
    says = [
        ngettext(
            "%(n)s mail goes to %(of)s addresses, once its connection was looked at again; who heals by then "
            "is not mailed.",
            "%(n)s mails go to %(of)s addresses, each once its connection was looked at again; who heals by "
            "then is not mailed.",
            letters.mails, of=f"{letters.addresses:,}",
        ),
        _("They go as fast as these looks confirm them, the first after %(span)s; "
          "the fuse lets them pass.", span=_to_undo(visit)),
        _quiet(visit, found),
    ]  # fmt: skip
    button = ngettext(
        "Release %(n)s mail to %(of)s addresses", "Release %(n)s mails to %(of)s addresses",
        letters.mails, of=f"{letters.addresses:,}",
    )  # fmt: skip
    return Ask(
        ngettext(
            "Release the mail of %(n)s connection?", "Release the mails of %(n)s connections?",
            found.question.held_connections,
        ),
        [one for one in says if one], button, HERE, here=HERE, hidden=_seen(found, "release"),
        left_out=_without_mail(found),
        note=_("For %(span)s all of it can be taken back. After that what has not left is held again; "
               "a mail that has left cannot be taken back.", span=_to_undo(visit)),
    )  # fmt: skip


def _ask_first(visit: Visit, found: Decision) -> Ask:
    count = _count(visit, found)
    names = found.first(count)
    return Ask(
        ngettext("Ask %(n)s client first?", "Ask %(n)s clients first?", len(names)),
        [
            _("Those who broke in the densest half hour are asked, since a break of their own would prove "
              "nothing: %(who)s.",
              who=", ".join(names)),
            _("When they authorized again and work, the rest can follow; while they are still refused, "
              "nobody else is asked."),
            *([quiet] if (quiet := _quiet(visit, found)) else []),
        ],
        ngettext("Ask %(n)s client", "Ask %(n)s clients", len(names)), HERE, here=HERE,
        fields=[Field("count", _("How many"), "number", str(count), required=True)],
        hidden=_seen(found, "first"),
        note=_("This cannot be taken back: the mails go as soon as the connections were looked at again. "
               "Of the others nobody is mailed."),
    )  # fmt: skip


def _ask_drop(visit: Visit, found: Decision) -> Ask:
    held = found.question.held_connections
    return Ask(
        ngettext("Drop the mail of %(n)s connection?", "Drop the mails of %(n)s connections?", held),
        [
            ngettext(
                "%(n)s client is never told about this break, nor reminded of it.",
                "%(n)s clients are never told about this break, nor reminded of it.", found.question.held,
            ),
            _("What does not heal by itself stays broken until somebody mends it another way. A later break "
              "of the same connection is a new one."),
        ],
        ngettext("Drop %(n)s mail", "Drop %(n)s mails", found.letters.mails), HERE, here=HERE,
        hidden=_seen(found, "drop"), danger=True, typed=held if held > TYPED else None,
        note=_("It can be taken back as long as a break stands: its mail is held again."),
    )  # fmt: skip


def _seen(found: Decision, mails: str) -> list[tuple[str, str]]:
    """What was decided on: when it is another number by then, nothing is done, and the question put again."""
    return [("mails", mails), ("held", str(found.question.held_connections))]


def _without_mail(found: Decision) -> list[LeftOut]:
    letters, left = found.letters, []
    if letters.nobody:
        left.append(LeftOut(letters.nobody, _("have no address: somebody has to call them")))
    if letters.refused:
        left.append(LeftOut(letters.refused, _("addresses refused mail before; they are tried again")))
    return left


def _quiet(visit: Visit, found: Decision) -> str:
    hours = visit.parts.loaded.settings.email.quiet_hours
    if not hours:
        return ""
    if found.letters.asleep:
        return ngettext(
            "%(n)s of them waits for the end of its reader's quiet hours (%(hours)s).",
            "%(n)s of them wait for the end of their readers' quiet hours (%(hours)s).",
            found.letters.asleep, hours=hours,
        )  # fmt: skip
    return _(
        "Quiet hours are kept (%(hours)s, in each client's own time); nobody of them is in theirs now.",
        hours=hours,
    )


def _count(visit: Visit, found: Decision) -> int:
    text = visit.given("count")
    count = int(text) if text.isdecimal() and len(text) < 7 else words.few(found)
    return max(1, min(count, found.question.held or 1, 1000))


@action(
    "/incidents/{number:int}/decide", Right.INCIDENTS_OPERATE, asks=ask_decide,
    api=("release_incident", "drop_incident"),
)  # fmt: skip
async def decide(visit: Visit) -> Done:
    """Release, drop, or ask a few first."""
    one, mails = number(visit), visit.given("mails")
    held = _whole(visit.given("held"))
    undo = Undo(f"/incidents/{one}/hold-again")
    if mails == "release":
        count = await notices.release_incident(visit.parts, visit.actor, one, seen=held)
        said = ngettext(
            "Released: the client of %(n)s connection is told, in %(span)s at the earliest.",
            "Released: the clients of %(n)s connections are told, in %(span)s at the earliest.", count,
            span=_to_undo(visit),
        )  # fmt: skip
        return Done(HERE, said, undo)
    if mails == "drop":
        if held is None or held > TYPED:
            _typed(visit, held)
        count = await notices.drop_incident(visit.parts, visit.actor, one, seen=held)
        said = ngettext(
            "Dropped: nobody is told about the break of %(n)s connection.",
            "Dropped: nobody is told about the breaks of %(n)s connections.", count,
        )  # fmt: skip
        return Done(HERE, said, undo)
    if mails == "first":
        count = _whole(visit.given("count")) or 0
        if not 1 <= count <= 1000:
            raise ConfigurationError(_("Say how many are asked first: 1 to 1,000."))
        asked = await notices.ask_first_of(visit.parts, visit.actor, one, count, seen=held)
        said = ngettext(
            "Asked first: %(who)s.", "Asked first: %(who)s.", len(asked), who=", ".join(asked[:10])
        )
        return Done(HERE, said)
    return Done(HERE, _("They are held on."))


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _typed(visit: Visit, held: int | None) -> None:
    """Let pass who typed the number. Raises ConfigurationError."""
    typed = _whole(visit.given("typed").replace(",", ""))
    if held is None or typed != held:
        raise ConfigurationError(_("Nothing was done: type the number of connections to drop their mails."))


async def ask_hold_again(visit: Visit) -> Ask:
    """Say what it does to take a decision back."""
    found = await incidents.show(visit.parts, visit.actor, number(visit))
    return Ask(
        _("Hold again what nobody was told of?"),
        [
            _("The wave is open again. Whoever was told meanwhile, stays told; what healed is left alone."),
            _("It asks nobody by itself before it has waited again."),
        ],
        _("Hold again"), _page(visit), here=HERE,
        note=_("It can be decided again at any time.") if found.seen.mails else "",
    )  # fmt: skip


@action(
    "/incidents/{number:int}/hold-again", Right.INCIDENTS_OPERATE, asks=ask_hold_again, api=("hold_incident",)
)
async def hold_again(visit: Visit) -> Done:
    """Take a decision about a wave back."""
    count = await notices.hold_again(visit.parts, visit.actor, number(visit))
    said = ngettext(
        "Taken back: the mail of %(n)s connection is held again.",
        "Taken back: the mails of %(n)s connections are held again.", count,
    )  # fmt: skip
    return Done(HERE, said)


# -- any incident ---------------------------------------------------------------------------------------


async def ask_acknowledge(visit: Visit) -> Ask:
    """Say what it means to take an incident up."""
    await incidents.show(visit.parts, visit.actor, number(visit))
    return Ask(
        _("Take incident %(number)s up?", number=number(visit)),
        [_("Whoever looks at it sees that you are on it, and since when. Nothing else changes.")],
        _("Acknowledge"), _page(visit), here=HERE,
        fields=[
            Field("note", _("Note"), value=visit.given("note"), hint=_("for whoever looks at it after you"))
        ],
        note=_("It can be laid down again."),
    )  # fmt: skip


@action(
    "/incidents/{number:int}/acknowledge", Right.INCIDENTS_OPERATE, asks=ask_acknowledge,
    api=("acknowledge_incident",),
)  # fmt: skip
async def acknowledge_incident_here(visit: Visit) -> Done:
    """Take an incident up."""
    note = visit.given("note")
    if len(note) > 500:
        raise ConfigurationError(_("A note has 500 characters at most."))
    await incidents.acknowledge(visit.parts, visit.actor, number(visit), note)
    return Done(_page(visit), _("You are on it."), Undo(f"{_page(visit)}/unacknowledge"))


@action("/incidents/{number:int}/unacknowledge", Right.INCIDENTS_OPERATE, api=("unacknowledge_incident",))
async def unacknowledge_incident_here(visit: Visit) -> Done:
    """Lay an incident down."""
    before = await incidents.show(visit.parts, visit.actor, number(visit))
    await incidents.unacknowledge(visit.parts, visit.actor, number(visit))
    mine = before.acknowledged is not None and before.acknowledged.by == visit.actor.name
    fields = [("note", before.acknowledged.note)] if before.acknowledged is not None else []
    undo = Undo(f"{_page(visit)}/acknowledge", fields) if mine else None
    return Done(_page(visit), _("Nobody is on it any more."), undo)


async def ask_hold(visit: Visit) -> Ask:
    """Say what it does to hold the mails about what an incident is about."""
    over, name = await _over(visit)
    return Ask(
        _("Hold all mails about %(over)s %(name)s?", over=over, name=name),
        [
            _("No client is told anything about a connection of it, and on-call neither, until the hold "
              "ends. What waits then goes out, as far as it is still true."),
            _("Connections are looked at as before."),
        ],
        _("Hold the mails about %(name)s", name=name), _page(visit), here=HERE,
        fields=[
            span_field(visit.given("for", SPANS[1])),
            Field("reason", _("Reason"), value=visit.given("reason"), hint=_("for whoever wonders")),
        ],
        note=_("It is listed among the silences, and ends there."),
    )  # fmt: skip


@action("/incidents/{number:int}/hold", Right.NOTICES_OPERATE, asks=ask_hold, api=("hold_notices",))
async def hold_mails_of_incident(visit: Visit) -> Done:
    """Hold the mails about the provider or the app that an incident is about."""
    over, name = await _over(visit)
    made = await notices.hold(
        visit.parts, visit.actor, over, name, read_span(visit.given("for")), visit.given("reason")[:500]
    )
    said = _("Mails about %(name)s are held.", name=name)
    undo = Undo(f"/silences/{silences.numbered(made)}/end") if visit.may(Right.SILENCES_WRITE) else None
    return Done(_page(visit), said, undo)


async def _over(visit: Visit) -> tuple[str, str]:
    about = (await incidents.show(visit.parts, visit.actor, number(visit))).seen.about
    if about.kind not in (Subject.APP, Subject.PROVIDER):
        raise Conflict(_("Mails are held about a provider, an app, a client or a connection."))
    return about.kind.value, about.name
