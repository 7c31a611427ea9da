"""Files that only their owner reads, from the first byte on, whatever the umask."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


def create(path: Path, *, exclusive: bool = True) -> int:
    """Create a file with mode 0600; return its handle. Raises OSError, FileExistsError where it is there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_EXCL if exclusive else 0)
    handle = os.open(path, flags, PRIVATE)
    # A umask only ever takes away: what it took from the owner is given back.
    if os.fstat(handle).st_mode & 0o777 != PRIVATE and exclusive:
        os.fchmod(handle, PRIVATE)
    return handle


def make_folder(path: Path) -> None:
    """Make a folder that only its owner enters, and those above it; one that is there stays as it is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Wide:
    """A file that more than its owner may read."""

    path: Path
    mode: int

    def __str__(self) -> str:
        return f"{self.path} ({self.mode:04o})"


def wider(paths: list[Path]) -> list[Wide]:
    """Return those of the files that are there and that others than their owner may read or change."""
    found = []
    for path in paths:
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue
        if mode & 0o077:
            found.append(Wide(path, mode))
    return found
