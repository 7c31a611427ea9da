"""One line of the doctor."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.errors import Remedy, TokenHealthError


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor. `ok` None means: worth knowing, no trouble."""

    name: str
    ok: bool | None
    says: str
    remedies: tuple[Remedy, ...] = ()

    @classmethod
    def failed(cls, name: str, error: Exception) -> Check:
        """Return what went wrong as a line."""
        remedies = error.remedies if isinstance(error, TokenHealthError) else ()
        return cls(name, False, str(error), remedies)
