"""The calendar: what ends when, who has to do something about it, and what is kept alive by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from monitor.errors import ConfigurationError
from monitor.health.calendar import Key, Kind, Needs
from monitor.health.horizon import WEEK, WEEKS, Group, Week, monday, weeks
from monitor.operations import calendar, horizon, ical
from monitor.operations.actor import Right
from monitor.operations.calendar import Asked
from monitor.operations.horizon import Horizon
from monitor.web.console.answers import Sent, Shown
from monitor.web.console.declared import page
from monitor.web.console.pages.ends import Line, day_name, kept_line, line, of_entry
from monitor.web.console.texts import N_, gettext, ngettext
from monitor.web.console.visit import Visit

A_PAGE = 50
NEAR = timedelta(days=30)
# The tabs, each with the kinds that are under it.
TABS = {
    "secrets": (N_("Secrets and keys"), (Kind.CLIENT_SECRET, Kind.API_KEY, Kind.PROVIDER_END)),
    "grants": (N_("Authorizations"), (Kind.GRANT, Kind.ACCESS_TOKEN)),
    "tokens": (N_("Unused tokens"), (Kind.REFRESH_TOKEN,)),
}
HIGHEST = 88  # of a bar, in the chart's units


@dataclass(frozen=True, slots=True)
class Bar:
    """A week of the chart: where its two parts stand."""

    label: str
    week: Week
    x: int
    client: int  # heights
    operator: int

    @property
    def above(self) -> int:
        """Where the operator's part begins: on top of the client's, with a gap between them."""
        return 100 - self.client - (2 if self.client and self.operator else 0) - self.operator


@dataclass(frozen=True, slots=True)
class Section:
    """A week of the list."""

    title: str
    says: str
    lines: list[Line]


@page("/calendar", Right.CONNECTIONS_READ)
async def show_calendar(visit: Visit) -> Shown:
    """Show what ends in the next 13 weeks; or, of one day, each end by itself."""
    asked, tab = _asked(visit), visit.query.get("kind", "")
    if "day" in visit.query:
        return await _of_a_day(visit, asked, tab)
    found = await horizon.show(visit.parts, visit.actor, asked)
    shown = [one for one in found.groups if _under(tab, one.kind)]
    last, beyond = _reach(shown, visit)
    lines = [one for one in shown if one.on <= last]
    return Shown(
        "calendar.html.j2",
        _verdict(found),
        "/calendar",
        says=_says(found),
        bars=_bars(weeks(shown, visit.now.date())),
        sections=_sections(visit, lines),
        unknown=[] if tab not in ("", "secrets") else found.unknown,
        kept=[kept_line(visit, one) for one in found.kept] if tab in ("", "tokens") else [],
        tabs=_tabs(visit, found),
        beyond=beyond,
        last=last,
        all_url=_url(visit, to=str(monday(visit.now.date()) + WEEKS * WEEK)),
        chips=_chips(visit),
        choices=_choices(visit),
        tab=tab,
        asked_to=visit.query.get("to", ""),
        subscribe=f"{visit.parts.loaded.settings.web.public_url}/api/v1/calendar.ics",
    )


@page("/calendar.ics", Right.CONNECTIONS_READ)
async def save_calendar(visit: Visit) -> Sent:
    """Send it as a file that other calendars take in."""
    return Sent(await ical.written(visit.parts, visit.actor, _asked(visit)), ical.MEDIA, "token-health.ics")


# -- what is asked ------------------------------------------------------------------------------------


def _asked(visit: Visit) -> Asked:
    tab = visit.query.get("kind", "")
    if tab and tab not in TABS:
        raise ConfigurationError(gettext("There is no such part of the calendar; choose one of its tabs."))
    clients = visit.several("client")
    return Asked(
        apps=frozenset(visit.several("app")),
        providers=frozenset(visit.several("provider")),
        clients=frozenset(clients),
    )


def _under(tab: str, kind: Kind) -> bool:
    return not tab or kind in TABS[tab][1]


def _reach(groups: list[Group], visit: Visit) -> tuple[date, int]:
    """Return up to which day the list goes, and how many ends come after it: two weeks, or as asked."""
    today = visit.now.date()
    last = monday(today) + 2 * WEEK - timedelta(days=1)
    if given := visit.query.get("to"):
        last = max(last, _day(given))
    elif len(groups) <= A_PAGE:
        last = monday(today) + WEEKS * WEEK
    return last, sum(one.count for one in groups if one.on > last)


def _day(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(gettext("A day is written as 2026-12-24.")) from None


def _url(visit: Visit, **other: str | None) -> str:
    """Return this page's address with some parameters changed."""
    known = {name: visit.query.getlist(name) for name in ("kind", "app", "provider", "client", "to")}
    known |= {name: [value] if value else [] for name, value in other.items()}
    pairs = sorted((name, value) for name, values in known.items() for value in values if value)
    return f"/calendar?{urlencode(pairs)}" if pairs else "/calendar"


def _tabs(visit: Visit, found: Horizon) -> list[tuple[str, str, int, bool]]:
    """Return the tabs: words, address, how many, and whether it is the one that is shown."""
    here = visit.query.get("kind", "")
    tabs = [(gettext("All"), _url(visit, kind=None, to=None), 0, not here)]
    for name, (words, kinds) in TABS.items():
        count = sum(one.count for one in found.groups if one.kind in kinds)
        if name == "tokens":
            count += sum(one.count for one in found.kept)
        tabs.append((gettext(words), _url(visit, kind=name, to=None), count, here == name))
    return tabs


