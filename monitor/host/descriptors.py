"""File descriptors of this process: as many as it may have, and who may use how many.

Everything that waits on a socket needs one. What strangers can open is counted beforehand, so that what
matters (a refresh, the database) never finds none left.
"""

from __future__ import annotations

import sys

from monitor.errors import ConfigurationError

# For the database, mail, on-call, the key file, and what the interpreter has open by itself.
OWN = 64
# Connections that wait to be taken in, for each listener; as many may come in at one blow.
BACKLOG = 32


def raise_limit() -> int | None:
    """Raise the soft limit to the hard one; return what holds now, None where there is no limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS has a lower limit of its own besides: the soft one stays
            pass
    return None if soft == resource.RLIM_INFINITY else soft


def needed(concurrency: int, connections: int, listeners: int) -> int:
    """Return how many descriptors the process uses at most.

    A probe keeps one connection to ask by and may open another to refresh; `connections` is the sum over all
    listeners of what each takes.
    """
    return OWN + 2 * concurrency + connections + listeners * BACKLOG


def ensure(concurrency: int, connections: int, listeners: int) -> None:
    """Raise the limit, and make sure that all fits into it. Raises ConfigurationError."""
    limit, need = raise_limit(), needed(concurrency, connections, listeners)
    if limit is not None and need > limit:
        raise ConfigurationError(
            f"schedule.concurrency ({concurrency}) and the listeners' connections ({connections}) need "
            f"{need} file descriptors, and this process may have {limit}: lower schedule.concurrency or "
            "web.connections, or raise the limit (LimitNOFILE= of systemd, 'ulimit -n')."
        )
