"""A wave as the question it is: what a person reads before deciding."""

from __future__ import annotations

from datetime import timedelta

from monitor.cli.remedies import command
from monitor.health.breaks import ALONE, AUTHORIZED, CANARY, IN_DOUBT, IN_TROUBLE, Break
from monitor.health.causes import Cause, Subject
from monitor.health.incidents import About, Place
from monitor.health.question import held_back, later, question, reasons
from monitor.health.surprise import Level, Surprise
from monitor.health.wave import Wave, WavePolicy, members
from tests.conftest import START

HOUR = timedelta(hours=1)
US, EU = Place("clio-us", "clio", "us"), Place("clio-eu", "clio", "eu")
WHY = ("14 clients of provider clio broke within 15 minutes; chance brings about as many hardly ever.",)


def broke(client: int, place: Place = US, **more) -> Break:
    known = {"rule": "rfc6749.invalid_grant", "at": START - timedelta(minutes=client)} | more
    return Break(client, f"c{client}", f"Firm {client}", place, **known)


def ask(breaks, now=START + HOUR, policy=None, **wave):
    known = Wave(START, START, START, **wave)
    return question("clio", known, members(breaks, now), WHY, policy or WavePolicy(), now)


def test_what_they_share_speaks_for_one_incident_and_what_not_is_shown_too():
    one = ask([broke(n) for n in range(12)])
    assert (
        one.headline
        == "12 clients of clio broke together (12 connections); the mails to 12 of them are held."
    )
    assert one.alike == (
        "cause revoked", "rule rfc6749.invalid_grant", "region us", "app clio-us", "all within 11 minutes",
    )  # fmt: skip
    assert one.unlike == ()
    mixed = [broke(n, EU if n % 3 else US, at=START - HOUR * n) for n in range(6)]
    mixed.append(broke(9, cause=Cause.REFRESH_EXPIRED))
    other = ask(mixed)
    assert other.alike == ("rule rfc6749.invalid_grant",)
    assert other.unlike == (
        "cause: revoked 6, refresh_expired 1", "region: eu 4, us 3", "app: clio-eu 4, clio-us 3", "over 5 hours",
    )  # fmt: skip


def test_the_choices_are_three_beside_waiting_each_with_its_command():
    said = [(command(one), one.does) for one in ask([broke(n) for n in range(12)]).choices]
    assert said == [
        ("token-health notices release --guard clio", "tells all 12, each after one more probe"),
        (
            "token-health notices release --guard clio --first 3",
            "tells 3 first, to see whether it mends them",
        ),
        ("token-health notices drop --guard clio", "tells none of them about this break"),
    ]


def test_it_says_what_comes_next_and_when_if_nobody_decides():
    breaks = [broke(n) for n in range(12)]
    one = ask(breaks)
    assert one.next_at == START + 24 * HOUR
    assert one.next.startswith("If nobody decides, one client is asked on trial in 23 hours")
    assert "never more than 10 of them without you" in one.next
    assert "guard.canary_after is never" in ask(breaks, policy=WavePolicy(None)).next
    healing = [*breaks[2:], *(b._replace(closed_at=START, ended=ALONE) for b in breaks[:2])]
    assert ask(healing).next.startswith(
        "If half of them heal by themselves, those left are told 4 hours after"
    )
    assert ask(breaks, total=10).next.startswith("Nobody is told without you: as many were asked")


def test_how_it_goes_is_said_in_clients():
    breaks = [broke(n) for n in range(4)]
    assert ask(breaks).so_far == "none healed by itself, none was asked"
    told = {"told_at": START, "mails": CANARY}
    more = [
        broke(10, closed_at=START, ended=ALONE), broke(11, **told),
        broke(12, closed_at=START + HOUR, ended=AUTHORIZED, healthy=True, **told),
    ]  # fmt: skip
    assert ask([*breaks, *more]).so_far == (
        "1 healed by themselves, 1 asked and not back yet, 1 mended by authorizing again"
    )


def test_why_the_guard_is_up_is_said_in_clients_and_years():
    clio = About(Subject.PROVIDER, "clio")
    quarter, day = timedelta(minutes=15), timedelta(days=1)
    said = reasons(
        [
            Surprise(clio, Level.HOLD, 14, quarter, 1e-12),
            Surprise(About(Subject.APP, "clio-us"), Level.HOLD, 14, quarter, 1e-11),
            Surprise(clio, Level.HOLD, 4, day, 1 / 3650),
            Surprise(clio, Level.HOLD, 3, day, 1 / 120),
        ]
    )
    assert [text.partition("; ")[2] for text in said] == [
        "chance brings about as many hardly ever.",
        "chance brings about as many once in 10 years.",
        "chance brings about as many once in 4 months.",
    ]


def test_whoever_asks_about_one_of_them_learns_why_it_is_held_or_late():
    told = held_back(ask([broke(n) for n in range(12)]))
    assert told.startswith("The client is not told: 12 clients of clio broke together")
    assert " If nobody decides" in told
    assert "in 7 hours at the earliest" in later(IN_DOUBT, 8 * HOUR, START, START + HOUR)
    assert "while the provider was in trouble" in later(IN_TROUBLE, 8 * HOUR, START, START)
    assert later("", 8 * HOUR, START, START) == ""
