"""Holds each mail against the truth of its minute, and at the end what was said against what was owed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from statistics import quantiles

from alerts.rules.fleet import GUARD_HOLDING
from tests.month.fleet import HOUR
from tests.month.world import Revocation, World

OPERATOR = "ops@agency.example"
DAY = timedelta(days=1)
# By then whoever is in need was told, unless a guard holds the mail: a doubt waits eight hours, and the
# provider's own trouble may be in between.
WAIT = HOUR  # before a first mail: the default of email.delay
OWED_AFTER = 14 * HOUR
SLACK = 8 * HOUR
REMINDERS = (2 * DAY, 5 * DAY, 10 * DAY)  # the defaults of [email]
HAND_OVER = 3 * DAY


@dataclass
class Report:
    """What a month, or one incident, came to. Lists hold sentences about single firms."""

    firms: int
    days: float
    weather: Counter[str] = field(default_factory=Counter)
    probes: int = 0
    restarts: int = 0
    revocations: int = 0
    owed: int = 0  # firms' breaks that lasted, so that they had to hear of it
    struck: int = 0  # firms that a partial incident struck, or that were truly revoked together
    held: int = 0  # the most connections that a guard held at once
    asked: int = 0
    reminders: int = 0
    thanked: int = 0
    handed_over: int = 0
    fuse_blown: int = 0
    pages: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    # Wrong in hindsight, and within what is promised: no guard sees one client alone (an incident that strikes
    # one, or one by one in more than the wait before a mail); the few asked first; and what a person let out.
    alone: list[str] = field(default_factory=list)
    canaries: list[str] = field(default_factory=list)
    let_out: list[str] = field(default_factory=list)
    still_held: list[str] = field(default_factory=list)  # at the end, for want of a person's word
    dropped: list[str] = field(default_factory=list)  # never told, by a person's word
    missed: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    in_parts: list[str] = field(
        default_factory=list
    )  # the rest of a firm's connections, in a mail of their own
    accounts: list[str] = field(default_factory=list)  # a reminder, thanks or handover too few or too many
    delays: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # hours, by kind

    @property
    def guard_pages(self) -> int:
        """How often on-call was told that a guard holds mails."""
        return self.pages[GUARD_HOLDING.name]

    def table(self) -> str:
        """Return it for people."""
        rows = [
            ("firms, days, requests to the provider", f"{self.firms:,}, {self.days:.0f}, {self.probes:,}"),
            *((f"weather: {kind}", f"{count} times") for kind, count in self.weather.items()),
            ("restarts of the service", f"{self.restarts}"),
            ("struck by partial incidents, or revoked together", f"{self.struck}"),
            ("real revocations, owed a mail", f"{self.revocations}, {self.owed}"),
            ("most connections held at once", f"{self.held}"),
            *((f"page {name}", f"{count}") for name, count in sorted(self.pages.items())),
            *((f"a person {word} a wave", f"{count}") for word, count in self.decisions.items()),
            (
                "first mails, of these the rest of a firm's",
                f"{self.asked}, {len(self.in_parts)}",
            ),
            (
                "reminders, thanks, handed over, fuse blown",
                f"{self.reminders}, {self.thanked}, {self.handed_over}, {self.fuse_blown}",
            ),
            *(
                (f"hours to the mail ({kind}: {len(hours)}): median / p95 / longest", spread(hours))
                for kind, hours in sorted(self.delays.items())
            ),
            ("wrong mails to clients", str(len(self.wrong))),
            (
                "in hindsight wrong: alone, asked first, let out by a person",
                f"{len(self.alone)}, {len(self.canaries)}, {len(self.let_out)}",
            ),
            ("missed mails", str(len(self.missed))),
            ("still held, dropped", f"{len(self.still_held)}, {len(self.dropped)}"),
            ("duplicates", str(len(self.duplicates))),
            ("reminders, thanks, handovers too few or many", str(len(self.accounts))),
        ]
        return "\n".join(f"{name:<62} {value}" for name, value in rows)

    @property
    def faults(self) -> list[str]:
        """What must not be, whatever the weather."""
        return self.wrong + self.missed + self.duplicates + self.accounts


def spread(hours: list[float]) -> str:
    """Say how long something took: median, the 95th of a hundred, and the longest, in hours."""
    if not hours:
        return "-"
    if len(hours) == 1:
        return f"{hours[0]:.1f}"
    cuts = quantiles(hours, n=20, method="inclusive")
    return f"{cuts[9]:.1f} / {cuts[18]:.1f} / {max(hours):.1f}"


@dataclass
class _Told:
    """What a firm was sent, when."""

    asks: list[datetime] = field(default_factory=list)
    about: dict[str, datetime] = field(default_factory=dict)  # when each connection was asked for last
    reminders: list[datetime] = field(default_factory=list)
    thanks: list[datetime] = field(default_factory=list)


class Judge:
    """Sees every mail as it arrives."""

    def __init__(self, world: World, report: Report) -> None:
        self._world, self._report = world, report
        self._told: dict[int, _Told] = defaultdict(_Told)
        self._handed: list[tuple[int, datetime]] = []
        self._ids: set[str] = set()

    def see(self, message: EmailMessage, about: frozenset[str], mails: str, now: datetime) -> bool:
        """Judge one mail about these connections; True where it asks its reader to act.

        `mails` is what the incident behind it says of them: canary, released, or nothing.
        """
        report, subject = self._report, str(message["Subject"])
        if message["Message-ID"] in self._ids:
            report.duplicates.append(f"{now} {subject}")
        self._ids.add(str(message["Message-ID"]))
        if str(message["To"]) == OPERATOR:
            self._see_operators(subject, now)
            return False
        firm = int(re.fullmatch(r"it@(\d+)\.example", str(message["To"])).group(1))  # type: ignore[union-attr]
        told, words = self._told[firm], f"{now:%d %b %H:%M} firm {firm}: {subject}"
        if subject.startswith("Thank you"):
            report.thanked += 1
            told.thanks.append(now)
            if not told.asks:
                report.wrong.append(words)
            return False
        reminder = subject.startswith("Reminder")
        truth = self._world.in_need(firm, now)
        if truth is None:
            self._wrong(firm, now, mails).append(words)
        if reminder:
            report.reminders += 1
            told.reminders.append(now)
            return False
        report.asked += 1
        if truth is not None:
            if any(told.about[name] >= truth.at for name in about & told.about.keys()):
                report.duplicates.append(f"{words}, asked again")
            elif any(at >= truth.at for at in told.asks):
                report.in_parts.append(words)
            else:
                report.delays[truth.kind].append((now - truth.at) / HOUR)
        told.asks.append(now)
        told.about |= dict.fromkeys(about, now)
        return True

    def _wrong(self, firm: int, now: datetime, mails: str) -> list[str]:
        """Return where a mail belongs that was wrong."""
        report = self._report
        if mails == "canary":
            return report.canaries
        if mails == "released":
            return report.let_out
        return report.alone if self._world.alone(firm, now, WAIT) else report.wrong

    def _see_operators(self, subject: str, now: datetime) -> None:
        if subject.startswith("Over to you"):
            self._report.handed_over += 1
            self._handed.append((int(re.search(r"Firm (\d+)", subject).group(1)), now))  # type: ignore[union-attr]
        else:
            self._report.fuse_blown += 1

    # -- at the end -------------------------------------------------------------------------------

    def owed(self, end: datetime) -> dict[int, Revocation]:
        """Return the firms that are in need at the end, have been for long, and were not told."""
        found = {}
        for firm in {one.firm for one in self._world.revocations}:
            need = self._world.in_need(firm, end)
            if need is None or end - need.at < OWED_AFTER:
                continue
            # Whoever was asked while the provider refused it, and then revoked, was asked.
            since = self._world.refused_since(firm, need)
            if not any(at >= since for at in self._told[firm].asks):
                found[firm] = need
        return found

    def close(self, end: datetime, held: set[int], dropped: set[int]) -> None:
        """Sum up. `held` and `dropped` are the firms whose mails a guard or a person holds back."""
        report = self._report
        report.revocations = len(self._world.revocations)
        for firm, need in sorted(self.owed(end).items()):
            words = f"firm {firm}, {need.kind}, revoked {need.at:%d %b %H:%M}"
            kept = report.dropped if firm in dropped else report.still_held if firm in held else report.missed
            kept.append(words)
        report.owed = sum(map(len, report.delays.values())) + sum(
            map(len, (report.dropped, report.still_held, report.missed))
        )
        for firm, told in self._told.items():
            self._account(firm, told, end)

    def _account(self, firm: int, told: _Told, end: datetime) -> None:
        """Compare reminders, thanks and handovers with what was owed between each first mail and its end."""
        for number, asked in enumerate(told.asks):
            until = told.asks[number + 1] if number + 1 < len(told.asks) else end
            mended = next((at for at in self._world.mended(firm) if asked < at <= until), None)
            over = mended or until
            reminded = [at for at in told.reminders if asked < at <= over + SLACK and at <= until]
            self._count("reminders", firm, len(reminded), REMINDERS, asked, over)
            handed = [at for who, at in self._handed if who == firm and asked < at <= until]
            self._count("handovers", firm, len(handed), (REMINDERS[-1] + HAND_OVER,), asked, over)
            thanked = any(asked < at <= until for at in told.thanks)
            if mended is not None and not thanked and mended + SLACK < until:
                self._report.accounts.append(f"firm {firm}, mended {mended}: no thanks")

    def _count(
        self, what: str, firm: int, found: int, due: tuple[timedelta, ...], asked: datetime, over: datetime
    ) -> None:
        least = sum(1 for span in due if asked + span + SLACK < over)
        most = sum(1 for span in due if asked + span < over + SLACK)
        if not least <= found <= most:
            self._report.accounts.append(
                f"firm {firm}, asked {asked}: {found} {what}, owed {least} to {most}"
            )
