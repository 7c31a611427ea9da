"""The words of the console, and the catalogues they are looked up in.

English is the source: a sentence is its own key. `console.pot` beside the catalogues holds every one of them
(`make generate`); whoever adds a language copies it to `locale/xx.po` and translates.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache
from gettext import NullTranslations
from pathlib import Path

from babel import negotiate_locale

from monitor.text import catalogues

FOLDER = Path(__file__).with_name("locale")
SOURCE = "en"
LANGUAGE: ContextVar[str] = ContextVar("language", default=SOURCE)


def gettext(text: str, /, **values: object) -> str:
    """Return a sentence in the reader's language, `%(name)s` in it replaced."""
    found = _catalogue(LANGUAGE.get()).gettext(text)
    return found % values if values else found


def ngettext(one: str, many: str, n: int, /, **values: object) -> str:
    """Return a sentence for a number of things; `%(n)s` is the number, as people write it."""
    found = _catalogue(LANGUAGE.get()).ngettext(one, many, n)
    return found % {"n": f"{n:,}", **values}


_ = gettext


def N_(text: str) -> str:  # noqa: N802 - the name that extractors of messages know
    """Mark a sentence that stands in a table, and is looked up where it is shown."""
    return text


def wanted(accepted: str) -> str:
    """Return the language of ours that an Accept-Language header asks for first (RFC 9110 12.5.4)."""
    weighed = []
    for part in accepted.split(",")[:20]:
        tag, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            continue
        weighed.append((-weight, tag.replace("-", "_")))
    preferred = [tag for _, tag in sorted(weighed, key=lambda one: one[0])]
    return negotiate_locale(preferred, languages()) or SOURCE


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Return the languages there are, the source first."""
    return (SOURCE, *sorted(path.stem for path in FOLDER.glob("*.po")))


@lru_cache(maxsize=16)
def _catalogue(language: str) -> NullTranslations:
    if language == SOURCE:
        return NullTranslations()
    return catalogues.read(FOLDER, language)
