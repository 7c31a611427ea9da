"""What mends something, as the command line says it: by the command that does it."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.errors import Remedy
from monitor.web.commands import COMMANDS, OPEN, command

__all__ = ["COMMANDS", "OPEN", "command", "said", "sentence"]


def said(message: str, remedies: Iterable[Remedy]) -> str:
    """Return a message with its remedies, as people read it."""
    return " ".join([message, *map(sentence, remedies)])


def sentence(remedy: Remedy) -> str:
    """Return a remedy as a sentence: when, which command, and what that does."""
    said = f"'{command(remedy)}'" + (f" {remedy.does}" if remedy.does else "")
    if remedy.when:
        said = f"{remedy.when}, {said}"
    return said + "."
