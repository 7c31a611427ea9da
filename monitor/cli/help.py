"""`--help` as a person reads it: what to write there, not of which Python type it is.

typer writes the annotation of every parameter behind its name: `--all <bool>`, `{connection} <str>`.
"""

from __future__ import annotations

from pathlib import Path

from typer import Context
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_OF_TYPE = {int: "NUMBER", str: "TEXT", Path: "FILE"}
_OF_NAME = {
    "connection": "ID",
    "ids": "ID",
    "numbers": "NUMBER",
    "folder": "DIR",
    "directory": "DIR",
    "span": "TIME",
}


def readable(command: TyperCommand | TyperGroup) -> None:
    """Let a command, and those below it, show words for values; a flag takes none, and so shows none."""
    for parameter in command.get_params(Context(command)):
        if isinstance(parameter, TyperOption) and parameter.metavar is None:
            parameter.metavar = "" if parameter.is_flag else _word(parameter)
        elif isinstance(parameter, TyperArgument):
            parameter.metavar = parameter.metavar or _word(parameter)
            # The word stands in the column of names already.
            parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
    for below in getattr(command, "commands", {}).values():
        readable(below)


def _word(parameter: TyperOption | TyperArgument) -> str:
    """Return what stands for a value: its choices, or a word for what it is."""
    kind, name = parameter.type_descriptor, parameter.name or ""
    if kind.choices is not None:
        return "|".join(str(choice) for choice in kind.choices)
    by_name = name.upper() if isinstance(parameter, TyperArgument) else _OF_TYPE.get(kind.annotation, "TEXT")
    return _OF_NAME.get(name, by_name)
