"""The settings as they were read, with no secret among them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts

SET = "set"
# What is, or may carry, a secret: passwords stand in URLs, and some addresses are secrets by themselves.
_SECRET = re.compile(r"(^|_)(urls?|proxy|secret|password|passwords?|tokens?|keys?)$")
_OPEN = ("public_url", "base_url", "auth_url")  # where clients and apps go


def show(parts: Parts, actor: Actor) -> dict[str, Any]:
    """Return the settings as loaded; of a secret, that it is set."""
    actor.needs(Right.SETTINGS_READ)
    reach.whole(actor, "the settings are of everything")
    found: dict[str, Any] = without_secrets(parts.loaded.settings.model_dump(mode="json", by_alias=True))
    return found


class Origin(StrEnum):
    """Where a setting came from."""

    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


def origins(parts: Parts, actor: Actor) -> dict[str, Origin]:
    """Return where each setting came from, as `section.key`; of lists of tables, as `section`."""
    actor.needs(Right.SETTINGS_READ)
    reach.whole(actor, "the settings are of everything")
    found, variables = {}, parts.loaded.from_environment()
    whole = parts.loaded.settings
    for name, value in whole:
        if not isinstance(value, BaseModel):
            found[name] = _origin(name, name in whole.model_fields_set, variables)
            continue
        for key, field in type(value).model_fields.items():
            place = f"{name}.{field.alias or key}"
            found[place] = _origin(place, key in value.model_fields_set, variables)
    return found


def _origin(place: str, said: bool, variables: Collection[str]) -> Origin:
    if place in variables:
        return Origin.ENVIRONMENT
    return Origin.FILE if said else Origin.DEFAULT


def without_secrets(value: Any, name: str = "") -> Any:
    """Return a document with `set` in the place of each value that is, or may carry, a secret."""
    if isinstance(value, Mapping):
        return {key: without_secrets(one, key) for key, one in value.items()}
    if value and _SECRET.search(name) and not (name in _OPEN and _bare(value)):
        return [SET] * len(value) if isinstance(value, list) else SET
    if isinstance(value, list):
        return [without_secrets(one) for one in value]
    return value


def _bare(url: str) -> bool:
    found = urlsplit(url)
    return "@" not in found.netloc and not found.query
