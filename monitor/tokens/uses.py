"""Who reads which token, kept in memory for a few seconds: a read of a good token writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network

from monitor.clock import Clock
from monitor.host.network import known
from monitor.store import uses
from monitor.store.engine import UNWELL, Database
from monitor.store.uses import Use

HOUR = 3600
MOST_KNOWN = 200_000  # pairs of key and connection, or network, that this process remembers


@dataclass(slots=True)
class _Count:
    count: int
    first_at: datetime
    last_at: datetime
    generation: int


class Uses:
    """What this process handed out since it was last written down."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._counts: dict[tuple[str, str, int], _Count] = {}
        self._known: set[tuple[str, ...]] = set()

    async def note(self, key: str, actor: str, connection: str, generation: int, address: str) -> None:
        """Note that a token goes out; the first of a key and connection is in the audit when this returns.

        `address` is where it goes to, empty where nobody knows.
        """
        now, network = self._clock.now(), network_of(address)
        hour = int(now.timestamp()) // HOUR * HOUR
        reads, comes = ("", key, connection), ("from", key, network)
        if reads not in self._known or (network and comes not in self._known):
            first = Use(key, connection, hour, 0, now, now, generation)
            await uses.note_first(self._database, first, actor, network, now)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known |= {reads, comes}
        count = self._counts.get((key, connection, hour))
        if count is None:
            self._counts[key, connection, hour] = _Count(1, now, now, generation)
        else:
            count.count, count.last_at, count.generation = count.count + 1, now, generation

    async def write(self) -> None:
        """Write down what was handed out; what the database does not take is kept for the next time."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        rows = [Use(*of, one.count, one.first_at, one.last_at, one.generation) for of, one in counts.items()]
        try:
            await uses.add(self._database, rows)
        except UNWELL:
            for of, one in counts.items():
                since = self._counts.setdefault(of, one)
                if since is not one:
                    since.count, since.first_at = since.count + one.count, one.first_at
            raise


@known
def network_of(address: str) -> str:
    """Return the network that an address is of, as people tell networks apart: /24, or /48 of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((found, 24 if found.version == 4 else 48), strict=False))
