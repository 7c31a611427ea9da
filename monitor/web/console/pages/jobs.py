"""Work on many that goes on in the background: how far it is, what was left out, and its way back."""

from __future__ import annotations

from datetime import datetime

from monitor.errors import Invalid
from monitor.health.acting import Action
from monitor.operations import jobs
from monitor.operations.actor import Right
from monitor.web.console.acting_words import WORDS, why_left
from monitor.web.console.answers import Ask, Done, Shown
from monitor.web.console.declared import action, page
from monitor.web.console.texts import gettext as _
from monitor.web.console.texts import ngettext
from monitor.web.console.visit import Visit

A_PAGE = 50


@page("/jobs", Right.CONNECTIONS_READ)
async def list_jobs(visit: Visit) -> Shown:
    """Show one's own work on many, newest first."""
    before = _moment(visit.given("before"))
    found, after = await jobs.page(visit.parts, visit.actor, A_PAGE, before)
    rows = [(one, verdict(one), len(jobs.done_with(one))) for one in found]
    title = _("What you did with many") if found or before else _("You did nothing with many yet.")
    return Shown("jobs.html.j2", title, "/", rows=rows, after=after, before=before)


@page("/jobs/{job}", Right.CONNECTIONS_READ)
async def show_job(visit: Visit) -> Shown:
    """Show how far a job is, and with which connections it was not done."""
    found = await jobs.show(visit.parts, visit.actor, visit.path["job"])
    left = [(count, why_left(why, count)) for why, count in jobs.left(found).items()]
    return Shown(
        "job.html.j2",
        verdict(found),
        "/",
        job=found,
        total=len(found.ids),
        todo=found.options.get("todo", len(found.ids)),
        left=left,
        undo=_undo_words(found),
        most=jobs.MOST_FAILED,
    )


async def ask_stop(visit: Visit) -> Ask:
    """Say what stopping a job leaves undone."""
    found = await jobs.show(visit.parts, visit.actor, visit.path["job"])
    here, rest = f"/jobs/{found.id}", len(found.ids) - found.done
    if found.ended_at is not None:
        return Ask(_("It has ended already."), (), "", here, here="/")
    says = ngettext(
        "One connection stays as it is. What is done stays done.",
        "%(n)s connections stay as they are. What is done stays done.",
        rest,
    )
    return Ask(_("Stop here?"), (says,), _("Stop"), here, here="/")


@action("/jobs/{job}/stop", Right.CONNECTIONS_OPERATE, api=("stop_job",), asks=ask_stop)
async def stop_job(visit: Visit) -> Done:
    """End a job where it is."""
    found = await jobs.stop(visit.parts, visit.actor, visit.path["job"])
    return Done(f"/jobs/{found.id}", _("Stopped. What was done stays done."))


async def ask_undo(visit: Visit) -> Ask:
    """Say what taking a job back does."""
    found = await jobs.show(visit.parts, visit.actor, visit.path["job"])
    back, here = jobs.taken_back_by(found), f"/jobs/{found.id}"
    if back is None:
        return Ask(_("This cannot be taken back."), (), "", here, here="/")
    n = len(jobs.done_with(found))
    return Ask(
        WORDS[back].asks(n), (_(WORDS[back].does),), WORDS[back].button(n), here, here="/",
        note=_("Those that have changed since are left as they are."),
    )  # fmt: skip


@action("/jobs/{job}/undo", Right.CONNECTIONS_OPERATE, api=("undo_job",), asks=ask_undo)
async def undo_job(visit: Visit) -> Done:
    """Take back what a job has done."""
    made = await jobs.undo(visit.parts, visit.actor, visit.path["job"])
    words = WORDS[Action(made.action)]
    if made.ended_at is None:
        return Done(f"/jobs/{made.id}", words.goes_on(made.options["todo"]))
    return Done(visit.back(f"/jobs/{made.id}"), words.done(len(jobs.done_with(made))))


def verdict(found: jobs.Job) -> str:
    """Say how a job stands, in one sentence."""
    words, done = WORDS[Action(found.action)], len(jobs.done_with(found))
    todo = found.options.get("todo", len(found.ids))
    if found.ended_at is None:
        return _("%(what)s: %(n)s done.", what=words.goes_on(todo), n=f"{done:,}")
    if found.state == "stopped":
        return _("Stopped. %(what)s", what=words.done(done))
    return words.done(done)


def _undo_words(found: jobs.Job) -> str:
    back = jobs.taken_back_by(found)
    return WORDS[back].button(len(jobs.done_with(found))) if back is not None else ""


def _moment(given: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(given) if given else None
    except ValueError:
        raise Invalid("before", _("is no moment.")) from None
    if found is not None and found.tzinfo is None:
        raise Invalid("before", _("is no moment."))
    return found
