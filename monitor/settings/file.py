"""token-health.toml: found, read and checked.

The environment overrides the file (`TOKEN_HEALTH__SECTION__KEY`). Mistakes are one sentence each, with
the line and the nearest known key, and never with the value, which may be a secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from monitor.errors import ConfigurationError, Remedy, Unusable
from monitor.settings.environment import with_environment
from monitor.settings.loaded import Loaded
from monitor.settings.whole import Settings
from monitor.text.tomlfile import problems, read_toml

DEFAULT_FILE = Path("token-health.toml")


def find_file(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return which configuration file is meant: --config, TOKEN_HEALTH_CONFIG, or the default."""
    return given or Path(environ.get("TOKEN_HEALTH_CONFIG") or DEFAULT_FILE)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read and check a configuration. Raises ConfigurationError with one sentence a mistake."""
    if not path.exists():
        raise ConfigurationError(
            f"{path}: there is no such configuration file.",
            Remedy("setting_up.begin", "writes one"),
            Remedy("settings.choose", "names another"),
        )
    document, text = read_toml(path, "configuration file")
    document = with_environment(document, environ)
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        sentences = "\n  ".join(problems(error, Settings, text))
        causes = (one.get("ctx", {}).get("error") for one in error.errors())
        remedies = [each for cause in causes if isinstance(cause, Unusable) for each in cause.remedies]
        raise ConfigurationError(
            f"{path}: this configuration cannot be used:\n  {sentences}", *remedies
        ) from None
    return Loaded(settings, path, environ)
