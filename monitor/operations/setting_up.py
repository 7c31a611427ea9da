"""The first steps: a configuration with comments, and an encryption key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from monitor.errors import ConfigurationError
from monitor.host.files import create, make_folder
from monitor.operations.actor import Actor, Right
from monitor.operations.keys import make_file
from monitor.settings.file import DEFAULT_FILE
from monitor.settings.whole import Settings


@dataclass(frozen=True, slots=True)
class Begun:
    """The files that were written, and where the console will be."""

    config: Path
    key_file: Path
    console: str


def begin(actor: Actor, directory: Path) -> Begun:
    """Write a commented configuration and a fresh key file into a folder; overwrite nothing.

    Raises ConfigurationError where one of them is there.
    """
    actor.needs(Right.HOST)
    config, key_file = directory / DEFAULT_FILE, directory / Settings().security.key_file
    for path in (config, key_file):
        if path.exists():
            raise ConfigurationError(f"{path}: is there already; nothing was written. Choose another folder.")
    make_folder(directory)
    # The file is TOML, not HTML, and its one value is our own.
    env = Environment(
        loader=PackageLoader("monitor.operations"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
    )
    text = env.get_template("token-health.toml.j2").render(settings=Settings(), key_file=key_file.name)
    with os.fdopen(create(config), "w", encoding="utf-8") as file:
        file.write(text)
    make_file(actor, key_file)
    return Begun(config, key_file, f"http://{Settings().web.listen}/")
