"""Finds provider files, the built-in ones and the user's own, and loads them."""

from __future__ import annotations

from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.errors import ConfigurationError, NotFound
from monitor.providers.review import in_vain
from monitor.providers.schema import Provider
from monitor.text.tomlfile import at_line, problems, read_toml


def built_in() -> dict[str, Path]:
    """Return the names and files of the providers that come along."""
    here = Path(str(resources.files("monitor.providers")))
    return {path.stem: path for path in sorted(here.glob("*.toml"))}


def load(name: str) -> Provider:
    """Load a built-in provider by name.

    Raises NotFound with the names there are.
    """
    files = built_in()
    if name not in files:
        raise NotFound(
            f"There is no provider {name!r}; built in are {', '.join(files)}. "
            "Name your own file with provider_file."
        )
    return load_file(files[name])


def load_file(path: Path) -> Provider:
    """Load and check a provider file; every mistake is one sentence with its line."""
    document, text = read_toml(path, "provider file")
    try:
        return Provider.model_validate(document)
    except ValidationError as error:
        sentences = "\n  ".join(_all_problems(error, document, text))
        raise ConfigurationError(f"{path}: not a provider as it stands:\n  {sentences}") from None


def review(path: Path) -> tuple[Provider, list[str]]:
    """Load a provider file, and say what stands in it in vain: one sentence each, with its line."""
    provider = load_file(path)
    _, text = read_toml(path, "provider file")
    return provider, [at_line(text, place, said) for place, said in in_vain(provider)]


def _all_problems(error: ValidationError, document: dict[str, Any], text: str) -> list[str]:
    """Return all mistakes: unknown keys left out, what the rest says of one another can be checked, too."""
    found = problems(error, Provider, text)
    unknown = [item["loc"] for item in error.errors() if item["type"] == "extra_forbidden"]
    if len(unknown) < error.error_count():
        return found
    known = deepcopy(document)
    for *tables, key in unknown:
        table: Any = known
        for part in tables:
            table = table[part]
        table.pop(key, None)
    try:
        Provider.model_validate(known)
    except ValidationError as further:
        found += problems(further, Provider, text)
    return found
