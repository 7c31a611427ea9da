"""python -m tests.month scenarios: partial incidents and mass revocations, one at a time, as a table."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean
from zlib import crc32

from monitor.clock import Clock
from monitor.service import logs
from tests.conftest import START
from tests.month import draws
from tests.month.draws import CREEPING, DAY, FIFTY_CONNECTIONS, MINUTE, ROTATING, SUDDEN, Incident, Mass
from tests.month.fleet import HOUR
from tests.month.judge import Report, spread
from tests.month.run import live
from tests.month.world import World

FIRMS = 200
PERSON = 3 * HOUR
# Until what was struck has healed, and what was held with it is told.
PEACE, AFTERWARDS = 0.5 * DAY, 2 * DAY


@dataclass(frozen=True)
class Scenario:
    """One thing that happens to a fleet, and who decides on what is held."""

    what: Incident | Mass
    days: float
    person: timedelta | None = None
    drops: bool = False

    @property
    def name(self) -> str:
        what = self.what
        if isinstance(what, Incident):
            text = f"{what.share:.0%} {what.manner}"
            text += f" over {_span(what.over)}" if what.over else ""
            if what.manner != ROTATING:
                text += f", {'until ' if what.over else ''}{_span(what.length)}"
            text += ", new grants work" if what.renewed else ""
        elif what is FIFTY_CONNECTIONS:
            text = "truly revoked: one firm, 50 connections"
        else:
            text = f"truly revoked: {what.share:.0%}" + (
                f" within {_span(what.over)}" if what.over > HOUR else ""
            )
        if self.person is not None:
            text += f"; a person after {_span(self.person)}" + (" drops" if self.drops else "")
        return text

    def world(self, seed: int) -> Callable[[datetime, Clock], World]:
        return lambda begin, clock: draws.one_event(
            self.what, FIRMS, begin, self.days, clock, seed, peace=PEACE
        )


def _span(length: timedelta) -> str:
    minutes = round(length / MINUTE)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"


def _incident(share: float, manner: str, length: timedelta, over: timedelta = timedelta(0)) -> Scenario:
    return Scenario(Incident(share, manner, length, over), (PEACE + max(length, over) + AFTERWARDS) / DAY)


def grid() -> list[Scenario]:
    """Return every scenario of the table."""
    shares = (0.02, 0.05, 0.10, 0.30)
    found = [
        _incident(share, SUDDEN, length)
        for share in shares
        for length in (8 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, 48 * HOUR)
    ]
    found += [
        _incident(share, CREEPING, length, over)
        for share in shares
        for over, length in ((3 * HOUR, 8 * HOUR), (12 * HOUR, 24 * HOUR), (12 * HOUR, 48 * HOUR))
    ]
    found += [_incident(share, ROTATING, 12 * HOUR, 12 * HOUR) for share in shares]
    long = Incident(0.10, SUDDEN, 48 * HOUR)
    found.append(Scenario(Incident(0.10, SUDDEN, 48 * HOUR, renewed=True), 5))
    found += [Scenario(long, 5, PERSON), Scenario(long, 5, PERSON, drops=True)]
    for mass in (Mass(0.02), Mass(0.10), Mass(1.0), Mass(0.02, 8 * HOUR), FIFTY_CONNECTIONS):
        found += [Scenario(mass, 5, PERSON), Scenario(mass, 9)]
    return found


def run_one(scenario: Scenario, seed: int) -> Report:
    """Live one scenario, beginning at any hour of a week."""
    logs.configure("json", "error")
    seed += crc32(scenario.name.encode())  # others are struck each time
    begin = START + timedelta(minutes=random.Random(seed).randrange(7 * 24 * 60))  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(
            live(
                Path(folder), scenario.world(seed), scenario.days, begin=begin, person=scenario.person,
                drops=scenario.drops,
            )
        )  # fmt: skip


HEAD = (
    "what happens to 200 firms", "struck", "wrong", "alone", "canaries", "held", "missed", "left held", "dropped",
    "pages", "delay h: median / p95 / longest", "of others",
)  # fmt: skip


def row(scenario: Scenario, reports: Sequence[Report]) -> list[str]:
    """Return the line of a scenario: means over its runs, and the most of a run."""

    def mean_most(count: Callable[[Report], int]) -> str:
        found = [count(report) for report in reports]
        return f"{mean(found):.1f}/{max(found)}" if any(found) else "0"

    def hours(*kinds: str) -> str:
        return spread([hour for report in reports for kind in kinds for hour in report.delays.get(kind, [])])

    mass = isinstance(scenario.what, Mass)
    return [
        scenario.name,
        mean_most(lambda r: r.struck),
        mean_most(lambda r: len(r.wrong)),
        mean_most(lambda r: len(r.alone)),
        mean_most(lambda r: len(r.canaries)),
        mean_most(lambda r: r.held),
        mean_most(lambda r: len(r.missed) + len(r.duplicates) + len(r.accounts)),
        mean_most(lambda r: len(r.still_held)),
        mean_most(lambda r: len(r.dropped)),
        mean_most(lambda r: r.guard_pages),
        hours("mass") if mass else hours("incident"),
        hours("own", "incident") if mass else hours("own"),
    ]


def table(seeds: int, only: str = "") -> Iterable[str]:
    """Live all scenarios, on as many processes as there are cores, and yield the table line by line."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|" + "---|" * len(HEAD)
    chosen = [scenario for scenario in grid() if only in scenario.name]
    with ProcessPoolExecutor() as pool:
        work = [[pool.submit(run_one, one, seed) for seed in range(seeds)] for one in chosen]
        for scenario, futures in zip(chosen, work, strict=True):
            reports = [future.result() for future in futures]
            yield f"| {' | '.join(row(scenario, reports))} |"
            for report in reports:
                listed = report.faults + report.in_parts
                yield from (f"    {words}" for words in listed[:6])
