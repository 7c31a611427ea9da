"""The fleet: which connections are not well, whose turn it is, and what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.health.listing import NOT_HEALTHY, TURNS, WORST, Sort, Sum
from monitor.operations import fleet, overview, table, verdict
from monitor.operations.actor import Right
from monitor.operations.overview import Asked, Line, Many, Overview
from monitor.operations.verdict import Verdict
from monitor.web.console import fleet_links, fleet_words
from monitor.web.console.answers import Sent, Shown
from monitor.web.console.cause_words import cause_words
from monitor.web.console.declared import page
from monitor.web.console.fleet_links import Links
from monitor.web.console.pages import first_run
from monitor.web.console.render import OWNERS, STATES
from monitor.web.console.texts import N_, ngettext
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit

MOST_CHOICES = 40  # of a filter; the rest is found by its address
SHARE = 1000  # the width of a bar, in its units
GAP = 2


@dataclass(frozen=True, slots=True)
class Names:
    """What providers are called, and of which of them the region is said."""

    titles: Mapping[str, str]
    several: frozenset[str]

    def at(self, provider: str, region: str) -> str:
        """Return a provider's title, with the region where there are several of ours."""
        title = self.titles.get(provider, provider)
        return f"{title} · {region.upper()}" if region and provider in self.several else title


@page("/", Right.CONNECTIONS_READ)
async def show_fleet(visit: Visit) -> Shown:
    """Show the fleet."""
    asked, links = fleet_links.asked(visit), Links(visit)
    # Asked anew each time: nothing that is kept for a while should say that the first one is not there yet.
    if not (await fleet.page(visit.parts, visit.actor, sort=Sort.ID, limit=1)).rows:
        return await first_run.shown(visit)
    found = await verdict.verdict(visit.parts, visit.actor)
    shown = await overview.look(visit.parts, visit.actor, asked)
    titles = {app.provider.name: app.provider.title for app in visit.parts.apps.values()}
    acts = visit.may(Right.CONNECTIONS_OPERATE)
    return Shown(
        "fleet.html.j2",
        fleet_words.headline(found, titles, acts=acts),
        "/",
        beneath=fleet_words.beneath(found),
        states=_state_tiles(found, asked, links),
        owners=_owner_tiles(found, asked, links),
        changes=[fleet_words.change(one, titles) for one in found.changes[:5]],
        chips=await _chips(visit, asked, links),
        links=links,
        sort=asked.sort.value,
        rows=_rows(shown, links, Names(titles, _places(visit)), visit.now),
        total=_total(shown),
        every=found.counts.total,
        mails=bool(visit.parts.loaded.settings.smtp.sender),
        pager=_pager(shown, links),
        nothing=_nothing(shown, asked),
        filters=_named(asked, links),
        begins=shown.begins,
        acts=acts,
        removes=visit.may(Right.CONNECTIONS_WRITE),
    )


@page("/fleet.csv", Right.CONNECTIONS_READ)
async def save_fleet(visit: Visit) -> Sent:
    """Send what is filtered as a file, all pages of it."""
    asked = fleet_links.asked(visit)
    pieces = await table.written(visit.parts, visit.actor, asked.which, asked.sort)
    return Sent(pieces, table.MEDIA, "fleet.csv")


# -- tiles ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that leads to those it counts; `x` and `width` are its part of the bar beneath."""

    key: str
    word: str
    number: int
    href: str
    pressed: bool
    says: str
    x: int = 0
    width: int = 0


def _state_tiles(found: Verdict, asked: Asked, links: Links) -> list[Tile]:
    numbers = {state: found.counts.states.get(state.value, 0) for state in WORST}
    parts = _shares([numbers[state] for state in WORST])
    tiles = []
    for state, (x, width) in zip(WORST, parts, strict=True):
        pressed = asked.which.states == {state.value}
        difference = fleet_words.difference(found.since_yesterday(state.value))
        href = links.to(state=None if pressed else state.value)
        word = _(STATES[state.value])
        tiles.append(Tile(state.value, word, numbers[state], href, pressed, difference, x, width))
    return tiles


