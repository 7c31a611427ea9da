"""How the console speaks of acting on many: the question, what it changes, the button, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitor.health.acting import Action, Why
from monitor.web.console.texts import N_, ngettext
from monitor.web.console.texts import gettext as _


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one action; each of them is for a number of connections, or of mails for a link."""

    asks: Callable[[int], str]
    button: Callable[[int], str]
    goes_on: Callable[[int], str]
    done: Callable[[int], str]
    does: str  # looked up where it is shown
    note: str = N_("It can be taken back for as long as its job is kept, 30 days.")


WORDS: Mapping[Action, Words] = {
    Action.PROBE: Words(
        lambda n: ngettext("Probe one connection now?", "Probe %(n)s connections now?", n),
        lambda n: ngettext("Probe one connection", "Probe %(n)s connections", n),
        lambda n: ngettext("Having one connection probed", "Having %(n)s connections probed", n),
        lambda n: ngettext("One connection is looked at next.", "%(n)s connections are looked at next.", n),
        N_("They are looked at before their time, as fast as the limits of their apps allow."),
        "",
    ),
    Action.LINK: Words(
        lambda n: ngettext("Mail a reconnect link now?", "Send %(n)s mails with a reconnect link now?", n),
        lambda n: ngettext("Send one mail", "Send %(n)s mails", n),
        lambda n: ngettext("Asking about one connection", "Asking about %(n)s connections", n),
        lambda n: ngettext(
            "The client of one connection is mailed a link.",
            "The clients of %(n)s connections are mailed a link.",
            n,
        ),
        N_(
            "They go out within seconds: no quiet hours, no silence and no fuse holds what a person asks for."
        ),
        N_("A mail cannot be called back. It stands in the audit with your name."),
    ),
    Action.PAUSE: Words(
        lambda n: ngettext("Pause one connection?", "Pause %(n)s connections?", n),
        lambda n: ngettext("Pause one connection", "Pause %(n)s connections", n),
        lambda n: ngettext("Pausing one connection", "Pausing %(n)s connections", n),
        lambda n: ngettext("One connection is paused.", "%(n)s connections are paused.", n),
        N_(
            "Nobody looks at them and nobody is told anything about them, until they are resumed. Incidents "
            "of theirs are closed, and mails that wait are taken back."
        ),
    ),
    Action.RESUME: Words(
        lambda n: ngettext("Resume one connection?", "Resume %(n)s connections?", n),
        lambda n: ngettext("Resume one connection", "Resume %(n)s connections", n),
        lambda n: ngettext("Resuming one connection", "Resuming %(n)s connections", n),
        lambda n: ngettext("One connection is resumed.", "%(n)s connections are resumed.", n),
        N_(
            "They are looked at from now on. Nothing from before the pause is believed: each is in doubt "
            "until it was looked at."
        ),
    ),
    Action.HOLD: Words(
        lambda n: ngettext("Mute one connection?", "Mute %(n)s connections?", n),
        lambda n: ngettext("Mute one connection", "Mute %(n)s connections", n),
        lambda n: ngettext("Muting one connection", "Muting %(n)s connections", n),
        lambda n: ngettext("One connection is muted.", "%(n)s connections are muted.", n),
        N_(
            "No mail goes to their clients and nobody is paged about them. They are still looked at, and "
            "what is still true when it ends is told then."
        ),
    ),
    Action.UNHOLD: Words(
        lambda n: ngettext("Unmute one connection?", "Unmute %(n)s connections?", n),
        lambda n: ngettext("Unmute one connection", "Unmute %(n)s connections", n),
        lambda n: ngettext("Unmuting one connection", "Unmuting %(n)s connections", n),
        lambda n: ngettext("One connection is unmuted.", "%(n)s connections are unmuted.", n),
        N_("What is due about them is told from now on, each mail after one more look."),
        N_("To take it back, mute them again."),
    ),
    Action.REMOVE: Words(
        lambda n: ngettext("Remove one connection?", "Remove %(n)s connections?", n),
        lambda n: ngettext("Remove one connection", "Remove %(n)s connections", n),
        lambda n: ngettext("Removing one connection", "Removing %(n)s connections", n),
        lambda n: ngettext("One connection is removed.", "%(n)s connections are removed.", n),
        N_("Their tokens and their history are deleted; the audit keeps that they were here."),
        N_("This cannot be taken back. Only the connections themselves can be imported again."),
    ),
}


# Why some are left out, after their number: `2` *are the provider's: a link would mend nothing*.
LEFT: Mapping[Why, Callable[[int], str]] = {
    Why.PAUSED: lambda n: ngettext("is paused.", "are paused.", n),
    Why.NO_APP: lambda n: ngettext(
        "is of an app that is not configured.", "are of apps that are not configured.", n
    ),
    Why.NEVER_AUTHORIZED: lambda n: ngettext(
        "was never authorized: there is nothing to look at.",
        "were never authorized: there is nothing to look at.",
        n,
    ),
    Why.NO_MAILS: lambda _n: _("cannot be mailed: no sender of mails is configured (smtp.from)."),
    Why.NO_CONTACT: lambda n: ngettext("has no contact on record.", "have no contact on record.", n),
    Why.WAITS_FOR_YOU: lambda n: ngettext(
        "was approved, and which account is meant waits for you.",
        "were approved, and which account is meant waits for you.",
        n,
    ),
    Why.ASKED_LATELY: lambda n: ngettext(
        "was asked for within the hour: its client has a mail.",
        "were asked for within the hour: their clients have a mail.",
        n,
    ),
    Why.WELL: lambda n: ngettext("works.", "work.", n),
    Why.IN_DOUBT: lambda n: ngettext(
        "is in doubt, and nobody is told before it is sure.",
        "are in doubt, and nobody is told before it is sure.",
        n,
    ),
    Why.OPERATORS: lambda n: ngettext(
        "is yours to mend: a link would mend nothing.", "are yours to mend: a link would mend nothing.", n
    ),
    Why.PROVIDERS: lambda n: ngettext(
        "is the provider's: a link would mend nothing.", "are the provider's: a link would mend nothing.", n
    ),
    Why.HELD_WIDER: lambda n: ngettext(
        "is silent with more than itself: that silence is ended on the page of silences.",
        "are silent with more than themselves: those silences are ended on the page of silences.",
        n,
    ),
    Why.PAUSED_ALREADY: lambda n: ngettext("is paused already.", "are paused already.", n),
    Why.NOT_PAUSED: lambda n: ngettext("is not paused.", "are not paused.", n),
    Why.HELD_ALREADY: lambda n: ngettext(
        "is muted already, for as long or longer.", "are muted already, for as long or longer.", n
    ),
    Why.NOT_HELD: lambda n: ngettext("is not muted.", "are not muted.", n),
}


def why_left(why: Why, n: int) -> str:
    """Say why so many are left out."""
    return LEFT[why](n)
