"""The environment over the file: `TOKEN_HEALTH__SECTION__KEY`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from monitor.errors import ConfigurationError
from monitor.settings.whole import Settings

PREFIX = "TOKEN_HEALTH__"


def with_environment(document: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the document with what the variables say instead. Raises ConfigurationError."""
    merged = {k: dict(v) if isinstance(v, dict) else v for k, v in document.items()}
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX):
            continue
        parts = name[len(PREFIX) :].lower().split("__")
        section, field = _section(name, parts)
        merged.setdefault(section, {})
        if not isinstance(merged[section], dict):
            raise ConfigurationError(f"{name}: [{section}] is no table in the file.")
        merged[section][field] = _listed(value)
    return merged


def _listed(value: str) -> object:
    """Read a list as JSON, since a variable is one text; everything else stays as it is."""
    if value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _section(name: str, parts: list[str]) -> tuple[str, str]:
    """Return the section and key that a variable means; an unknown one names the nearest."""
    known = {
        f"{section}__{key}": (section, key)
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in (f.alias or n for n, f in field.annotation.model_fields.items())
    }
    found = known.get("__".join(parts))
    if found is not None:
        return found
    if parts[0] == "apps":
        raise ConfigurationError(f"{name}: apps are set in the file; only their secrets come from variables.")
    near = difflib.get_close_matches("__".join(parts), known, n=1, cutoff=0.4)
    hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
    raise ConfigurationError(f"{name}: there is no such setting{hint}")
