"""Holding back what is told, letting it go again, the fuse, and a test mail."""

from __future__ import annotations

from monitor.errors import Conflict, Invalid, NotFound
from monitor.operations import mails, notices
from monitor.operations.actor import Right
from monitor.web.console.answers import Ask, Done, Field, Undo
from monitor.web.console.declared import action
from monitor.web.console.lengths import read_span, span_field
from monitor.web.console.notice_words import for_eyes
from monitor.web.console.texts import N_, ngettext
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit

OVER = {
    "client": N_("a client"), "connection": N_("a connection"), "app": N_("an app"),
    "provider": N_("a provider"), "all": N_("everything"),
}  # fmt: skip
LONGEST = 300


async def ask_hold(visit: Visit) -> Ask:
    """Say what holding back does, and over what."""
    over, name = visit.given("over", "client"), visit.given("name")
    named = over in OVER and (bool(name) or over == "all")
    what = name if named and over != "all" else _(OVER.get(over, OVER["all"]))
    fields = [
        span_field(visit.given("for", "3d"), endless=_("until it is released")),
        Field("reason", _("Why"), value=visit.given("reason"), hint=_("for whoever wonders")),
    ]  # fmt: skip
    hidden: list[tuple[str, str]] = []
    if named and visit.request.method == "GET":
        hidden = [("over", over), ("name", name)]
    else:
        fields[:0] = [
            Field("over", _("Over what"), "select", over, options=_choices(OVER)),
            Field("name", _("Its name"), value=name, hint=_(
                "the client's whole name, or the id of the connection or app; none for everything")),
        ]  # fmt: skip
    return Ask(
        _("Hold back what is told about %(what)s?", what=what),
        (
            _(
                "Neither the client nor on-call is told about it meanwhile. What is due waits and is "
                "looked at anew afterwards: what is no longer true then is not sent."),
        ),
        _("Hold everything") if over == "all" else _("Hold it back"),
        "/outbox",
        fields,
        hidden,
        note=_("It can be released at any time."),
        here="/outbox",
    )  # fmt: skip


@action("/outbox/hold", Right.NOTICES_OPERATE, api=("hold_notices",), asks=ask_hold)
async def hold_notices(visit: Visit) -> Done:
    """Tell nothing about something, for so long or until it is released."""
    over, name = _over(visit)
    reason = visit.given("reason")
    if len(reason) > LONGEST:
        raise Invalid("reason", _("has more than %(n)s characters", n=LONGEST))
    try:
        await notices.hold(visit.parts, visit.actor, over, name, read_span(visit.given("for")), reason)
    except NotFound as error:  # a name that was mistyped: the question is put again
        raise Invalid("name", str(error), *error.remedies) from None
    said = _("Nothing is told about %(what)s.", what=name or _("anything"))
    return Done("/outbox?is=held", said, Undo("/outbox/release", (("over", over), ("name", name))))


async def ask_release(visit: Visit) -> Ask:
    """Say what lifting a hold lets out."""
    over, name = _over(visit)
    what = name or _("everything")
    return Ask(
        _("Release what people hold over %(what)s?", what=what),
        (
            _(
                "What is due is looked at anew and goes out, each when its connection was probed once"
                " more. What the configuration silences stays so."),
        ),
        _("Release"),
        "/outbox?is=held",
        hidden=(("over", over), ("name", name)),
        here="/outbox",
    )  # fmt: skip


@action("/outbox/release", Right.NOTICES_OPERATE, api=("release_notices",), asks=ask_release)
async def release_notices(visit: Visit) -> Done:
    """Lift what people hold over something."""
    over, name = _over(visit)
    count = await notices.unhold(visit.parts, visit.actor, over, name)
    said = ngettext("Released: one hold.", "Released: %(n)s holds.", count)
    again = (("over", over), ("name", name), ("for", ""))
    return Done("/outbox", said, Undo("/outbox/hold", again))


async def ask_release_fuse(visit: Visit) -> Ask:
    """Say what the fuse holds, and what releasing it lets out."""
    fuse = await notices.fuse_now(visit.parts, visit.actor)
    if fuse.blown_at is None:
        return Ask(_("The fuse is whole."), (_("It holds nothing back."),), "", "/outbox", here="/outbox")
    wanted = ngettext("%(n)s first mail wants out.", "%(n)s first mails want out.", fuse.wanted)
    return Ask(
        _("Release the fuse for an hour?"),
        (
            wanted,
            _(
                "It is the last one before clients: look at a few of them first. For an hour first "
                "mails go out, however many; each after one more look."),
        ),
        ngettext("Let %(n)s first mail go", "Let %(n)s first mails go", fuse.wanted),
        "/outbox",
        note=_("A mail that is sent cannot be taken back."),
        danger=True,
        here="/outbox",
    )  # fmt: skip


@action("/outbox/fuse/release", Right.NOTICES_OPERATE, api=("release_fuse",), asks=ask_release_fuse)
async def release_fuse(visit: Visit) -> Done:
    """Let first mails out for an hour, however many."""
    await notices.release_fuse(visit.parts, visit.actor)
    return Done("/outbox", _("The fuse is whole for an hour; first mails go out."))


async def ask_test(visit: Visit) -> Ask:
    """Say what a test mail is."""
    if not mails.every(visit.parts.loaded, visit.actor).configured:
        says = _(
            "Set from in [smtp] (and url, where the mail server is) in token-health.toml first; "
            "then mails go out."
        )
        return Ask(_("No mail goes out yet."), (says,), "", "/outbox", here="/outbox")
    address = visit.given("address")
    return Ask(
        _("Send a test mail?"),
        (_(
            "A sample goes to this address at once, past the outbox; you see what the mail server"
            " answers. It is about nobody."),),
        _("Send a test mail"),
        "/outbox",
        (Field("address", _("To which address"), "email", address, required=True),),
        note=_("A mail that is sent cannot be taken back."),
        here="/outbox",
    )  # fmt: skip


@action("/outbox/test", Right.NOTICES_OPERATE, api=("send_test_mail",), asks=ask_test)
async def send_test_mail(visit: Visit) -> Done:
    """Send a sample mail to an address."""
    tried = await mails.test(visit.parts.loaded, visit.actor, visit.given("address"))
    if not tried.taken:
        raise Conflict(_("%(server)s did not take it: %(answer)s", server=tried.server, answer=tried.answer))
    said = _("%(server)s took it: %(answer)s", server=tried.server, answer=tried.answer)
    return Done("/outbox", for_eyes(visit, said))


def _choices(words: dict[str, str]) -> list[tuple[str, str]]:
    return [(value, _(said)) for value, said in words.items()]


def _over(visit: Visit) -> tuple[str, str]:
    """Read over what it is. Raises Invalid."""
    over, name = visit.given("over"), visit.given("name")
    if over not in OVER:
        raise Invalid("over", _("is none of %(those)s", those=", ".join(OVER)))
    if (over == "all") == bool(name):
        raise Invalid("name", _("is not for everything") if name else _("is missing"))
    return over, name
