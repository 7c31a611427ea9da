"""What a process keeps to itself: no memory image on a disk, no secret in what the kernel shows of its start.

The memory of a running process stays readable for root; nothing here changes that. Elsewhere than on Linux
core dumps are off, and the rest is as the system has it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterable, Mapping

_PR_SET_DUMPABLE = 4  # prctl(2)
_taken: dict[str, str] = {}


def leave_no_image() -> None:
    """Write no core dump, and let no process of the same user look into this one or its environment."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A pipe in core_pattern ignores the limit; what is not dumpable is given to no pipe either.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def environment() -> Mapping[str, str]:
    """Return the environment as this process was started with it, for what reads settings."""
    return {**_taken, **os.environ}


def take_out(names: Iterable[str]) -> None:
    """Take variables out of the environment once they are read.

    Children do not inherit them, and where the kernel shows how the process was started, nothing is left.
    Whoever started the process may still have them: a shell, a unit's file, a container's description.
    """
    for name in names:
        if name in os.environ:
            _blank(name)
            _taken[name] = os.environ.pop(name)


def _blank(name: str) -> None:
    """Overwrite the bytes of a value where they lie: /proc/<pid>/environ is a window on that memory."""
    if sys.platform != "linux":
        return
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    where = getenv(os.fsencode(name))
    if where:
        ctypes.memset(where, 0, len(ctypes.string_at(where)))
