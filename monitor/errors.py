"""What goes wrong on our side, said so that a person can act on it.

A provider's failure is never an exception here: it is a value (`monitor.health.evidence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Remedy:
    """What mends something, as a value: an operation, and what it is done to.

    Each door says it in its own words: the command line by a command, the console by a button, the API by
    a code. `does` completes the sentence that begins with it: "shows those there are".
    """

    operation: str  # such as "connections.resume"; each door knows them all
    does: str = ""
    subject: str = ""  # empty where whoever reads it has to choose
    when: str = ""  # what has to be so first: "If it is gone for good"
    options: tuple[tuple[str, str], ...] = ()  # what else it takes, by name


class TokenHealthError(Exception):
    """Something a person has to put right. The message says what is wrong and where; remedies, what to do.

    Doors print it in one or two lines; the command line leaves with `exit_code`.
    """

    exit_code = 2

    def __init__(self, message: str = "", *remedies: Remedy) -> None:
        super().__init__(message)
        self.remedies = remedies


class ConfigurationError(TokenHealthError):
    """The configuration, a provider file or the command line cannot be used as written."""


class Invalid(ConfigurationError):
    """What somebody asks for cannot be used as written; `at` names the part of it that cannot."""

    def __init__(self, at: str, said: str, *remedies: Remedy) -> None:
        super().__init__(f"{at}: {said}", *remedies)
        self.at, self.said = at, said


class Unusable(ValueError):
    """A setting that cannot be used as written, and what mends it; the configuration's reader says where."""

    def __init__(self, message: str, *remedies: Remedy) -> None:
        super().__init__(message)
        self.remedies = remedies


class KeyMissing(TokenHealthError):
    """An encryption key that stored secrets need is not at hand."""


class CannotDecrypt(TokenHealthError):
    """A stored secret does not open with the key it names: damaged, or moved from another row."""


class ImportRefused(TokenHealthError):
    """An import file has bad lines; nothing of it was written."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(
            f"{count} line{'s' if count != 1 else ''} cannot be imported, so nothing was; correct "
            "them and run the same command again."
        )


class NotFound(TokenHealthError):
    """No connection, app or provider of that name."""


class Conflict(TokenHealthError):
    """What was asked for could mean several things, or does not go with what stands."""


class Exists(Conflict):
    """What was to be made is there already."""


class ChangedMeanwhile(Conflict):
    """Somebody changed it since it was read; `revision` is where it is now (RFC 9110 13.1.1)."""

    def __init__(self, message: str, revision: int) -> None:
        super().__init__(message)
        self.revision = revision


class Refused(TokenHealthError):
    """Whoever asked may not do this."""


class NotAdmitted(Refused):
    """A door does not let somebody in. `code` is the word that programs compare (RFC 9457, `code`).

    `after` is when it may be tried again, where waiting helps.
    """

    def __init__(self, code: str, message: str, *remedies: Remedy, after: timedelta | None = None) -> None:
        super().__init__(message, *remedies)
        self.code, self.after = code, after


class Unavailable(TokenHealthError):
    """What was asked for cannot be had just now; it passes. `code` is the word that programs compare."""

    def __init__(self, code: str, message: str, after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.code, self.after = code, after


class SchemaNotCurrent(TokenHealthError):
    """The database was made by another version of Token Health."""


class EndedUncleanly(TokenHealthError):
    """A process ended, and could not write down everything that it had to."""

    exit_code = 1


class AlreadyRunning(TokenHealthError):
    """SQLite serves one service process a file; another one holds this file."""
