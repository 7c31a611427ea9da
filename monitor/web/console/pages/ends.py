"""How an end is said on the calendar: when, what ends, who acts, and what happens by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from monitor.health.calendar import Entry, Kind, Needs
from monitor.health.horizon import Group, Kept
from monitor.web.console.render import part, short
from monitor.web.console.texts import N_, gettext, ngettext
from monitor.web.console.visit import Visit

# What of a connection ends, where the line's head says whose.
_OF_ONE = {
    Kind.GRANT: N_("%(provider)s: the authorization ends, whatever is done"),
    Kind.ACCESS_TOKEN: N_("%(provider)s: the last access token ends, and no refresh token follows it"),
    Kind.REFRESH_TOKEN: N_("%(provider)s: the refresh token runs out, since nobody uses it"),
}
_OF_MANY = {
    Kind.GRANT: N_("authorizations end, whatever is done"),
    Kind.ACCESS_TOKEN: N_("last access tokens end, and no refresh token follows them"),
    Kind.REFRESH_TOKEN: N_("refresh tokens run out, since nobody uses them"),
}
_TAB = {Kind.GRANT: "grants", Kind.ACCESS_TOKEN: "grants", Kind.REFRESH_TOKEN: "tokens"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the calendar."""

    key: str
    when: str
    sub_when: str
    what: str
    href: str
    sub: str
    owner: str
    then: str
    page: str = ""  # of the provider, where an end was announced
    over: bool = False


def line(visit: Visit, one: Group, here: str) -> Line:
    """Return a group of ends as a line; `here` is the page's address, whose filters stay."""
    today = visit.now.date()
    if one.entry is not None:
        return of_entry(visit, one.entry)
    title = _title(visit, one.app, one.provider)
    if one.count == 1:
        what, href = one.client or one.name, f"/connections/{part(one.name)}"
        sub = gettext(_OF_ONE[one.kind], provider=title)
    else:
        what = gettext("%(n)s of %(provider)s", n=f"{one.count:,}", provider=title)
        asked = {"day": str(one.on), "kind": _TAB[one.kind], "app": one.app}
        client = visit.query.get("client")
        href = f"/calendar?{urlencode(asked | ({'client': client} if client else {}))}"
        sub = gettext("app %(app)s: ", app=one.app) + gettext(_OF_MANY[one.kind])
    return Line(
        f"{one.on}-{one.kind.value}-{one.app}",
        day_name(one.on, today),
        until(one.on, today),
        what,
        href,
        sub,
        one.needs.value,
        _then(visit, one),
        over=one.on < today,
    )


def of_entry(visit: Visit, one: Entry) -> Line:
    """Return one end as a line."""
    today, on = visit.now.date(), one.at.date()
    title = _title(visit, one.app, one.provider) if one.provider else ""
    what, href, sub = one.client or one.name, f"/connections/{part(one.name)}", title
    match one.kind:
        case Kind.CLIENT_SECRET:
            what, href = gettext("Client secret of app %(app)s", app=one.app), f"/apps/{part(one.app)}"
            sub = _touches(title, one.connections or 0)
        case Kind.API_KEY:
            what, href, sub = gettext("An API key"), "/access", one.name
        case Kind.PROVIDER_END:
            what, href = (
                gettext("%(provider)s ends something", provider=title),
                f"/providers/{part(one.name)}",
            )
            sub = _touches("", one.connections or 0)
        case _:
            sub = gettext(_OF_ONE[one.kind], provider=title)
    over = one.at <= visit.now
    return Line(
        "-".join((one.kind.value, one.name, one.tells)),
        day_name(on, today),
        gettext("over") if over else until(on, today),
        what,
        href,
        sub,
        one.needs.value,
        one.what,
        one.page,
        over,
    )


def kept_line(visit: Visit, one: Kept) -> Line:
    """Return what is kept alive of a provider as a line."""
    app = next(app for app in visit.parts.apps.values() if app.provider.name == one.provider)
    what = ngettext(
        "One refresh token of %(provider)s", "%(n)s refresh tokens of %(provider)s", one.count,
        provider=app.provider.title,
    )  # fmt: skip
    idle, most = app.provider.oauth.refresh_idle_lifetime, app.provider.oauth.refresh_absolute_lifetime
    sub = gettext("run out after %(span)s unused", span=short(idle)) if idle else gettext("run out unused")
    if most:
        sub += gettext(", and for good after %(span)s", span=short(most))
    sentences = [gettext("Each is used in time.")]
    if one.first is not None:
        sentences.append(gettext("The nearest to its end has %(span)s.", span=short(one.first - visit.now)))
    if one.left and one.left_first is not None:
        day = day_name(one.left_first.date(), visit.now.date())
        more = ngettext(
            "One more is paused or broken, so nobody uses it: it runs out on %(day)s.",
            "%(n)s more are paused or broken, so nobody uses them: the first runs out on %(day)s.",
            one.left,
            day=day,
        )
        sentences.append(more)
    href = f"/?{urlencode({'provider': one.provider, 'state': 'any'})}"
    return Line(
        one.provider, gettext("by itself"), "", what, href, sub, Needs.NOBODY.value, " ".join(sentences)
    )


def _then(visit: Visit, one: Group) -> str:
    """Return what happens by itself, or what is to be done."""
    if one.kind is Kind.REFRESH_TOKEN:
        return gettext("Resume or mend before: then it is used by itself again.")
    settings = visit.parts.loaded.settings
    ahead = gettext(", ").join(short(length) for length in settings.email.expiry)
    told = gettext("Mailed %(spans)s ahead.", spans=ahead)
    if not settings.smtp.sender:
        told = gettext("Mails are off, so nobody is asked.")
    if not one.asked:
        return told
    campaign = ngettext("A campaign asks.", "A campaign asks %(n)s of them.", one.asked)
    return campaign if one.asked == one.count else f"{campaign} {told}"


def _touches(title: str, count: int) -> str:
    touched = ngettext("%(n)s connection needs it", "%(n)s connections need it", count)
    return f"{title}, {touched}" if title else touched


def _title(visit: Visit, app: str, provider: str) -> str:
    known = visit.parts.apps.get(app) or next(
        (one for one in visit.parts.apps.values() if one.provider.name == provider), None
    )
    return known.provider.title if known is not None else provider


def day_name(on: date, today: date) -> str:
    """Write a day: Thu 26 Nov, or 3 May 2029 where it is another year."""
    if on.year != today.year and abs((on - today).days) > 180:
        return f"{on.day} {on:%b %Y}"
    return f"{on:%a} {on.day} {on:%b}"


def until(on: date, today: date) -> str:
    """Say how far off a day is."""
    days = (on - today).days
    if days < 0:
        return gettext("over")
    if days == 0:
        return gettext("today")
    return ngettext("tomorrow", "in %(n)s days", days)
