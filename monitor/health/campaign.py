"""A campaign: clients who work are asked, in waves, to approve again before something ends. No clock, no I/O.

An invitation is one mail to one client, whatever of its connections belong to the campaign. Four rules:

1. **Slowly.** In no 24 hours are more clients invited than the pace says. The first wave is a canary; a wave
   begins a day after the one before, and when all of that one have their mail.
2. **Once.** Who was taken by a wave is taken by no other; who has approved since the campaign began is done.
3. **Awake.** A client is taken at an hour at which mail may reach it, while nothing is wrong at its provider.
4. **It stops by itself** when a wave goes wrong, and only a person lets it go on. That is so when at least
   `LEAST_MISHAPS` clients of a wave, and more than `MISHAPS_SHARE` of those of it that were written to, have
   declined, approved with another account or what could not be used, broke within an hour of approving, or
   did not take the mail.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from monitor.health.breaks import PROOF

DAY = timedelta(days=1)
LEAST_MISHAPS, MISHAPS_SHARE = 3, 0.20
CANARY_SHARE, LEAST_CANARY = 0.05, 3
LARGEST_PACE = 10_000
_PACE = re.compile(r"^([0-9]{1,6})\s*/\s*(?:d|day)$")


class Phase(StrEnum):
    """Where a campaign is."""

    RUNNING = "running"
    PAUSED = "paused"  # by a person, or by itself, since a wave went wrong
    DONE = "done"  # all have approved
    OVER = "over"  # its time has run out
    STOPPED = "stopped"  # a person ended it

    @property
    def ended(self) -> bool:
        """Whether nothing comes after it."""
        return self in (Phase.DONE, Phase.OVER, Phase.STOPPED)


class Mishap(StrEnum):
    """What goes wrong with an invitation."""

    DECLINED = "declined"
    WRONG_ACCOUNT = "wrong_account"
    UNUSABLE = "unusable"  # what came of the approval could not be used, and nothing was overwritten
    BROKE = "broke"  # within an hour of the approval
    REFUSED = "refused"  # no address of the client took the mail


_SAID = {
    Mishap.DECLINED: "declined",
    Mishap.WRONG_ACCOUNT: "approved with another account",
    Mishap.UNUSABLE: "approved what could not be used",
    Mishap.BROKE: "broke within an hour of approving",
    Mishap.REFUSED: "did not take the mail",
}


# How a trip to the consent page ended, where that is a mishap.
OF_TRIP: Mapping[str, Mishap] = {
    "declined": Mishap.DECLINED,
    "wrong_account": Mishap.WRONG_ACCOUNT,
    "born_dead": Mishap.UNUSABLE,
    "narrower": Mishap.UNUSABLE,
    "forbidden": Mishap.UNUSABLE,
    "refused": Mishap.UNUSABLE,
}


@dataclass(frozen=True, slots=True)
class Member:
    """A connection of a campaign: what came of it, and whether it could be invited at this moment.

    `client` is who is told together. `ready`: it works, mail may reach its client now, and nothing is held.
    """

    connection: str
    client: str
    wave: int | None = None
    chosen_at: datetime | None = None
    invited_at: datetime | None = None
    opened_at: datetime | None = None
    approved_at: datetime | None = None
    mishap: Mishap | None = None
    mishap_at: datetime | None = None
    left: bool = False
    ready: bool = False
    sending: bool = False  # its mail is on its way at this moment

    @property
    def open(self) -> bool:
        """Whether its client still has something to do."""
        return self.approved_at is None and not self.left

    @property
    def written_at(self) -> datetime | None:
        """When its client was written to, whether or not it took the mail."""
        refused = self.mishap_at if self.mishap is Mishap.REFUSED else None
        return self.invited_at or refused

    @property
    def untold(self) -> bool:
        """Whether a wave took it, and nobody was written to yet."""
        return self.wave is not None and self.written_at is None and self.open

    def went_wrong(self, since: datetime) -> bool:
        """Whether something went wrong after a time that its client has not put right itself."""
        if self.mishap is None or self.mishap_at is None or self.mishap_at <= since:
            return False
        return self.mishap is Mishap.BROKE or self.approved_at is None


@dataclass(frozen=True, slots=True)
class Part:
    """The part that a connection has in a running campaign that has taken it: what its client is asked."""

    campaign: str
    reason: str
    until: date
    began_at: datetime
    chosen_at: datetime

    @property
    def ends_at(self) -> datetime:
        """When nobody is asked any more: the last day is over."""
        return ends_at(self.until)


def ends_at(until: date) -> datetime:
    """Return when a campaign ends whose last day this is, wherever its clients are: by the day of UTC."""
    return datetime.combine(until + DAY, time(0), UTC)


def how_far(member: Member) -> str:
    """Say in one word how far a connection of a campaign came; the database says the same of rows."""
    if member.left:
        return "gone"
    if member.approved_at is not None:
        return "approved"
    if member.mishap is not None:
        return member.mishap.value
    return "opened" if member.opened_at else "invited" if member.invited_at else "to_come"


HOW_FAR = ("to_come", "invited", "opened", "approved", *(one.value for one in Mishap), "gone")


def pace_of(text: str) -> int:
    """Read a pace such as `50/d`: clients invited a day at most. Raises ValueError."""
    match = _PACE.match(text.strip())
    if match is None or not 1 <= int(match.group(1)) <= LARGEST_PACE:
        raise ValueError(f"{text!r} is no pace; write so many clients a day, 1 to {LARGEST_PACE}, as 50/d")
    return int(match.group(1))


def canary(clients: int, pace: int) -> int:
    """Return how many clients the first wave invites, of so many in all."""
    return min(pace, max(LEAST_CANARY, math.ceil(clients * CANARY_SHARE)))


def wave_size(wave: int, clients: int, pace: int) -> int:
    """Return how many clients a wave invites at most."""
    return canary(clients, pace) if wave == 1 else pace


class Trouble(NamedTuple):
    """A wave that went wrong: of so many clients written to, how many of them, by what."""

    wave: int
    written_to: int
    clients: int
    by: dict[Mishap, int]

    @property
    def sentence(self) -> str:
        """Say it to whoever decides whether it goes on."""
        listed = ", ".join(f"{count} {_SAID[what]}" for what, count in self.by.items())
        return f"wave {self.wave} went wrong: of {self.written_to} clients written to, {listed}"


def trouble(members: Iterable[Member], since: datetime) -> Trouble | None:
    """Return the newest wave that went wrong after `since`, None while none has."""
    waves: dict[int, list[Member]] = {}
    for member in members:
        if member.wave is not None and member.written_at is not None:
            waves.setdefault(member.wave, []).append(member)
    for wave in sorted(waves, reverse=True):
        written_to = {member.client for member in waves[wave]}
        wrong = {m.client: m.mishap for m in waves[wave] if m.went_wrong(since) and m.mishap is not None}
        if len(wrong) >= LEAST_MISHAPS and len(wrong) > MISHAPS_SHARE * len(written_to):
            by = Counter(wrong.values())
            return Trouble(wave, len(written_to), len(wrong), {what: by[what] for what in Mishap if by[what]})
    return None


class Chosen(NamedTuple):
    """Who is invited now, and by which wave."""

    wave: int
    connections: tuple[str, ...]


def choose(members: Sequence[Member], pace: int, now: datetime) -> Chosen | None:
    """Return whom the wave at this moment invites, None for nobody. The caller has looked for trouble.

    Clients are taken in the order in which members are given.
    """
    taken = [member for member in members if member.wave is not None]
    newest = max((member.wave or 0 for member in taken), default=0)
    begun = min((m.chosen_at for m in taken if m.wave == newest and m.chosen_at), default=None)
    wave = newest
    if begun is None or (now - begun >= DAY and not any(member.untold and member.ready for member in taken)):
        wave += 1
    room = min(_room(taken, wave, members, pace), pace - _lately(taken, now))
    clients: dict[str, list[str]] = {}
    for member in members:
        if member.wave is None and member.open and member.ready and member.mishap is None:
            clients.setdefault(member.client, []).append(member.connection)
    names = [name for client in list(clients)[: max(0, room)] for name in clients[client]]
    return Chosen(wave, tuple(names)) if names else None


def _room(taken: Sequence[Member], wave: int, members: Sequence[Member], pace: int) -> int:
    in_all = len({member.client for member in members})
    here = {member.client for member in taken if member.wave == wave}
    return wave_size(wave, in_all, pace) - len(here)


def _lately(taken: Iterable[Member], now: datetime) -> int:
    """Return how many clients were invited within a day, or will be in a moment."""
    told = {(m.client, m.wave) for m in taken if m.written_at is not None and now - m.written_at < DAY}
    return len(told | {(m.client, m.wave) for m in taken if m.untold})


def let_go(members: Iterable[Member], now: datetime) -> tuple[str, ...]:
    """Return those that a wave took a day ago and that could not be written to: a later wave takes them.

    Until then each keeps its place among the invitations of the day.
    """
    return tuple(
        m.connection
        for m in members
        if m.untold and not (m.ready or m.sending) and m.chosen_at is not None and now - m.chosen_at >= DAY
    )


def finished(members: Collection[Member], ends_at: datetime, now: datetime) -> Phase | None:
    """Return how a campaign ends at this moment, None while it goes on.

    All done is waited with for as long as it takes to know that what was approved works.
    """
    fresh = any(m.approved_at is not None and now - m.approved_at < PROOF for m in members)
    if not fresh and not any(member.open for member in members):
        return Phase.DONE
    return Phase.OVER if now >= ends_at else None


class Forecast(NamedTuple):
    """How long a campaign takes at its pace, if nothing goes wrong and no client is asleep all day."""

    clients: int
    first_wave: int
    waves: int
    last_wave: date
    in_time: bool
    needed: int  # the least pace that is in time; 0: none is


def forecast(clients: int, pace: int, now: datetime, until: date, *, begun: bool = False) -> Forecast:
    """Say how many waves so many clients take, and whether the last of them goes out before the end.

    `begun`: the canary is out, so that whole waves are to come.
    """
    days = (until - now.date()).days + 1  # on which mails may go out: today and the last one among them
    waves = _waves(clients, pace, begun=begun)
    last = now.date() + timedelta(days=max(0, waves - 1))
    paces = range(1, max(clients, 1) + 1)
    needed = next((n for n in paces if _waves(clients, n, begun=begun) <= days), 0)
    first = pace if begun else canary(clients, pace)
    return Forecast(clients, min(clients, first), waves, last, waves <= days, needed)


def _waves(clients: int, pace: int, *, begun: bool) -> int:
    if not clients:
        return 0
    first = 0 if begun else canary(clients, pace)
    return (not begun) + math.ceil(max(0, clients - first) / pace)