def _chips(visit: Visit) -> list[tuple[str, str, str]]:
    """Return what is filtered by: what, which, and the address without it."""
    words = {"provider": gettext("Provider"), "app": gettext("App"), "client": gettext("Client")}
    return [
        (said, ", ".join(values), _url(visit, **{name: None}))
        for name, said in words.items()
        if (values := visit.several(name))
    ]


def _choices(visit: Visit) -> list[tuple[str, str, list[tuple[str, str]], str]]:
    """Return what may be chosen: name, label, values with words, and the chosen one."""
    apps = visit.parts.apps.values()
    providers = sorted({(app.provider.name, app.provider.title) for app in apps})
    return [
        ("provider", gettext("Provider"), providers, visit.query.get("provider", "")),
        ("app", gettext("App"), [(app.id, app.id) for app in apps], visit.query.get("app", "")),
    ]


# -- what it says -------------------------------------------------------------------------------------


def _verdict(found: Horizon) -> str:
    """Return the page's sentence: what is the operator's, first what is over."""
    today = found.at.date()
    ours = [one for one in found.groups if one.needs is Needs.OPERATOR]
    over = sum(one.count for one in ours if one.on <= today and one.kind is Kind.CLIENT_SECRET)
    soon = sum(one.count for one in ours if today <= one.on <= today + NEAR) - sum(
        one.count for one in ours if one.on == today and one.kind is Kind.CLIENT_SECRET
    )
    sentences = []
    if over:
        sentences.append(ngettext("One client secret has ended.", "%(n)s client secrets have ended.", over))
    if soon:
        sentences.append(
            ngettext("One end within 30 days is yours to prevent.",
                     "%(n)s ends within 30 days are yours to prevent.", soon)
        )  # fmt: skip
    return " ".join(sentences) or gettext("Nothing is yours to renew within 30 days.")


def _says(found: Horizon) -> str:
    grants = sum(one.count for one in found.groups if one.kind in TABS["grants"][1])
    kept = sum(one.count for one in found.kept)
    return " ".join(
        [
            ngettext("One authorization ends for good within 13 weeks.",
                     "%(n)s authorizations end for good within 13 weeks.", grants)
            if grants else gettext("No authorization ends for good within 13 weeks."),
            ngettext("One refresh token is kept alive by using it.",
                     "%(n)s refresh tokens are kept alive by using them.", kept)
            if kept else "",
        ]
    ).strip()  # fmt: skip


def _bars(those: list[Week]) -> list[Bar]:
    top = max((week.both for week in those), default=0) or 1
    return [
        Bar(
            gettext("this wk") if number == 0 else f"{week.begins.day} {week.begins:%b}",
            week,
            28 + 100 * number,
            _height(week.client, top),
            _height(week.operator, top),
        )
        for number, week in enumerate(those)
    ]


def _height(count: int, top: int) -> int:
    return max(2, round(HIGHEST * count / top)) if count else 0


def _sections(visit: Visit, groups: list[Group]) -> list[Section]:
    today, found = visit.now.date(), []
    if before := [one for one in groups if one.on < today]:
        found.append(Section(gettext("Over already"), "", [line(visit, one, _url(visit)) for one in before]))
    begins: dict[date, list[Group]] = {}
    for one in groups:
        if one.on >= today:
            begins.setdefault(monday(one.on), []).append(one)
    for begin, those in begins.items():
        first, last = max(begin, today), begin + WEEK - timedelta(days=1)
        ahead = (begin - monday(today)) // WEEK
        title = (
            gettext("This week") if ahead == 0 else gettext("Next week") if ahead == 1
            else gettext("In %(n)s weeks", n=ahead)
        )  # fmt: skip
        says = gettext("%(first)s to %(last)s", first=day_name(first, today), last=day_name(last, today))
        found.append(Section(title, says, [line(visit, one, _url(visit)) for one in those]))
    return found


# -- one day ------------------------------------------------------------------------------------------


async def _of_a_day(visit: Visit, asked: Asked, tab: str) -> Shown:
    """Show each end of one day, a page at a time."""
    on = _day(visit.query["day"])
    begin = datetime.combine(on, time(), UTC)
    end = begin + timedelta(days=1) - timedelta(microseconds=1)
    kinds = frozenset(kind.value for kind in TABS[tab][1]) if tab else frozenset()
    those = Asked(end - visit.now, kinds, asked.apps, asked.providers, calendar.WHO_ACTS, asked.clients)
    after = _after(visit) or Key(begin, "", "")
    found = await calendar.page(visit.parts, visit.actor, those, after, A_PAGE)
    title = gettext("What ends on %(day)s", day=day_name(on, visit.now.date()))
    following = found.after
    return Shown(
        "calendar_day.html.j2",
        title,
        "/calendar",
        lines=[of_entry(visit, one) for one in found.entries],
        whole=_url(visit),
        after=_with_key(visit, following) if following else "",
        first=_with_key(visit, None) if "after" in visit.query else "",
    )


def _with_key(visit: Visit, key: Key | None) -> str:
    base = _url(visit, day=visit.query["day"])
    return (
        base
        if key is None
        else f"{base}&{urlencode({'after': f'{key.at.isoformat()}/{key.kind}/{key.name}'})}"
    )


def _after(visit: Visit) -> Key | None:
    if not (given := visit.query.get("after")):
        return None
    try:
        at, kind, name = given.split("/", 2)
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError(at)
        return Key(moment, kind, name)
    except ValueError:
        raise ConfigurationError(gettext("This page of the list is none; begin with the first.")) from None
