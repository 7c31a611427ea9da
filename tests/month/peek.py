"""Looks into the service's database for what is due next, so that no minute is lived in which nothing is.

Three liberties are taken with time, and no others:

- A minute in which no probe, notice, envelope or person is due is skipped.
- What is settled (a healthy firm, a known break) is looked at on a grid of ten minutes, the doubtful at its
  minute; the timers run on that grid while something opens or ends and somebody is untold, else every half hour.
- A healthy firm's next look is put off to the first beat of its own at which something could be found.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.health.cadence import Cadence, next_beat
from tests.month.fleet import firm_of
from tests.month.world import World

GRID, IDLE = timedelta(minutes=10), timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
_HOT = "(state IN ('suspect', 'pending') OR good_streak > 0 OR (state = 'broken' AND candidate <> cause))"
_WAITS = "slot, max(due_at, coalesce(look_at, due_at)) AS at FROM notice WHERE state = 'waiting'"
_UNTOLD = """
SELECT 1 FROM incident i
WHERE i.closed_at IS NULL AND i.kind = 'connection' AND i.owner = 'client' AND i.mails <> 'dropped'
AND NOT EXISTS (
  SELECT 1 FROM notice_item t JOIN notice n ON n.id = t.notice
  WHERE t.incident = i.id AND n.slot = 'ask' AND n.state = 'sent')
LIMIT 1
"""
_STIRS = "SELECT 1 FROM incident WHERE opened_at > :since OR closed_at > :since LIMIT 1"


class Peek:
    """The database's own file, read beside the service."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA synchronous=OFF")

    def close(self) -> None:
        self._db.close()

    def probes_due(self, now: datetime) -> bool:
        return bool(self._one("SELECT 1 FROM watch WHERE next_probe_at <= ? LIMIT 1", _text(now)))

    def words_due(self, now: datetime) -> bool:
        """Whether a notice or an envelope wants out, or a blown fuse is to be looked at."""
        return bool(
            self._one("SELECT 1 FROM fuse WHERE blown_at IS NOT NULL")
            or self._one(f"SELECT 1 FROM (SELECT {_WAITS}) WHERE at <= ? LIMIT 1", _text(now))  # noqa: S608
            or self._one(
                "SELECT 1 FROM delivery d JOIN notice n ON n.id = d.notice WHERE n.state = 'sending' "
                "AND d.state = 'waiting' AND d.next_at <= ? LIMIT 1",
                _text(now),
            )
        )

    def _stirs(self, now: datetime) -> bool:
        """Whether somebody is broken who was not told, and something opened or ended lately."""
        return bool(self._one(_UNTOLD) and self._one(_STIRS, _text(now - timedelta(hours=1))))

    def next_due(self, now: datetime) -> datetime | None:
        """Return the next minute at which a probe, a notice or an envelope is due."""
        hot = self._one(f"SELECT min(next_probe_at) FROM watch WHERE {_HOT}")  # noqa: S608
        cold = self._one(f"SELECT min(next_probe_at) FROM watch WHERE NOT {_HOT}")  # noqa: S608
        words = self._one(f"SELECT min(at) FROM (SELECT {_WAITS}) WHERE at > ?", _text(now))  # noqa: S608
        sends = self._one(
            "SELECT min(d.next_at) FROM delivery d JOIN notice n ON n.id = d.notice "
            "WHERE n.state = 'sending' AND d.state = 'waiting'"
        )
        found = [_up(max(_time(at), now), MINUTE, now) for at in (hot, words, sends) if at]
        if cold:
            found.append(_up(max(_time(cold), now), GRID, now))
        return min(found, default=None)

    def next_timers(self, now: datetime) -> datetime:
        """Return when the timers run next."""
        return _up(now, GRID if self._stirs(now) else IDLE, now)

    def put_off(self, world: World, cadence: Cadence, now: datetime, last: datetime) -> None:
        """Put healthy firms' looks off to where something could be found: all before say 'still fine'."""
        rows = self._db.execute(
            "SELECT w.connection, w.next_probe_at, c.access_expires_at FROM watch w "
            "JOIN credential c ON c.connection = w.connection WHERE w.state = 'healthy' AND w.next_probe_at <= ?",
            (_text(now + 2 * cadence.interval),),
        ).fetchall()
        later = []
        for connection, due, expires in rows:
            until = world.quiet_until(firm_of(connection), now)
            if until is None:
                continue
            # Before the access token ends it is refreshed, at a moment of its own.
            until = min(until, last, _time(expires) - timedelta(minutes=20))
            at = next_beat(connection, cadence, max(until - cadence.interval / 2, now))
            if at > _time(due):
                later.append((_text(at), connection))
        if later:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("UPDATE watch SET next_probe_at = ? WHERE connection = ?", later)
            self._db.execute("COMMIT")

    def asked_about(self, message_id: str) -> frozenset[str]:
        """Return the connections that a mail is about."""
        rows = self._db.execute(
            "SELECT i.connection FROM delivery d JOIN notice_item i ON i.notice = d.notice WHERE d.message_id = ?",
            (message_id,),
        )
        return frozenset(name for (name,) in rows)

    def said_of(self, firm: int) -> str:
        """Return why a firm's mail was let out of a wave: as a canary, by a person's word, or not at all."""
        said = self._one(
            "SELECT max(mails) FROM incident WHERE kind = 'connection' AND closed_at IS NULL AND name LIKE ?",
            f"firm-{firm:05}.%",
        )
        return said or ""

    def _one(self, query: str, *given: str) -> str | None:
        row = self._db.execute(query, given).fetchone()
        return row[0] if row else None


def _text(at: datetime) -> str:
    return at.isoformat(" ", "microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _up(at: datetime, grid: timedelta, now: datetime) -> datetime:
    """Return the first moment of a grid that is not before a time, and after now."""
    size = grid.total_seconds()
    found = datetime.fromtimestamp(-(-at.timestamp() // size) * size, UTC)
    return found if found > now else found + grid
