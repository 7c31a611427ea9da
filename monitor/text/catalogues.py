"""Catalogues of sentences, as translators write them (gettext `.po`), made ready to be looked up in."""

from __future__ import annotations

import io
from gettext import GNUTranslations
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po


def read(folder: Path, language: str) -> GNUTranslations:
    """Return the catalogue of a language, compiled; a sentence that it lacks is its own translation."""
    binary = io.BytesIO()
    with (folder / f"{language}.po").open("rb") as file:
        write_mo(binary, read_po(file, locale=language))
    binary.seek(0)
    return GNUTranslations(binary)
