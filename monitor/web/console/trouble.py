"""What goes wrong, as people are told it: what happened, what did not, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.exceptions import HTTPException

from monitor.errors import (
    ChangedMeanwhile,
    Conflict,
    ImportRefused,
    NotAdmitted,
    NotFound,
    Refused,
    TokenHealthError,
    Unavailable,
)
from monitor.health.listing import Listed
from monitor.operations import fleet, people
from monitor.operations.actor import Actor, MayNot, Right
from monitor.operations.database import unwell
from monitor.operations.roles import Role, least, role_with
from monitor.settings.parts import Parts
from monitor.web.console.texts import gettext as _
from monitor.web.console.texts import ngettext

WAIT = 10  # seconds after which one tries again, where nothing else is known
_ABOUT_ONE = "/connections/"


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside an error, where it can be had: what comes near to what was looked for, who may."""

    near: tuple[Listed, ...] = ()
    who_may: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()


def status_of(error: Exception) -> int:
    """Return the status of HTTP that an error is."""
    match error:
        case HTTPException():
            return error.status_code
        case NotAdmitted() if error.after is not None:
            return 429
        case Refused():
            return 403
        case NotFound():
            return 404
        case Unavailable():
            return 503
        case Conflict():
            return 409
        case TokenHealthError():
            return 422
    return 503 if unwell(error) else 500


def sentence_of(error: Exception, actor: Actor | None = None) -> str:
    """Say what happened."""
    match error:
        case ImportRefused():
            return f"{error} {' '.join(error.problems[:20])}"
        case MayNot():
            return _role_wanted(error.right, actor)
        case ChangedMeanwhile():
            return _("Somebody changed this since you opened it.")
        case Unavailable(code="database_unavailable"):
            return _("The database does not answer, so this page cannot be shown.")
        case TokenHealthError():
            return str(error)
        case HTTPException(status_code=405):
            return _("This can be done, but not looked at.")
        case HTTPException(status_code=413):
            return _("This is larger than what is taken here.")
        case HTTPException(status_code=415):
            return _("This was sent in a form that is not understood here.")
        case HTTPException():
            return _("This cannot be read.")
    if unwell(error):
        return _("The database does not answer, so this page cannot be shown.")
    return _("Something went wrong on our side. It is in the log under the request’s id.")


def advice_of(error: Exception, *, posted: bool) -> list[str]:
    """Say what did not happen, and what goes on meanwhile."""
    status, said = status_of(error), []
    if posted:
        said.append(
            _("It is not certain whether it was done: look at how it stands before you do it again.")
            if status >= 500
            else _("Nothing was done.")
        )
    match error:
        case ChangedMeanwhile():
            said.append(_("Look at it as it is now, and decide again."))
        case HTTPException(status_code=413):
            said.append(_("Send it in parts, or by the command line."))
        case MayNot():
            said.append(_("Look at all that is shown to you, and give this page’s address to who may act:"))
    if (after := wait_of(error)) is not None and status in (429, 503):
        said.append(ngettext("Try again in %(n)s second.", "Try again in %(n)s seconds.", after))
    if _of_the_database(error):
        said.append(
            _(
                "What was due to be probed or sent waits, and nothing is lost; it goes on when the database "
                "is back. On-call hears of it from Prometheus, not from here."
            )
        )
    return said


def wait_of(error: Exception) -> int | None:
    """Return after how many seconds one may try again, None where waiting does not help."""
    after = getattr(error, "after", None)
    if after is not None and not _of_the_database(error):
        return max(1, int(after.total_seconds()))
    return WAIT if status_of(error) == 503 else None


async def beside(parts: Parts, actor: Actor, error: Exception, path: str) -> Beside:
    """Find what helps whoever is told of an error."""
    match error:
        case MayNot():
            may = await people.who_may(parts, actor, error.right)
            admins = await people.who_may(parts, actor, Right.USERS_WRITE)
            return Beside(who_may=tuple(may), admins=tuple(admins))
        case NotFound() if path.startswith(_ABOUT_ONE) and Right.CONNECTIONS_READ in actor.may:
            return Beside(near=tuple(await fleet.near(parts, actor, sought(path))))
    return Beside()


def sought(path: str) -> str:
    """Return the id that a path about a connection names, empty for another path."""
    return path.removeprefix(_ABOUT_ONE).partition("/")[0] if path.startswith(_ABOUT_ONE) else ""


def removed_at(path: str, actor: Actor | None) -> str:
    """Return where it stands whether a connection was removed, empty for who may not look there."""
    name = sought(path)
    if not name or actor is None or Right.AUDIT_READ not in actor.may:
        return ""
    return f"/audit?subject={quote(name, safe='')}"


def _of_the_database(error: Exception) -> bool:
    return unwell(error) or (isinstance(error, Unavailable) and error.code == "database_unavailable")


def _role_wanted(right: Right, actor: Actor | None) -> str:
    wanted = least(right)
    if wanted is None:
        return _("No person may do this here.")
    mine = role_with(actor.may) if actor is not None else ""
    if not mine:
        return _("This needs the role %(role)s.", role=wanted.value)
    return _("This needs the role %(role)s. You are %(mine)s.", role=wanted.value, mine=_with_article(mine))


def _with_article(role: str) -> str:
    said = {Role.VIEWER: _("a viewer"), Role.OPERATOR: _("an operator"), Role.ADMIN: _("an admin")}
    return said[Role(role)]
