"""A wave from its first break to its end, as values: who is held, who is asked on trial, and how it ends."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.health.breaks import ALONE, AUTHORIZED, CANARY, DROPPED, IN_TROUBLE, RELEASED, Break
from monitor.health.guard import GuardPolicy
from monitor.health.holding import Held, Trouble, run
from monitor.health.incidents import Place
from monitor.health.surprise import Level, SurprisePolicy, Usual, judge
from monitor.health.wave import End, Wait, Wave, WavePolicy, members, next_turn

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLACES = (Place("clio-us", "clio", "us"), Place("clio-eu", "clio", "eu"), Place("other", "other", "all"))
POLICY = GuardPolicy()
SIZE = 200


@dataclass
class World:
    """A fleet whose truth a test writes: what broke, what heals, who authorizes; and what the guard makes of it.

    Mails are modelled as the planner has them: an hour after the break, eight in doubt, never while held.
    """

    policy: GuardPolicy = field(default_factory=GuardPolicy)
    size: int = SIZE
    now: datetime = START
    breaks: dict[int, Break] = field(default_factory=dict)
    waves: dict[str, Wave] = field(default_factory=dict)
    member: dict[int, str] = field(default_factory=dict)  # incident -> its wave
    told: list[tuple[str, str, bool]] = field(default_factory=list)  # client, why, whether a person said so
    canaries: list[tuple[str, Wave]] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    held_by: dict[int, str] = field(
        default_factory=dict
    )  # incident -> provider of the open wave that held it
    troubles: list[Trouble] = field(default_factory=list)
    numbers: int = 0

    def usual(self):
        known = Usual.of(self.size, self.size * 28 / 365, 4, [])
        return {about: known for place in PLACES for about in place.groups()}

    def broken(self, *clients: int, place: Place = PLACES[0], connections: int = 1) -> None:
        for client in clients:
            for n in range(connections):
                self.numbers += 1
                name = f"c{client}-{n}-{place.app}"
                self.breaks[self.numbers] = Break(self.numbers, name, f"Firm {client}", place, self.now)

    def heal(self, *clients: int) -> None:
        for number, one in self.breaks.items():
            if one.client in {f"Firm {c}" for c in clients} and one.closed_at is None:
                self.breaks[number] = one._replace(closed_at=self.now, ended=ALONE, healthy=True)

    def authorize(self, client: int | str, *, works: bool) -> None:
        name = client if isinstance(client, str) else f"Firm {client}"
        for number, one in self.breaks.items():
            if one.client == name and one.closed_at is None:
                ends = {"closed_at": self.now, "ended": AUTHORIZED, "healthy": True} if works else {}
                self.breaks[number] = one._replace(authorized_at=self.now, **ends)

    def recent(self) -> list[Break]:
        return [b for b in self.breaks.values() if self.now - b.at < DAY or (b.closed_at is None and b.waits)]

    def of(self, provider: str) -> tuple[Break, ...]:
        return tuple(self.breaks[n] for n, name in self.member.items() if name == provider)

    def tick(self):
        """One run of the guard, and what it writes."""
        held = {p: Held(w, self.of(p)) for p, w in self.waves.items()}
        judgement = judge(self.recent(), self.usual(), self.policy.surprise, self.now)
        result = run(self.recent(), held, self.troubles, judgement, self.usual(), self.policy, self.now)
        for made in result.runs:
            if made.begins:
                self.member = {n: p for n, p in self.member.items() if p != made.provider}
            self.waves[made.provider] = made.wave
            self.member |= dict.fromkeys(made.joins, made.provider)
            for number in made.canaries:
                self.breaks[number] = self.breaks[number]._replace(mails=CANARY)
            self.canaries += [(client, made.wave) for client in made.asked]
            if made.end is not None:
                self.ends.append(made.end)
                del self.waves[made.provider]
        for number, waits in result.waits.items():
            self.breaks[number] = self.breaks[number]._replace(waits=waits)
        self.held_by = {n: p for n, p in self.member.items() if p in self.waves and self.breaks[n].untold}
        return result

    def mails(self) -> None:
        for number, one in list(self.breaks.items()):
            wait = 8 * HOUR if one.waits == "doubt" else HOUR
            due = one.closed_at is None and one.told_at is None and self.now - one.at >= wait
            if due and number not in self.held_by and one.mails != DROPPED and one.waits != IN_TROUBLE:
                self.breaks[number] = one._replace(told_at=self.now)
                self.told.append((one.client, one.mails, one.mails == RELEASED))

    def person(self, word: str, provider: str = "clio") -> None:
        for number in [n for n, p in self.held_by.items() if p == provider]:
            self.breaks[number] = self.breaks[number]._replace(mails=word)
        self.waves.pop(provider, None)
        self.held_by = {n: p for n, p in self.held_by.items() if p != provider}

    def live(self, span: timedelta, every: timedelta = 30 * MINUTE) -> None:
        """Let time pass: the guard runs, then what is due is said."""
        end = self.now + span
        self.tick()
        self.mails()
        while self.now < end:
            self.now += every
            self.tick()
            self.mails()

    @property
    def clients_told(self) -> list[str]:
        return sorted({client for client, *_ in self.told})


def test_an_incident_that_heals_tells_nobody_and_leaves_no_guard():
    world = World()
    world.broken(*range(20))
    world.live(6 * HOUR)
    assert world.told == [] and world.waves
    world.heal(*range(20))
    world.live(4 * HOUR)
    assert (world.told, world.waves, world.ends) == ([], {}, [End.CLOSED])


def test_a_lone_break_is_told_after_an_hour():
    world = World()
    world.broken(7)
    world.live(30 * MINUTE)
    assert world.told == []
    world.live(30 * MINUTE)
    assert world.clients_told == ["Firm 7"]


def test_who_is_truly_broken_within_an_incident_is_told_when_it_is_over():
    world = World()
    world.broken(*range(20))
    world.live(2 * HOUR)
    world.heal(*range(2, 20))
    world.live(3 * HOUR)
    assert world.told == [], "it may go on"
    world.live(2 * HOUR)
    assert world.ends == [End.OVER]
    world.live(8 * HOUR)
    assert world.clients_told == ["Firm 0", "Firm 1"]


def test_more_than_chance_may_leave_are_not_released_though_half_healed():
    world = World()
    world.broken(*range(40))
    world.live(2 * HOUR)
    world.policy = GuardPolicy(wave=WavePolicy(canary_after=None))
    world.heal(*range(20))
    world.live(40 * HOUR)
    assert not world.tick().runs[0].up, "the guard is down"
    assert world.told == [] and world.waves, "and still twenty of two hundred are no coincidence"


def test_who_was_told_before_a_wave_is_no_part_of_it():
    world = World()
    world.broken(7)
    world.live(2 * HOUR)
    world.broken(*range(20, 40))
    world.live(HOUR)
    assert "Firm 7" not in {world.breaks[n].client for n in world.member}
    assert len(world.held_by) == 20


def test_who_joins_after_a_canary_puts_the_next_off_by_a_day_and_alone_again():
    world = World()
    world.broken(*range(30))
    world.live(25 * HOUR)
    world.authorize(world.clients_told[0], works=True)
    world.live(30 * MINUTE)
    world.broken(*range(30, 50))
    world.live(23 * HOUR)
    assert len(world.clients_told) == 1, "the mended canary proves nothing about those"
    world.live(2 * HOUR)
    assert len(world.clients_told) == 2, "one, and not twice as many"


def test_a_canary_has_proven_something_when_it_was_healthy_for_an_hour():
    world = World()
    world.broken(*range(30))
    world.live(24 * HOUR)
    (canary,) = world.clients_told
    world.live(1.5 * HOUR)
    world.authorize(canary, works=True)
    world.live(0.5 * HOUR)
    assert len(world.clients_told) == 1
    world.live(0.5 * HOUR)
    assert len(world.clients_told) == 3


def test_a_firm_with_fifty_connections_is_one_client():
    world = World()
    world.broken(1, connections=50)
    world.live(HOUR)
    assert world.clients_told == ["Firm 1"] and world.waves == {}


def test_a_mass_revocation_asks_one_then_two_then_the_rest_of_ten_and_no_more():
    world = World()
    world.broken(*range(60))
    world.live(23 * HOUR)
    assert world.told == []
    world.live(2 * HOUR)
    assert len(world.clients_told) == 1
    for _ in range(8):
        for client in world.clients_told:
            world.authorize(client, works=True)
        world.live(6 * HOUR)
    assert len(world.clients_told) == 10
    world.live(9 * DAY, every=3 * HOUR)
    assert len(world.clients_told) == 10, "more wait for a person"
    turn = next_turn(world.waves["clio"], members(world.of("clio"), world.now), POLICY.wave, world.now)
    assert turn.why is Wait.SPENT


def test_a_canary_that_authorized_and_is_still_refused_stops_all():
    world = World()
    world.broken(*range(60))
    world.live(25 * HOUR)
    (canary,) = world.clients_told
    world.authorize(canary, works=False)
    world.live(6 * DAY, every=3 * HOUR)
    assert world.clients_told == [canary]
    turn = next_turn(world.waves["clio"], members(world.of("clio"), world.now), POLICY.wave, world.now)
    assert turn.why is Wait.REFUTED


def test_canaries_that_never_react_are_three_and_a_day_apart():
    world = World()
    world.broken(*range(60))
    world.live(9 * DAY, every=HOUR)
    assert len(world.clients_told) == 3
    asked = [wave.sent_at for _, wave in world.canaries]
    assert [b - a >= DAY for a, b in itertools.pairwise(asked)] == [True, True]


def test_while_clients_heal_by_themselves_nobody_is_asked_on_trial():
    world = World()
    world.broken(*range(60))
    world.live(20 * HOUR)
    world.heal(*range(7))
    world.live(20 * HOUR)
    assert world.told == []
    world.live(6 * HOUR)
    assert len(world.clients_told) == 1, "a day after the last healing"


def test_a_canary_is_from_the_densest_half_hour_and_has_an_address():
    world = World()
    world.broken(100)
    world.live(5 * HOUR)
    world.broken(*range(30))
    for number, one in world.breaks.items():
        if one.client != "Firm 3":
            world.breaks[number] = one._replace(reachable=False)
    world.live(30 * HOUR)
    assert [client for client, _ in world.canaries] == ["Firm 3"]


def test_never_asks_nobody_on_trial():
    world = World(GuardPolicy(wave=WavePolicy(canary_after=None)))
    world.broken(*range(60))
    world.live(9 * DAY, every=3 * HOUR)
    assert world.told == [] and world.waves


def test_switching_surprise_off_ends_what_is_held():
    world = World()
    world.broken(*range(20))
    world.live(HOUR)
    world.policy = GuardPolicy(surprise=SurprisePolicy(None))
    world.live(HOUR)
    assert world.ends == [End.OFF] and len(world.clients_told) == 20


def test_what_opened_while_the_provider_was_in_trouble_waits_until_it_has_settled():
    world = World()
    world.troubles = [Trouble("clio", START - HOUR, None, START)]
    world.broken(1)
    world.live(5 * HOUR)
    assert world.told == []
    world.troubles = [Trouble("clio", START - HOUR, world.now, START)]
    world.live(3.5 * HOUR)
    assert world.told == []
    world.live(HOUR)
    assert world.clients_told == ["Firm 1"]


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("other", START - HOUR, None, START),
        Trouble("clio", START + MINUTE, None, START + MINUTE),
        Trouble("clio", START - 9 * DAY, None, START - 2 * DAY),
        Trouble("clio", START - 9 * DAY, START - HOUR, START - 2 * HOUR),
    ],
    ids=["another provider's", "began later", "took nobody in for days", "was over before"],
)
def test_a_trouble_that_says_nothing_about_a_break_delays_nothing(trouble):
    world = World()
    world.troubles = [trouble]
    world.broken(1)
    world.live(1.5 * HOUR)
    assert world.clients_told == ["Firm 1"]


def test_nobody_waits_for_a_trouble_for_longer_than_a_day():
    world = World()
    world.troubles = [Trouble("clio", START - HOUR, None, START + 30 * DAY)]
    world.broken(1)
    world.live(25 * HOUR)
    assert world.clients_told == ["Firm 1"]


# -- properties: whatever happens ------------------------------------------------------------------------

clients = st.integers(0, 40)
places = st.sampled_from(PLACES)
acts = st.one_of(
    st.tuples(st.just("break"), st.lists(clients, min_size=1, max_size=12), places),
    st.tuples(st.just("heal"), st.lists(clients, min_size=1, max_size=15)),
    st.tuples(st.just("mended"), st.integers(0, 20)),
    st.tuples(st.just("refused"), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.sampled_from([0.25, 1, 3, 8, 25, 49])),
    st.tuples(st.just("trouble"), st.booleans()),
)
words = st.tuples(st.just("person"), st.sampled_from([RELEASED, DROPPED]))


def play(world: World, story, check=lambda world: None) -> World:
    for act, *more in story:
        if act == "break":
            broken = {b.client for b in world.breaks.values() if b.closed_at is None}
            world.broken(*(c for c in set(more[0]) if f"Firm {c}" not in broken), place=more[1])
        elif act == "heal":
            world.heal(*more[0])
        elif act in ("mended", "refused") and world.told:
            world.authorize(world.told[more[0] % len(world.told)][0], works=act == "mended")
        elif act == "wait":
            world.live(more[0] * HOUR, every=min(HOUR, more[0] * HOUR))
        elif act == "person":
            world.person(more[0])
        elif act == "trouble":
            ends = None if more[0] else world.now
            world.troubles = [Trouble("clio", world.now - HOUR, ends, world.now)]
        world.tick()
        world.mails()
        check(world)
    return world


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(acts, words), max_size=14))
def test_property_whatever_happens_the_guard_comes_down(story):
    """Over nothing new it is down after a day; and an old break neither raises nor keeps it."""
    world = play(World(), story)
    world.now += DAY
    world.tick()
    assert all(
        judge(world.recent(), world.usual(), POLICY.surprise, world.now).level(p) is Level.CALM
        for p in PLACES
    )
    world.broken(99)
    world.live(HOUR)
    assert "Firm 99" in world.clients_told or world.troubles, "a new revocation is told in time"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(acts, words), max_size=14))
def test_property_4_all_healed_closes_the_wave_and_a_persons_word_ends_it(story):
    world = play(World(), story)
    world.person(DROPPED)
    assert "clio" not in world.waves
    world.heal(*range(41))
    world.now += POLICY.surprise.settle
    world.tick()
    assert world.waves == {}


REFUTED_ON_THE_HOUR = [("break", [0, 1, 2], PLACES[0]), ("wait", 1), ("refused", 0), ("wait", 3)]


@settings(max_examples=80, deadline=None)
@given(st.lists(acts, min_size=3, max_size=16))
@example(REFUTED_ON_THE_HOUR)
def test_property_5_few_are_told_without_a_person_and_none_after_a_refuted_one(story):
    """Never more than `alone` clients; three while none was mended; nobody after one that was refuted."""
    world = World(GuardPolicy(wave=WavePolicy(canary_after=HOUR, alone=5)))
    mended: set[str] = set()
    seen = 0

    def check(world: World) -> None:
        nonlocal seen
        fresh, seen = world.canaries[seen:], len(world.canaries)
        for client, wave in fresh:
            assert wave.total <= 5
            assert wave.total <= 3 or mended or any(b.ended == AUTHORIZED for b in world.breaks.values())
            refuted = [b for b in world.of("clio") + world.of("other") if b.client != client
                       and b.told_at and b.authorized_at and b.authorized_at >= b.told_at
                       and b.closed_at is None and wave.sent_at - b.authorized_at >= HOUR]  # fmt: skip
            provider = next(b.place.provider for b in world.breaks.values() if b.client == client)
            assert not [
                b
                for b in refuted
                if b.place.provider == provider and world.member.get(b.incident) in world.waves
            ]

    play(world, story, check)


@settings(max_examples=60, deadline=None)
@given(st.lists(acts, min_size=3, max_size=16), clients)
def test_property_6_who_joins_after_a_canary_starts_the_proof_anew(story, late):
    world = World(GuardPolicy(wave=WavePolicy(canary_after=HOUR, alone=5)))
    for act in story:
        before = dict(world.waves)
        play(world, [act])
        for provider, wave in world.waves.items():
            was = before.get(provider)
            if was is not None and was.sent and wave.joined_at > was.joined_at and wave.sent:
                assert wave.sent_at - wave.joined_at >= HOUR, "not on the proof of the canary before"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(acts, words), max_size=14))
def test_property_6_judging_twice_changes_nothing(story):
    world = play(World(), story)
    world.tick()
    waves, breaks, held = dict(world.waves), dict(world.breaks), dict(world.held_by)
    result = world.tick()
    assert (world.waves, world.breaks, world.held_by) == (waves, breaks, held)
    assert not result.waits and not any(made.joins or made.canaries or made.end for made in result.runs)


@settings(max_examples=60, deadline=None)
@given(st.lists(acts, max_size=12), st.lists(clients, max_size=8), st.lists(clients, max_size=8))
def test_property_6_joining_and_leaving_commute_within_a_tick(story, joins, heals):
    """Breaks that open and breaks that heal between two runs: their order between themselves is nothing."""
    made = []
    for first in ("break", "heal"):
        world = play(World(), story)
        old = [c for c in set(heals) if c not in joins]
        for act in (first, "heal" if first == "break" else "break"):
            if act == "break":
                broken = {b.client for b in world.breaks.values() if b.closed_at is None}
                world.broken(*(c + 50 for c in sorted(set(joins)) if f"Firm {c + 50}" not in broken))
            else:
                world.heal(*old)
        world.tick()
        made.append((world.waves, world.breaks, world.held_by))
    assert made[0] == made[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(acts, words), max_size=16))
def test_property_9_nobody_is_held_by_another_providers_wave(story):
    def check(world: World) -> None:
        assert all(world.breaks[n].place.provider == provider for n, provider in world.member.items())
        assert set(world.waves) <= {"clio", "other"}

    play(World(), story, check)
