"""What this process or machine had too little of, told by the causes below an exception."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

# What this machine had not enough of. None of it says anything about the provider.
_SHORT = {
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "memory",
    errno.EAGAIN: "threads",
}


def shortage(raised: BaseException) -> str | None:
    """Return what this process or machine had too little of, None where that was not it."""
    for error in causes(raised):
        if isinstance(error, MemoryError):
            return "memory"
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            return "threads"
        if isinstance(error, socket.gaierror):
            if error.errno == socket.EAI_MEMORY:
                return "memory"
            # The resolver says no more than 'try again' when it could open neither its file nor a socket.
            if not _descriptor_left():
                return "file descriptors"
        elif isinstance(error, OSError) and error.errno in _SHORT:
            return _SHORT[error.errno]
    return None


def _descriptor_left() -> bool:
    try:
        found = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    with contextlib.suppress(OSError):
        os.close(found)
    return True


def causes(error: BaseException | None) -> list[BaseException]:
    """Return an exception and all that it came of, the nearest first."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or any(one is known for known in found):
            continue
        found.append(one)
        # aiohttp keeps the operating system's error in an attribute, beside the chain; several addresses that
        # were tried in vain stand in a group.
        waiting += [
            inner
            for inner in (getattr(one, "os_error", None), getattr(one, "certificate_error", None))
            if isinstance(inner, BaseException)
        ]
        waiting += getattr(one, "exceptions", ()) if isinstance(one, BaseExceptionGroup) else ()
        waiting.append(one.__cause__ or one.__context__)
    return found