def _owner_tiles(found: Verdict, asked: Asked, links: Links) -> list[Tile]:
    shown = [owner for owner in TURNS if owner is not Owner.NOBODY]
    numbers = {owner: found.counts.owners.get(owner.value, 0) for owner in shown}
    parts = _shares([numbers[owner] for owner in shown])
    tiles = []
    for owner, (x, width) in zip(shown, parts, strict=True):
        pressed = asked.which.owners == {owner.value}
        href = links.to(owner=None if pressed else owner.value)
        word = _(OWNERS[owner.value])
        says = _beside(found, owner)
        tiles.append(Tile(owner.value, word, numbers[owner], href, pressed, says, x, width))
    return tiles


def _beside(found: Verdict, owner: Owner) -> str:
    turn = found.turns.get(owner.value)
    if owner is Owner.CLIENT and turn is not None and turn.told:
        return ngettext("%(n)s was asked", "%(n)s were asked", turn.told)
    together = found.shared.get(owner.value, 0)
    alone = turn.alone if turn is not None else 0
    return ngettext("%(n)s incident", "%(n)s incidents", together + alone) if together + alone else ""


def _shares(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return where each number's part of a bar begins, and how wide it is: what there is can be seen."""
    every, x, found = sum(numbers), 0, []
    for number in numbers:
        width = max(3, round(number / every * (SHARE - GAP * len(numbers)))) if number else 0
        found.append((x, min(width, SHARE - x)))
        x += width + GAP if width else 0
    return found


# -- filters -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a filter that one may choose."""

    value: str
    word: str
    number: int | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter: what is chosen of it, with the address that takes it away, and what may be chosen."""

    name: str
    word: str
    chosen: str
    without: str
    choices: list[Choice]
    hidden: list[tuple[str, str]]


_WORDS = {
    "state": N_("State"), "owner": N_("Who acts"), "cause": N_("Cause"), "provider": N_("Provider"),
    "app": N_("App"), "label": N_("Label"), "client": N_("Client"), "incident": N_("Incident"),
}  # fmt: skip


async def _chips(visit: Visit, asked: Asked, links: Links) -> list[Chip]:
    sums = await verdict.choices(visit.parts, visit.actor)
    titles = {app.provider.name: app.provider.title for app in visit.parts.apps.values()}
    states = asked.which.states or frozenset(state.value for state in State)
    labels = [f"{name}:{value}" for name, value in await verdict.labels(visit.parts, visit.actor)]
    chips = [
        _chip(
            "state",
            links,
            [(one.value, _(STATES[one.value])) for one in WORST],
            _added(sums, "state"),
            states,
        ),
        _chip("owner", links, [(one.value, _(OWNERS[one.value])) for one in TURNS], _added(sums, "owner")),
        _chip("cause", links, [(one.value, cause_words(one)) for one in Cause], _added(sums, "cause")),
        _chip("provider", links, _found(sums, "provider", titles), _added(sums, "provider")),
        _chip("app", links, _found(sums, "app", {}), _added(sums, "app")),
        _chip("label", links, [(one, one) for one in labels], None),
        *(_chip(name, links, [], None) for name in ("client", "incident") if links.values(name)),
    ]
    return [_state_chip(chips[0], asked, links), *chips[1:]]


def _state_chip(chip: Chip, asked: Asked, links: Links) -> Chip:
    states = asked.which.states
    if not states:
        words, without = _("any"), "" if chip.without == "" else links.to(state=None)
        return Chip(chip.name, chip.word, words, without, chip.choices, chip.hidden)
    if states == NOT_HEALTHY:
        return Chip(chip.name, chip.word, _("not healthy"), links.to(state="any"), chip.choices, chip.hidden)
    return chip


def _chip(
    name: str,
    links: Links,
    known: list[tuple[str, str]],
    numbers: Mapping[str, int] | None,
    chosen: Iterable[str] | None = None,
) -> Chip:
    given = links.values(name)
    words = dict(known)
    picked = set(given if chosen is None else chosen)
    listed = [one for one in words if numbers is None or numbers.get(one) or one in given or name == "state"]
    listed += [one for one in given if one not in words and name not in ("state",)]
    choices = [
        Choice(one, words.get(one, one), None if numbers is None else numbers.get(one, 0), one in picked)
        for one in listed[:MOST_CHOICES]
    ]
    said = ", ".join(words.get(one, one) for one in given[:2])
    said += _(" and %(n)s more", n=len(given) - 2) if len(given) > 2 else ""
    without = links.without_any(name) if given else ""
    return Chip(name, _(_WORDS[name]), said, without, choices, links.hidden(name))


def _added(sums: Sequence[Sum], what: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in sums:
        found[getattr(one, what)] = found.get(getattr(one, what), 0) + one.number
    return found


def _found(sums: Sequence[Sum], what: str, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, titles.get(name, name)) for name in sorted(_added(sums, what))]


def _named(asked: Asked, links: Links) -> list[tuple[str, str]]:
    """Return what is chosen, each with the address without it: the ways out of a list with nothing in it."""
    which, found = asked.which, []
    if which.text:
        found.append((f"“{which.text}”", links.to(q=None)))
    for name in ("owner", "cause", "provider", "app", "client", "label", "incident"):
        for value in links.values(name):
            found.append((f"{_(_WORDS[name])}: {value}", links.without(name, value)))
    if which.states:
        found.append((_("any state"), links.to(state="any")))
    return found


# -- rows ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list, as the template shows it."""

    line: Line | Many
    many: bool
    inside: bool
    why: str
    code: str
    said: str
    follows: str
    provider: str
    seen: str = ""
    name: str = ""  # of what several lines stand for
    toggle: str = ""
    left: int = 0  # connections that follow, and are not shown in place
    rest: str = ""  # the address of all of them


def _rows(shown: Overview, links: Links, names: Names, now: datetime) -> list[Row]:
    rows = []
    for line in shown.lines:
        if isinstance(line, Line):
            rows.append(_row(line, names, now))
            continue
        rows.append(_many(line, links, names, now))
        rows += [_row(one, names, now, inside=True) for one in line.inside]
        if line.opened and (left := line.shared.members - len(line.inside)) > 0:
            rows[-1] = replace(rows[-1], left=left, rest=links.to(incident=str(line.shared.id), open=None))
    return rows


def _row(line: Line, names: Names, now: datetime, *, inside: bool = False) -> Row:
    why, code = fleet_words.why(line)
    said, follows = fleet_words.said_of(line, now)
    place = line.one.place
    where, seen = names.at(place.provider, place.region), fleet_words.seen(line)
    return Row(line, False, inside, why, code, said, follows, where, seen)


def _many(line: Many, links: Links, names: Names, now: datetime) -> Row:
    shared, number = line.shared, str(line.shared.id)
    why, code = fleet_words.why_many(line)
    said, follows = fleet_words.said_of_many(line, now)
    opened = set(links.values("open"))
    toggle = links.to(open=opened - {number} if line.opened else opened | {number})
    return Row(
        line, True, False, why, code, said, follows,
        names.at(shared.provider, shared.region) if shared.provider else _("several providers"),
        "",
        fleet_words.about(shared.about.kind, shared.about.name, names.titles),
        f"{toggle}#row-incident-{number}",
    )  # fmt: skip


def _places(visit: Visit) -> frozenset[str]:
    """Return the providers of which we have apps in several regions: else a region tells nothing apart."""
    regions = {(app.provider.name, app.region) for app in visit.parts.apps.values()}
    return frozenset(name for name, count in Counter(name for name, _region in regions).items() if count > 1)


# -- how many ------------------------------------------------------------------------------------------


def _total(shown: Overview) -> str:
    return f"{shown.total:,}{'+' if shown.cut else ''}"


@dataclass(frozen=True, slots=True)
class Pager:
    """Where one is, and the pages beside."""

    words: str
    before: str
    after: str


def _pager(shown: Overview, links: Links) -> Pager:
    lines = len(shown.lines)
    words = ngettext("%(n)s line of %(total)s", "%(n)s lines of %(total)s", lines, total=_total(shown))
    incidents, connections = shown.stand_for
    if incidents:
        words += ngettext(
            ", where one incident stands for %(every)s connections",
            ", where %(n)s incidents stand for %(every)s connections",
            incidents,
            every=f"{connections:,}",
        )
    return Pager(
        words,
        links.to(before=fleet_links.written(shown.before)) if shown.before else "",
        links.to(after=fleet_links.written(shown.after)) if shown.after else "",
    )


def _nothing(shown: Overview, asked: Asked) -> str:
    """Say that nothing matches; empty where something does."""
    if shown.lines:
        return ""
    if asked.after or asked.before:
        return _("There is nothing on this page any more.")
    which = asked.which
    if not which.states:
        return _("No connection matches.")
    if which.states == NOT_HEALTHY:
        return _("Every connection of these is healthy.")
    words = [_(STATES[one.value]).lower() for one in WORST if one.value in which.states]
    return _("No connection is %(states)s.", states=_(" or ").join(words))
