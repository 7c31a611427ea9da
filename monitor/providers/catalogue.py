"""Finds provider files, the built-in ones and the user's own, and loads them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from monitor.errors import ConfigurationError, NotFound
from monitor.providers.schema import Provider
from monitor.text.tomlfile import problems, read_toml


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
        sentences = "\n  ".join(problems(error, Provider, text))
        raise ConfigurationError(f"{path}: not a provider as it stands:\n  {sentences}") from None
